"""The range of a value that takes few codes: the least squared error, counted bin by bin."""

from __future__ import annotations

from itertools import product

import numpy as np

from qir.ir.dtype import UINT8
from qir.quant.scales import affine_params, dequantize, quantize
from qir.statistics.histogram import BINS, Histogram

_CANDIDATES = 48
"""Bounds compared on each side, at equal distances."""


def few_range(histogram: Histogram, codes: int, *, signs: bool = False) -> tuple[float, float]:
    """Low and high of codes in equal steps; where `signs`, -s and s of the codes -s, s or -s, 0, s.

    The scale of signs is mean|x| for two codes; for three it is the mean of the k largest |x|, k such that
    `(their sum)^2 / k` is largest, as for weights (qir.quant.ternary): what is nearer to 0 than s / 2 becomes 0.

    Args:
        histogram: of at least one element.
        codes: how many there are, 2 to 16.
    """
    counts = histogram.counts.astype(np.float64)
    counts[BINS // 2] -= histogram.zeros
    centre = np.clip((np.arange(BINS) - BINS // 2 + 0.5) * histogram.width, histogram.low, histogram.high)
    if signs:
        scale = _scale(np.abs(centre), counts, histogram.zeros, codes)
        return -scale, scale
    lows, highs = (np.linspace(0, bound, _CANDIDATES + 1)[1:] if bound else np.zeros(1)
                   for bound in (min(histogram.low, 0.0), max(histogram.high, 0.0)))  # fmt: skip
    best, least = (float(lows[-1]), float(highs[-1])), np.inf
    for low, high in product(lows.tolist(), highs.tolist()):
        step, zero = affine_params(low, high, UINT8, qmin=0, qmax=codes - 1)
        found = dequantize(quantize(centre, step, zero, 0, codes - 1, UINT8), step, zero)
        error = float((counts * np.square(found - centre)).sum())
        if error < least:
            best, least = (low, high), error
    return best


def _scale(magnitude: np.ndarray, counts: np.ndarray, zeros: int, codes: int) -> float:
    order = np.argsort(-magnitude, kind="stable")
    sums, number = np.cumsum((counts * magnitude)[order]), np.cumsum(counts[order])
    used = sums > 0
    if not used.any():
        return 1.0
    if codes == 2:
        return float(sums[-1] / (number[-1] + zeros))
    best = np.argmax(np.where(used, sums**2 / np.maximum(number, 1), 0.0))
    return float(sums[best] / number[best])
