"""fold-constants: evaluation, shape arithmetic with symbols, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.dtype import FLOAT32, INT8
from qir.ir.graph import Constant, Stage
from qir.ir.types import Affine, Rounding, TensorType
from qir.passes.clean.fold_constants import FoldConstants
from qir.passmanager.base import Context
from qir.quant.scales import encode
from qir.target import Target
from tests.passes.graphs import apply, count, net, normal, ops, quantized, unchanged

CONTEXT = Context(Target("nowhere", "onnx", {}))


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        ("c = Mul(a, b)", {"a": normal(4), "b": normal(4)}),
        ("t = Transpose(a) s = Exp(t) c = ReduceSum(s)", {"a": normal(4, 3)}),
        ("i = Cast<to=7>(a) j = Add(i, i) c = Cast<to=1>(j)", {"a": np.array([1.5, -2.7], np.float32)}),
        ("r = Range(z, n, o) c = Cast<to=1>(r)", {"z": np.array(0), "n": np.array(4), "o": np.array(1)}),
        ("k = ConstantOfShape<value=float[1] {2.5}>(s) c = Expand(k, t)", {"s": [2, 1], "t": [2, 3]}),
        ("c = CastLike(i, x)", {"i": np.array([1, 2])}),
        ("p, q = Split<axis=0, num_outputs=2>(a) c = Sub(p, q)", {"a": normal(4, 2)}),
        ("d = Slice(a, b, e, ax, st) c = Neg(d)", {"a": normal(6), "b": [-1], "e": [-100], "ax": [0], "st": [-2]}),
    ],
)  # fmt: skip
def test_what_depends_on_constants_is_evaluated(body: str, constants: dict[str, object]) -> None:
    graph = net(f"(float x) => (float[] y) {{ {body} m = ReduceMean(c) y = Add(x, m) }}", **constants)
    assert ops(apply("fold-constants", graph)) == ["Add"]


def test_a_folded_value_keeps_its_name() -> None:
    after = apply("fold-constants", net("(float[2] x) => (float[2] y) { c = Mul(a, a) y = Add(x, c) }", a=normal(2)))
    assert set(after.constants) == {"c"}


def test_a_result_of_the_graph_may_become_constant() -> None:
    after = apply(
        "fold-constants", net("(float[2] x) => (float[2] x2, float[2] c) { x2 = Add(x, x) c = Exp(a) }", a=normal(2))
    )
    assert ops(after) == ["Add"]
    assert "c" in after.constants


ATTENTION = """(float[N,16,192] x) => (float[N,16,12,16] y) {
    s = Shape(x) n = Gather(s, zero) l = Gather(s, one) d = Gather(s, two) h = Div(d, twelve)
    nu = Unsqueeze(n, axis) lu = Unsqueeze(l, axis) hu = Unsqueeze(h, axis)
    t = Concat<axis=0>(nu, lu, heads, hu) r = Reshape(x, t)
    f = Cast<to=1>(h) q = Sqrt(f) y = Div(r, q) }"""


def test_an_exporters_shape_chain_vanishes_with_a_symbolic_batch() -> None:
    graph = net(
        ATTENTION, zero=np.array(0), one=np.array(1), two=np.array(2), twelve=np.array(12), axis=[0], heads=[12]
    )
    after = apply("fold-constants,eliminate-dead-code", graph)
    assert ops(after) == ["Reshape", "Div"]
    assert after.constants["r_shape"].value.tolist() == [0, 16, 12, 16]
    assert after.tensor("r").shape == ("N", 16, 12, 16)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("s = Shape(x) f = Slice(s, i0, i1) t = Concat<axis=0>(f, minus) y = Reshape(x, t)", [0, -1]),
        ("s = Shape<start=0, end=1>(x) t = Concat<axis=0>(i12, s) y = Reshape(x, t)", [12, -1]),
        ("s = Shape(x) n = Gather(s, g0) k = Mul(n, four) ku = Unsqueeze(k, i0) t = Concat<axis=0>(ku, i3) y = "
         "Reshape(x, t)",
         [-1, 3]),
        ("n = Size(x) k = Div(n, four) ku = Unsqueeze(k, i0) t = Concat<axis=0>(ku, i4) y = Reshape(x, t)", [-1, 4]),
    ],
)  # fmt: skip
def test_reshape_targets(body: str, expected: list[int]) -> None:
    graph = net(f"(float[N,4,3] x) => (float[A,B] y) {{ {body} }}", i0=[0], i1=[1], i3=[3], i4=[4], i12=[12],
                minus=[-1], g0=np.array(0), four=np.array(4))  # fmt: skip
    after = apply("fold-constants,eliminate-dead-code", graph)
    assert ops(after) == ["Reshape"]
    assert after.value(after.nodes[0].inputs[1]).tolist() == expected  # type: ignore[union-attr]


def test_an_expand_to_the_inputs_own_batch_needs_no_shape() -> None:
    graph = net(
        "(float[N,1,3] x) => (float[N,5,3] y) { s = Shape<end=1>(x) t = Concat<axis=0>(s, r) y = Expand(x, t) }",
        r=[5, 3],
    )
    assert ops(apply("fold-constants,eliminate-dead-code", graph)) == ["Expand"]


def test_a_slice_to_the_end_needs_no_shape() -> None:
    graph = net("(float[2,N] x) => (float[2,M] y) { e = Shape<start=1>(x) y = Slice(x, one, e, one) }", one=[1])
    assert ops(apply("fold-constants,eliminate-dead-code", graph)) == ["Slice"]


def test_where_and_equal_of_sizes() -> None:
    body = (
        "s = Shape(x) e = Equal(s, minus) o = ConstantOfShape<value=int64[1] {1}>(two) t = Where(e, o, s) y = "
        "Reshape(x, t)"
    )
    after = apply(
        "fold-constants,eliminate-dead-code",
        net(f"(float[N,4] x) => (float[N,4] y) {{ {body} }}", minus=[-1, -1], two=[2]),
    )
    assert ops(after) == ["Reshape"]


@pytest.mark.parametrize("text", [
    "(float[2] x) => (float[2] y) { r = RandomNormal<shape=[2]>() y = Add(x, r) }",
    "(float[N] x, float[M] z) => (float[A,B] y) { s = Shape(x) t = Concat<axis=0>(s, u) y = Reshape(z, t) }",
    "(float[2] x) => (float[2] y) { y = Relu(x) }",
    "(float[N,4] x, int64[2] t) => (float[A,B] y) { y = Reshape(x, t) }",
])  # fmt: skip
def test_what_cannot_be_known_stays_the_same_object(text: str) -> None:
    graph = net(text, u=[-1])
    if "Concat" in text:
        assert ops(apply("fold-constants,eliminate-dead-code", graph)) in (["Reshape"], ["Shape", "Concat", "Reshape"])
    else:
        assert unchanged("fold-constants", graph)


def test_large_results_are_left_to_be_computed() -> None:
    graph = net("(float[1] x) => (float[1000,1000] y) "
                "{ c = Expand(one, shape) y = Add(x, c) }", one=np.ones(1, np.float32),
                shape=[1000, 1000])  # fmt: skip
    assert FoldConstants(megabytes=1).run(graph, CONTEXT) is graph
    assert ops(FoldConstants().run(graph, CONTEXT)) == ["Add"]


def test_a_rounded_value_is_not_folded() -> None:
    graph = quantized(net("(float[2] x) => (float[2] y) { c = Mul(a, a) y = Add(x, c) }", a=normal(2)), "c")
    assert unchanged("fold-constants", graph)


def test_a_loops_body_keeps_what_it_counts() -> None:
    text = """(float[2] x, int64 n) => (float[2] y) {
        y = Loop (n, yes, x) <body = b (int64 i, bool go, float[2] a) => (bool on, float[2] z) {
            on = Identity(go) c = Exp(k) d = Mul(c, k) z = Add(a, d) }> }"""
    after = apply("fold-constants,eliminate-identities", net(text, k=normal(2), yes=np.array(True)))
    assert count(after) == {"Loop": 1, "Identity": 1, "Add": 1}


BODIES = """(float[3] x, bool b) => (float[3] y) {
    y = If (b) <
        then_branch = t () => (float[3] p) { c = Mul(k, k) p = Add(x, c) },
        else_branch = e () => (float[3] q) { q = Sub(x, k) }> }"""


def test_bodies_are_folded_too() -> None:
    graph = net(BODIES, k=normal(3))
    after = apply("fold-constants", graph)
    assert count(after) == {"If": 1, "Add": 1, "Sub": 1}
    assert set(after.constants) == {"k"}


@pytest.mark.parametrize(
    ("call", "operand", "axis"),
    [("Transpose(w)", None, 1), ("Transpose<perm=[2,0,1]>(w)", None, 2), ("Reshape(w, s)", [0, 1, 3, 4], 2),
     ("Reshape(w, s)", [6, 4], None), ("Unsqueeze(w, s)", [0, 2], 3), ("Identity(w)", None, 1)],
)  # fmt: skip
@pytest.mark.parametrize("rounding", ["nearest", "binary"])
def test_codes_of_a_constant_move_with_it(
    call: str, operand: list[int] | None, axis: int | None, rounding: Rounding
) -> None:
    constants = {"w": normal(2, 3, 4)} | ({} if operand is None else {"s": np.array(operand)})
    graph = net(f"(float[1] x) => (float[] z) {{ y = {call} z = Add(x, y) }}", **constants)
    quant = Affine(INT8, [0.1, 0.2, 0.3], [0, 0, 0], axis=1, rounding=rounding)
    kind = TensorType(FLOAT32, (2, 3, 4), quant)
    coded = graph.with_(types={**graph.types, "w": kind}, stage=Stage.QUANT)
    coded = coded.with_(constants={**coded.constants, "w": Constant(constants["w"], encode(constants["w"], quant))})
    if axis is None:  # channels and other elements would mix
        assert unchanged("fold-constants", coded)
        return
    after = apply("fold-constants", coded, tolerance=0)
    assert ["Add"] == ops(after)
    found = after.tensor("y").quant
    assert found is not None
    assert (axis, 3, rounding) == (found.axis, found.scale.size, found.rounding)
    codes = after.constants["y"].codes
    assert codes is not None
    assert codes.dtype == np.int8
    np.testing.assert_array_equal(encode(after.constants["y"].value, found), codes)


def test_a_second_move_of_codes_follows_the_first() -> None:
    graph = quantized(net("(float[1] x) => (float[4,2] z) { t = Transpose(w) y = Identity(t) z = Add(x, y) }",
                          w=normal(2, 4)), "w")  # fmt: skip
    after = apply("fold-constants", graph, tolerance=0)
    assert (["Add"], (4, 2)) == (ops(after), after.constants["y"].value.shape)
    assert graph.tensor("w").quant == after.tensor("y").quant


def test_arithmetic_on_codes_stays() -> None:
    graph = quantized(net("(float[1] x) => (float[4] z) { y = Neg(w) z = Add(x, y) }", w=normal(4)), "w")
    assert unchanged("fold-constants", graph)


def test_sizes_of_values_with_codes_are_known() -> None:
    text = "(float[2,3] x) => (float[2,3] y, int64[2] s) { y = Neg(x) t = Shape(y) s = Add(t, o) }"
    graph = quantized(net(text, o=np.array([0, 1])), "x", "y")
    after = apply("fold-constants", graph)
    assert ops(after) == ["Neg"]
    assert np.array_equal([2, 4], after.constants["s"].value)
