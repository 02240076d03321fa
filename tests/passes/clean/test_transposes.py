"""cancel-transposes: pairs, regions between them, and Transposes that move nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.graphs import apply, count, net, normal, ops, quantized, unchanged

TO_NHWC, TO_NCHW = "Transpose<perm=[0,2,3,1]>", "Transpose<perm=[0,3,1,2]>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"a = {TO_NHWC}(e) y = {TO_NCHW}(a)", ["Exp", "Identity"]),
        (f"a = {TO_NHWC}(e) b = {TO_NCHW}(a) y = Neg(b)", ["Exp", "Neg"]),
        (f"a = {TO_NHWC}(e) b = {TO_NHWC}(a) y = Neg(b)", ["Exp", "Transpose", "Neg"]),
        ("a = Transpose(e) b = Transpose(a) y = Neg(b)", ["Exp", "Neg"]),
    ],
)
def test_pairs(body: str, expected: list[str]) -> None:
    after = apply("cancel-transposes", net(f"(float[2,3,4,5] x) => (float[A,B,C,D] y) {{ e = Exp(x) {body} }}"))
    assert [op for op in ops(after) if op != "Identity"] == [op for op in expected if op != "Identity"]


def test_a_first_transpose_with_other_uses_stays() -> None:
    graph = net(
        f"(float[2,3,4,5] x) => (float[2,4,5,3] z, float[2,3,4,5] y) {{ z = {TO_NHWC}(x) b = {TO_NCHW}(z) y = Neg(b) }}"
    )
    assert count(apply("cancel-transposes", graph)) == {"Transpose": 1, "Neg": 1}


REGIONS = [
    "u = Relu(t)",
    "u = Add(t, c)",
    "a = Mul(c, t) b = Add(a, one) u = Clip(b, zero, six)",
    "u = Concat<axis=3>(t, t)",
    "u = Concat<axis=-1>(t, t)",
    "u = Softmax(t)",
    "u = Pad(t, pads)",
    "u = Pad(t, pads2, , axes)",
    "u = ReduceMean(t, axes)",
    "u = Slice(t, starts, ends)",
    "u = Slice(t, starts, ends, back)",
    "p, q = Split<axis=-1, num_outputs=2>(t) u = Sub(p, q)",
    "u = PRelu(t, c)",
    "g = Greater(t, zero) u = Where(g, t, c)",
    "d = Sigmoid(t) u = Mul(t, d)",
]
CONSTANTS = {
    "c": normal(4), "one": np.ones((1, 1, 1, 1), np.float32), "zero": np.float32(0), "six": np.float32(6),
    "pads": [0, 1, 2, 0, 0, 0, 1, 3], "pads2": [1, 2, 0, 3], "axes": [1, 2], "starts": [0, 1, 0, 1],
    "ends": [2, 4, 4, 4],
    "back": [3, 1, 2, 0],
}  # fmt: skip


@pytest.mark.parametrize("body", REGIONS)
def test_transposes_meet_across_what_works_in_any_order(body: str) -> None:
    used = {
        name: value
        for name, value in CONSTANTS.items()
        if name in body.replace("(", " ").replace(")", " ").replace(",", " ").split()
    }
    text = (
        f"(float[2,4,5,6] x) => (float[A,B,C,D] y) {{ e = Exp(x) t = {TO_NHWC}(e) {body} v = {TO_NCHW}(u) y = Neg(v) }}"
    )
    assert "Transpose" not in ops(apply("cancel-transposes", net(text, **used)))


def test_a_network_in_the_other_layout() -> None:
    """What converters from NHWC frameworks write: every convolution between two Transposes, all else in NHWC."""
    arrays = {"w": normal(4, 4, 3, 3), "c": normal(4), "axes": [1, 2]}
    conv = "Conv<pads=[1,1,1,1]>"
    text = f"""(float[N,6,6,4] x) => (float[N,4] y) {{
        a = {TO_NCHW}(x) b = {conv}(a, w) d = {TO_NHWC}(b) e = Add(d, c) f = Relu(e)
        g = {TO_NCHW}(f) h = {conv}(g, w) i = {TO_NHWC}(h) j = Add(i, c) k = Add(j, f) l = Relu(k)
        y = ReduceMean<keepdims=0>(l, axes) }}"""
    after = apply("cancel-transposes", net(text, **arrays), tolerance=1e-5)
    assert count(after)["Transpose"] == 1
    assert ops(after)[0] == "Transpose"


@pytest.mark.parametrize("body", [
    f"t = {TO_NHWC}(x) u = Relu(t) y = Exp(u)",
    f"t = {TO_NHWC}(x) u = Reshape(t, s) y = {TO_NCHW}(u)",
    f"t = {TO_NHWC}(x) u = LayerNormalization(t, c) y = {TO_NCHW}(u)",
    f"t = {TO_NHWC}(x) m = MatMul(t, k) y = {TO_NCHW}(m)",
])  # fmt: skip
def test_what_does_not_pay_or_depends_on_the_order_stays(body: str) -> None:
    arrays = {"s": [2, 5, 6, 4], "c": normal(4), "k": normal(4, 3)}
    graph = net(
        f"(float[2,4,5,6] x) => (float[A,B,C,D] y) {{ {body} }}",
        **{k: v for k, v in arrays.items() if f", {k})" in body},
    )
    assert unchanged("cancel-transposes", graph)


def test_operands_of_lower_rank_stay_outside_the_region() -> None:
    body = f"t = {TO_NHWC}(x) n = Neg(k) u = Add(t, n) y = {TO_NCHW}(u)"
    graph = net(f"(float[2,4,5,6] x, float[1] k) => (float[2,4,5,6] y) {{ {body} }}")
    assert ops(apply("cancel-transposes", graph)) == ["Neg", "Add"]


def test_a_side_entry_costs_a_transpose_only_if_that_pays() -> None:
    pair = (
        f"(float[2,4,5,6] x, float[2,5,6,4] z) => (float[2,4,5,6] y) {{ t = {TO_NHWC}(x) u = Add(t, z) y = "
        f"{TO_NCHW}(u) }}"
    )
    assert count(apply("cancel-transposes", net(pair)))["Transpose"] == 1


@pytest.mark.parametrize(
    ("shape", "perm", "target"),
    [("2,3,1,1", "0,2,3,1", [2, 1, 1, 3]), ("N,1,5,1", "0,2,1,3", [0, 5, 1, 1]), ("1,N,1", "1,0,2", [-1, 1, 1])],
)
def test_moving_axes_of_size_one_is_a_reshape(shape: str, perm: str, target: list[int]) -> None:
    rank = ",".join("ABCD"[: len(target)])
    after = apply(
        "cancel-transposes", net(f"(float[{shape}] x) => (float[{rank}] y) {{ y = Transpose<perm=[{perm}]>(x) }}")
    )
    assert ops(after) == ["Reshape"]
    assert after.value(after.nodes[0].inputs[1]).tolist() == target  # type: ignore[union-attr]


def test_rounded_values_keep_their_codes_in_the_other_layout() -> None:
    text = (
        f"(float[2,4,5,6] x) => (float[2,4,5,6] y) {{ e = Exp(x) t = {TO_NHWC}(e) u = Sigmoid(t) v = "
        f"{TO_NCHW}(u) y = Neg(v) }}"
    )
    graph = quantized(net(text), "e", "t", "u", "v")
    after = apply("cancel-transposes", graph)
    assert ops(after) == ["Exp", "Sigmoid", "Neg"]
    assert after.tensor(after.nodes[1].outputs[0]).quant == graph.tensor("u").quant


def test_a_rounding_between_a_pair_stays() -> None:
    graph = net(
        f"(float[2,4,5,6] x) => (float[2,4,5,6] y) {{ e = Exp(x) t = {TO_NHWC}(e) v = {TO_NCHW}(t) y = Neg(v) }}"
    )
    assert unchanged("cancel-transposes", quantized(graph, "t"))
