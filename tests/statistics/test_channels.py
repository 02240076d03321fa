"""Bounds and samples of channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.errors import DataError
from qir.statistics import ChannelBounds, Statistics


def data(*shape: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return found * np.arange(1, shape[1] + 1, dtype=np.float32).reshape(1, -1, *[1] * (len(shape) - 2))


@pytest.mark.parametrize(("shape", "axis"), [((5, 3, 4, 6), 1), ((5, 7, 3), 2), ((5, 3), 1), ((3, 40), 0)])
def test_bounds_are_exact_and_sampled_places_are_real_ones(shape: tuple[int, ...], axis: int) -> None:
    array = data(*shape)
    found = ChannelBounds.of(array, axis)
    others = tuple(i for i in range(array.ndim) if i != axis)
    np.testing.assert_array_equal(found.low, array.min(axis=others))
    np.testing.assert_array_equal(found.high, array.max(axis=others))
    places = {row.tobytes() for row in np.moveaxis(array, axis, -1).reshape(-1, shape[axis])}
    rows = found.sample.rows[:, 0]
    assert len(rows) > 0
    assert {np.ascontiguousarray(row).tobytes() for row in rows} <= places


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)))
def test_parts_merge_in_any_order_to_the_same(order: list[int]) -> None:
    array = data(16, 3, 5, 5)
    parts = [ChannelBounds.of(array[4 * i : 4 * i + 4], 1, 4 * i, seed=7) for i in range(4)]
    merged = parts[order[0]]
    for i in order[1:]:
        merged = merged.merge(parts[i])
    straight = parts[0].merge(parts[1]).merge(parts[2].merge(parts[3]))
    for a, b in zip(merged.state()[1].values(), straight.state()[1].values(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_scaled_channels_are_those_of_the_scaled_value() -> None:
    array, factors = data(6, 3, 4, 4), np.array([2.0, 0.5, 1.0])
    scaled = ChannelBounds.of(array, 1).scaled(factors)
    direct = ChannelBounds.of((array * factors.reshape(1, 3, 1, 1)).astype(np.float32), 1)
    for a, b in zip(scaled.state()[1].values(), direct.state()[1].values(), strict=True):
        np.testing.assert_array_equal(a, b)
    turned = ChannelBounds.of(array, 1).scaled(-1.0)
    np.testing.assert_array_equal(turned.low, -ChannelBounds.of(array, 1).high)


def test_the_histogram_is_close_to_that_of_all_elements_and_its_bounds_are_exact() -> None:
    array = data(64, 3, 8, 8)
    found = ChannelBounds.of(array, 1).histogram
    assert (found.low, found.high) == (float(array.min()), float(array.max()))
    assert found.variance == pytest.approx(float(array.var()), rel=0.2)


def test_they_are_kept_with_other_statistics(tmp_path: object) -> None:
    found = ChannelBounds.of(data(6, 3, 4, 4), 1)
    path = f"{tmp_path}/s.npz"
    Statistics().add({"x": found}).save(path)
    again = Statistics.load(path).get("channels", "x")
    assert isinstance(again, ChannelBounds)
    assert [part.tobytes() for part in again.state()[1].values()] == [
        part.tobytes() for part in found.state()[1].values()
    ]


def test_other_numbers_of_channels_do_not_merge() -> None:
    with pytest.raises(DataError, match="3 and 4 channels"):
        ChannelBounds.of(data(2, 3, 4), 1).merge(ChannelBounds.of(data(2, 4, 4), 1))
