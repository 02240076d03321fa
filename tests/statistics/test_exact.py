"""Sums that do not depend on order or grouping."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.statistics.exact import ExactSum, Spill

ARRAYS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(-40, 40)).map(
        lambda drawn: (np.random.default_rng(drawn[0]).standard_normal((3, 2)) * 2.0 ** drawn[1]).astype(np.float32)
    ),
    min_size=1,
    max_size=8,
)


def state(total: ExactSum) -> tuple[object, ...]:
    return total.shape, [(order, part.tobytes()) for order, part in total.parts.items()]


def summed(sums: list[ExactSum]) -> ExactSum:
    total = sums[0]
    for one in sums[1:]:
        total = total.merge(one)
    return total


@given(ARRAYS, st.randoms(use_true_random=False), st.data())
def test_any_order_and_grouping_give_the_same_bits(arrays, random, data) -> None:
    sums = [ExactSum.of(array) for array in arrays]
    expected = state(summed(sums))
    random.shuffle(sums)
    cut = data.draw(st.integers(1, len(sums)))
    parts = [summed(part) for part in (sums[:cut], sums[cut:]) if part]
    assert state(summed(parts)) == expected


@given(ARRAYS)
def test_the_sum_is_close_to_the_real_one(arrays) -> None:
    real = np.sum([array.astype(np.float64) for array in arrays], axis=0)
    peak = max(float(np.abs(array).max()) for array in arrays)
    # 2^-20 of each addend's peak, and addends below 2^-16 of the highest peak may fall away.
    bound = len(arrays) * peak * 2.0**-15
    assert np.abs(summed([ExactSum.of(array) for array in arrays]).value() - real).max() <= bound


def test_many_equal_addends() -> None:
    array = np.float32([[1.0, -3.0, 1e-3]])
    total = summed([ExactSum.of(array)] * 1000)
    np.testing.assert_allclose(total.value(), 1000 * array.astype(np.float64), rtol=1e-3)
    assert len(total.parts) == 1


def test_nothing_and_zeros() -> None:
    zero = ExactSum.of(np.zeros((2, 2)))
    assert not zero.parts
    one = ExactSum.of(np.ones((2, 2)))
    assert state(zero.merge(one)) == state(one) == state(one.merge(zero))
    assert (zero.value() == 0).all()


def test_sums_survive_pickling() -> None:
    total = ExactSum.of(np.arange(6.0).reshape(2, 3))
    assert state(pickle.loads(pickle.dumps(total))) == state(total)


@pytest.mark.parametrize("release", [False, True])
def test_zeros_beyond_the_limit_lie_in_files_and_keep_their_contents(release: bool, monkeypatch) -> None:
    monkeypatch.setattr("qir.statistics.exact._IN_MEMORY", 1 << 10)
    monkeypatch.setattr("qir.statistics.exact._FILE", 1 << 16)
    spill = Spill()
    arrays = [spill((7, 100)) for _ in range(30)]
    assert all((array == 0).all() for array in arrays)
    for number, array in enumerate(arrays):
        array += number
        if release:
            spill.release()
    del spill
    assert [int(array.min()) for array in arrays] == [int(array.max()) for array in arrays] == list(range(30))
