"""How each operator treats the channels of its operands where some are taken out.

A channel can go where every value that carries it, and every constant along it, loses it at once. Layers make the
channels of their results afresh; depthwise ones carry them, as do all operators that work on single elements. Channels
of a grouped convolution go from every group alike, heads of an attention with all their channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from qir.coupling.rules import (
    NORMALIZATIONS,
    Rule,
    concat,
    gather,
    keeps_axis,
    moved,
    pool,
    reduce,
    same,
    split,
    transpose,
)
from qir.coupling.ties import Channels, Ties
from qir.ir.graph import Node
from qir.ir.types import Shape
from qir.ops.elementwise import ARITHMETIC, FUNCTIONS
from qir.ops.weighted import weighted

_SINGLE = (*FUNCTIONS, "Identity", "Dropout", "Upsample", "Pad")
"""Operators that treat every channel alike, or pad other axes with what is no channel."""


def _layer(node: Node, ties: Ties) -> None:
    slots = weighted(node, ties.graph)
    weight = ties.graph.value(node.input(1)) if slots is not None else None
    bias = node.input(2) if node.op != "MatMul" else ""
    value = ties.graph.value(bias) if bias else None
    vector = not bias or (value is not None and value.size in (1, value.shape[-1] if value.ndim else 1))
    if slots is None or weight is None or not vector or node.attr("transA", 0):
        _products(node, ties)
    elif "Conv" in node.op:
        _convolution(node, ties, weight, value)
    elif weight.ndim == 2:
        ties.read(node.inputs[0], -1)
        columns, rows = (1, 0) if node.attr("transB", 0) else (0, 1)
        _mark_read(node, ties, columns)
        _mark_made(node, ties, -1, rows, value)
    else:
        ties.fix(*node.inputs)


def _mark_read(node: Node, ties: Ties, axis: int) -> None:
    if node.inputs[0] in ties.known:
        ties.mark(node, 1, axis, ties.known[node.inputs[0]].ids)


def _mark_made(node: Node, ties: Ties, axis: int, rows: int, bias: np.ndarray | None) -> None:
    ties.new(node, axis)
    if node.outputs[0] in ties.known:
        ids = ties.known[node.outputs[0]].ids
        ties.mark(node, 1, rows, ids)
        _mark_bias(node, ties, ids, bias)


def _mark_bias(node: Node, ties: Ties, ids: np.ndarray, bias: np.ndarray | None) -> None:
    if bias is not None and bias.size > 1:
        ties.mark(node, 2, bias.ndim - 1, ids)


def _convolution(node: Node, ties: Ties, weight: np.ndarray, bias: np.ndarray | None) -> None:
    ties.read(node.inputs[0], 1)
    groups, transposed = int(node.attr("group", 1)), node.op == "ConvTranspose"
    outputs, inputs = (weight.shape[1] * groups, weight.shape[0]) if transposed else (
        weight.shape[0], weight.shape[1] * groups)  # fmt: skip
    given = ties.known.get(node.inputs[0])
    if 1 < groups == inputs:
        if given is not None:
            made = np.repeat(given.ids, outputs // groups)
            ties.mark(node, 1, 0, given.ids if transposed else made)
            _mark_bias(node, ties, made, bias)
            ties.carry(node, Channels(1, made))
        return
    if given is not None:
        ties.alike(given.ids.reshape(groups, -1))
        ties.mark(node, 1, 0 if transposed else 1, given.ids if transposed else given.ids[: inputs // groups])
    ties.new(node, 1)
    if node.outputs[0] in ties.known:
        ids = ties.known[node.outputs[0]].ids
        ties.alike(ids.reshape(groups, -1))
        ties.mark(node, 1, 1 if transposed else 0, ids[: outputs // groups] if transposed else ids)
        _mark_bias(node, ties, ids, bias)


def _products(node: Node, ties: Ties) -> None:
    """A product of activations: of each head's, where heads are an axis in front of both matrices."""
    names = [name for name in node.inputs if name]
    known = [ties.known.get(name) for name in names]
    ranks = [len(ties.shape(name) or ()) for name in names]
    a, b = (*known, None, None)[:2]
    heads = node.op == "MatMul" and a is not None and b is not None and len({*ranks}) == 1
    if a is None or b is None or not heads or not a.axis == b.axis < ranks[0] - 2 or a.ids.size != b.ids.size:
        ties.fix(*names)
        return
    ties.tie(a.ids, b.ids)
    ties.carry(node, a)


