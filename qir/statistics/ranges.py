"""Ranges to quantize, asked of a histogram: nothing here looks at data again.

A method is a function of (histogram, options) that returns (low, high). It joins `RANGE_METHODS` by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from qir.errors import DataError, PassError
from qir.statistics.histogram import BINS, Histogram

_HALF = BINS // 2
_CANDIDATES = 128
_NEWTON_STEPS = 20


def minmax(histogram: Histogram) -> tuple[float, float]:
    """From the smallest to the largest element."""
    return histogram.low, histogram.high


def percentile(histogram: Histogram, p: float = 99.99) -> tuple[float, float]:
    """Clips each side on its own, at the bin edge that keeps at least p per cent of *that side's* elements.

    Because each side is measured against itself, a rare negative side is trimmed but never lost.

    Args:
        p: per cent, in (0, 100].
    """
    if not 0 < p <= 100:
        raise PassError(f"percentile p={p} is not in (0, 100]")
    bounds = []
    for outward in _sides(histogram):
        cumulative = np.cumsum(outward)
        kept = int(np.searchsorted(cumulative, cumulative[-1] * (p / 100))) + 1
        bounds.append(kept * histogram.width if cumulative[-1] else 0.0)
    return max(-bounds[0], min(histogram.low, 0.0)) + 0.0, min(bounds[1], max(histogram.high, 0.0))


def mse(histogram: Histogram, bits: int = 8, symmetric: bool = False) -> tuple[float, float]:
    """The range with the smallest expected squared error of uniform codes.

    For a range [l, h] and step s = (h - l) / (2^bits - 1) (symmetric: 2h / (2^bits - 2)) the error is that of the
    clipped elements, taken as spread evenly over their bins, plus s^2 / 12 for each of the others (none for zeros).
    Clipping happens where the rounded zero point puts the ends. 128 candidates a side, and all pairs of them, are
    compared; a side that has elements is never given up wholly.

    Args:
        bits: width of the codes, at least 2.
        symmetric: look only at ranges [-h, h]; h may exceed the largest element of one side.
    """
    if bits < 2:
        raise PassError(f"method mse needs at least 2 bits, not {bits}")
    bounds = -min(histogram.low, 0.0), max(histogram.high, 0.0)
    tables = [_clipping(histogram, side, bound) for side, bound in zip(_sides(histogram), bounds, strict=True)]
    # Without the first row, a threshold of zero, unless the side is empty.
    low, high = (table[0][min(1, table[0].size - 1) :] for table in tables)
    if symmetric:
        low = high = np.union1d(low, high)
        step = 2 * high / (2**bits - 2)
        ends = [high, high]
    else:
        low, high = (np.ascontiguousarray(grid).reshape(-1) for grid in np.broadcast_arrays(low[:, None], high))
        codes = 2**bits - 1
        step = (low + high) / codes
        zero_point = np.rint(np.divide(low, step, out=np.zeros_like(low), where=step > 0))
        ends = [zero_point * step, (codes - zero_point) * step]
    lost, inside = np.zeros(high.size), np.full(high.size, float(histogram.count - histogram.zeros))
    for end, (threshold, cost, number) in zip(ends, tables, strict=True):
        lost += np.interp(end, threshold, cost)
        inside -= np.interp(end, threshold, number)
    best = int(np.argmin(lost + inside * step**2 / 12))
    return -float(low[best]) + 0.0, float(high[best])


def octav(histogram: Histogram, bits: int = 8) -> tuple[float, float]:
    """The range with the smallest expected squared error, found by Newton's recursion instead of by candidates.

    Both ends share one step (h - l) / (2^bits - 1), so each end's optimum is that of its own clipped elements against
    the rounding of all others: `h <- (sum_{x > h} x - r n l) / (r n + #{x > h})` with r = 1 / (12 (2^bits - 1)^2) and
    n elements inside, -l taken the same way in turn. Exact zeros have no rounding error.

    Source: Sakr et al., arXiv 2206.06501, there for one end and symmetric codes.

    Args:
        bits: width of the codes, at least 2.
    """
    if bits < 2:
        raise PassError(f"method octav needs at least 2 bits, not {bits}")
    sides = [_tail(side, histogram.width) for side in _sides(histogram)]
    most = [max(-histogram.low, 0.0), max(histogram.high, 0.0)]
    ends, rate = list(most), 1 / (12 * (2**bits - 1) ** 2)
    for _ in range(_NEWTON_STEPS):
        for end in (0, 1):
            number, first = (float(np.interp(ends[end], sides[end][0], table)) for table in sides[end][1:])
            inside = histogram.count - histogram.zeros - sum(
                float(np.interp(ends[i], sides[i][0], sides[i][1])) for i in (0, 1)
            )  # fmt: skip
            below = rate * inside
            if most[end] and below + number > 0:
                ends[end] = min(max((first - below * ends[1 - end]) / (below + number), 0.05 * most[end]), most[end])
    return -ends[0] + 0.0, ends[1]


def entropy(histogram: Histogram, bits: int = 8) -> tuple[float, float]:
    """The range whose codes keep the distribution: least Kullback-Leibler divergence of it from its rounded form.

    Both ends move inward together, so that a rare side is trimmed but never lost. What is clipped counts in the
    outermost bins of the true distribution but not of the rounded one, whose codes spread evenly over the bins that
    are not empty. Exact zeros do not count.

    Source: Migacz, 8-bit inference with TensorRT, GTC 2017.

    Args:
        bits: width of the codes, at least 2.
    """
    if bits < 2:
        raise PassError(f"method entropy needs at least 2 bits, not {bits}")
    counts = histogram.counts.astype(np.float64)
    counts[_HALF] -= histogram.zeros
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if not counts.any() or low == high:
        return low, high
    centre = (np.arange(BINS) - _HALF + 0.5) * histogram.width
    shares = np.linspace(1, 0.3, _CANDIDATES // 2)
    found = [(_divergence(counts, centre, low * share, high * share, 2**bits), share) for share in shares]
    best = min(found)[1]
    return low * best + 0.0, high * best


def _divergence(counts: np.ndarray, centre: np.ndarray, low: float, high: float, codes: int) -> float:
    inside = (centre >= low) & (centre <= high)
    kept = counts[inside]
    if not kept.any():
        return float("inf")
    whole = kept.copy()
    whole[0] += counts[centre < low].sum()
    whole[-1] += counts[centre > high].sum()
    level = np.rint((centre[inside] - low) / (high - low) * (codes - 1)).astype(np.int64)
    filled = whole > 0
    total, number = (np.bincount(level, weights, codes) for weights in (kept, filled.astype(np.float64)))
    spread = np.where(filled, total[level] / np.maximum(number[level], 1), 0.0)
    p, q = whole / whole.sum(), np.maximum(spread / spread.sum(), 1e-12)
    return float((p[filled] * np.log(p[filled] / q[filled])).sum())


def _tail(outward: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bin edges of one side from zero outward; how many elements lie beyond each, and their sum."""
    counts = outward.astype(np.float64)
    centre = (np.arange(counts.size) + 0.5) * width
    beyond = (np.concatenate([np.cumsum(table[::-1])[::-1], [0.0]]) for table in (counts, counts * centre))
    return (np.arange(counts.size + 1) * width, *beyond)  # type: ignore[return-value]


