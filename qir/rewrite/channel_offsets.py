"""Moving channels of values by offsets that go into biases, and what a graph says of having been moved so.

A value from which its maker's bias takes t is `x - t`; the layers that read it get `W t` back in their biases. Between
them offsets pass through sums, pools and reshapes, not through what bends (but for a Relu behind a layer, where they
are below all of its results) and not into padded convolutions, whose zeros would have to move too.

The graph's metadata holds the offsets of makers: k * unit, k in [-127, 127]; those of other values follow.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.coupling import Coupling
from qir.ir.graph import Graph, Node
from qir.ops.weighted import weighted
from qir.rewrite.editor import Editor

_KEY = "qir.moved"
_LIMIT = 127
_POOLS = ("MaxPool", "AveragePool")
_KEEP = ("Identity", "GlobalAveragePool", "GlobalMaxPool", "Reshape", "Flatten", "Squeeze", "Transpose")


@dataclass(frozen=True, eq=False)
class Offsets:
    """What was taken from the channels of one value.

    Attributes:
        unit: of the codes, positive.
        codes: int8 [C].
    """

    unit: float
    codes: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """float64 [C]."""
        return np.asarray(self.codes * self.unit)

    @staticmethod
    def nearest(values: np.ndarray) -> Offsets:
        """The offsets closest to some, rounded towards 0: whoever may move by them may move by these."""
        unit = float(np.abs(values).max(initial=0)) / _LIMIT or 1.0
        return Offsets(unit, np.trunc(values / unit * (1 + 1e-12)).astype(np.int8))


def offsets_of(graph: Graph) -> dict[str, Offsets]:
    """The offsets of makers' values, as the graph notes them."""
    noted = json.loads(graph.metadata.get(_KEY, "{}"))
    return {
        name: Offsets(float(unit), np.frombuffer(base64.b85decode(codes), np.int8))
        for name, (unit, codes) in noted.items()
    }


def movable(graph: Graph, coupling: Coupling) -> list[str]:
    """The values that layers make and whose channels may be moved, in order of execution."""
    open_values: set[str] = set()
    found: list[str] = []
    for node in reversed(graph.nodes):
        for name in node.outputs:
            if name not in coupling.values or graph.index.is_output(name):
                continue
            if all(_lets_in(user, name, graph, open_values) for user in graph.index.consumers(name)):
                open_values.add(name)
                if _bias_slot(node, graph) is not None:
                    found.append(name)
    return found[::-1]


def move_channels(graph: Graph, coupling: Coupling, offsets: Mapping[str, Offsets]) -> Graph:
    """Takes offsets from the channels of values that layers make.

    Args:
        graph: FLOAT.
        coupling: of the graph.
        offsets: by value, of some that are `movable`.
    """
    every = all_offsets(graph, coupling, {name: one.values for name, one in offsets.items()})
    edit = Editor(graph)
    for node in graph.nodes:
        slot = _bias_slot(node, graph)
        if slot is None:
            continue
        made, read = every.get(node.outputs[0]), every.get(node.inputs[0])
        back = _through(node, read, graph) if read is not None and node.op != "BatchNormalization" else None
        if made is None and back is None:
            continue
        move = (0 if back is None else back) - (0 if made is None else made)
        name = node.input(slot)
        old = graph.constants[name].value.astype(np.float64) if name else np.zeros(1)
        value = (old + move).astype(np.float32)
        if name:
            edit.replace_input(edit.current(node), slot, edit.revised(name, value, [node]))
        else:
            padded = (*node.inputs, *[""] * (slot - len(node.inputs)), edit.constant(f"{node.name}.bias", value))
            edit.replace(edit.current(node), edit.current(node).with_(inputs=padded[: slot + 1]))
    noted = {
        **json.loads(graph.metadata.get(_KEY, "{}")),
        **{name: [one.unit, base64.b85encode(one.codes.tobytes()).decode()] for name, one in offsets.items()},
    }
    return edit.build(metadata={**graph.metadata, _KEY: json.dumps(noted, separators=(",", ":"))})


