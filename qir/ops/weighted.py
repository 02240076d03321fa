"""Operators that multiply by a stored weight: where the weight is and which axis of it is the output channel."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from qir.ir.graph import Graph, Node
from qir.ir.symbols import size, symbols
from qir.ir.types import TensorType
from qir.ops.window import window

OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Weighted:
    """Slots and axes of one operator's weight.

    Attributes:
        weight, bias: input slots; bias -1 where the operator has none.
        channel_axis: the weight's output-channel axis, counted from the front unless negative.
    """

    weight: int
    bias: int
    channel_axis: int


def weighted(node: Node, graph: Graph) -> Weighted | None:
    """The weight layout of a node whose weight is a constant; None for other nodes."""
    if node.op == "Conv":
        found = Weighted(1, 2, 0)
    elif node.op == "ConvTranspose":
        found = Weighted(1, 2, 1)
    elif node.op == "Gemm":
        found = Weighted(1, 2, 0 if node.attr("transB", 0) else 1)
    elif node.op == "MatMul":
        found = Weighted(1, -1, -1)
    else:
        return None
    return found if node.input(found.weight) in graph.constants else None


FEW_CODES = 16
"""Activations with at most so many codes are coarse: so is the unit of sums of their products."""


def reads_few_codes(node: Node, graph: Graph) -> bool:
    """Whether a layer's input has at most 16 codes, so that the unit of its sums is coarse and the sums are small."""
    kind = graph.types.get(node.input(0))
    return isinstance(kind, TensorType) and kind.quant is not None and kind.quant.levels <= FEW_CODES


def outer_layers(graph: Graph) -> tuple[str, ...]:
    """Names of the layers with weights that no other such layer comes before, or comes after.

    Weights may be computed from constants, as in a model that is not folded yet.
    """
    known, layers = set(graph.constants), set()
    for node in graph.nodes:
        if node.op in OPERATORS and node.inputs[0] not in known and node.input(1) in known:
            layers.add(node.name)
        if node.reads and known.issuperset(node.reads):
            known.update(node.outputs)
    first: set[str] = set()
    behind: set[str] = set()
    for node in graph.nodes:
        if behind.isdisjoint(node.reads):
            first |= layers & {node.name}
        if node.name in layers or not behind.isdisjoint(node.reads):
            behind.update(node.outputs)
    last: set[str] = set()
    before: set[str] = set()
    for node in reversed(graph.nodes):
        if before.isdisjoint(node.outputs):
            last |= layers & {node.name}
        if node.name in layers or not before.isdisjoint(node.outputs):
            before.update(node.reads)
    return tuple(node.name for node in graph.nodes if node.name in first | last)


def depthwise_layers(graph: Graph) -> tuple[str, ...]:
    """Names of the convolutions with one input channel an output."""
    shapes = {name: kind.shape or () for name, kind in graph.types.items() if isinstance(kind, TensorType)}
    convolutions = [node for node in graph.nodes if node.op == "Conv" and node.attr("group", 1) > 1]
    return tuple(node.name for node in convolutions if shapes.get(node.inputs[1], ())[1:2] == (1,))


def macs(node: Node, graph: Graph) -> int | None:
    """Multiply-accumulates of one evaluation of a Conv, ConvTranspose, Gemm or MatMul (or its integer form).

    Returns:
        None for other operators and where shapes are not known numbers.
    """
    kind = node.op.removeprefix("qir.Int")
    if kind in ("BitConv", "BitGemm"):
        packed, weight = graph.tensor(node.inputs[0]).sizes, graph.tensor(node.inputs[1]).sizes
        pixels = packed[:-1] if kind == "BitGemm" else (packed[0], *window(node, packed[1:-1], weight[2:]).output)
        return prod(pixels) * prod(weight)
    if kind not in OPERATORS:
        return None
    types = [graph.types.get(name) for name in (node.inputs[0], node.inputs[1], node.outputs[0])]
    if not all(isinstance(t, TensorType) and t.is_static for t in types):
        return None
    x, w, y = (t.sizes for t in types if isinstance(t, TensorType))
    if kind == "Conv":
        return prod(y) * prod(w[1:])
    if kind == "ConvTranspose":
        return prod(x) * prod(w[1:])
    reduced = x[-1] if kind == "MatMul" or not node.attr("transA", 0) else x[0]
    return prod(y) * reduced


def with_ones(graph: Graph) -> Graph:
    """The graph with 1 for every dimension symbol: what one sample costs."""
    ones = dict.fromkeys(symbols(graph), 1)
    types = {
        name: TensorType(kind.dtype, tuple(size(dim, ones) if isinstance(dim, str) else dim for dim in kind.shape))
        if isinstance(kind, TensorType) and kind.shape is not None else kind
        for name, kind in graph.types.items()
    }  # fmt: skip
    return graph.with_(types=types)
