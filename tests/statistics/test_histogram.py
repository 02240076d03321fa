import functools
import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from qir.errors import DataError
from qir.statistics import BINS, Histogram, value_range

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
blocks = st.lists(npst.arrays(np.float32, st.integers(0, 12), elements=finite), min_size=1, max_size=6)


def state(histogram):
    fields, arrays = histogram.state()
    return json.dumps(fields, sort_keys=True), arrays["counts"].tobytes()


@given(npst.arrays(np.float32, st.integers(1, 50), elements=finite))
def test_every_element_is_in_its_bin(array):
    histogram = Histogram.of(array)
    assert histogram.counts.sum() == histogram.count == array.size
    assert histogram.zeros == (array == 0).sum()
    assert (histogram.low, histogram.high) == (array.min(), array.max())
    bins = np.floor(array.astype(np.float64) / histogram.width).astype(int) + BINS // 2
    assert np.array_equal(np.bincount(bins, minlength=BINS), histogram.counts)
    finer = histogram.width / 2
    fits = array.min() >= -BINS / 2 * finer and array.max() < BINS / 2 * finer
    assert not fits or histogram.exponent == -126


@given(blocks, st.randoms())
@settings(max_examples=200)
def test_merging_gives_the_same_bytes_in_any_order_and_grouping(arrays, rng: random.Random):
    parts = [Histogram.of(array) for array in arrays]
    expected = state(functools.reduce(Histogram.merge, parts))
    while len(parts) > 1:
        first = parts.pop(rng.randrange(len(parts)))
        second = parts.pop(rng.randrange(len(parts)))
        parts.append(first.merge(second))
    assert state(parts[0]) == expected


@given(blocks)
def test_merging_counts_as_if_seen_at_once(arrays):
    merged = functools.reduce(Histogram.merge, map(Histogram.of, arrays))
    whole = Histogram.of(np.concatenate(arrays))
    assert np.array_equal(merged.counts, whole.counts)
    assert (merged.exponent, merged.low, merged.high, merged.count, merged.zeros) == (
        whole.exponent, whole.low, whole.high, whole.count, whole.zeros)  # fmt: skip


def test_moments():
    array = np.random.default_rng(0).normal(3, 2, (7, 100_000)).astype(np.float32)
    merged = functools.reduce(Histogram.merge, map(Histogram.of, array))
    assert np.isclose(merged.mean, array.mean(dtype=np.float64), rtol=1e-12)
    assert np.isclose(merged.mean_square, np.square(array, dtype=np.float64).mean(), rtol=1e-12)
    assert np.isclose(merged.variance, array.var(dtype=np.float64), rtol=1e-9)


def test_of_nothing():
    empty = Histogram.of(np.zeros((0, 3)))
    some = Histogram.of(np.ones(3))
    assert (empty.count, empty.mean, empty.variance) == (0, 0, 0)
    assert empty.merge(some) is some
    assert some.merge(empty) is some


def test_numbers_that_are_none_name_the_tensor():
    array = np.zeros(100_000)
    array[77_777] = np.nan
    with pytest.raises(DataError, match=r"tensor 'conv1'.*NaN"):
        Histogram.of(array, "conv1")


@given(blocks, st.lists(st.sampled_from([np.inf, -np.inf, 1e300]), max_size=6), st.randoms())
def test_infinite_elements_are_counted_and_nothing_else(parts, infinite, order):
    mixed = [*np.concatenate(parts).tolist(), *infinite]
    order.shuffle(mixed)
    halves = Histogram.of(np.array(mixed[::2])).merge(Histogram.of(np.array(mixed[1::2])))
    kept = Histogram.of(np.array([x for x in mixed if abs(x) < 1e39]))
    assert halves.count == kept.count
    assert (halves.low, halves.high, halves.zeros) == (kept.low, kept.high, kept.zeros)
    assert np.array_equal(halves.counts, kept.counts)
    assert Histogram.from_state(*halves.state()).infinite == halves.scaled(0.5).infinite == len(infinite)


@given(npst.arrays(np.float32, 20, elements=st.floats(-100, 100, width=32)), st.integers(-8, 8))
def test_scaling_by_a_power_of_two_is_exact(array, power):
    array = np.where(np.abs(array) < 1e-20, np.float32(0), array)  # whose scaled bins are not finer than the finest
    scaled, direct = Histogram.of(array).scaled(2.0**power), Histogram.of(array * np.float32(2.0**power))
    assert state(scaled) == state(direct)


@given(st.floats(0.01, 100), st.booleans())
def test_scaling_keeps_counts_and_shape(factor, negative):
    factor = -factor if negative else factor
    array = np.random.default_rng(0).gamma(2, size=20_000).astype(np.float32)
    array[:1000] = 0
    scaled, direct = Histogram.of(array).scaled(factor), Histogram.of(array * np.float32(factor))
    assert (scaled.count, scaled.zeros) == (direct.count, direct.zeros)
    assert scaled.counts.sum() == scaled.count
    assert (scaled.counts >= 0).all()
    assert np.isclose(scaled.mean, direct.mean, rtol=1e-5)
    assert np.isclose(scaled.variance, direct.variance, rtol=1e-5)
    found, expected = (value_range(one, "percentile", p=99) for one in (scaled, direct))
    assert np.allclose(found, expected, rtol=0.02)


@pytest.mark.parametrize("factor", [0.0, float("nan"), 1e38])
def test_scaling_by_nonsense_is_refused(factor):
    with pytest.raises(DataError, match="cannot be scaled"):
        Histogram.of(np.array([-1e3, 1e3])).scaled(factor)


@given(npst.arrays(np.float32, 5, elements=finite))
def test_state_round_trip(array):
    histogram = Histogram.of(array)
    fields, arrays = histogram.state()
    assert state(Histogram.from_state(json.loads(json.dumps(fields)), arrays)) == state(histogram)
