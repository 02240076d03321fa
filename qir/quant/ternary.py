"""Codes -1, 0, +1: a threshold decides, a scale gives them size: `x = code * scale`.

For a given scale s the nearest code of w is not zero exactly where |w| > s / 2, so the best set of non-zero weights is
always the k largest; for a given set the best scale is their mean magnitude. Summing the squared error over the set
leaves `sum(w^2) - (sum of the k largest |w|)^2 / k`: one sort finds the optimum.
"""

from __future__ import annotations

import numpy as np

from qir.quant.channels import along, per_channel, rows


def ternary_codes(x: np.ndarray, threshold: np.ndarray | float, axis: int | None = None) -> np.ndarray:
    """+1 where x > threshold, -1 where x < -threshold, else 0: int8 of the shape of `x`.

    Args:
        x: reals.
        threshold: not negative; [] or [C] along `axis`.
    """
    x = np.asarray(x)
    limit = along(np.asarray(threshold), axis, x.shape)
    return (x > limit).astype(np.int8) - (x < -limit).astype(np.int8)


def ternary_scale(x: np.ndarray, codes: np.ndarray, axis: int | None = None) -> np.ndarray:
    """The scale that fits `codes` to `x` best in the squared sense: float32 [] or [C]; 1 where all codes are zero."""
    code = rows(np.asarray(codes, np.float64), axis)
    used = np.abs(code).sum(axis=1)
    total = (rows(np.asarray(x, np.float64), axis) * code).sum(axis=1)
    scale = np.where(total > 0, total / np.maximum(used, 1), 1.0)
    return per_channel(np.maximum(scale, float(np.finfo(np.float32).tiny)).astype(np.float32), axis)


def twn_threshold(weight: np.ndarray, axis: int | None = None) -> np.ndarray:
    """0.7 * mean|w| of each channel, float32: the rule of Ternary Weight Networks (Li and Liu, arXiv:1605.04711)."""
    magnitude = np.abs(rows(np.asarray(weight, np.float64), axis))
    return per_channel((0.7 * magnitude.mean(axis=1)).astype(np.float32), axis)


def optimal_ternary(weight: np.ndarray, axis: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Threshold and scale with the smallest sum of (w - scale * code)^2 in every channel.

    Returns:
        threshold (half the scale; 0 for a channel of zeros) and scale (1 for a channel of zeros), float32 [] or [C].
    """
    magnitude = -np.sort(-np.abs(rows(np.asarray(weight, np.float64), axis)), axis=1)
    totals = np.cumsum(magnitude, axis=1)
    counts = np.arange(1, magnitude.shape[1] + 1)
    best = np.argmax(totals**2 / counts, axis=1)
    scale = np.take_along_axis(totals, best[:, None], axis=1)[:, 0] / counts[best]
    threshold = per_channel((scale / 2).astype(np.float32), axis)
    scale = np.where(scale > 0, np.maximum(scale, float(np.finfo(np.float32).tiny)), 1.0)
    return threshold, per_channel(scale.astype(np.float32), axis)
