"""Masks in attention: elements that Softmax makes zero, as models write them."""

from __future__ import annotations

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passes.quantize.placement import place
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, TARGETS, apply, context, samples

SEEN = np.tril(np.ones((6, 6))) > 0


def attention(masked: str, **constants: object) -> Graph:
    """Scores k = x w, each of a row read by those before it; `masked` makes m of them."""
    return net(f"(float[N,6,8] x) => (float[N,6,8] y) {{ k = MatMul(x, w) t = Transpose<perm=[0,2,1]>(x) "
               f"s = MatMul(k, t) {masked} p = Softmax(m) a = MatMul(p, x) y = MatMul(a, w2) }}",
               w=normal(8, 8) / 8, w2=normal(8, 8, seed=2) / 3, **constants)  # fmt: skip


def noise(graph: Graph, after: Graph) -> float:
    """Of the output beside the power of the float one, on the samples that calibrated."""
    data = samples(graph)
    wanted = evaluate(graph, data)["y"]
    return float(np.square(evaluate(after, data)["y"] - wanted).mean() / np.square(wanted).mean())


def masked(form: str, fill: float) -> Graph:
    if form == "added":
        return attention("m = Add(s, c)", c=np.where(SEEN, 0, fill).astype(np.float32))
    return attention("m = Where(c, s, f)", c=SEEN, f=np.float32(fill))


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize("form", ["added", "chosen"])
def test_deep_masks_cost_no_more_than_those_that_are_just_deep_enough(form: str, where: str) -> None:
    for text, least in (("int8", 21), ("int16", 42)):
        enough = masked(form, -12)
        most = 1.2 * noise(enough, apply(ALL, enough, where, recipe(text)))
        assert most < 10 ** (-least / 10)
        for fill in (-np.inf, -1e9, np.finfo(np.float32).min):
            graph = masked(form, fill)
            after = apply(ALL, graph, where, recipe(text))
            assert after.tensor("m").quant is not None
            assert noise(graph, after) <= most


def test_values_that_hold_infinite_numbers_stay_float_and_are_named() -> None:
    graph = attention("l = Relu(s) g = Log(l) z = Add(g, s) m = Max(z, s)")
    given = context(graph)
    after = run(graph, parse_pipeline(ALL), given)
    assert [after.tensor(name).quant for name in ("g", "z")] == [None, None]
    assert any("no codes stand for infinite numbers" in note and note.endswith(": g, z") for note in given.notes)
    assert "%g holds infinite numbers" in place(noted(graph, given), given).reasons["Add_5"]
    assert noise(graph, after) < 1e-2


def noted(graph: Graph, given: Context) -> Graph:
    return run(graph, parse_pipeline("calibrate{method=minmax}"), given)
