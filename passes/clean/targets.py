"""Operands that decide a result's shape, made constant although they hold symbols."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qir.ir.graph import Node
from qir.passes.clean.sizes import Element

STATIC_OPERANDS: dict[str, tuple[int, ...]] = {"Reshape": (1,), "Expand": (1,), "Slice": (2,)}
"""Operator to the slots that `static_operand` can make constant."""

_END = np.iinfo(np.int64).max


def _plain(element: Element) -> int | None:
    return int(element) if isinstance(element, int | np.integer) else None


def static_operand(
    node: Node, slot: int, dims: Sequence[Element], elements: np.ndarray, others: Sequence[np.ndarray | None]
) -> list[int] | None:
    """Numbers that mean the same as an operand with symbols.

    Args:
        node: a Reshape, Expand or Slice.
        slot: which operand.
        dims: the shape of the first input.
        elements: what is known of the operand, [n].
        others: what is known of the inputs from the second on.

    Returns:
        The numbers, None where there are none that mean the same for every size.
    """
    target: list[Element] = list(elements.reshape(-1))
    if node.op == "Reshape":
        return _reshape(node, dims, target)
    if node.op == "Expand":
        return _expand(dims, target)
    return _slice_ends(dims, target, others)


def _reshape(node: Node, dims: Sequence[Element], target: list[Element]) -> list[int] | None:
    values: list[int] = []
    for axis, element in enumerate(target):
        number = _plain(element)
        if number is not None:
            values.append(number)
        elif axis < len(dims) and element == dims[axis]:
            values.append(0)
        else:
            values.append(-1)  # whatever it is, the number of elements decides it
    copies = any(value == 0 and _plain(element) is None for value, element in zip(values, target, strict=True))
    return None if values.count(-1) > 1 or (copies and node.attr("allowzero", 0)) else values


def _expand(dims: Sequence[Element], target: list[Element]) -> list[int] | None:
    values: list[int] = []
    for place, element in enumerate(target):
        axis = place - len(target) + len(dims)
        number = _plain(element)
        if number is None and (axis < 0 or element != dims[axis]):
            return None
        values.append(1 if number is None else number)
    return values


def _slice_ends(
    dims: Sequence[Element], target: list[Element], others: Sequence[np.ndarray | None]
) -> list[int] | None:
    axes = _numbers(others[2]) if len(others) > 2 and others[2] is not None else list(range(len(target)))
    steps = _numbers(others[3]) if len(others) > 3 and others[3] is not None else [1] * len(target)
    if axes is None or steps is None:
        return None
    values: list[int] = []
    for element, axis, step in zip(target, axes, steps, strict=True):
        number = _plain(element)
        if number is None and (element != dims[axis] or step < 0):
            return None
        values.append(_END if number is None else number)
    return values


def _numbers(array: np.ndarray | None) -> list[int] | None:
    if array is None or array.dtype == object:
        return None
    return [int(n) for n in array.reshape(-1)]
