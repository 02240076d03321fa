"""A histogram of fixed size whose merging is exact, whatever the order.

The grid is symmetric about zero and its bin width is a power of two, 2^e: bin i counts the values in
[i * 2^e, (i + 1) * 2^e) for i in [-1024, 1024). The exponent is the smallest that holds the smallest and the largest
value seen, so it depends on the set of values alone; going to the next exponent adds up pairs of bins, which is exact.

Sums of values and of squares are rounded once for each array that is added (a block) and kept from there on as integers
in units of 2^-1074, the smallest positive float64: adding those is exact too. So histograms of whole blocks merge to
the same bytes in any order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from qir.errors import DataError

BINS = 2048
_HALF = BINS // 2
_CHUNK = 1 << 15
"""Elements handled at a time, so that every step works in the cache."""
_MIN_EXPONENT = -126
"""At this exponent 2^-e is still a float32; finer grids would tell apart numbers below 1e-35 only."""
_UNIT = 1074


def _exponent(low: float, high: float) -> int:
    """The smallest e with low >= -1024 * 2^e and high < 1024 * 2^e."""
    exponents = [_MIN_EXPONENT]
    if low < 0:
        mantissa, power = math.frexp(-low)
        exponents.append(power - (11 if mantissa == 0.5 else 10))
    if high > 0:
        exponents.append(math.frexp(high)[1] - 10)
    return max(exponents)


def _coarser(counts: np.ndarray, steps: int) -> np.ndarray:
    """The same counts on a grid whose bins are 2^steps times as wide."""
    if steps == 0:
        return counts
    coarse = np.zeros(BINS, np.int64)
    if steps > 10:
        coarse[_HALF - 1], coarse[_HALF] = counts[:_HALF].sum(), counts[_HALF:].sum()
        return coarse
    sums = counts.reshape(-1, 1 << steps).sum(axis=1)
    first = _HALF - sums.size // 2
    coarse[first : first + sums.size] = sums
    return coarse


def _units(number: float) -> int:
    numerator, denominator = number.as_integer_ratio()
    return numerator * ((1 << _UNIT) // denominator)


@dataclass(frozen=True, eq=False)
class Histogram:
    """How the elements of a value are distributed.

    Attributes:
        counts: read-only int64 [2048]; counts[i + 1024] is bin i.
        exponent: the bin width is 2^exponent.
        low, high: smallest and largest element, exact; 0 while `count` is 0.
        count: number of elements.
        zeros: how many of them are exactly zero.
        total, total_squares: sum of the elements and of their squares in units of 2^-1074.
        infinite: number of infinite elements; nothing else counts them.
    """

    kind: ClassVar[str] = "histogram"

    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    exponent: int = _MIN_EXPONENT
    low: float = 0.0
    high: float = 0.0
    count: int = 0
    zeros: int = 0
    total: int = 0
    total_squares: int = 0
    infinite: int = 0

    def __post_init__(self) -> None:
        self.counts.setflags(write=False)

    @staticmethod
    def of(array: np.ndarray, name: str | None = None) -> Histogram:
        """The histogram of one block.

        Args:
            array: numbers of any shape; taken as float32.
            name: of the value, for the error message.

        Raises:
            DataError: if an element is NaN.
        """
        with np.errstate(over="ignore"):
            flat = np.ascontiguousarray(array, np.float32).reshape(-1)
        if flat.size == 0:
            return Histogram()
        low, high = float(flat.min()), float(flat.max())
        if math.isnan(low):
            raise DataError(
                f"NaN appeared among {flat.size} elements while statistics were collected", tensor=name,
                fix="Check the calibration data, and the float model on it",
            )  # fmt: skip
        if math.isinf(low) or math.isinf(high):
            finite = flat[np.isfinite(flat)]
            return replace(Histogram.of(finite, name), infinite=flat.size - finite.size)
        exponent = _exponent(low, high)
        # A float32 product with 2^-e is exact for e <= 0; beyond, tiny numbers would underflow across zero.
        wide = np.float32 if exponent <= 0 else np.float64
        scaled = np.empty(min(_CHUNK, flat.size), wide)
        index = np.empty(scaled.size, np.intp)
        square = np.empty(scaled.size, np.float64)
        whole = np.empty(scaled.size, np.int32)
        is_zero = np.empty(scaled.size, np.bool_)
        factor = wide(2.0**-exponent)
        counts = np.zeros(BINS, np.int64)
        zeros, sums, squares = 0, [], []
        for start in range(0, flat.size, _CHUNK):
            chunk = flat[start : start + _CHUNK]
            size = chunk.size
            np.multiply(chunk, factor, out=scaled[:size], dtype=wide)
            if low < 0:  # others are floored by becoming integers
                np.floor(scaled[:size], out=scaled[:size])
            np.copyto(whole[:size], scaled[:size], casting="unsafe")  # float to int32 to int64 is faster than at once
            np.copyto(index[:size], whole[:size])
            index[:size] += _HALF
            np.add.at(counts, index[:size], 1)  # several times as fast as bincount, which looks for the bounds again
            zeros += int(np.count_nonzero(np.equal(chunk, 0, out=is_zero[:size])))
            square[:size] = chunk
            sums.append(float(square[:size].sum()))
            np.multiply(square[:size], square[:size], out=square[:size])
            squares.append(float(square[:size].sum()))
        return Histogram(
            counts, exponent, low + 0.0, high + 0.0, flat.size, zeros,
            _units(math.fsum(sums)), _units(math.fsum(squares)),
        )  # fmt: skip

    def merge(self, other: Histogram) -> Histogram:
        """The histogram of both sets of elements: exact, associative, commutative."""
        if not self.count or not other.count:
            some = self if self.count else other
            infinite = self.infinite + other.infinite
            return some if infinite == some.infinite else replace(some, infinite=infinite)
        exponent = max(self.exponent, other.exponent)
        counts = _coarser(self.counts, exponent - self.exponent) + _coarser(other.counts, exponent - other.exponent)
        return Histogram(
            counts, exponent, min(self.low, other.low), max(self.high, other.high), self.count + other.count,
            self.zeros + other.zeros, self.total + other.total, self.total_squares + other.total_squares,
            self.infinite + other.infinite,
        )  # fmt: skip

    def scaled(self, factor: float) -> Histogram:
        """The histogram of the elements times `factor`.

        Exact for positive powers of two. Otherwise counts are spread evenly over the bins that an old bin falls on and
        rounded, with their sum kept; zeros, bounds and moments are those of the products.

        Raises:
            DataError: if a bound leaves the float32 range, or the factor is zero or not finite.
        """
        bounds = sorted(float(np.float64(bound) * factor) for bound in (self.low, self.high))
        if not math.isfinite(factor) or factor == 0 or max(map(abs, bounds)) > float(np.finfo(np.float32).max):
            raise DataError(f"statistics cannot be scaled by {factor}")
        low, high = (float(np.float32(bound)) + 0.0 for bound in bounds)
        exponent = _exponent(low, high)
        others = self.counts.copy()
        others[_HALF] -= self.zeros
        source = others if factor > 0 else others[::-1]
        edges = np.arange(-_HALF, _HALF + 1, dtype=np.float64)
        below = np.concatenate([[0], np.cumsum(source)]).astype(np.float64)
        at = edges * math.ldexp(1.0, exponent - self.exponent) / abs(factor)
        cumulative = np.rint(np.interp(at, edges, below)).astype(np.int64)
        cumulative[0], cumulative[-1] = 0, self.count - self.zeros
        counts = np.diff(cumulative)
        counts[_HALF] += self.zeros
        ratio = Fraction(factor)
        return Histogram(
            counts, exponent, low, high, self.count, self.zeros,
            round(self.total * ratio), round(self.total_squares * ratio * ratio), self.infinite,
        )  # fmt: skip

    @property
    def width(self) -> float:
        """Width of a bin."""
        return math.ldexp(1.0, self.exponent)

    @property
    def mean(self) -> float:
        """Mean of the elements; 0 of none."""
        return float(Fraction(self.total, max(self.count, 1) << _UNIT))

    @property
    def mean_square(self) -> float:
        """Mean of the squared elements; 0 of none."""
        return float(Fraction(self.total_squares, max(self.count, 1) << _UNIT))

    @property
    def variance(self) -> float:
        """Mean squared deviation from the mean."""
        count = max(self.count, 1)
        mean = Fraction(self.total, count << _UNIT)
        return max(0.0, float(Fraction(self.total_squares, count << _UNIT) - mean * mean))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything that `from_state` needs: a part that JSON can hold exactly, and arrays."""
        return {
            "exponent": self.exponent,
            "low": self.low.hex(),
            "high": self.high.hex(),
            "count": self.count,
            "zeros": self.zeros,
            "total": hex(self.total),
            "total_squares": hex(self.total_squares),
            "infinite": self.infinite,
        }, {"counts": self.counts}

    @staticmethod
    def from_state(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Histogram:
        """The inverse of `state`."""
        return Histogram(
            np.array(arrays["counts"], np.int64), int(fields["exponent"]), float.fromhex(fields["low"]),
            float.fromhex(fields["high"]), int(fields["count"]), int(fields["zeros"]),
            int(fields["total"], 16), int(fields["total_squares"], 16), int(fields["infinite"]),
        )  # fmt: skip
