"""The optimal brain surgeon's formulas against what they stand for: least squares on what is left."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.compression.surgeon import Reader, damped, refitted, removal_order, without


def problem(seed: int, channels: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs [n, K], correlated, and weights [M, K]."""
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((channels * taps, channels * taps))
    return random.standard_normal((200, channels * taps)) @ mixed, random.standard_normal((3, channels * taps))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5), st.integers(1, 3))
def test_errors_are_those_of_least_squares_on_what_is_left(seed: int, channels: int, taps: int) -> None:
    x, w = problem(seed, channels, taps)
    moments, columns = x.T @ x, np.repeat(np.arange(channels), taps)
    order, errors = removal_order([Reader(w, moments, columns, 1.0)], channels)
    assert list(range(channels)) == sorted(order)
    for gone in range(1, channels):
        kept = ~np.isin(columns, order[:gone])
        best = np.linalg.lstsq(x[:, kept], x @ w.T, rcond=None)[0].T
        np.testing.assert_allclose(without(w, moments, kept), best, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(errors[gone], np.square(x @ w.T - x[:, kept] @ best.T).sum(), rtol=1e-6)
    first = [np.square(x @ w.T - x[:, columns != one] @ without(w, moments, columns != one).T).sum()
             for one in range(channels)]  # fmt: skip
    assert np.argmin(first) == order[0]


def test_refitting_never_does_worse_on_rows_it_has_not_seen_and_finds_what_fits() -> None:
    x, w = problem(1, 4, 2)
    off = refitted(np.zeros_like(w), x, x @ w.T) @ x.T - w @ x.T
    assert np.square(off).sum() < 0.02 * np.square(w @ x.T).sum()
    assert w is refitted(w, x, x @ w.T)
    assert np.array_equal(np.eye(3), damped(np.zeros((3, 3)), 0.1))
