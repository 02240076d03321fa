"""Sums that batches stream into."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.debug.errors import Sums
from qir.quant.error import max_abs, sqnr


def summed(*pairs: tuple[np.ndarray, np.ndarray]) -> Sums:
    sums = Sums()
    for reference, other in pairs:
        sums.add(reference, other)
    return sums


@given(st.lists(st.integers(0, 20), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_batches_give_what_the_whole_gives(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    pairs = [(r := random.standard_normal(n).astype(np.float32), r + random.normal(0, 0.1, n)) for n in (*sizes, 3)]
    parts, (reference, other) = summed(*pairs).error, (np.concatenate(side) for side in zip(*pairs, strict=True))
    assert parts.sqnr == pytest.approx(sqnr(reference, other))
    assert parts.max_abs == max_abs(reference, other)
    cosine = float(reference @ other / np.linalg.norm(reference) / np.linalg.norm(other))
    assert parts.cosine == pytest.approx(cosine)


def test_equal_values_have_no_error_infinite_ones_included() -> None:
    value = np.array([1.0, -np.inf, np.nan], np.float32)
    error = summed((value, value.copy())).error
    assert (error.sqnr, error.cosine, error.max_abs) == (math.inf, 1.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_infinitely_wrong(bad: float) -> None:
    error = summed((np.ones(3, np.float32), np.array([1, bad, 1], np.float32))).error
    assert (error.sqnr, error.max_abs) == (-math.inf, math.inf)
    assert error.as_json() == {"sqnr": None, "cosine": pytest.approx(2 / 6**0.5), "max_abs": None}


def test_noise_on_silence_has_no_signal() -> None:
    error = summed((np.zeros(2), np.ones(2))).error
    assert (error.sqnr, error.cosine, error.max_abs) == (-math.inf, 0.0, 1.0)
