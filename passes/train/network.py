"""A graph as a differentiable torch module.

It computes what the graph of stage QUANT (or FLOAT) means: every node its real operator on dequantized operands, every
result rounded to the codes of its type. Weights, biases, scales and thresholds of rounding are its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from qir.errors import PassError
from qir.evaluate import run_node
from qir.ir.graph import Graph, Node
from qir.ir.types import Affine, TensorType
from qir.ops import OPS
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.clamp import bounds
from qir.passes.quantize.weights import scale_axis
from qir.passes.train.learned import Latent, Offset, Rounded
from qir.passes.train.operators import TABLE
from qir.passmanager.base import Context
from qir.quant.channels import rows
from qir.quant.planes import plane_codes
from qir.quant.scales import decode

_NORMALIZATIONS = {"BatchNormalization": (1, 2), "InstanceNormalization": (1, 2), "LayerNormalization": (1, 2)}
"""Operators with scales and offsets that are learned: their slots."""


class Network(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """A graph with parameters.

    Args:
        graph: FLOAT or QUANT.
        context: its recipe and target say which scales have to stay.

    Attributes:
        weights, offsets: what is learned, by the name of the constant.
        roundings: of computed values, by their codes; values of equal codes share one.

    Raises:
        PassError: for a node that has no gradient here, where one has to pass it.
    """

    def __init__(self, graph: Graph, context: Context) -> None:
        super().__init__()
        self.graph = graph
        self.weights: dict[str, Latent] = {}
        self.offsets: dict[str, Offset] = {}
        for node in graph.nodes:
            self._learn(node, context)
        fixed = fixed_codes(graph, context)
        codes = dict.fromkeys(quant for name in _computed(graph) if (quant := _quant(graph, name)) is not None)
        self.roundings = {quant: _rounding_of_values(quant, graph, learns=quant not in fixed) for quant in codes}
        self.held = {name: torch.from_numpy(np.array(_real(graph, name))) for name, constant in graph.constants.items()
                     if name not in self.weights and name not in self.offsets
                     and constant.value.dtype.kind in "fiub"}  # fmt: skip
        parts = (*self.weights.values(), *self.offsets.values(), *self.roundings.values())
        self.parts = nn.ModuleList(parts)
        self._steps = [(node, None if node.op in TABLE else _refusal(node)) for node in _expanded(graph)]
        self._check()

    def _learn(self, node: Node, context: Context) -> None:
        graph, slots = self.graph, weighted(node, self.graph)
        if slots is not None:
            name = node.inputs[slots.weight]
            if name not in self.weights and graph.constants[name].value.dtype == np.float32:
                self.weights[name] = _latent(node, slots, graph, context)
        bias = (slots.bias,) if slots is not None and slots.bias >= 0 else ()
        for slot in (*bias, *_NORMALIZATIONS.get(node.op, ())):
            name = node.input(slot)
            known = name in self.weights or name in self.offsets
            if name in graph.constants and not known and graph.constants[name].value.dtype == np.float32:
                self.offsets[name] = Offset(_real(graph, name))

    def _check(self) -> None:
        """Every node that a gradient has to pass has one."""
        live = {*self.weights, *self.offsets}
        live |= {name for name in _computed(self.graph) if self._learns(name)} - {*self.graph.inputs}
        for node, refusal in self._steps:
            if live.isdisjoint(node.reads):
                continue
            if refusal is not None:
                raise refusal
            live.update(node.outputs)

    def _learns(self, name: str) -> bool:
        quant = _quant(self.graph, name)
        return quant is not None and any(True for _ in self.roundings[quant].parameters())

    def forward(self, inputs: Mapping[str, Any], taps: Iterable[str] = (), watch: Callable[..., None] | None = None
                ) -> dict[str, Any]:  # fmt: skip
        """Outputs and taps by name.

        Args:
            inputs: a tensor an input, of any number of samples, also where the graph has a fixed one.
            watch: called with every node and its first result before that is rounded.
        """
        device = next(iter(inputs.values())).device
        values: dict[str, Any] = {name: value.to(device) for name, value in self.held.items()}
        values |= {name: part() for parts in (self.weights, self.offsets) for name, part in parts.items()}
        values |= {name: self._rounded(name, inputs[name]) for name in self.graph.inputs}
        times = self._times(inputs)
        for node, refusal in self._steps:
            results = self._results(node, values, times) if refusal is None else self._held_results(node, values)
            if watch is not None:
                watch(node, results[0])
            values.update({name: self._rounded(name, value)
                           for name, value in zip(node.outputs, results, strict=False) if name})  # fmt: skip
        return {name: values[name] for name in (*self.graph.outputs, *taps)}

    def _results(self, node: Node, values: Mapping[str, Any], times: int) -> list[Any]:
        operands: list[Any] = [values[name] if name else None for name in node.inputs]
        if node.op == "Reshape" and times > 1:
            operands[1] = torch.cat([operands[1][:1] * times, operands[1][1:]])
        if node.op == "Relu" and self._clamps(node.outputs[0]):
            return operands[:1]
        try:
            found = TABLE[node.op](node, operands)
        except (NotImplementedError, RuntimeError, ValueError, TypeError, IndexError) as error:
            raise PassError(f"{node.op} cannot be trained: {error}", node=node.name, fix=_WAY_OUT) from error
        return found if isinstance(found, list) else [found]

    def _clamps(self, name: str) -> bool:
        """Whether rounding a value gives 0 and no gradient for all that is negative, as a Relu does."""
        quant = _quant(self.graph, name)
        return quant is not None and quant.rounding == "nearest" and bool((quant.zero_point == quant.qmin).all())

    def _held_results(self, node: Node, values: Mapping[str, Any]) -> list[Any]:
        """Of a node that no gradient has to pass."""
        given = {name: value.detach().cpu().numpy() for name in node.reads if (value := values.get(name)) is not None}
        given |= {name: self.graph.constants[name].value for name in node.reads if name in self.graph.constants}
        return [torch.from_numpy(np.array(found)) for found in run_node(node, self.graph, given)]

    def _times(self, inputs: Mapping[str, Any]) -> int:
        """By how much more samples come than a graph of a fixed number of samples takes."""
        for name in self.graph.inputs:
            shape = self.graph.tensor(name).shape
            if shape and isinstance(shape[0], int) and shape[0] > 0:
                return int(inputs[name].shape[0]) // shape[0]
        return 1

    def _rounded(self, name: str, value: Any) -> Any:
        quant = _quant(self.graph, name)
        return value if quant is None else self.roundings[quant](value)

    def measure_units(self, inputs: Mapping[str, Any]) -> None:
        """Sets the unit of each bias to the standard deviation of what its layer gives on some samples."""

        def watch(node: Node, result: Any) -> None:
            slots = weighted(node, self.graph)
            name = node.input(slots.bias) if slots is not None and slots.bias >= 0 else ""
            if name in self.offsets and result.numel() > 1:
                self.offsets[name].unit.fill_(max(float(result.std()), 1e-6))

        with torch.no_grad():
            self(inputs, watch=watch)

    def settle(self) -> None:
        """Puts every parameter back to where it may be."""
        with torch.no_grad():
            for weight in self.weights.values():
                weight.settle()
            for rounding in self.roundings.values():
                rounding.settle()


_WAY_OUT = "Leave finetune out, or give the pass a graph without this node"


def _refusal(node: Node) -> PassError:
    return PassError(f"{node.op} has no gradient in qir, and learned layers are in front of it", node=node.name,
                     fix=_WAY_OUT)  # fmt: skip


def _expanded(graph: Graph) -> list[Node]:
    """The nodes, those of users' operators as what they mean."""
    pending, result = list(reversed(graph.nodes)), []
    while pending:
        node = pending.pop()
        definition = OPS.get(node.op)
        if node.op in TABLE or definition is None or definition.expand is None:
            result.append(node)
        else:
            pending += reversed(definition.expand(node, graph))
    return result


