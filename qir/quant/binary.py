"""Codes -1, +1: the sign, with sign(0) = +1; `x = code * scale`."""

from __future__ import annotations

import numpy as np

from qir.quant.channels import along, per_channel, rows


def binary_codes(x: np.ndarray, threshold: np.ndarray | float = 0.0, axis: int | None = None) -> np.ndarray:
    """+1 where x >= threshold (for 0: either zero too), else -1: int8 of the shape of `x`.

    Args:
        x: reals.
        threshold: [] or [C] along `axis`.
    """
    x = np.asarray(x)
    return np.where(x >= along(np.asarray(threshold), axis, x.shape), np.int8(1), np.int8(-1))


def binary_scale(weight: np.ndarray, axis: int | None = None) -> np.ndarray:
    """mean|w| of each channel, float32 [] or [C]; 1 for a channel of zeros.

    It is also the scale with the smallest sum of (w - scale * sign(w))^2 (XNOR-Net, arXiv:1603.05279, section 3.1).
    """
    mean = np.abs(rows(np.asarray(weight, np.float64), axis)).mean(axis=1)
    scale = np.where(mean > 0, np.maximum(mean, float(np.finfo(np.float32).tiny)), 1.0)
    return per_channel(scale.astype(np.float32), axis)
