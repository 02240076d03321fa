"""Compares and arithmetic that round to codes become types, and types that are emitted come back."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from qir.ir.dtype import INT8, INT16, UINT8
from qir.ir.graph import Graph, Stage
from qir.ir.types import Affine, TensorType
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.quant.scales import decode, encode
from tests.onnxio.running import normal, parse, run

X = np.concatenate([np.arange(-12, 13, dtype=np.float32) / 8, normal(8), [-0.0, np.inf, -np.inf]])
X = X.astype(np.float32).reshape(4, 3, 3)
CONSTANTS = """float zero = {0}, float one = {1}, float[1] minus = {-1}, float half = {0.5}, float low = {-0.5},
    float[3,1] s = {1, 2, 3}, float[3,1] n = {-1, -2, -3}, float[3,1] t = {0.25, 0, 1}, float[3,1] u = {-0.25, 0, -1},
    float[3] last = {1, 2, 3}, float[3] nlast = {-1, -2, -3}, float tenth = {0.1}, float nan = {nan},
    float seven = {7}, float eight = {-8}, float odd = {0.3}, float three = {3}, float two = {2},
    float quarter = {0.25}"""


def lifted(body: str) -> Graph:
    """A network of some nodes between `a` and `q`, held to the results that they had."""
    proto = parse(f"g (float[4,3,3] x) => (float[4,3,3] y) <{CONSTANTS}> {{ a = Add(x, zero) {body} y = Neg(q) }}")
    graph = lift(proto)
    np.testing.assert_array_equal(run(graph, x=X)[0], run(proto, x=X)[0])
    return graph


def binary(scale: object = 1.0, threshold: object = 0.0, axis: int | None = None) -> Affine:
    zeros = np.zeros(np.shape(scale), np.int32)
    return Affine(INT8, np.float32(scale), zeros, axis, rounding="binary", threshold=np.float32(threshold))


def ternary(scale: object = 1.0, threshold: object = 0.0, axis: int | None = None) -> Affine:
    zeros = np.zeros(np.shape(scale), np.int32)
    return Affine(INT8, np.float32(scale), zeros, axis, rounding="ternary", threshold=np.float32(threshold))


CHANNELS = ([1, 2, 3], [0.25, 0, 1], 1)
FORMS = {
    "at least": ("c = GreaterOrEqual(a, zero) q = Where(c, one, minus)", binary()),
    "at most": ("c = LessOrEqual(half, a) q = Where(c, one, minus)", binary(1, 0.5)),
    "less": ("c = Less(a, half) q = Where(c, minus, one)", binary(1, 0.5)),
    "greater": ("c = Greater(half, a) q = Where(c, minus, one)", binary(1, 0.5)),
    "channels": ("c = GreaterOrEqual(a, t) q = Where(c, s, n)", binary(*CHANNELS)),
    "thresholds": ("c = GreaterOrEqual(a, t) q = Where(c, half, low)", binary([0.5] * 3, [0.25, 0, 1], 1)),
    "sign": ("b = Sign(a) c = Add(tenth, b) q = Sign(c)", binary()),
    "ternary": ("l = Less(a, low) i = Where(l, minus, zero) c = Greater(a, half) q = Where(c, one, i)",
                ternary(1, 0.5)),
    "other way": ("c = Greater(a, half) i = Where(c, one, zero) l = Less(a, low) q = Where(l, minus, i)",
                  ternary(1, 0.5)),
    "of channels": ("l = Greater(u, a) i = Where(l, n, zero) c = Less(t, a) q = Where(c, s, i)", ternary(*CHANNELS)),
    "around zero": ("l = Less(a, zero) i = Where(l, minus, zero) c = Greater(a, zero) q = Where(c, one, i)", ternary()),
    "round": ("d = Div(a, odd) r = Round(d) c = Clip(r, eight, seven) q = Mul(c, odd)",
              Affine(INT8, np.float32(0.3), 0, qmin=-8, qmax=7)),
    "clamp": ("d = Div(a, half) c = Clip(d, zero, seven) r = Round(c) q = Mul(half, r)",
              Affine(UINT8, np.float32(0.5), 0, qmin=0, qmax=7)),
    "zero point": ("d = Div(a, s) e = Add(d, two) r = Round(e) c = Clip(r, zero, seven) f = Sub(c, two) q = Mul(f, s)",
                   Affine(UINT8, [1, 2, 3], [2, 2, 2], 1, qmin=0, qmax=7)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_the_type_of_the_value(name: str) -> None:
    body, quant = FORMS[name]
    graph = lifted(body)
    assert ["Add", "Neg"] == [node.op for node in graph.nodes]
    assert quant == graph.tensor("a").quant
    assert Stage.QUANT is graph.stage
    np.testing.assert_array_equal(-run(graph, x=X)[0], decode(encode(X, quant), quant))


OTHERS = {
    "strictly greater": "c = Greater(a, zero) q = Where(c, one, minus)",
    "upside down": "c = GreaterOrEqual(a, zero) q = Where(c, minus, one)",
    "lopsided": "c = GreaterOrEqual(a, zero) q = Where(c, one, low)",
    "along another axis": "c = GreaterOrEqual(a, t) q = Where(c, last, nlast)",
    "thresholds apart": "l = Less(a, low) i = Where(l, minus, zero) c = Greater(a, one) q = Where(c, one, i)",
    "half closed": "l = LessOrEqual(a, low) i = Where(l, minus, zero) c = Greater(a, half) q = Where(c, one, i)",
    "thresholds crossed": "l = Less(a, half) i = Where(l, minus, zero) c = Greater(a, low) q = Where(c, one, i)",
    "shared compare": "c = GreaterOrEqual(a, zero) p = Where(c, one, minus) z = Where(c, half, low) q = Add(p, z)",
    "large offset": "b = Sign(a) c = Add(b, three) q = Sign(c)",
    "two scales": "d = Div(a, odd) r = Round(d) c = Clip(r, eight, seven) q = Mul(c, half)",
    "odd bounds": "d = Div(a, odd) r = Round(d) c = Clip(r, low, seven) q = Mul(c, odd)",
    "no bounds": "d = Div(a, odd) r = Round(d) q = Mul(r, odd)",
    "floor": "d = Div(a, odd) r = Floor(d) c = Clip(r, eight, seven) q = Mul(c, odd)",
    "no zero": "d = Div(a, odd) r = Round(d) c = Clip(r, three, seven) q = Mul(c, odd)",
    "codes that others read": "d = Div(a, odd) r = Round(d) c = Clip(r, eight, seven) e = Mul(c, odd) q = Add(e, c)",
    "not a number": "c = GreaterOrEqual(a, nan) q = Where(c, one, minus)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_something_else_stays_as_nodes(name: str) -> None:
    graph = lifted(OTHERS[name])
    assert Stage.FLOAT is graph.stage
    assert all(not isinstance(kind, TensorType) or kind.quant is None for kind in graph.types.values())


def test_constants_that_enlarge_a_value_are_no_parameters_of_its_type() -> None:
    text = (
        "g (float[1,3] x) => (float[4,3] y) <float[4,1] s = {1,2,3,4}, float[4,1] n = {-1,-2,-3,-4}, float z = {0}> {"
    )
    graph = lift(parse(f"{text} c = GreaterOrEqual(x, z) q = Where(c, s, n) y = Neg(q) }}"))
    assert Stage.FLOAT is graph.stage


@pytest.mark.parametrize(
    "quant",
    [binary(0.3, 0.2), binary([0.5, 2, 3], [0.25, 1, 0], 1), ternary(0.3, 0.2), ternary([0.5, 2, 3], [0.25, 1, 0], 1),
     Affine(INT8, np.float32(0.3), 0, qmin=-1, qmax=1), Affine(UINT8, np.float32(0.3), 3, qmin=0, qmax=15),
     Affine(INT8, [0.1, 0.2, 0.3], [0, 1, -1], 1, qmin=-4, qmax=3),
     Affine(INT16, np.float32(1e-3), 0, qmin=-500, qmax=499)],
)  # fmt: skip
@pytest.mark.parametrize("use", ["one", "many", "result"])
def test_emitting_and_lifting_again_gives_the_same_type(quant: Affine, use: Literal["one", "many", "result"]) -> None:
    end = {"one": "y = Neg(a)", "many": "b = Neg(a) y = Add(b, a)", "result": "y = Identity(a)"}[use]
    graph = lift(parse(f"g (float[4,3,3] x) => (float[4,3,3] y) {{ a = Relu(x) {end} }}"))
    name = "y" if use == "result" else "a"
    kind = graph.tensor(name)
    coded = graph.with_(types={**graph.types, name: TensorType(kind.dtype, kind.shape, quant)}, stage=Stage.QUANT)
    again = lift(export(coded))
    assert quant == again.tensor(name).quant
    assert [node.op for node in graph.nodes] == [node.op for node in again.nodes]
    x = normal(4, 3, 3)
    np.testing.assert_array_equal(run(again, x=x)[0], run(coded, x=x)[0])


def test_a_clamp_to_other_reals_than_those_of_codes_stays() -> None:
    pair = "q0 = QuantizeLinear(c, tenth, z) q = DequantizeLinear(q0, tenth, z)"
    inexact = lifted(f"c = Clip(a, low, quarter) z = Constant<value = int8 {{0}}>() {pair}")
    assert "Clip" in [node.op for node in inexact.nodes]
    exact = lifted(f"c = Clip(a, low, half) z = Constant<value = int8 {{0}}>() {pair}")
    assert (-5, 5) == ((found := exact.tensor("a").quant) and (found.qmin, found.qmax))


def test_a_clamp_of_codes_stays_and_its_result_has_codes_of_its_own() -> None:
    one = "z = Constant<value = int8 {0}>() r = QuantizeLinear(a, quarter, z) b = DequantizeLinear(r, quarter, z)"
    two = "c = Clip(b, low, half) q0 = QuantizeLinear(c, quarter, z) q = DequantizeLinear(q0, quarter, z)"
    graph = lifted(f"{one} {two}")
    assert ["Add", "Clip", "Neg"] == [node.op for node in graph.nodes]
    assert graph.tensor("a").quant == graph.tensor("c").quant == Affine(INT8, np.float32(0.25), 0)
