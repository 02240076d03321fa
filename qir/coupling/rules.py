"""How each operator treats the channels of its operands where these are scaled."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from qir.coupling.ties import FIXED, Channels, Ties
from qir.ir.graph import Node
from qir.ir.types import Shape
from qir.ops.elementwise import FUNCTIONS
from qir.ops.weighted import weighted

NORMALIZATIONS = ("LayerNormalization", "RMSNormalization")
"""Operators whose gain and offset make the channels of their result."""

Rule = Callable[[Node, Ties], None]


def fix_all(node: Node, ties: Ties) -> None:
    ties.fix(*node.inputs)


def _layer(node: Node, ties: Ties) -> None:
    slots = weighted(node, ties.graph)
    weight = ties.own(node.input(1)) if slots is not None else None
    if slots is None or weight is None or node.attr("transA", 0) or (weight.ndim != 2 and "Conv" not in node.op):
        ties.fix(*node.inputs)
        return
    axis = 1 if "Conv" in node.op else -1
    ties.read(node.inputs[0], axis)
    bias = node.input(slots.bias) if slots.bias >= 0 else ""
    value = ties.graph.value(bias) if bias else None
    if not bias or (value is not None and value.size == max(value.shape[-1:], default=1)):
        ties.new(node, axis)


def _normalization(node: Node, ties: Ties) -> None:
    """Gain and offset take factors; the operand's would vanish."""
    ties.fix(node.inputs[0])
    rank = len(ties.shape(node.inputs[0]) or ())
    last = rank > 0 and int(node.attr("axis", -1)) % rank == rank - 1
    alone = all(ties.own(name) is not None for name in node.inputs[1:] if name)
    if last and alone and not any(node.outputs[1:]):
        ties.new(node, -1)


def _batchnorm(node: Node, ties: Ties) -> None:
    """Gain and offset take factors; those of the operand are not looked for, as layers before it absorb it anyway."""
    ties.fix(node.inputs[0])
    if not node.attr("training_mode", 0) and all(ties.own(name) is not None for name in node.inputs[1:3]):
        ties.new(node, 1)


def same(node: Node, ties: Ties) -> None:
    """One operand, whose positive factors pass; axes keep their places, sizes but the channels' may change."""
    name = node.inputs[0]
    if name not in ties.known:
        return
    if keeps_axis(name, node, ties) and not any(node.outputs[1:]):
        ties.carry(node, ties.known[name])
    else:
        ties.fix(name)


def keeps_axis(name: str, node: Node, ties: Ties) -> bool:
    """Whether the channels of an operand and of the result are one axis of one size."""
    axis, before, after = ties.known[name].axis, ties.shape(name), ties.shape(node.outputs[0])
    return before is not None and after is not None and len(before) == len(after) and before[axis] == after[axis]


def _resize(node: Node, ties: Ties) -> None:
    """What lies outside of the image is a number of its own."""
    if node.attr("extrapolation_value", 0.0):
        ties.fix(node.inputs[0])
    else:
        same(node, ties)


def pool(node: Node, ties: Ties) -> None:
    name = node.inputs[0]
    if name in ties.known and ties.known[name].axis != 1:
        ties.fix(name)
    same(node, ties)


def _clip(node: Node, ties: Ties) -> None:
    low = ties.graph.value(node.input(1)) if node.input(1) else None
    high = ties.graph.value(node.input(2)) if node.input(2) else np.array(np.inf)
    if low is None or high is None or low.size != 1 or high.size != 1 or float(low.reshape(-1)[0]) != 0:
        ties.fix(node.inputs[0])
    else:
        same(node, ties)


def _slope(node: Node, ties: Ties) -> None:
    if node.input(1) not in ties.graph.constants:
        fix_all(node, ties)
    else:
        same(node, ties)


def _pad(node: Node, ties: Ties) -> None:
    value = ties.graph.value(node.input(2)) if node.input(2) else np.zeros(1)
    if node.attr("mode", "constant") in ("constant", b"constant") and (value is None or value.any()):
        ties.fix(node.inputs[0])
    else:
        same(node, ties)


def _sum(node: Node, ties: Ties) -> None:
    """A sum; constants take factors, other operands share theirs."""
    result = ties.shape(node.outputs[0])
    constants = [name for name in node.inputs if name in ties.graph.constants]
    others = [name for name in node.inputs if name not in constants]
    known = [ties.known.get(name) for name in others]
    ranks = [len(ties.shape(name) or ()) for name in others]
    first = known[0] if known else None
    alike = result is not None and first is not None and all(
        one is not None and rank == len(result) and one.axis == first.axis and one.ids.size == first.ids.size
        for one, rank in zip(known, ranks, strict=True)
    )  # fmt: skip
    addable = not constants or (node.op in ("Add", "Sub") and all(ties.own(name) is not None for name in constants))
    if not alike or not addable:
        ties.fix(*others)
        return
    assert first is not None
    for one in known[1:]:
        assert one is not None
        ties.tie(first.ids, one.ids)
    ties.carry(node, first)


def _product(node: Node, ties: Ties) -> None:
    """A product carries the channels of one operand, the other must be fixed: a constant, or a gate."""
    a, b = node.inputs
    carried, gate = (b, a) if node.op == "Mul" and ties.is_fixed(a) and not ties.is_fixed(b) else (a, b)
    ties.fix(gate)
    if carried not in ties.known or a == b:
        return
    if keeps_axis(carried, node, ties):
        ties.carry(node, ties.known[carried])
    else:
        ties.fix(carried)


