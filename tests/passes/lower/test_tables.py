"""compose-lookups: the same results, to the bit, by one table."""

from __future__ import annotations

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.dtype import INT16
from qir.ir.graph import Graph
from qir.passes.lower.tables import ComposeLookups
from qir.verify import verify
from tests.passes.graphs import net, ops
from tests.passes.lower.test_integer import NOWHERE, lowered, with_codes

SCALES = {"x": 0.05, "s": 1 / 250, "t": 0.02, "u": 0.03, "y": 0.04}


def graph_of(body: str, **constants: object) -> Graph:
    given = {name: scale for name, scale in SCALES.items() if name == "x" or f"{name} =" in body}
    return lowered(with_codes(net(f"(float[2,3,4] x) => (float[2,3,4] y) {{ {body} }}", **constants), **given))


def composed(graph: Graph) -> Graph:
    after = ComposeLookups().run(graph, NOWHERE)
    if after is not graph:
        verify(after)
        feeds = {"x": np.random.default_rng(0).normal(0, 4, (2, 3, 4)).astype(np.float32)}
        for name, result in evaluate(graph, feeds).items():
            assert np.array_equal(result, evaluate(after, feeds)[name])
        assert ComposeLookups().run(after, NOWHERE) is after
    return after


@pytest.mark.parametrize("body", [
    "s = Sigmoid(x) y = Mul(x, s)",
    "t = Tanh(x) y = Sigmoid(t)",
    "s = Sigmoid(x) t = Tanh(x) u = Mul(s, t) y = Add(u, x)",
    "y = Add(x, x)",
    "a = Sign(x) y = Abs(a)",
    "a = Max(x, c) y = Sub(a, x)",
])  # fmt: skip
def test_functions_of_one_value_are_one_table(body: str) -> None:
    constants = {"c": np.float32(0.25)} if "Max" in body else {}
    found = ops(composed(graph_of(body, **constants)))
    assert found == ["qir.Quantize", "qir.Lookup", "qir.Dequantize"]


def test_what_others_read_stays() -> None:
    graph = lowered(with_codes(net("(float[2,3,4] x) => (float[2,3,4] y, float[2,3,4] s) "
                                   "{ s = Sigmoid(x) y = Mul(x, s) }"), x=0.05, s=0.004, y=0.04))  # fmt: skip
    assert sorted(ops(composed(graph))).count("qir.Lookup") == 2


@pytest.mark.parametrize("body", [
    "s = ReduceMean(x, axes) y = Mul(x, s)",
    "y = Mul(x, wide)",
])  # fmt: skip
def test_what_widens_stays(body: str) -> None:
    constants = {"axes": np.array([2]), "wide": np.linspace(0.1, 1, 4, dtype=np.float32)}
    graph = graph_of(body, **{name: value for name, value in constants.items() if name in body})
    assert composed(graph) is graph


def test_tables_before_and_behind_a_move_stay_two() -> None:
    graph = composed(graph_of("t = Tanh(x) u = Transpose<perm=[0,1,2]>(t) y = Sigmoid(u)"))
    assert ops(graph) == ["qir.Quantize", "qir.Lookup", "Transpose", "qir.Lookup", "qir.Dequantize"]


def test_codes_of_sixteen_bits_have_no_table() -> None:
    wide = with_codes(net("(float[2,3,4] x) => (float[2,3,4] y) { s = Sigmoid(x) y = Mul(x, s) }"), INT16,
                      x=0.0005, s=0.00004, y=0.0004)  # fmt: skip
    graph = lowered(wide)
    assert composed(graph) is graph
