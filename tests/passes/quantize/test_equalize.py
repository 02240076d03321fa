"""Cross-layer equalization: the float function stays, rounding costs less, statistics follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe
from qir.rewrite.channel_scaling import factors_of
from qir.statistics import ChannelBounds, Gram, Histogram, fingerprints
from tests.passes.graphs import assert_same, net, normal
from tests.passes.quantize.quantizing import ALL, context

IMAGE = "(float[N,3,8,8] x) => (float[N,5,p,q] y)"
SPREAD = np.geomspace(0.02, 3, 8).astype(np.float32)


def rows(weight: np.ndarray, factors: np.ndarray = SPREAD) -> np.ndarray:
    return (weight * factors.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.float32)


def columns(weight: np.ndarray, factors: np.ndarray = SPREAD) -> np.ndarray:
    return (weight / factors.reshape(1, -1, *[1] * (weight.ndim - 2))).astype(np.float32)


WEIGHTS = {"w": rows(normal(8, 3, 3, 3)), "b": rows(normal(8, seed=1)), "v": columns(normal(5, 8, 3, 3, seed=2))}
GRAPHS = {
    "relu": (f"{IMAGE} {{ a = Conv(x, w, b) c = Relu(a) y = Conv(c, v) }}", WEIGHTS),
    "relu6": (
        f"{IMAGE} {{ a = Conv(x, w, b) c = Clip(a, l, h) y = Conv(c, v) }}",
        {**WEIGHTS, "l": np.float32(0), "h": np.float32(12)},
    ),
    "prelu": (
        f"{IMAGE} {{ a = Conv(x, w, b) c = PRelu(a, s) y = Conv(c, v) }}",
        {**WEIGHTS, "s": np.abs(normal(8, 1, 1)) / 9},
    ),
    "depthwise": (
        f"{IMAGE} {{ a = Conv(x, w, b) c = Relu(a) d = Conv<group=8>(c, e, b) f = Relu(d) y = Conv(f, v) }}",
        {**WEIGHTS, "e": normal(8, 1, 3, 3)},
    ),
    "residual": (
        f"{IMAGE} {{ a = Conv(x, w, b) c = Conv<pads=[1,1,1,1]>(a, e) d = Add(a, c) y = Conv(d, v) }}",
        {**WEIGHTS, "e": columns(rows(normal(8, 8, 3, 3)))},
    ),
    "layernorm": (
        "(float[N,7,8] x) => (float[N,7,5] y) { c = LayerNormalization(x, g, b) y = MatMul(c, v) }",
        {"g": SPREAD, "b": WEIGHTS["b"], "v": columns(normal(5, 8)).T.copy()},
    ),
}  # fmt: skip


def graph(name: str) -> Graph:
    return net(GRAPHS[name][0], **GRAPHS[name][1])


def equalized(before: Graph, recipe: Recipe | None = None) -> tuple[Graph, Context]:
    given = context(before, recipe=recipe)
    return run(before, parse_pipeline("equalize"), given), given


def error(before: Graph, passes: str, recipe: Recipe | None = None) -> float:
    given = context(before, recipe=recipe)
    assert given.feeds is not None
    after = run(before, parse_pipeline(passes), given)
    sample = {"x": np.concatenate([batch["x"] for batch in given.feeds])}
    wanted = evaluate(before, sample)["y"]
    return float(np.square(evaluate(after, sample)["y"] - wanted).mean() / wanted.var())


@pytest.mark.parametrize("name", GRAPHS)
def test_the_function_stays_and_rounding_costs_less(name: str) -> None:
    before = graph(name)
    after, given = equalized(before)
    assert factors_of(after)
    if name != "relu6":  # there it stays on the samples only
        assert_same(before, after, tolerance=1e-5)
    assert any("equalized the channels of" in note for note in given.notes)
    assert error(before, f"equalize,{ALL}") < 0.7 * error(before, ALL)


@pytest.mark.parametrize("name", GRAPHS)
def test_statistics_follow(name: str) -> None:
    """What the pass says calibration would find in its result is what it finds there."""
    before = graph(name)
    after, given = equalized(before)
    followed = given.statistics
    assert followed is not None
    assert given.collected is not None
    fresh = context(after)
    run(after, parse_pipeline("collect"), fresh)
    assert fresh.statistics is not None
    assert followed.entries.keys() == fresh.statistics.entries.keys()
    prints = fingerprints(after)
    for (kind, key), entry in fresh.statistics.entries.items():
        mine, found = followed.entries[kind, key], entry.statistic
        assert mine.fingerprint == entry.fingerprint
        if isinstance(found, Gram):
            other = mine.statistic
            assert isinstance(other, Gram)
            np.testing.assert_allclose(other.matrix, found.matrix, rtol=1e-3, atol=1e-2 * np.abs(found.matrix).max())
            np.testing.assert_allclose(other.sample.rows, found.sample.rows, rtol=1e-3, atol=1e-4)
        elif isinstance(found, ChannelBounds):
            other = mine.statistic
            assert isinstance(other, ChannelBounds)
            np.testing.assert_allclose(other.high, found.high, rtol=1e-3, atol=1e-4)
        else:
            assert isinstance(found, Histogram)
            other = mine.statistic
            assert isinstance(other, Histogram)
            assert other.high == pytest.approx(found.high, rel=1e-3, abs=1e-4)
            assert other.mean_square == pytest.approx(found.mean_square, rel=0.25)
        assert kind == Gram.kind or mine.fingerprint == prints[key]


def test_calibrate_collects_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    after, given = equalized(graph("residual"))
    monkeypatch.setattr("qir.passes.quantize.observed.collect", None)
    assert run(after, parse_pipeline("calibrate"), given).ranges


def test_a_clip_cuts_nothing_that_calibration_saw() -> None:
    before = graph("relu6")
    after, given = equalized(before)
    assert given.feeds is not None
    sample = {"x": np.concatenate([batch["x"] for batch in given.feeds])}
    wanted, found = evaluate(before, sample)["y"], evaluate(after, sample)["y"]
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_weights_alone_are_equalized_too() -> None:
    """With real activations only the columns of weights that share scales with others matter."""
    recipe = replace(Recipe(), default=replace(Recipe().default, activation_bits=None, weight_bits=4))
    passes = "quantize-weights,round-weights"
    before = graph("relu")
    assert error(before, f"equalize,{passes}", recipe) < error(before, f"calibrate,{passes}", recipe)


def test_what_stays() -> None:
    even = net(GRAPHS["relu"][0], w=normal(8, 3, 3, 3), b=normal(8), v=normal(5, 8, 3, 3))
    flat = {
        "w": np.repeat(normal(1, 3, 3, 3), 8, 0),
        "b": np.ones(8, np.float32),
        "v": np.ones((5, 8, 3, 3), np.float32),
    }
    same = net(GRAPHS["relu"][0], **flat)
    assert equalized(same)[0] is same
    ranged = Recipe().with_override("Relu", range=(0.0, 9.0))
    assert equalized(even, ranged)[0] is even
    quiet = Recipe().with_override("*", float=True)
    assert equalized(even, quiet)[0] is even


def test_rounded_networks_and_those_without_layers_pass() -> None:
    before = graph("relu")
    rounded = run(before, parse_pipeline(ALL), context(before))
    assert run(rounded, parse_pipeline("equalize"), context(before)) is rounded
    plain = net("(float[N,4] x) => (float[N,4] y) { y = Relu(x) }")
    assert equalized(plain)[0] is plain
