"""Searched scales: never worse than holding every weight, whatever counts how much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qir.ir.dtype import INT4, UINT4
from qir.ir.types import Affine
from qir.quant.clipping import searched, searched_power_of_two
from qir.quant.scales import decode, encode, weight_params

weights = arrays.arrays(np.float32, (3, 8), elements=st.floats(-4, 4, width=32))
importances = arrays.arrays(np.float64, (3, 8), elements=st.floats(0, 8))
codes = st.tuples(st.integers(2, 4), st.booleans(), st.sampled_from([0, None]), st.booleans())


def held(weight: np.ndarray, form: tuple[int, bool, int | None, bool]) -> Affine:
    bits, symmetric, axis, power = form
    storage = INT4 if symmetric else UINT4
    return weight_params(weight, storage, axis, symmetric=symmetric, power_of_two=power, bits=bits)


def error(weight: np.ndarray, quant: Affine, importance: np.ndarray) -> np.ndarray:
    """By row, or of all where there is one scale."""
    squares = importance * np.square(decode(encode(weight, quant), quant).astype(np.float64) - weight)
    return squares.sum() if quant.axis is None else squares.sum(axis=1)


@given(weights, importances, codes)
def test_no_channel_gets_worse(
    weight: np.ndarray, importance: np.ndarray, form: tuple[int, bool, int | None, bool]
) -> None:
    before = held(weight, form)
    after = (searched_power_of_two if form[3] else searched)(weight, before, importance)
    assert (error(weight, after, importance) <= error(weight, before, importance) * (1 + 1e-5) + 1e-9).all()
    assert (after.scale <= before.scale).all()
    np.testing.assert_array_equal(after.zero_point, before.zero_point)
    if form[3]:
        assert (np.frexp(after.scale)[0] == 0.5).all()


@pytest.mark.parametrize(("bits", "gain"), [(2, 0.7), (3, 0.8), (4, 0.9)])
def test_normal_weights_gain_much_at_few_bits(bits: int, gain: float) -> None:
    weight = np.random.default_rng(0).standard_normal((4, 512)).astype(np.float32)
    before = held(weight, (bits, True, 0, False))
    assert (error(weight, searched(weight, before), 1) < gain * error(weight, before, 1)).all()


def test_what_counts_is_kept() -> None:
    """Large weights that no input reaches are clipped; the one that counts is met."""
    weight = np.array([[4.0, -3.0, 0.9]], np.float32)
    quant = searched(weight, held(weight, (3, True, 0, False)), np.array([[0.0, 0.0, 1.0]]))
    assert abs(decode(encode(weight, quant), quant)[0, 2] - 0.9) < 0.02
