"""The order of nodes: another one where that takes less memory, and results that stay the same."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Builder
from networks import conv
from test_absorb import added

import qir.backends.c.planning.plan as plan
from qir.backends.c import CModule, compile_c
from qir.ir.graph import Graph


def branches(b: Builder, wide_first: bool) -> Graph:
    """Two ways from one value to a sum: one is wide and then narrow, the other one is neither."""
    rng = np.random.default_rng(0)
    x = conv(b, rng, b.feed("x", rng.integers(0, 256, (1, 8, 8, 8)).astype(np.uint8)), "stem", 16)
    narrow = conv(b, rng, conv(b, rng, x, "wide", 64), "narrow", 2) if wide_first else ""
    even = conv(b, rng, x, "even", 24)
    narrow = narrow or conv(b, rng, conv(b, rng, x, "wide", 64), "narrow", 2)
    return b.graph([added(b, even, conv(b, rng, narrow, "back", 24), "sum")])


def order(module: CModule) -> list[str]:
    return [call.node.removeprefix("node_") for call in module.program.calls if "/" not in call.node]


@pytest.mark.parametrize("wide_first", [False, True])
def test_what_needs_most_runs_while_least_else_is_there(wide_first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder()
    graph = branches(b, wide_first)
    module = compile_c(graph)
    assert ["stem", "wide", "narrow", "even", "back"] == order(module)
    np.testing.assert_array_equal(b.values["sum"], module.run(b.feeds)["sum"])
    monkeypatch.setattr(plan, "scheduled", lambda *_: None)
    given = compile_c(graph)
    assert (module.arena_bytes < given.arena_bytes) == (order(given) != order(module)) == (not wide_first)


def test_a_shortcut_is_computed_before_what_it_is_added_to() -> None:
    """As in a ResNet where the number of channels changes: the sum then takes the bytes of the shortcut."""
    b, rng = Builder(), np.random.default_rng(0)
    x = conv(b, rng, b.feed("x", rng.integers(0, 256, (1, 16, 8, 8)).astype(np.uint8)), "stem", 16)
    main = conv(b, rng, conv(b, rng, x, "main1", 32), "main2", 32)
    total = added(b, main, conv(b, rng, x, "shortcut", 32, kernel=1), "sum")
    graph = b.graph([conv(b, rng, total, "last", 4)])
    module = compile_c(graph)
    assert ["stem", "main1", "shortcut", "main2", "last"] == order(module)
    np.testing.assert_array_equal(b.values["last"], module.run(b.feeds)["last"])


def test_every_order_keeps_what_depends() -> None:
    """Reshapes, results that are read again, and values that are read twice."""
    b, rng = Builder(), np.random.default_rng(1)
    x = b.feed("x", rng.integers(0, 256, (1, 4, 6, 6)).astype(np.uint8))
    values = [conv(b, rng, x, "c0", 8)]
    for n in range(1, 9):
        picked = values[int(rng.integers(len(values)))]
        values.append(conv(b, rng, picked, f"c{n}", 8) if n % 3 else added(b, picked, values[-1], f"a{n}"))
    outputs = [values[-1], values[4], b.reshape(values[-2], (8, 36), "flat")]
    module = compile_c(b.graph(outputs))
    found = module.run(b.feeds)
    assert all(np.array_equal(b.values[name], found[name]) for name in outputs)
