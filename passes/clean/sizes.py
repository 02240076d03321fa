"""Arithmetic with sizes that are partly symbols: an element of a shape vector is an int, a `Size` or `UNKNOWN`.

A `Size` is `factor * product of symbols`, such as 196*N. Products and exact quotients stay sizes; sums of symbols are
beyond it and become UNKNOWN. Every symbol stands for a dimension, so a `Size` is never negative.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from qir.ir.types import Shape

Symbol: TypeAlias = str | tuple[str, int]
"""A dimension's name, or (value, axis) where it has none."""


@dataclass(frozen=True)
class Size:
    """`factor` (at least 1) times the product of `symbols` (sorted, repeated as often as they occur)."""

    factor: int
    symbols: tuple[Symbol, ...]


class Unknown:
    """An integer of which nothing is known."""

    def __repr__(self) -> str:
        return "?"


UNKNOWN = Unknown()
Element: TypeAlias = int | Size | Unknown


def size(factor: int, symbols: Iterable[Symbol]) -> Element:
    """The element for a product; a plain int where no symbol is left."""
    names = tuple(sorted(symbols, key=repr))
    return factor if not names or factor == 0 else Size(factor, names) if factor > 0 else UNKNOWN


def _split(element: Element) -> tuple[int, tuple[Symbol, ...]] | None:
    if isinstance(element, Unknown):
        return None
    return (element.factor, element.symbols) if isinstance(element, Size) else (int(element), ())


def multiply(a: Element, b: Element) -> Element:
    left, right = _split(a), _split(b)
    if 0 in (a, b):
        return 0
    if left is None or right is None:
        return UNKNOWN
    return size(left[0] * right[0], left[1] + right[1])


def divide(a: Element, b: Element) -> Element:
    """ONNX's integer quotient (towards zero); UNKNOWN unless it is exact or of plain ints."""
    left, right = _split(a), _split(b)
    if left is None or right is None or right[0] == 0:
        return UNKNOWN
    if not left[1] and not right[1]:
        return int(abs(left[0]) // abs(right[0])) * (1 if (left[0] < 0) == (right[0] < 0) else -1)
    rest = list(left[1])
    for symbol in right[1]:
        if symbol not in rest:
            return UNKNOWN
        rest.remove(symbol)
    return size(left[0] // right[0], rest) if left[0] % right[0] == 0 else UNKNOWN


def add(a: Element, b: Element) -> Element:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    left, right = _split(a), _split(b)
    if left is None or right is None:
        return UNKNOWN
    if a == 0 or b == 0:
        return b if a == 0 else a
    return size(left[0] + right[0], left[1]) if left[1] == right[1] else UNKNOWN


def subtract(a: Element, b: Element) -> Element:
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    left, right = _split(a), _split(b)
    if left is None or right is None:
        return UNKNOWN
    if b == 0 or a == b:
        return a if b == 0 else 0
    return size(left[0] - right[0], left[1]) if left[1] == right[1] else UNKNOWN


def equal(a: Element, b: Element) -> bool | Unknown:
    """Whether two elements are equal for every size of the symbols; UNKNOWN where that depends on them."""
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    if a == b:
        return True
    negative = any(isinstance(one, int) and one < 0 for one in (a, b))
    return False if negative or (isinstance(a, int) and isinstance(b, int)) else UNKNOWN


def dims(name: str, shape: Shape) -> list[Element]:
    """The elements of a value's shape; unnamed dimensions become symbols of their own."""
    return [d if isinstance(d, int) else size(1, [d if isinstance(d, str) else (name, i)]) for i, d in enumerate(shape)]


def product(elements: Iterable[Element]) -> Element:
    result: Element = 1
    for element in elements:
        result = multiply(result, element)
    return result


def vector(elements: Iterable[Any]) -> np.ndarray:
    """A 1-D object array (numpy would unpack tuples by itself)."""
    items = list(elements)
    array = np.empty(len(items), object)
    for position, item in enumerate(items):
        array[position] = item
    return array


def numbers(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """The array as numbers, None while an element is a symbol or unknown."""
    if array.dtype != object:
        return array.astype(dtype, copy=False)
    if not all(isinstance(element, bool | int | np.integer) for element in array.reshape(-1)):
        return None
    return np.array([int(e) for e in array.reshape(-1)], dtype).reshape(array.shape)
