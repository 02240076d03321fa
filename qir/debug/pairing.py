"""Which value of one graph stands for which value of another.

Passes and other tools keep a value's name while it means the same numbers; where they took a node out, its result lives
on under its operand's name. So values are paired by name, and followed through nodes that only the first graph has.
Where channels of the second were moved and scaled, those of the first are too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from qir.errors import ModelError
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import weighted
from qir.rewrite.channel_offsets import moved_like
from qir.rewrite.channel_scaling import scaled_like

_FOLLOWED = frozenset(("Relu", "Clip", "BatchNormalization", "Add", "Mul", "Identity", "Dropout", "LeakyRelu"))
"""Operators that tools merge into the node before them."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """Two graphs and the values that both have.

    Attributes:
        real: the reference, its channels moved and scaled as those of `quant`.
        quant: what is judged.
        values: name of a value of `quant` to that of its counterpart in `real`, in `quant`'s execution order. Inputs
            are not among them: they are equal by name.
    """

    real: Graph
    quant: Graph
    values: Mapping[str, str]

    @cached_property
    def rounded_inputs(self) -> tuple[str, ...]:
        """Inputs that either graph rounds on entry."""
        return tuple(name for name in self.quant.inputs if _rounds(self.quant, name) or _rounds(self.real, name))

    @property
    def layers(self) -> tuple[str, ...]:
        """Every value that a layer ends in: rounded inputs, then `values`."""
        return (*self.rounded_inputs, *self.values)

    def counterpart(self, layer: str) -> str:
        """The value of `real` that a layer's result stands for."""
        return self.values.get(layer, layer)

    def region(self, layer: str) -> tuple[Node, ...]:
        """The nodes of `quant` between a layer's result and the paired values before it, in execution order."""
        return _between(self.quant, layer, frozenset(self.values) | frozenset(self.quant.inputs))

    def real_region(self, layer: str) -> tuple[Node, ...]:
        """The same of `real`."""
        return _between(self.real, self.counterpart(layer), frozenset(self.values.values()) | {*self.real.inputs})

    def node(self, layer: str) -> Node | None:
        """The node that a layer is called by: its only one with a weight, else the one that makes the result.

        None for inputs.
        """
        return _leading(self.region(layer), self.quant)

    def operands(self, layer: str) -> tuple[str, ...]:
        """The paired values and inputs that a layer of `quant` reads, in order of first use."""
        inner = {name for node in self.region(layer) for name in node.outputs}
        reads = (name for node in self.region(layer) for name in node.reads)
        return tuple(dict.fromkeys(n for n in reads if n not in inner and n not in self.quant.constants))


def _rounds(graph: Graph, name: str) -> bool:
    kind = graph.types[name]
    return isinstance(kind, TensorType) and kind.quant is not None


def _leading(region: tuple[Node, ...], graph: Graph) -> Node | None:
    heavy = [node for node in region if weighted(node, graph) is not None]
    return heavy[0] if len(heavy) == 1 else region[-1] if region else None


def _between(graph: Graph, value: str, stops: frozenset[str]) -> tuple[Node, ...]:
    found: dict[str, Node] = {}
    pending = [value]
    while pending:
        node = graph.index.producer(pending.pop())
        if node is None or node.name in found:
            continue
        found[node.name] = node
        pending += [name for name in node.reads if name not in stops]
    return tuple(node for node in graph.nodes if node.name in found)


def pair(real: Graph, quant: Graph) -> Pairing:
    """Pairs the float32 values of two graphs.

    Raises:
        ModelError: where the graphs have different inputs or outputs.
    """
    for side, mine, other in (("inputs", real.inputs, quant.inputs), ("outputs", real.outputs, quant.outputs)):
        if (side == "inputs" and set(mine) != set(other)) or len(mine) != len(other):
            raise ModelError(f"the two models have different {side}: {', '.join(mine)} and {', '.join(other)}",
                             fix="Compare a model with what was made of it")  # fmt: skip
    real = scaled_like(moved_like(real, quant), quant) if real.stage is Stage.FLOAT else real
    values: dict[str, str] = {}
    kept = frozenset(name for node in quant.nodes for name in (node.name, *node.outputs))
    results = dict(zip(quant.outputs, real.outputs, strict=True))
    for name in _made(quant):
        found = _counterpart(name, real, quant, kept) if name in real.types else None
        found = results.get(name) if found is None else found
        if found is not None and _fits(real.types.get(found), quant.types.get(name)):
            values[name] = found
    return Pairing(real, quant, values)


def _made(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        for name in node.outputs:
            if name and _is_float(graph, name):
                yield name


def _is_float(graph: Graph, name: str) -> bool:
    kind = graph.types.get(name)
    return isinstance(kind, TensorType) and kind.dtype == FLOAT32


def _fits(mine: object, other: object) -> bool:
    if not isinstance(mine, TensorType) or not isinstance(other, TensorType) or mine.dtype != other.dtype:
        return False
    if mine.shape is None or other.shape is None:
        return True
    pairs = zip(mine.shape, other.shape, strict=False)
    return len(mine.shape) == len(other.shape) and all(
        a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in pairs
    )


def _counterpart(name: str, real: Graph, quant: Graph, kept: frozenset[str]) -> str | None:
    """The value of `real` that has a name, or what became of it by nodes that `quant` has merged into its producer."""
    producer = real.index.producer(name)
    if producer is None:
        return None
    while (user := real.index.sole_consumer(name)) is not None:
        following = user.outputs[0]
        if user.op not in _FOLLOWED or {user.name, following} & kept or len([n for n in user.outputs if n]) != 1:
            break
        others = [operand for operand in user.reads if operand != name and operand not in real.constants]
        if others or not _fits(real.types.get(name), real.types.get(following)):
            break
        name = following
    return name
