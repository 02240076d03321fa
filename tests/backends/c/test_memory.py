"""Placement of buffers: sound always, tight mostly, the same every time."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.backends.c.planning.memory import _assign, check, fullest, overlaps, place
from qir.backends.c.program import Buffer


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Buffer]:
    buffers = []
    for number in range(draw(st.integers(1, 12))):
        first = draw(st.integers(-1, 10))
        size, last = draw(st.integers(0, 500)), first + draw(st.integers(0, 5))
        buffers.append(Buffer(f"b{number}", size, "arena", 0, first, last))
    return buffers


@given(lifetimes(), st.sampled_from([1, 16, 64]))
def test_any_placement_is_sound(buffers: list[Buffer], alignment: int) -> None:
    found = place(buffers, alignment)
    check(found.buffers, found.arena_bytes, alignment)
    assert found.arena_bytes >= found.lower_bound >= fullest(buffers)[0]
    assert found.arena_bytes <= sum(-(-b.nbytes // alignment) * alignment for b in buffers)
    assert place(buffers, alignment) == found


@given(lifetimes(), st.sampled_from([1, 16]))
def test_nothing_smaller_is_left(buffers: list[Buffer], alignment: int) -> None:
    found = place(buffers, alignment)
    assert found.arena_bytes == found.lower_bound
    if len(buffers) <= 5:
        conflicts = [{j for j, b in enumerate(buffers) if j != i and overlaps(a, b)} for i, a in enumerate(buffers)]
        tried = (_assign(order, buffers, conflicts, alignment) for order in permutations(range(len(buffers))))
        ends = (max(at + b.nbytes for at, b in zip(offsets, buffers, strict=True)) for offsets in tried)
        assert found.arena_bytes == min(ends)


def test_a_bound_that_none_reaches_is_raised() -> None:
    """Each of three starts at a multiple of sixteen."""
    found = place([Buffer(f"b{i}", 10, "arena", 0, 0, 1) for i in range(3)], 16)
    assert found.arena_bytes == found.lower_bound == 42


def test_a_chain_needs_two_buffers() -> None:
    chain = [Buffer(f"b{i}", 100, "arena", 0, i, i + 1) for i in range(20)]
    assert place(chain, 1).arena_bytes == 200


def test_search_reaches_the_bound_where_greedy_does_not() -> None:
    rows = [(0, 2, 4), (1, 3, 3), (3, 5, 5), (4, 6, 2), (0, 0, 3), (5, 6, 2), (2, 4, 2)]
    buffers = [Buffer(f"b{i}", size, "arena", 0, a, b) for i, (a, b, size) in enumerate(rows)]
    found = place(buffers, 1)
    assert found.arena_bytes == found.lower_bound


@pytest.mark.parametrize(("change", "words"), [({"offset": 50}, "share bytes"), ({"offset": 1000}, "not inside")])
def test_verifier_sees_faults(change: dict[str, int], words: str) -> None:
    pair = [Buffer("a", 100, "arena", 0, 0, 2), replace(Buffer("b", 100, "arena", 0, 1, 3), **change)]
    with pytest.raises(AssertionError, match=words):
        check(pair, 200, 1)
