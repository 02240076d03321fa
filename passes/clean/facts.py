"""What is plainly true of single values: which cannot be negative, which pairs have the same shape."""

from __future__ import annotations

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import Shape, TensorType
from qir.ops.elementwise import FUNCTIONS

_NEVER_NEGATIVE = {name for name, function in FUNCTIONS.items() if function.low >= 0} | {
    "Softmax", "ReduceL1", "ReduceL2", "ReduceSumSquare",
}  # fmt: skip
_KEEPS_SIGN = frozenset({
    "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Reshape", "Transpose", "Flatten", "Squeeze",
    "Unsqueeze", "Identity", "Slice", "Gather", "Expand", "Tile", "ReduceMax", "ReduceMin", "ReduceMean", "ReduceSum",
    "DepthToSpace", "SpaceToDepth",
})  # fmt: skip
_KEEPS_SIGN_OF_ALL = frozenset({"Add", "Mul", "Max", "Min", "Concat", "Sum", "Mean"})
_DEPTH = 16


def never_negative(graph: Graph, name: str, depth: int = _DEPTH) -> bool:
    """True if the value is at least 0 whatever the network is fed (NaN aside)."""
    constant = graph.value(name)
    if constant is not None:
        return constant.dtype.kind in "fiu" and bool(np.all(constant >= 0))
    node = graph.index.producer(name)
    if node is None or depth == 0 or node.outputs[0] != name:
        return False
    if node.op in _NEVER_NEGATIVE:
        return True
    if node.op == "Clip":
        low = clip_bounds(graph, node)
        return low is not None and low[0] >= 0
    if node.op in _KEEPS_SIGN:
        return never_negative(graph, node.inputs[0], depth - 1)
    if node.op in _KEEPS_SIGN_OF_ALL:
        return all(never_negative(graph, operand, depth - 1) for operand in node.inputs)
    return False


def clip_bounds(graph: Graph, node: Node) -> tuple[float, float] | None:
    """The bounds of a Clip, or of a Relu; infinite where absent, None where they are not constant."""
    if node.op == "Relu":
        return 0.0, np.inf
    bounds = []
    for slot, absent in ((1, -np.inf), (2, np.inf)):
        if not node.input(slot):
            bounds.append(absent)
            continue
        value = graph.value(node.input(slot))
        if value is None or value.size != 1 or np.isnan(value).any():
            return None
        bounds.append(float(value.reshape(-1)[0]))
    return bounds[0], bounds[1]


def shape_of(graph: Graph, name: str) -> Shape | None:
    """The shape of a tensor, None where even its rank is unknown."""
    kind = graph.types.get(name)
    return kind.shape if isinstance(kind, TensorType) else None


def same_shape(graph: Graph, a: str, b: str, *, same_count: bool = False) -> bool:
    """True where two values provably have the same shape.

    Args:
        same_count: they are known to have equally many elements, so that one dimension may be left open.
    """
    first, second = shape_of(graph, a), shape_of(graph, b)
    if first is None or second is None or len(first) != len(second):
        return False
    differing = [(x, y) for x, y in zip(first, second, strict=True) if x is None or x != y]
    if any(isinstance(x, int) and isinstance(y, int) for x, y in differing):
        return False
    return not differing or (same_count and len(differing) == 1 and 0 not in first)


def elements_of(graph: Graph, name: str) -> list[int] | None:
    """A constant's integers, [] where the operand is omitted, None where it is not constant."""
    if not name:
        return []
    value = graph.value(name)
    return None if value is None else [int(n) for n in value.reshape(-1)]
