"""Moments of a clamped normal variable, against quadrature."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qir.quant.gaussian import clipped_moments

BOUND = st.floats(-4, 4)


@given(st.floats(-3, 3), st.floats(0.01, 3), st.one_of(BOUND, st.just(-np.inf)), st.one_of(BOUND, st.just(np.inf)))
def test_moments_are_those_of_the_density(mean: float, std: float, low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    grid = np.linspace(-9, 9, 40001)
    weight = np.exp(-(grid**2) / 2)
    y = np.clip(mean + std * grid, low, high)
    wanted = (y * weight).sum() / weight.sum()
    spread = np.sqrt((np.square(y - wanted) * weight).sum() / weight.sum())
    found = clipped_moments(np.array([mean]), np.array([std]), low, high)
    np.testing.assert_allclose([found[0][0], found[1][0]], [wanted, spread], atol=2e-4)


def test_what_never_varies_is_clamped() -> None:
    mean, std = clipped_moments(np.array([-1.0, 2.0, 9.0]), np.zeros(3), 0.0, 6.0)
    np.testing.assert_allclose(mean, [0, 2, 6])
    np.testing.assert_allclose(std, 0, atol=1e-7)
