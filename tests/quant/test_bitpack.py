"""Packing codes of a few bits and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.quant.bitpack import few_bits, pack, pack_fields, pack_trits, signed_bits, unpack


def some(bits: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    half = 1 << (bits - 1)
    codes: np.ndarray = np.random.default_rng(seed).integers(-half, half, shape)
    return 2 * codes + 1 if bits == 1 else codes


@given(st.integers(1, 8), st.integers(0, 3), st.integers(0, 40), st.integers(0, 2**31))
def test_unpacking_gives_back_what_was_packed(bits: int, rows: int, count: int, seed: int) -> None:
    codes = some(bits, (rows, count), seed)
    packed = pack(codes, bits)
    assert packed.shape == (rows, bits * -(-count // 8))
    np.testing.assert_array_equal(codes, unpack(packed, bits, count))


def test_the_first_code_lies_lowest() -> None:
    assert pack(np.array([-8, 7, 0, 0, 0, 0, 0, 0]), 4).tolist() == [0xF0, 0x88, 0x88, 0x88]
    assert pack(np.array([-2, -1, 0, 1]), 2).tolist() == [0b11_10_01_00, 0b10_10_10_10]


@given(st.integers(1, 5), st.integers(0, 3), st.integers(0, 2**31))
def test_for_vectors_one_shift_brings_forth_many_codes(bits: int, groups: int, seed: int) -> None:
    codes = some(bits, (2, 64 * groups), seed)
    packed = pack_fields(codes, bits)
    assert packed.shape == (2, 8 * bits * groups)
    at, found = packed.reshape(2, groups, 8 * bits).astype(int), np.zeros((2, groups, 64), int)
    for wide, first in [(bits - 1, 0), (1, bits - 1)] if bits in (3, 5) else [(bits, 0)]:
        part = at[..., 8 * first : 8 * (first + wide)]
        shifted = [part >> down & ((1 << wide) - 1) for down in range(0, 8, wide)]
        found += np.concatenate(shifted, axis=-1) << first
    signed = 2 * found - 1 if bits == 1 else found - (1 << (bits - 1))
    assert codes.tolist() == signed.reshape(codes.shape).tolist()


@pytest.mark.parametrize(("codes", "bits"), [([-1, 1, 1], 1), ([1], 1), ([-1, 0, 1], 2), ([], 2), ([-2, 1], 2)])
def test_one_bit_is_for_plus_and_minus_one(codes: list[int], bits: int) -> None:
    assert bits == few_bits(np.array(codes, np.int64))


@pytest.mark.parametrize(
    ("codes", "bits"), [([0], 2), ([], 2), ([-2, 1], 2), ([2], 3), ([-3], 3), ([-4, 3], 3), ([-8, 7], 4), ([-9], 5),
                        ([127], 8), ([-128], 8)],
)  # fmt: skip
def test_the_fewest_bits_that_hold_some_codes(codes: list[int], bits: int) -> None:
    assert bits == signed_bits(np.array(codes, np.int64))


def test_three_times_a_byte_gives_digit_after_digit() -> None:
    every = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 5, indexing="ij"), axis=-1).reshape(-1, 5)
    filled = np.zeros((len(every), 5, 4), np.int64)
    filled[:, :, 2] = every
    fraction = pack_trits(filled.reshape(-1, 20))[:, 2].astype(np.int64)
    for digit in range(5):
        fraction = 3 * fraction
        np.testing.assert_array_equal(every[:, digit], (fraction >> 8) - 1)
        fraction &= 255
    assert pack_trits(np.zeros((2, 21), np.int8)).shape == (2, 8)
