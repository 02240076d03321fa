"""Sums of float arrays that come out the same, bit for bit, in whatever order and grouping they are made.

Each addend is rounded onto a power-of-two grid that depends on nothing but its own largest element, and the grids'
integers are added. Addends are told apart by magnitude class, 16 binary orders wide; the two highest classes are kept:
what falls away has elements below 2^-16 of the largest. An addend's rounding error is at most 2^-26 of its largest
element. After Demmel & Nguyen, "Fast reproducible floating-point summation", 2013.
"""

from __future__ import annotations

import math
import mmap
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

_ORDERS, _BITS = 16, 42
"""Width of a class in binary orders; integers of one addend are at most 2^42, so int64 holds 2^21 addends."""
_CLASSES = 2
_CHUNK = 1 << 15
_IN_MEMORY, _FILE = 16 << 20, 256 << 20

Zeros = Callable[[tuple[int, ...]], np.ndarray]
"""Makes an int64 array of zeros."""


@dataclass(frozen=True, eq=False)
class ExactSum:
    """A sum of arrays of one shape.

    Attributes:
        shape: of the arrays.
        parts: class to int64 sums; those of class k are in units of 2^(16 k - 42).
    """

    shape: tuple[int, ...]
    parts: Mapping[int, np.ndarray]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", MappingProxyType(dict(sorted(self.parts.items()))))

    def __reduce__(self) -> tuple[object, ...]:
        return ExactSum, (self.shape, dict(self.parts))

    @staticmethod
    def of(array: np.ndarray) -> ExactSum:
        """The sum of one array of finite numbers."""
        total = Accumulator(array.shape)
        total.add(array)
        return total.sum()

    def merge(self, other: ExactSum) -> ExactSum:
        """The sum of both: exact, associative, commutative."""
        total = Accumulator(self.shape)
        total.absorb(self)
        total.absorb(other)
        return total.sum()

    def value(self) -> np.ndarray:
        """The sum as float64."""
        found = np.zeros(self.shape)
        for order, part in self.parts.items():
            found += part * _unit(order)
        return found


class Accumulator:
    """An `ExactSum` in the making, added to in place.

    Args:
        shape: of the arrays to add.
        zeros: where its integers live.
    """

    def __init__(self, shape: tuple[int, ...], zeros: Zeros | None = None) -> None:
        self._shape = shape
        self._zeros = zeros or (lambda shape: np.zeros(shape, np.int64))
        self._parts: dict[int, np.ndarray] = {}

    def add(self, array: np.ndarray) -> None:
        """Adds an array of finite numbers."""
        peak = float(max(array.max(initial=0), -array.min(initial=0)))
        if peak == 0:
            return
        order = -(-math.frexp(peak)[1] // _ORDERS)
        part = self._part(order)
        if part is None:
            return
        source, target = np.ascontiguousarray(array).reshape(-1), part.reshape(-1)
        units = 1 / _unit(order)
        for start in range(0, source.size, _CHUNK):
            scaled = np.multiply(source[start : start + _CHUNK], units, dtype=np.float64)
            np.rint(scaled, out=scaled)
            target[start : start + _CHUNK] += scaled.astype(np.int64)

    def absorb(self, total: ExactSum) -> None:
        """Adds another sum."""
        for order in sorted(total.parts, reverse=True):
            part = self._part(order)
            if part is not None:
                part += total.parts[order]

    def _part(self, order: int) -> np.ndarray | None:
        """The integers of a class; None for one that is too low to keep."""
        if order not in self._parts:
            highest = max((order, *self._parts))
            if order <= highest - _CLASSES:
                return None
            for low in [low for low in self._parts if low <= highest - _CLASSES]:
                del self._parts[low]
            self._parts[order] = self._zeros(self._shape)
        return self._parts[order]

    def sum(self) -> ExactSum:
        """What was added; it shares memory with the accumulator, which must not be used again."""
        return ExactSum(self._shape, self._parts)


def _unit(order: int) -> float:
    return math.ldexp(1.0, _ORDERS * order - _BITS)


class Spill:
    """Zeros in memory up to 64 MB in all, then in temporary mapped files that go when nothing refers to them."""

    def __init__(self) -> None:
        self._left = _IN_MEMORY
        self._maps: list[mmap.mmap] = []
        self._used = self._size = 0

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        count = math.prod(shape)
        if 8 * count <= self._left:
            self._left -= 8 * count
            return np.zeros(shape, np.int64)
        if not self._maps or self._used + 8 * count > self._size:
            self._size, self._used = max(_FILE, 8 * count), 0
            with tempfile.TemporaryFile(prefix="qir-") as file:
                file.truncate(self._size)
                self._maps.append(mmap.mmap(file.fileno(), self._size))
        found = np.frombuffer(self._maps[-1], np.int64, count, self._used).reshape(shape)
        self._used += 8 * count
        return found

    def release(self) -> None:
        """Takes mapped pages out of this process's memory; the files keep what they hold."""
        if hasattr(mmap, "MADV_DONTNEED"):
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)
