"""A normal variable behind a clamp."""

from __future__ import annotations

from math import erf, pi, sqrt

import numpy as np

_ERF = np.vectorize(erf, otypes=[np.float64])


def clipped_moments(
    mean: np.ndarray, std: np.ndarray, low: float = -np.inf, high: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of `clip(X, low, high)`, X normal; with low = 0 those behind a Relu.

        E Y   = a F(u) + b (1 - F(v)) + m (F(v) - F(u)) + s (f(u) - f(v))
        E Y^2 = a^2 F(u) + b^2 (1 - F(v)) + (m^2 + s^2) (F(v) - F(u)) + s ((m + a) f(u) - (m + b) f(v))

    for the bounds a, b, u = (a - m) / s, v = (b - m) / s, and F, f the standard normal distribution and its density.

    Args:
        mean, std: float64 [C]; a std of 0 is a variable that never varies.
        low, high: bounds, infinite for none.
    """
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    s = np.maximum(std, 1e-30 * (1 + np.abs(mean)))
    below, below_f, a = _bound(low, mean, s)
    above, above_f, b = _bound(high, mean, s)
    inside = above - below
    first = a * below + b * (1 - above) + mean * inside + s * (below_f - above_f)
    second = (a**2 * below + b**2 * (1 - above) + (mean**2 + s**2) * inside
              + s * ((mean + a) * below_f - (mean + b) * above_f))  # fmt: skip
    return first, np.sqrt(np.maximum(second - first**2, 0.0))


def _bound(at: float, mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Distribution and density at a bound, and the bound; zero stands for an infinite one, which has no weight."""
    if not np.isfinite(at):
        return np.full(mean.shape, float(at > 0)), np.zeros(mean.shape), 0.0
    u = np.clip((at - mean) / std, -40.0, 40.0)
    return 0.5 * (1 + _ERF(u / sqrt(2))), np.exp(-(u**2) / 2) / sqrt(2 * pi), at
