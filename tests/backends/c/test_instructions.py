"""Counting instructions: the same count every time, and as many as the work asks for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qir.backends.c import compile_c
from qir.backends.c.bench import rows
from tests.benchmarks.instructions import emulated, host

COUNTERS = [
    pytest.param(lambda row: host(compile_c(row.graph), row.feeds), marks=pytest.mark.needs("valgrind", "gcc")),
    pytest.param(
        lambda row: emulated(compile_c(row.graph, target="arm-neon"), row.feeds, "cortex-a53"),
        marks=pytest.mark.needs("qemu-aarch64", "aarch64-linux-gnu-gcc"),
    ),
]


@pytest.mark.parametrize("count", COUNTERS, ids=["host", "emulated"])
def test_instructions_grow_with_work(count: Callable[[object], int]) -> None:
    large, small = rows(["lookup 4096", "lookup 64"])
    per_element = (count(large) - count(small)) / (4096 - 64)
    assert 0.05 < per_element < 10
    assert count(small) == count(small)
