"""Edits of quantized graphs that a broken pass might make: what the fault catalogue is built from.

Whatever changes, the rest stays as a correct compiler would have left it: biases follow the scales that they are
made of, and values that only move codes follow the value they move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qir.ir.dtype import INT32
from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import Weighted, weighted
from qir.quant.scales import affine_params, decode, encode

MOVES = ("MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Identity")
"""Operators whose results share the codes of their input."""


@dataclass(frozen=True, eq=False)
class Weight:
    """The rounded weight of a layer.

    Attributes:
        node: that multiplies by it.
        name: of the constant.
        bias: name of the int32 bias; "" where there is none.
        axis: the output channels', counted from the front.
        real, codes: of the constant.
        quant: its codes' meaning.
    """

    node: Node
    name: str
    bias: str
    axis: int
    real: np.ndarray
    codes: np.ndarray
    quant: Affine


def quant_of(graph: Graph, name: str) -> Affine | None:
    kind = graph.types.get(name)
    return kind.quant if isinstance(kind, TensorType) else None


def weight_of(graph: Graph, layer: str) -> Weight | None:
    """The weight of the node that makes a value; None where it has none of its own that is rounded."""
    node = graph.index.producer(layer)
    slots = None if node is None else weighted(node, graph)
    if node is None or slots is None:
        return None
    name = node.inputs[slots.weight]
    constant, quant = graph.constants[name], quant_of(graph, name)
    if constant.codes is None or quant is None or len(graph.index.consumers(name)) != 1:
        return None
    return Weight(node, name, _bias(graph, node, slots), slots.channel_axis % constant.value.ndim,
                  constant.value, constant.codes, quant)  # fmt: skip


def _bias(graph: Graph, node: Node, slots: Weighted) -> str:
    name = node.input(slots.bias) if slots.bias >= 0 else ""
    quant = quant_of(graph, name)
    constant = graph.constants.get(name)
    return name if constant is not None and constant.codes is not None and quant is not None else ""


def channels(codes: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """A copy, and a view of it with the channels in front."""
    copy = codes.copy()
    return copy, np.moveaxis(copy, axis, 0)


def with_constant(graph: Graph, name: str, quant: Affine | None, codes: np.ndarray | None, real: np.ndarray) -> Graph:
    """Other content for a constant of the same shape or its transposed."""
    kind = graph.tensor(name)
    types = {**graph.types, name: replace(kind, quant=quant)}
    held = None if codes is None or quant is None else codes.astype(quant.storage.numpy)
    return graph.with_(types=types, constants={**graph.constants, name: Constant(real, held)})


def with_weight(graph: Graph, weight: Weight, quant: Affine | None = None, codes: np.ndarray | None = None) -> Graph:
    """Other codes or another meaning of them for a weight; its bias follows the scales."""
    kept = weight.codes if codes is None else codes
    made = with_constant(graph, weight.name, quant or weight.quant, kept, weight.real)
    return made if quant is None else rebased(made, weight.node)


def rebased(graph: Graph, node: Node) -> Graph:
    """The bias of a weighted node rounded again to the product of its operands' scales."""
    slots = weighted(node, graph)
    bias = "" if slots is None else _bias(graph, node, slots)
    if slots is None or not bias:
        return graph
    x, w = quant_of(graph, node.inputs[0]), quant_of(graph, node.inputs[slots.weight])
    if x is None or w is None:
        return graph
    real = graph.constants[bias].value
    made = Affine(INT32, np.broadcast_to(x.scale * w.scale, real.shape), np.zeros(real.shape), 0)
    return with_constant(graph, bias, made, encode(real, made), real)


def with_bias(graph: Graph, name: str, real: np.ndarray) -> Graph:
    """Other reals for a bias, in its own scale."""
    quant = quant_of(graph, name)
    assert quant is not None
    return with_constant(graph, name, quant, encode(real, quant), real)


def with_codes(graph: Graph, value: str, quant: Affine) -> Graph:
    """Another meaning of a computed value's codes: values that move them and biases that depend on them follow."""
    names = tuple(_movers(graph, value))
    types = {name: replace(graph.tensor(name), quant=quant) for name in names}
    ranges = {name: bounds for name, bounds in graph.ranges.items() if name not in names}
    made = graph.with_(types={**graph.types, **types}, ranges=ranges)
    for node in {node.name: node for name in names for node in graph.index.consumers(name)}.values():
        made = rebased(made, node)
    return made


def _movers(graph: Graph, value: str) -> Iterator[str]:
    yield value
    for node in graph.index.consumers(value):
        if node.op in MOVES and node.inputs[0] == value:
            for name in node.outputs:
                if name and quant_of(graph, name) == quant_of(graph, value):
                    yield from _movers(graph, name)


def bounds(quant: Affine) -> tuple[float, float]:
    """The reals of the outermost codes of a per-tensor type."""
    zero, scale = int(quant.zero_point.reshape(-1)[0]), float(quant.scale.reshape(-1)[0])
    return (quant.qmin - zero) * scale, (quant.qmax - zero) * scale


def spanning(quant: Affine, low: float, high: float) -> Affine:
    """The codes of a per-tensor type laid over another range."""
    scale, zero = affine_params(low, high, quant.storage, qmin=quant.qmin, qmax=quant.qmax)
    return replace(quant, scale=scale.reshape(quant.scale.shape), zero_point=zero.reshape(quant.zero_point.shape))


def with_node(graph: Graph, node: Node, **changes: Any) -> Graph:
    """A node with some fields changed."""
    made = node.with_(**changes)
    return graph.with_(nodes=tuple(made if other.name == node.name else other for other in graph.nodes))


def downstream(graph: Graph, node: Node) -> Iterator[Node]:
    """The nodes that depend on a node, nearest first."""
    seen, pending = {node.name}, [node]
    while pending:
        current = pending.pop(0)
        for name in current.outputs:
            for user in graph.index.consumers(name):
                if user.name not in seen:
                    seen.add(user.name)
                    pending.append(user)
                    yield user


def as_imported(graph: Graph) -> Graph:
    """The graph as a QDQ file tells it: constants are what their codes mean, calibrated ranges are gone."""
    constants = dict(graph.constants)
    for name, constant in graph.constants.items():
        quant = quant_of(graph, name)
        if constant.codes is not None and quant is not None:
            constants[name] = Constant(decode(constant.codes, quant), constant.codes)
    return graph.with_(constants=constants, ranges={})
