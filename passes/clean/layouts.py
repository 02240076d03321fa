"""Operators that work in any order of axes, rewritten for another one.

`perm` p says how a value v is made from its other layout v': v = transpose(v', p), so axis i of v is axis p[i] of v'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qir.ir.graph import AttrValue, Graph, Node
from qir.ir.types import TensorType
from qir.ops.elementwise import BROADCASTING, ELEMENTWISE
from qir.passes.clean.facts import elements_of, shape_of

_ALONG_AXIS = {"Concat": None, "Split": 0, "Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "LpNormalization": -1}
_REDUCTIONS = frozenset({
    "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
    "ReduceLogSum", "ReduceLogSumExp",
})  # fmt: skip


@dataclass(frozen=True)
class Relaid:
    """How a node works in the other layout.

    Attributes:
        data: slots of the operands that change their layout with it.
        attrs: its new attributes.
        constants: slot to the new content of a constant operand.
    """

    data: tuple[int, ...]
    attrs: dict[str, AttrValue]
    constants: dict[int, np.ndarray] = field(default_factory=dict)


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.argsort(perm))


def relaid(node: Node, graph: Graph, perm: Sequence[int]) -> Relaid | None:
    """The node in the layout before `perm`; None for operators that depend on the order of axes."""
    attrs, rank = dict(node.attrs), len(perm)
    if any(_codes_along_axis(graph, name) for name in (*node.inputs, *node.outputs)):
        return None
    if not all(_has_rank(graph, name, rank) for name in node.outputs if name):
        return None
    if node.op in ELEMENTWISE:
        return Relaid((0,), attrs) if _has_rank(graph, node.inputs[0], rank) else None
    if node.op in BROADCASTING:
        return Relaid(tuple(range(len(node.inputs))), attrs) if _broadcasts(node, graph, rank) else None
    if node.op in _ALONG_AXIS:
        axis = node.attr("axis", _ALONG_AXIS[node.op])
        slots = tuple(range(len(node.inputs))) if node.op == "Concat" else (0,)
        if axis is None or not all(_has_rank(graph, node.inputs[slot], rank) for slot in slots):
            return None
        return Relaid(slots, {**attrs, "axis": perm[axis]})
    if not node.inputs or not _has_rank(graph, node.inputs[0], rank):
        return None
    if node.op in _REDUCTIONS and node.attr("keepdims", 1):
        return _reduction(node, graph, perm)
    if node.op == "Pad":
        return _pad(node, graph, perm)
    return _slice(node, graph, perm) if node.op == "Slice" else None


def leaves_order(node: Node, graph: Graph, perm: Sequence[int]) -> Relaid | None:
    """A reduction or Squeeze that drops axes, if what is left comes in the same order from either layout."""
    drops = (node.op in _REDUCTIONS and not node.attr("keepdims", 1)) or (node.op == "Squeeze" and bool(node.input(1)))
    if not drops or not _has_rank(graph, node.inputs[0], len(perm)):
        return None
    changed = _reduction(node, graph, perm)
    if changed is None:
        return None
    gone = {int(axis) for axis in changed.constants.get(1, np.arange(len(perm)))}
    rest = [axis for axis in perm if axis not in gone]
    return changed if rest == sorted(rest) else None


def relaid_constant(array: np.ndarray, perm: Sequence[int]) -> np.ndarray:
    """A constant operand of a broadcasting operator in the other layout."""
    if array.size == 1:
        return array
    full = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
    return np.ascontiguousarray(full.transpose(inverse(perm)))


def _has_rank(graph: Graph, name: str, rank: int) -> bool:
    shape = shape_of(graph, name)
    return shape is not None and len(shape) == rank


def _codes_along_axis(graph: Graph, name: str) -> bool:
    kind = graph.types.get(name)
    return isinstance(kind, TensorType) and kind.quant is not None and kind.quant.axis is not None


def _broadcasts(node: Node, graph: Graph, rank: int) -> bool:
    for name in node.inputs:
        kind = graph.types.get(name)
        if not isinstance(kind, TensorType) or kind.shape is None:
            return False
        lone = all(length == 1 for length in kind.shape)
        small_constant = name in graph.constants and len(kind.shape) <= rank
        if not (len(kind.shape) == rank or small_constant or (lone and len(kind.shape) <= rank)):
            return False
    return True


def _reduction(node: Node, graph: Graph, perm: Sequence[int]) -> Relaid | None:
    axes = elements_of(graph, node.input(1))
    if axes is None:
        return None
    if not axes:
        return Relaid((0,), dict(node.attrs))
    return Relaid((0,), dict(node.attrs), {1: np.array(sorted(perm[axis] for axis in axes), np.int64)})


def _pad(node: Node, graph: Graph, perm: Sequence[int]) -> Relaid | None:
    pads, axes = elements_of(graph, node.input(1)), elements_of(graph, node.input(3))
    if pads is None or axes is None:
        return None
    if node.input(3):
        return Relaid((0,), dict(node.attrs), {3: np.array([perm[axis] for axis in axes], np.int64)})
    table = np.array(pads, np.int64).reshape(2, len(perm))[:, list(inverse(perm))]
    return Relaid((0,), dict(node.attrs), {1: table.reshape(-1)})


def _slice(node: Node, graph: Graph, perm: Sequence[int]) -> Relaid | None:
    starts, axes = elements_of(graph, node.input(1)), elements_of(graph, node.input(3))
    if starts is None or axes is None:
        return None
    old = axes if node.input(3) else list(range(len(starts)))
    return Relaid((0,), dict(node.attrs), {3: np.array([perm[axis] for axis in old], np.int64)})