def concat(node: Node, ties: Ties) -> None:
    known = [ties.known.get(name) for name in node.inputs]
    shapes = [ties.shape(name) for name in node.inputs]
    axes = {one.axis for one in known if one is not None}
    shape = shapes[0]
    if len(axes) != 1 or shape is None:
        fix_all(node, ties)
        return
    axis, along = axes.pop(), int(node.attr("axis", 0)) % len(shape)
    if axis != along:
        if None in known:
            fix_all(node, ties)
        else:
            _sum(node, ties)
        return
    sizes = [one[axis] if one is not None else None for one in shapes]
    if not all(isinstance(size, int) for size in sizes):
        fix_all(node, ties)
        return
    parts = [np.full(int(size or 0), FIXED) if one is None else one.ids for one, size in zip(known, sizes, strict=True)]
    ties.carry(node, Channels(axis, np.concatenate(parts)))


def split(node: Node, ties: Ties) -> None:
    name = node.inputs[0]
    if name not in ties.known:
        return
    channels, shapes = ties.known[name], [ties.shape(output) for output in node.outputs]
    axis = channels.axis
    along = int(node.attr("axis", 0))
    first = 0
    for output, shape in zip(node.outputs, shapes, strict=True):
        if shape is None or not isinstance(shape[axis], int):
            ties.fix(name)
        elif along % len(shape) != axis:
            ties.carry(node, channels, output)
        else:
            size = int(shape[axis] or 0)
            ties.carry(node, Channels(axis, channels.ids[first : first + size]), output)
            first += size


def transpose(node: Node, ties: Ties) -> None:
    name, order = node.inputs[0], node.attr("perm", ())
    if name in ties.known:
        rank = len(ties.shape(name) or ())
        order = tuple(order) or tuple(reversed(range(rank)))
        ties.carry(node, Channels(order.index(ties.known[name].axis), ties.known[name].ids))


def _reshape(node: Node, ties: Ties) -> None:
    """Channels that stay an axis, or one that is flattened with those behind it."""
    name = node.inputs[0]
    if name not in ties.known:
        return
    channels, before, after = ties.known[name], ties.shape(name), ties.shape(node.outputs[0])
    found = None if before is None or after is None else moved(channels, before, after)
    if found is None:
        ties.fix(name)
    else:
        ties.carry(node, found)


def moved(channels: Channels, before: Shape, after: Shape) -> Channels | None:
    """The channels of a reshaped value; None where they are no axis of their own."""
    axis, size = channels.axis, channels.ids.size
    if before[axis + 1 :] and _known(before[axis:]) and len(after) > axis and before[:axis] == after[:axis]:
        rest = int(np.prod([dim for dim in before[axis + 1 :] if isinstance(dim, int)]))
        if after[axis] == size * rest and _ones(after[axis + 1 :]):
            return Channels(axis, np.repeat(channels.ids, rest))
    from_end = len(before) - axis
    if len(after) >= from_end and after[len(after) - from_end :] == before[axis:] and _known(before[axis:]):
        return Channels(len(after) - from_end, channels.ids)
    if len(after) > axis and after[: axis + 1] == before[: axis + 1] and None not in before[:axis]:
        return Channels(axis, channels.ids)
    squeezed = [dim for dim in after if dim != 1]
    if squeezed.count(size) == 1 and squeezed == [dim for dim in before if dim != 1] and None not in squeezed:
        return Channels(after.index(size), channels.ids)
    return None


def _known(dims: Shape) -> bool:
    return all(isinstance(dim, int) for dim in dims)


def _ones(dims: Shape) -> bool:
    return all(dim == 1 for dim in dims)


def gather(node: Node, ties: Ties) -> None:
    """Takes places along another axis than the channels'."""
    name = node.inputs[0]
    ties.fix(*node.inputs[1:])
    if name not in ties.known:
        return
    channels, before, after = ties.known[name], ties.shape(name), ties.shape(node.outputs[0])
    along = int(node.attr("axis", 0)) % max(len(before or ()), 1)
    if before is None or after is None or along == channels.axis:
        ties.fix(name)
    else:
        axis = channels.axis + (len(after) - len(before) if along < channels.axis else 0)
        ties.carry(node, Channels(axis, channels.ids))


def reduce(node: Node, ties: Ties) -> None:
    """Reduces other axes than the channels'."""
    name = node.inputs[0]
    if name not in ties.known:
        return
    channels, rank = ties.known[name], len(ties.shape(name) or ())
    given = ties.graph.value(node.input(1)) if node.input(1) else np.array(node.attr("axes", ()))
    axes = set() if given is None else {int(one) % rank for one in given.reshape(-1)}
    if not axes or channels.axis in axes:
        ties.fix(name)
        return
    gone = 0 if node.attr("keepdims", 1) else sum(axis < channels.axis for axis in axes)
    ties.carry(node, Channels(channels.axis - gone, channels.ids))


SCALING: Mapping[str, Rule] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm", "MatMul"), _layer),
    **dict.fromkeys(NORMALIZATIONS, _normalization),
    **dict.fromkeys([name for name, function in FUNCTIONS.items() if function.homogeneous], same),
    **dict.fromkeys(("Identity", "Dropout", "Upsample"), same),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"), pool),
    **dict.fromkeys(("Add", "Sub", "Sum", "Max", "Min"), _sum),
    **dict.fromkeys(("Mul", "Div"), _product),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax"), reduce),
    "BatchNormalization": _batchnorm,
    "Clip": _clip,
    "Resize": _resize,
    "PRelu": _slope,
    "Pad": _pad,
    "Concat": concat,
    "Split": split,
    "Transpose": transpose,
    "Gather": gather,
}
"""By operator, what it does to factors; others fix the channels of their operands."""