def _sides(histogram: Histogram) -> tuple[np.ndarray, np.ndarray]:
    """Counts of the negative and of the positive side from zero outward, without the exact zeros."""
    positive = histogram.counts[_HALF:].copy()
    positive[0] -= min(histogram.zeros, int(positive[0]))
    return histogram.counts[:_HALF][::-1], positive


def _clipping(histogram: Histogram, outward: np.ndarray, bound: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds of one side, from 0 up to its exact bound; squared error and number of what each clips."""
    width = histogram.width
    occupied = np.flatnonzero(outward)
    if bound == 0 or not occupied.size:
        return np.zeros(1), np.zeros(1), np.zeros(1)
    used = int(occupied[-1]) + 1
    edge = np.unique(np.linspace(0, used, min(used, _CANDIDATES) + 1).astype(np.int64))
    counts = outward[:used].astype(np.float64)
    centre = (np.arange(used) + 0.5) * width
    number, first, second = (
        np.concatenate([np.cumsum((counts * weight)[::-1])[::-1], [0.0]])[edge]
        for weight in (np.ones(used), centre, centre**2 + width**2 / 12)
    )
    threshold = edge * width
    cost = np.maximum(second - 2 * threshold * first + threshold**2 * number, 0.0)
    threshold[-1], cost[-1], number[-1] = bound, 0.0, 0.0
    return threshold, cost, number


RANGE_METHODS: dict[str, Callable[..., tuple[float, float]]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": mse,
    "octav": octav,
    "entropy": entropy,
}
"""Ways to choose a range, by the name that recipes and passes use."""


def value_range(histogram: Histogram, method: str = "minmax", **options: Any) -> tuple[float, float]:
    """Low and high of the range to quantize, inside that of the elements widened to zero (but see `mse`, symmetric).

    Args:
        method: a name of `RANGE_METHODS`.
        options: of that method.

    Raises:
        PassError: if the method or an option is unknown or out of range.
        DataError: if the histogram is empty.
    """
    if method not in RANGE_METHODS:
        raise PassError(f"unknown range method '{method}'", fix=f"Choose one of {', '.join(sorted(RANGE_METHODS))}")
    known = list(inspect.signature(RANGE_METHODS[method]).parameters)[1:]
    for option in options:
        if option not in known:
            raise PassError(
                f"range method '{method}' has no option '{option}'",
                fix=f"It takes {', '.join(known)}" if known else "It takes no options",
            )
    if not histogram.count:
        raise DataError("a range was asked of a value without elements", fix="Give calibration data that reaches it")
    return RANGE_METHODS[method](histogram, **options)