def _quant(graph: Graph, name: str) -> Affine | None:
    kind = graph.types.get(name)
    return kind.quant if isinstance(kind, TensorType) else None


def _computed(graph: Graph) -> Iterator[str]:
    yield from graph.inputs
    for node in graph.nodes:
        yield from (name for name in node.outputs if name)


def _real(graph: Graph, name: str) -> np.ndarray:
    """What a constant stands for."""
    constant, quant = graph.constants[name], _quant(graph, name)
    return constant.value if quant is None or constant.codes is None else decode(constant.codes, quant)


def _latent(node: Node, slots: Weighted, graph: Graph, context: Context) -> Latent:
    name = node.inputs[slots.weight]
    constant, quant = graph.constants[name], _quant(graph, name)
    value, layer = constant.value, context.recipe.layer((node.name, *node.origin), node.op)
    if quant is None or constant.codes is None:
        return Latent(value, scale_axis(node, slots, value), None, None)
    levels = _levels(constant.codes, quant, layer.weight_planes)
    learns = not (layer.power_of_two or quant.block_size)
    rounded = Rounded(quant, value.shape, value.size // max(quant.scale.size, 1), learns=learns, levels=levels)
    return Latent(value, quant.axis, rounded, constant.codes)


def _levels(codes: np.ndarray, quant: Affine, planes: int) -> np.ndarray | None:
    """All codes that the planes of each channel can make, [C, L] rising; None where the weight is no sum of planes."""
    if planes < 2:
        return None
    channels = rows(codes, quant.axis)
    found = plane_codes(channels, planes)
    if found is None:
        return None
    signs = np.array(np.meshgrid(*[(1, -1)] * len(found[0]), indexing="ij")).reshape(len(found[0]), -1)
    return np.sort(found[0].T @ signs, axis=1)


def _rounding_of_values(quant: Affine, graph: Graph, *, learns: bool) -> Rounded:
    ranks = [len(graph.tensor(name).shape or ()) for name in _computed(graph) if _quant(graph, name) == quant]
    sizes = quant.scale.shape if quant.axis is not None else ()
    rank = ranks[0]
    shape = tuple(sizes[0] if quant.axis is not None and i == quant.axis % rank else 1 for i in range(rank))
    return Rounded(quant, shape, 1, learns=learns, shifts=learns)


def fixed_codes(graph: Graph, context: Context) -> set[Affine]:
    """Codes of computed values that have to stay: of inputs and of constants beside them, behind a Clip (whose bounds
    they hold), with a range that the operator or the recipe fixes, or a power of two as scale."""
    found = {quant for name in (*graph.inputs, *graph.constants) if (quant := _quant(graph, name)) is not None}
    for node in graph.nodes:
        layer = context.recipe.layer((node.name, *node.origin), node.op)
        rule = context.target.integer.get(node.op)
        clamp = bounds(node, graph)
        fixed = layer.range is not None or layer.power_of_two or (rule is not None and rule.range is not None)
        if fixed or (clamp is not None and clamp[1] != float("inf")):
            found |= {quant for name in node.outputs if name and (quant := _quant(graph, name)) is not None}
        if layer.power_of_two:
            found |= {quant for name in node.reads if (quant := _quant(graph, name)) is not None}
    return found