def _broadcast(node: Node, ties: Ties) -> None:
    """Operands meet element by element; those of one channel serve all."""
    carried = [name for name in node.inputs if name in ties.known]
    shapes = [ties.shape(name) for name in node.inputs]
    result = ties.shape(node.outputs[0])
    if not carried or result is None or None in shapes:
        ties.fix(*carried)
        return
    sizes = {name: len(shape or ()) for name, shape in zip(node.inputs, shapes, strict=True)}
    first = max((ties.known[name] for name in carried), key=lambda one: one.ids.size)
    from_end = next(sizes[name] - ties.known[name].axis for name in carried if ties.known[name] is first)
    for name, shape in zip(node.inputs, shapes, strict=True):
        one, place = ties.known.get(name), len(shape or ()) - from_end
        size = (shape or ())[place] if place >= 0 else 1
        if one is not None and place == one.axis and size == first.ids.size:
            continue
        if size == 1 or (one is None and name in ties.graph.constants and size == first.ids.size):
            ties.fix(name)
            continue
        ties.fix(*carried)
        return
    for slot, (name, shape) in enumerate(zip(node.inputs, shapes, strict=True)):
        place = len(shape or ()) - from_end
        if name in ties.known:
            if ties.known[name].ids.size == first.ids.size:
                ties.tie(first.ids, ties.known[name].ids)
        elif name in ties.graph.constants and place >= 0 and (shape or ())[place] != 1:
            ties.mark(node, slot, place, first.ids)
    ties.carry(node, Channels(len(result) - from_end, first.ids))


def _along_another(node: Node, ties: Ties) -> None:
    """Operators along an axis, or from one on, which must leave the channels'."""
    name = node.inputs[0]
    if name not in ties.known:
        return
    rank, axis = len(ties.shape(name) or ()), ties.known[name].axis
    along = int(node.attr("axis", -1)) % max(rank, 1)
    if axis >= along if node.op in NORMALIZATIONS else axis == along:
        ties.fix(name)
    else:
        same(node, ties)


def _normalized(node: Node, ties: Ties) -> None:
    """Every channel by itself, with numbers of its own."""
    name = node.inputs[0]
    constants = all(other in ties.graph.constants for other in node.inputs[1:])
    if name in ties.known and ties.known[name].axis == 1 and constants and not node.attr("training_mode", 0):
        for slot in range(1, len(node.inputs)):
            ties.mark(node, slot, 0, ties.known[name].ids)
        same(node, ties)
    else:
        ties.fix(name)


def _resize(node: Node, ties: Ties) -> None:
    if node.input(3) and node.input(3) not in ties.graph.constants:
        ties.fix(node.inputs[0])
    else:
        same(node, ties)


def _slice(node: Node, ties: Ties) -> None:
    """Slices along other axes."""
    name = node.inputs[0]
    if name in ties.known and not keeps_axis(name, node, ties):
        ties.fix(name)
        return
    axes = ties.graph.value(node.input(3)) if node.input(3) else None
    if name in ties.known and axes is not None:
        rank = len(ties.shape(name) or ())
        if ties.known[name].axis not in {int(axis) % rank for axis in axes.reshape(-1)}:
            same(node, ties)
            return
    ties.fix(name)


def _reshape(node: Node, ties: Ties) -> None:
    """Channels that stay an axis, are flattened with those behind, or are cut into heads."""
    name = node.inputs[0]
    if name not in ties.known:
        return
    channels, before, after = ties.known[name], ties.shape(name), ties.shape(node.outputs[0])
    constant = node.op != "Reshape" or node.inputs[1] in ties.graph.constants
    if before is None or after is None or not constant:
        ties.fix(name)
        return
    found = moved(channels, before, after) or _flattened_last(channels, before, after) or _heads(
        ties, channels, before, after)  # fmt: skip
    if found is None:
        ties.fix(name)
    else:
        ties.carry(node, found)


def _flattened_last(channels: Channels, before: Shape, after: Shape) -> Channels | None:
    """The last axis, flattened with those in front of it."""
    for start in range(1, channels.axis):
        front = [dim for dim in before[start : channels.axis] if isinstance(dim, int)]
        if channels.axis == len(before) - 1 and before[:start] == after[:start] and len(after) == start + 1:
            if len(front) == channels.axis - start and after[start] == prod(front) * channels.ids.size:
                return Channels(start, np.tile(channels.ids, prod(front)))
    return None


def _heads(ties: Ties, channels: Channels, before: Shape, after: Shape) -> Channels | None:
    """Channels cut into heads by their channels, or into queries, keys and values by heads by channels."""
    axis, more = channels.axis, len(after) - len(before)
    parts = [dim for dim in after[axis : axis + 1 + more] if isinstance(dim, int)]
    around = before[:axis] == after[:axis] and before[axis + 1 :] == after[axis + 1 + more :]
    if more not in (1, 2) or not around or prod(parts) != channels.ids.size:
        return None
    heads = np.moveaxis(channels.ids.reshape(parts), more - 1, 0).reshape(parts[more - 1], -1)
    ties.alike(heads.T)
    return Channels(axis + more - 1, heads[:, 0])


REMOVAL: Mapping[str, Rule] = {
    **dict.fromkeys(_SINGLE, same),
    **dict.fromkeys(ARITHMETIC, _broadcast),
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul"), _layer),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _normalized),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"), pool),
    **dict.fromkeys(("Softmax", "LogSoftmax", *NORMALIZATIONS), _along_another),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), reduce),
    "Resize": _resize,
    "Concat": concat,
    "Split": split,
    "Transpose": transpose,
    "Gather": gather,
    "Slice": _slice,
}
"""By operator, what it does to channels that go; others fix the channels of their operands."""
