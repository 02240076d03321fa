"""Scales that clip: with few codes, some error at the largest weights buys a finer step for all others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.ir.types import Affine
from qir.quant.channels import along, per_channel, rows

_FACTORS = np.linspace(0.2, 1.0, 41)[::-1]
"""Of the scale that clips nothing; the least error of Gaussian weights at 2 bits is near 0.4."""
_TINY = float(np.finfo(np.float32).tiny)


def searched(weight: np.ndarray, quant: Affine, importance: np.ndarray | None = None) -> Affine:
    """The codes with each scale lowered to where `sum importance * (weight - decoded)^2` is least.

    Args:
        weight: finite reals.
        quant: codes that hold all of it, per tensor or per channel (qir.quant.scales.weight_params).
        importance: weight of each squared error, of the shape of `weight`; by default all count alike.
    """
    return _least(weight, quant, _FACTORS, importance)


def searched_power_of_two(weight: np.ndarray, quant: Affine, importance: np.ndarray | None = None) -> Affine:
    """The same among the scales divided by 1, 2, 4, 8, for scales that must stay powers of two."""
    return _least(weight, quant, np.array([1.0, 0.5, 0.25, 0.125]), importance)


def _least(weight: np.ndarray, quant: Affine, factors: np.ndarray, importance: np.ndarray | None) -> Affine:
    matrix = rows(np.asarray(weight, np.float64), quant.axis)
    counts = 1.0 if importance is None else rows(np.broadcast_to(importance, weight.shape), quant.axis)
    zero = along(quant.zero_point.reshape(-1), 0, matrix.shape)
    best, least = quant.scale.reshape(-1).copy(), np.full(len(matrix), np.inf)
    for factor in factors:
        scale = np.maximum(quant.scale.reshape(-1) * np.float32(factor), np.float32(_TINY))
        step = scale[:, None].astype(np.float64)
        codes = np.clip(np.rint(matrix / step), quant.qmin - zero, quant.qmax - zero)
        error = (counts * np.square(codes * step - matrix)).sum(axis=1)
        better = error < least
        best[better], least[better] = scale[better], error[better]
    return replace(quant, scale=per_channel(best, quant.axis))
