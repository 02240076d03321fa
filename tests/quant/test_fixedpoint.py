from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.quant.fixedpoint import multiplier, requantize_fixed, requantize_float32

int32 = st.integers(-(2**31), 2**31 - 1)
multipliers = st.floats(2.0**-126, 2.0**127, width=32)


def test_multiplier_rounds_after_each_step():
    s_x, s_w, s_y = np.float32(0.1), np.array([0.3, 0.7], np.float32), np.float32(0.9)
    product = s_x * s_w
    assert product.dtype == np.float32
    assert multiplier(s_x, s_w, s_y).tolist() == (product / s_y).tolist()


@given(st.one_of(int32, st.integers(-(2**53), 2**53)), multipliers)
def test_fixed_is_the_exact_product_with_halves_up(acc, m):
    codes = (-(2**17), 2**17)
    exact = Fraction(acc) * Fraction(float(np.float32(m))) + Fraction(1, 2)
    expected = min(max(exact.numerator // exact.denominator, codes[0]), codes[1])
    assert int(requantize_fixed(np.array(acc), np.array(m), 0, *codes)) == expected


def test_products_close_to_halves():
    near = np.arange(-(2**20), 2**20, 127) * 2 + 1
    for m, wanted in ((2.0**-21, (near + 2**20) >> 21), (2.0**-1, (near + 1) >> 1), (2.0**-32, near * 0)):
        assert np.array_equal(wanted, requantize_fixed(near, np.array(m), 0, -(2**22), 2**22))


@given(int32, multipliers, st.integers(0, 255))
def test_modes_differ_only_next_to_a_half_and_by_one(acc, m, zero_point):
    floating = int(requantize_float32(np.array(acc), np.array(m), zero_point, 0, 255))
    fixed = int(requantize_fixed(np.array(acc), np.array(m), zero_point, 0, 255))
    assert 0 <= floating <= 255
    assert abs(floating - fixed) <= 1
    exact = Fraction(acc) * Fraction(float(np.float32(m)))
    distance = abs((exact % 1) - Fraction(1, 2))
    if distance > abs(exact) * Fraction(1, 2**22):
        assert floating == fixed


def test_modes_seldom_differ():
    rng = np.random.default_rng(0)
    acc = rng.integers(-(2**20), 2**20, 200_000).astype(np.int32)
    m = np.float32(1.2345e-4)
    differ = requantize_float32(acc, m, 128, 0, 255) != requantize_fixed(acc, m, 128, 0, 255)
    assert differ.mean() < 1e-4


@pytest.mark.parametrize(("acc", "floating", "fixed"), [(1, 0, 1), (3, 2, 2), (-1, 0, 0), (-3, -2, -1)])
def test_halves(acc, floating, fixed):
    half = np.float32(0.5)
    assert int(requantize_float32(np.array(acc), half, 0, -8, 8)) == floating
    assert int(requantize_fixed(np.array(acc), half, 0, -8, 8)) == fixed


def test_channels():
    acc = np.array([[100, 200], [-100, 70000]], np.int32)
    m = np.array([0.5, 0.01], np.float32)
    expected = [[60, 12], [0, 255]]
    assert requantize_float32(acc, m, 10, 0, 255).tolist() == expected
    assert requantize_fixed(acc, m, 10, 0, 255).tolist() == expected