def moved_like(graph: Graph, other: Graph) -> Graph:
    """The graph with its channels moved as those of another, as far as values of both have one name."""
    wanted, mine = offsets_of(other), offsets_of(graph)
    missing = {name: one for name, one in wanted.items() if name not in mine}
    if not missing:
        return graph
    coupling = Coupling.of(graph)
    known = {name: missing[name] for name in movable(graph, coupling)
             if name in missing and missing[name].codes.size == coupling.values[name].ids.size}  # fmt: skip
    return move_channels(graph, coupling, known) if known else graph


def all_offsets(graph: Graph, coupling: Coupling, made: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The offsets of every value, [C] each, that follow from those of makers."""
    found = dict(made)
    for node in graph.nodes:
        given = [found.get(name) for name in node.inputs]
        channels = coupling.values.get(node.outputs[0]) if node.outputs else None
        if channels is None or node.name not in coupling.carriers or all(one is None for one in given):
            continue
        if node.op in ("Add", "Sub"):
            signs = (1, -1 if node.op == "Sub" else 1)
            parts = [sign * one for sign, one in zip(signs, given, strict=True) if one is not None]
            found[node.outputs[0]] = np.sum(parts, axis=0)
        elif given[0] is not None and (node.op in (*_KEEP, *_POOLS, "Relu")):
            found[node.outputs[0]] = np.repeat(given[0], channels.ids.size // given[0].size)
    return found


def _lets_in(node: Node, name: str, graph: Graph, open_values: set[str]) -> bool:
    """Whether a reader of a value takes offsets back, or passes them on to ones that do."""
    if name in node.captures:
        return False
    if node.op in ("Add", "Sub"):
        return node.outputs[0] in open_values and node.inputs.count(name) == 1
    if node.op == "Relu":
        maker = graph.index.producer(name)
        alone = graph.index.sole_consumer(name) is node and maker is not None and _bias_slot(maker, graph) is not None
        return alone and node.outputs[0] in open_values
    if node.op in _KEEP or (node.op in _POOLS and not _pads(node) and not node.attr("ceil_mode", 0)):
        return name == node.inputs[0] and node.inputs.count(name) == 1 and node.outputs[0] in open_values
    takes = node.op in ("Conv", "Gemm") and _bias_slot(node, graph) is not None and not _pads(node)
    return takes and node.inputs.count(name) == 1 and name == node.inputs[0]


def _bias_slot(node: Node, graph: Graph) -> int | None:
    """Where a maker's bias is, or would be."""
    if node.op == "BatchNormalization":
        return 2 if node.input(2) in graph.constants and not node.attr("training_mode", 0) else None
    slots = weighted(node, graph)
    if slots is None or slots.bias < 0 or node.attr("transA", 0):
        return None
    if node.attr("alpha", 1.0) != 1.0 or node.attr("beta", 1.0) != 1.0:
        return None
    name = node.input(slots.bias)
    value = graph.value(name) if name else np.zeros(1)
    return slots.bias if value is not None and value.size == max(value.shape[-1:], default=1) else None


def _pads(node: Node) -> bool:
    padding = node.attr("auto_pad", "NOTSET")
    return any(node.attr("pads", ())) or padding not in ("NOTSET", "VALID", b"NOTSET", b"VALID")


def _through(node: Node, read: np.ndarray, graph: Graph) -> np.ndarray:
    """W t, [outputs]."""
    weight = graph.constants[node.inputs[1]].value.astype(np.float64)
    if node.op == "Gemm":
        return np.asarray((weight if node.attr("transB", 0) else weight.T) @ read)
    groups = int(node.attr("group", 1))
    cells = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1).sum(axis=3)
    return np.asarray(np.einsum("goc,gc->go", cells, read.reshape(groups, -1)).reshape(-1))
