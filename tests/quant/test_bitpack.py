"""Packing codes of a few bits and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.quant.bitpack import pack, signed_bits, unpack


@given(st.integers(2, 8), st.integers(0, 3), st.integers(0, 40), st.integers(0, 2**31))
def test_unpacking_gives_back_what_was_packed(bits: int, rows: int, count: int, seed: int) -> None:
    half = 1 << (bits - 1)
    codes = np.random.default_rng(seed).integers(-half, half, (rows, count))
    packed = pack(codes, bits)
    assert packed.shape == (rows, bits * -(-count // 8))
    np.testing.assert_array_equal(codes, unpack(packed, bits, count))


def test_the_first_code_lies_lowest() -> None:
    assert pack(np.array([-8, 7, 0, 0, 0, 0, 0, 0]), 4).tolist() == [0xF0, 0x88, 0x88, 0x88]
    assert pack(np.array([-2, -1, 0, 1]), 2).tolist() == [0b11_10_01_00, 0b10_10_10_10]


@pytest.mark.parametrize(
    ("codes", "bits"), [([0], 2), ([], 2), ([-2, 1], 2), ([2], 3), ([-3], 3), ([-4, 3], 3), ([-8, 7], 4), ([-9], 5),
                        ([127], 8), ([-128], 8)],
)  # fmt: skip
def test_the_fewest_bits_that_hold_some_codes(codes: list[int], bits: int) -> None:
    assert bits == signed_bits(np.array(codes, np.int64))
