"""Samples of rows: bounded, and the same whatever the order in which parts of the data come together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qir.statistics.rows import RowSample


def part(number: int, groups: int = 2, size: int = 600) -> RowSample:
    rows = np.random.default_rng(number).normal(size=(groups, 40, size)).astype(np.float32)
    return RowSample.of(rows, 32 * number, seed=7)


@given(st.permutations(range(5)))
def test_merging_gives_the_same_bytes_in_any_order(order: list[int]) -> None:
    wanted, found = RowSample.none(2, 600), RowSample.none(2, 600)
    for number in range(5):
        wanted = wanted.merge(part(number))
    for number in order:
        found = part(number).merge(found)
    assert found.rows.tobytes() == wanted.rows.tobytes()
    assert found.keys.tobytes() == wanted.keys.tobytes()


def test_a_sample_is_bounded_and_takes_rows_from_everywhere() -> None:
    total = RowSample.none(2, 600)
    for number in range(30):
        total = total.merge(part(number))
    assert len(total.rows) == len(total.keys) < 100
    sources = {number for number in range(30) if np.isin(part(number).keys, total.keys).any()}
    assert len(sources) > 15


def test_rows_are_rows_of_the_data_and_the_seed_chooses() -> None:
    rows = np.random.default_rng(0).normal(size=(1, 3000, 64)).astype(np.float32)
    one, other = RowSample.of(rows, 0, 0), RowSample.of(rows, 0, 1)
    known = {row.tobytes() for row in rows[0]}
    assert all(row[0].tobytes() in known for row in one.rows)
    assert one.rows.tobytes() != other.rows.tobytes()
    assert len(np.unique(one.keys)) == len(one.keys)
