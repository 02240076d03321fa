"""What the small integer operators of exporters' shape chains give, on arrays that may hold symbols (sizes.py).

The same functions serve plain numbers: moving elements about is one thing for both. Each takes the node and its
operands (None where one is not known) and returns the first output, or None where it cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from qir.ir.graph import Node
from qir.passes.clean import sizes
from qir.passes.clean.sizes import UNKNOWN, Element

Operands: TypeAlias = Sequence["np.ndarray | None"]
Transfer: TypeAlias = Callable[[Node, Operands], "np.ndarray | None"]


def _ints(array: np.ndarray | None) -> list[int] | None:
    """A list of plain ints, None if it is not known or holds symbols."""
    if array is None:
        return None
    flat = numbers_of(array)
    return None if flat is None else [int(n) for n in flat.reshape(-1)]


def numbers_of(array: np.ndarray) -> np.ndarray | None:
    """The array as int64, None while it holds symbols."""
    return sizes.numbers(array, np.dtype(np.int64))


def _identity(node: Node, operands: Operands) -> np.ndarray | None:
    return operands[0]


def _gather(node: Node, operands: Operands) -> np.ndarray | None:
    data, index = operands[0], operands[1]
    where = None if index is None else numbers_of(index)
    if data is None or where is None or data.ndim == 0:
        return None
    axis = node.attr("axis", 0) % data.ndim
    if where.size and not -data.shape[axis] <= where.min() <= where.max() < data.shape[axis]:
        return None
    picked: np.ndarray = np.take(data, where, axis)
    return _array(picked, data)


def _array(result: Any, like: np.ndarray) -> np.ndarray:
    """numpy unwraps 0-d object arrays; this wraps them again."""
    if isinstance(result, np.ndarray):
        return result
    wrapped = np.empty((), like.dtype)
    wrapped[()] = result
    return wrapped


def _slice(node: Node, operands: Operands) -> np.ndarray | None:
    data = operands[0]
    starts, ends = _ints(operands[1]), _ints(operands[2])
    if data is None or starts is None or ends is None:
        return None
    axes: list[int] | None = list(range(len(starts)))
    steps: list[int] | None = [1] * len(starts)
    if node.input(3):
        axes = _ints(operands[3])
    if node.input(4):
        steps = _ints(operands[4])
    if axes is None or steps is None:
        return None
    index = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        length = data.shape[axis]
        if step < 0:
            first = min(start + length if start < 0 else start, length - 1)
            last = max(end + length if end < 0 else end, -1)
            index[axis] = slice(first, None if last < 0 else last, step) if first >= 0 else slice(0, 0)
        else:
            index[axis] = slice(start, end, step)
    return data[tuple(index)]


def _concat(node: Node, operands: Operands) -> np.ndarray | None:
    parts = [operand for operand in operands if operand is not None]
    if len(parts) != len(operands):
        return None
    if any(part.dtype == object for part in parts):
        parts = [_objects(part) for part in parts]
    result: np.ndarray = np.concatenate(parts, node.attr("axis"))
    return result


def _objects(array: np.ndarray) -> np.ndarray:
    if array.dtype == object:
        return array
    return sizes.vector(array.reshape(-1).tolist()).reshape(array.shape)


def _unsqueeze(node: Node, operands: Operands) -> np.ndarray | None:
    data, axes = operands[0], _ints(operands[1])
    if data is None or axes is None:
        return None
    rank = data.ndim + len(axes)
    places = {axis % rank for axis in axes}
    rest = iter(data.shape)
    return data.reshape([1 if axis in places else next(rest) for axis in range(rank)])


def _squeeze(node: Node, operands: Operands) -> np.ndarray | None:
    data = operands[0]
    if data is None:
        return None
    axes = _ints(operands[1]) if node.input(1) else [axis for axis, length in enumerate(data.shape) if length == 1]
    if axes is None or any(data.shape[axis] != 1 for axis in axes):
        return None
    gone = {axis % data.ndim for axis in axes}
    return data.reshape([length for axis, length in enumerate(data.shape) if axis not in gone])


def _reshape(node: Node, operands: Operands) -> np.ndarray | None:
    data, target = operands[0], _ints(operands[1])
    if data is None or target is None:
        return None
    if not node.attr("allowzero", 0):
        target = [data.shape[axis] if length == 0 else length for axis, length in enumerate(target)]
    return data.reshape(target)


def _transpose(node: Node, operands: Operands) -> np.ndarray | None:
    return None if operands[0] is None else operands[0].transpose(node.attr("perm"))


def _elementwise(function: Callable[[Any, Any], Any]) -> Transfer:
    def transfer(node: Node, operands: Operands) -> np.ndarray | None:
        if operands[0] is None or operands[1] is None:
            return None
        a, b = np.broadcast_arrays(_objects(operands[0]), _objects(operands[1]))
        pairs = zip(a.reshape(-1), b.reshape(-1), strict=True)
        return sizes.vector(function(x, y) for x, y in pairs).reshape(a.shape)

    return transfer


def _where(node: Node, operands: Operands) -> np.ndarray | None:
    if operands[0] is None or operands[1] is None or operands[2] is None:
        return None
    condition, a, b = np.broadcast_arrays(*(_objects(operand) for operand in operands if operand is not None))

    def choose(c: Any, x: Element, y: Element) -> Element:
        return x if sizes.equal(x, y) is True else UNKNOWN if c is UNKNOWN else x if c else y

    triples = zip(condition.reshape(-1), a.reshape(-1), b.reshape(-1), strict=True)
    return sizes.vector(choose(*three) for three in triples).reshape(condition.shape)


def _reduce_prod(node: Node, operands: Operands) -> np.ndarray | None:
    data = operands[0]
    axes = _ints(operands[1]) if node.input(1) else []
    idle = axes == [] and node.attr("noop_with_empty_axes", 0)
    if data is None or data.ndim != 1 or axes not in ([], [0], [-1]) or idle:
        return None
    shape = (1,) if node.attr("keepdims", 1) else ()
    return sizes.vector([sizes.product(_objects(data))]).reshape(shape)


def _full(node: Node, operands: Operands) -> np.ndarray | None:
    shape = _ints(operands[0])
    value = node.attr("value", np.zeros(1, np.float32))
    return None if shape is None else np.full(shape, value.reshape(-1)[0], value.dtype)


def _range(node: Node, operands: Operands) -> np.ndarray | None:
    parts = [operand.reshape(-1)[0] for operand in operands if operand is not None and operand.dtype != object]
    if len(parts) != 3 or parts[2] == 0:
        return None
    start, limit, step = parts
    count = max(math.ceil((limit.item() - start.item()) / step.item()), 0)
    return np.asarray(start + np.arange(count, dtype=start.dtype) * step, start.dtype)


MOVES: dict[str, Transfer] = {
    "Identity": _identity,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "ConstantOfShape": _full,
    "Range": _range,
}
"""Operators that place elements: they serve numbers of any type, most of them symbols as well."""

TRANSFERS: dict[str, Transfer] = {
    **MOVES,
    "Cast": _identity,
    "Add": _elementwise(sizes.add),
    "Sub": _elementwise(sizes.subtract),
    "Mul": _elementwise(sizes.multiply),
    "Div": _elementwise(sizes.divide),
    "Equal": _elementwise(sizes.equal),
    "Where": _where,
    "ReduceProd": _reduce_prod,
}
"""All of them, for integer and boolean results that hold symbols."""
