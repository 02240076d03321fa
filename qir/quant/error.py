"""How far apart two arrays are."""

from __future__ import annotations

import numpy as np


def sqnr(reference: np.ndarray, other: np.ndarray) -> float:
    """Signal to quantization noise ratio in dB: `10 log10(sum r^2 / sum (r - o)^2)`; infinite where they are equal."""
    signal = float(np.square(reference, dtype=np.float64).sum())
    noise = float(np.square(np.subtract(reference, other, dtype=np.float64)).sum())
    if noise == 0:
        return float("inf")
    return 10 * float(np.log10(signal / noise)) if signal > 0 else float("-inf")


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a - b` in float64, 0 where both are the same infinity."""
    with np.errstate(invalid="ignore"):
        far = np.asarray(np.subtract(a, b, dtype=np.float64))  # an array of what has no axes, too
    far[np.isinf(a) & (np.asarray(a) == b)] = 0
    return far


def max_abs(reference: np.ndarray, other: np.ndarray) -> float:
    """Largest absolute difference; NaN against NaN, and equal infinities, count as equal."""
    if reference.size == 0:
        return 0.0
    a, b = np.asarray(reference, np.float64), np.asarray(other, np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf)).max())
