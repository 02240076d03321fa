"""Centred channels: the float function stays, ranges shrink, statistics follow."""

from __future__ import annotations

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe
from qir.rewrite.channel_offsets import offsets_of
from qir.statistics import ChannelBounds, Gram, Histogram
from tests.passes.graphs import assert_same, net, normal
from tests.passes.quantize.quantizing import ALL, context

IMAGE = "(float[N,3,8,8] x) => (float[N,5,p,q] y)"
APART = np.linspace(-40, 60, 8).astype(np.float32)
WEIGHTS = {"w": normal(8, 3, 3, 3), "b": APART, "v": normal(5, 8, 1, 1, seed=2), "k": normal(8, 8, 1, 1, seed=3)}
GRAPHS = {
    "linear": (f"{IMAGE} {{ a = Conv(x, w, b) y = Conv(a, v) }}", WEIGHTS),
    "residual": (f"{IMAGE} {{ a = Conv(x, w, b) c = Conv(a, k) d = Add(a, c) y = Conv(d, v) }}", WEIGHTS),
    "relu": (f"{IMAGE} {{ a = Conv(x, w, b) c = Relu(a) y = Conv(c, v) }}", {**WEIGHTS, "b": np.abs(APART) + 20}),
}


def graph(name: str) -> Graph:
    return net(GRAPHS[name][0], **GRAPHS[name][1])


def error(before: Graph, passes: str) -> float:
    given = context(before)
    assert given.feeds is not None
    after = run(before, parse_pipeline(passes), given)
    sample = {"x": np.concatenate([batch["x"] for batch in given.feeds])}
    wanted = evaluate(before, sample)["y"]
    return float(np.square(evaluate(after, sample)["y"] - wanted).mean() / wanted.var())


@pytest.mark.parametrize("name", GRAPHS)
def test_the_function_stays_and_rounding_costs_less(name: str) -> None:
    before, given = graph(name), context(graph(name))
    after = run(before, parse_pipeline("absorb-biases"), given)
    assert offsets_of(after)
    assert_same(before, after, tolerance=1e-5)
    assert any("centred the channels of" in note for note in given.notes)
    assert error(before, f"absorb-biases,{ALL}") < 0.5 * error(before, ALL)


@pytest.mark.parametrize("name", GRAPHS)
def test_statistics_follow(name: str) -> None:
    before, given = graph(name), context(graph(name))
    after = run(before, parse_pipeline("absorb-biases"), given)
    fresh = context(after)
    run(after, parse_pipeline("collect"), fresh)
    assert given.statistics is not None
    assert fresh.statistics is not None
    for (kind, key), entry in fresh.statistics.entries.items():
        mine = given.statistics.entries[kind, key]
        assert mine.fingerprint == entry.fingerprint
        found, other = entry.statistic, mine.statistic
        if isinstance(found, Gram):
            assert isinstance(other, Gram)
            np.testing.assert_allclose(other.matrix, found.matrix, atol=1e-3 * np.abs(found.matrix).max())
            np.testing.assert_allclose(other.mean, found.mean, atol=1e-3)
            np.testing.assert_allclose(other.sample.rows, found.sample.rows, atol=1e-3)
        elif isinstance(found, ChannelBounds):
            assert isinstance(other, ChannelBounds)
            np.testing.assert_allclose(other.high, found.high, atol=1e-4)
            np.testing.assert_allclose(other.low, found.low, atol=1e-4)
        else:
            assert isinstance(found, Histogram)
            assert isinstance(other, Histogram)
            assert (other.low, other.high) == pytest.approx((found.low, found.high), abs=1e-3)


def test_what_is_centred_already_stays() -> None:
    even = net(GRAPHS["linear"][0], **{**WEIGHTS, "b": np.zeros(8, np.float32)})
    mirrored = {"x": np.concatenate([normal(16, 3, 8, 8), -normal(16, 3, 8, 8)])}
    assert run(even, parse_pipeline("absorb-biases"), context(even, data=mirrored)) is even
    crossing = net(GRAPHS["relu"][0], **{**WEIGHTS, "b": np.zeros(8, np.float32)})
    assert run(crossing, parse_pipeline("absorb-biases"), context(crossing)) is crossing


def test_values_whose_range_the_recipe_gives_stay() -> None:
    before = graph("residual")
    ranged = Recipe().with_override("Add", range=(-100.0, 100.0))
    assert run(before, parse_pipeline("absorb-biases"), context(before, recipe=ranged)) is before


def test_scaled_and_rounded_networks_stay() -> None:
    before = graph("residual")
    scaled = run(before, parse_pipeline("equalize"), context(before))
    assert scaled is not before
    assert run(scaled, parse_pipeline("absorb-biases"), context(scaled)) is scaled
    rounded = run(before, parse_pipeline(ALL), context(before))
    assert run(rounded, parse_pipeline("absorb-biases"), context(before)) is rounded
