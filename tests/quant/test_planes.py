"""Int8 codes as sums of binary planes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.quant.planes import LARGEST, integer_scales, plane_codes


def summed(multipliers: np.ndarray, bits: np.ndarray) -> np.ndarray:
    form = (*multipliers.shape, *[1] * (bits.ndim - 2))
    return np.asarray((multipliers.reshape(form) * np.where(bits, 1, -1)).sum(axis=0))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(0, 10**6), st.sampled_from([(1,), (5,), (3, 3, 3)]))
def test_sums_of_planes_come_apart_again(planes: int, seed: int, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(seed)
    multipliers = random.integers(1, LARGEST // planes + 1, (planes, 3))
    codes = summed(multipliers, random.random((planes, 3, *shape)) < 0.5)
    found = plane_codes(codes.astype(np.int8))
    assert found is not None
    assert len(found[0]) <= planes
    assert found[0].min() >= 1
    assert found[0].sum(axis=0).max() <= LARGEST
    assert (np.diff(found[0], axis=0) <= 0).all()
    np.testing.assert_array_equal(codes, summed(*found))


def test_multipliers_are_the_ones_that_all_codes_need() -> None:
    codes = np.array([[11, 5, 1, -1, -5, -11, 7, -7]])  # 3 +- 2 +- 6
    multipliers, bits = plane_codes(codes) or (None, None)
    assert multipliers is not None
    assert [[6], [3], [2]] == multipliers.tolist()
    assert bits is not None
    assert [True, True, True] == bits[:, 0, 0].tolist()


@pytest.mark.parametrize(
    ("codes", "planes"),
    [([[0, 1, -1]], None), ([[128, -128]], None), ([list(range(-9, 10))], None), ([[1, -1], [-1, -1]], 1),
     ([[0, 0]], 2), ([[3, -3], [0, 2]], 2), ([[]], None), ([list(range(-15, 16, 2))], 4)],
)  # fmt: skip
def test_how_many_planes(codes: list[list[int]], planes: int | None) -> None:
    found = plane_codes(np.array(codes, np.int64))
    assert planes == (None if found is None else len(found[0]))


@pytest.mark.parametrize("largest", [127, 64])
def test_integers_keep_the_ratio_of_scales(largest: int) -> None:
    random = np.random.default_rng(0)
    planes, scales = random.choice([-1.0, 1.0], (9, 3, 50)), np.sort(random.random((9, 3)) + 0.2)[:, ::-1]
    rows = (scales[:, None] @ planes)[:, 0]
    multipliers, scale = integer_scales(planes @ planes.transpose(0, 2, 1), (planes @ rows[..., None])[..., 0], scales,
                                        largest)  # fmt: skip
    assert multipliers.sum(axis=1).max() <= largest
    found = (multipliers * scale[:, None])[:, None] @ planes
    assert (np.square(found[:, 0] - rows).sum(axis=1) < 4 / largest**2 * np.square(rows).sum(axis=1)).all()


def test_scales_may_be_powers_of_two_and_channels_zero() -> None:
    square, aim = np.array([[[4.0]], [[0.0]]]), np.array([[2.9], [0.0]])
    assert [0.725] == integer_scales(square, aim, np.ones((2, 1)), LARGEST)[1][:1].tolist()
    multipliers, scale = integer_scales(square, aim, np.ones((2, 1)), LARGEST, power_of_two=True)
    assert [[1], [1]] == multipliers.tolist()
    assert 0.5 < scale[0] == 1.0
    assert 0 < scale[1] < 1e-30
