"""Stored weights of Gemm layers with real inputs."""

from __future__ import annotations

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe, recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ACTIVATIONS, apply, context, quant, samples


def network() -> Graph:
    return net(
        "(float[N,8] x) => (float[N,5] y) { y = Gemm <transB=1, alpha=0.5> (x, w, b) }", w=normal(5, 8), b=normal(5)
    )


@pytest.mark.parametrize("chosen", [recipe("w4"), recipe("w8"), recipe("w4").with_override("*", per_channel=False)])
def test_the_weight_is_turned_and_nothing_else(chosen: Recipe) -> None:
    before = apply("quantize-weights", network(), "onnx", chosen)
    after = apply("quantize-weights,orient-weights", network(), "onnx", chosen)
    assert after.constants["w"].value.shape == (8, 5)
    codes = before.constants["w"].codes
    assert codes is not None
    np.testing.assert_array_equal(after.constants["w"].codes, codes.T)
    found = quant(after, "w")
    assert found is not None
    assert found.axis == (1 if chosen.default.per_channel and not chosen.overrides else None)
    assert after.nodes[0].attrs["alpha"] == 0.5
    feed = samples(before)
    np.testing.assert_allclose(evaluate(after, feed)["y"], evaluate(before, feed)["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("passes", ["calibrate", f"{ACTIVATIONS},quantize-weights"], ids=["real", "integer"])
def test_other_layers_stay(passes: str) -> None:
    graph = net("(float[N,8] x) => (float[N,5] y) { y = Gemm <transB=1> (x, w, b) }", w=normal(5, 8), b=normal(5))
    given = context(graph, "onnx", recipe("w4a8"))
    before = run(graph, parse_pipeline(f"{passes},quantize-weights"), given)
    if passes == "calibrate":
        before = run(graph, parse_pipeline("calibrate,quantize"), given)
    assert run(before, parse_pipeline("orient-weights"), given) is before
