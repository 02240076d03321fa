import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from qir.quant.ternary import optimal_ternary, ternary_codes, ternary_scale, twn_threshold

WEIGHTS = np.array([0.8, -0.5, 1.2, -0.3])


def test_example_of_the_tutorial():
    assert ternary_codes(WEIGHTS, 0.6).tolist() == [1, 0, 1, 0]


def test_comparisons_are_strict():
    assert ternary_codes(np.array([0.5, -0.5, 0.51, -0.51]), 0.5).tolist() == [0, 0, 1, -1]
    assert ternary_codes(np.array([0.0, 1e-30]), 0.0).tolist() == [0, 1]


def test_twn_threshold():
    assert twn_threshold(WEIGHTS) == np.float32(0.7 * 0.7)
    assert np.allclose(twn_threshold(np.array([[1.0, -3.0], [0.0, 0.5]]), 1), [0.7 * 0.5, 0.7 * 1.75])


@given(npst.arrays(np.float32, st.integers(1, 6), elements=st.floats(-8, 8, width=16)))
def test_optimum_is_not_beaten_by_any_codes(weight):
    threshold, scale = optimal_ternary(weight)
    codes = ternary_codes(weight, threshold)
    error = np.square(weight - codes * float(scale)).sum()
    for other in itertools.product((-1, 0, 1), repeat=weight.size):
        t = np.array(other)
        best = max(0.0, float(weight @ t)) / max(1, np.abs(t).sum())
        assert error <= np.square(weight - best * t).sum() + 1e-5 * (1 + np.square(weight).sum())
    assert np.isclose(scale, ternary_scale(weight, codes), rtol=1e-5) or not weight.any()


def test_channels_are_independent_and_better_than_twn():
    weight = np.random.default_rng(0).laplace(size=(3, 8, 50)).astype(np.float32)
    threshold, scale = optimal_ternary(weight, axis=1)
    codes = ternary_codes(weight, threshold, axis=1)
    assert threshold.shape == scale.shape == (8,)
    assert np.allclose(scale, ternary_scale(weight, codes, axis=1))
    assert optimal_ternary(weight[:, 3])[1] == scale[3]
    twn = ternary_codes(weight, twn_threshold(weight, 1), axis=1)
    twn_error = np.square(weight - twn * ternary_scale(weight, twn, 1)[:, None]).sum((0, 2))
    assert (np.square(weight - codes * scale[:, None]).sum((0, 2)) <= twn_error + 1e-4).all()


@pytest.mark.parametrize("axis", [None, 0])
def test_zeros_have_a_positive_scale(axis):
    zeros = np.zeros((2, 3))
    threshold, scale = optimal_ternary(zeros, axis)
    assert (scale == 1).all()
    assert not ternary_codes(zeros, threshold, axis).any()
    assert (ternary_scale(zeros, zeros, axis) == 1).all()
