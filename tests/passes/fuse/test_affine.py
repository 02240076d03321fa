"""fold-affine, fuse-matmul-add and fuse-pad."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.graph import Graph
from tests.passes.graphs import apply, net, normal, ops, quantized, unchanged

C4, C6 = normal(4, 1, 1, seed=7), normal(1, 6, 1, 1, seed=8)
ARRAYS = {
    "w": normal(6, 4, 3, 3), "wt": normal(4, 6, 3, 3), "k": normal(4, 5), "kt": normal(5, 4), "c6": C6, "c4": C4,
    "d4": C4 + 9,
    "s": np.float32(0.5), "b5": normal(5), "b15": normal(1, 5), "f4": normal(4) + 5, "rows": normal(3, 5),
    "plane": normal(3, 3),
    "z": np.float32(0), "wide": normal(1, 1, 1, 1, 1), "i": np.array(3), "c": normal(6), "x4": normal(4),
}  # fmt: skip


def given(text: str) -> dict[str, object]:
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: value for name, value in ARRAYS.items() if name in words}


def graph_of(kind: str, body: str) -> Graph:
    """x is [2,4,5,5] for images, [3,4] for rows, [2,3,4] for sequences."""
    shapes = {"image": ("2,4,5,5", "P,Q,R,S"), "rows": ("3,4", "P,Q"), "sequence": ("2,3,4", "P,Q,R")}
    shape, result = shapes[kind]
    return net(f"(float[{shape}] x) => (float[{result}] y) {{ {body} }}", **given(body))


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("image", "t = Conv(x, w) y = Mul(t, c6)", ["Conv"]),
        ("image", "t = Conv<pads=[1,1,1,1]>(x, w, c) y = Div(t, c6)", ["Conv"]),
        ("image", "t = Conv(x, w) y = Sub(s, t)", ["Conv"]),
        ("image", "t = ConvTranspose(x, wt) u = Mul(c6, t) y = Add(u, s)", ["ConvTranspose"]),
        ("rows", "t = Gemm<alpha=2.0>(x, k, b5) u = Sub(t, b5) v = Div(u, b15) y = Add(v, s)", ["Gemm"]),
        ("rows", "t = MatMul(x, k) y = Mul(t, b5)", ["MatMul"]),
        ("sequence", "t = MatMul(x, k) y = Mul(t, b5)", ["MatMul"]),
        ("sequence", "t = MatMul(x, k) y = Add(t, b5)", ["MatMul", "Add"]),
        ("image", "t = Sub(x, c4) u = Div(t, d4) y = Conv(u, w)", ["Conv"]),
        ("image", "t = Sub(x, c4) u = Div(t, d4) y = Conv<pads=[1,1,1,1]>(u, w)", ["Sub", "Conv"]),
        ("image", "t = Mul(x, d4) u = Add(t, c4) y = Conv<pads=[1,1,1,1]>(u, w)", ["Add", "Conv"]),
        ("image", "t = Mul(x, s) y = Conv<auto_pad=\"SAME_UPPER\">(t, w)", ["Conv"]),
        ("image", "t = Mul(x, c4) y = ConvTranspose<group=2>(t, wt)", ["ConvTranspose"]),
        ("rows", "t = Mul(x, f4) u = Add(t, f4) y = Gemm<transB=1>(u, kt)", ["Gemm"]),
        ("sequence", "t = Mul(x, f4) y = MatMul(t, k)", ["MatMul"]),
        ("sequence", "t = Add(x, f4) y = MatMul(t, k)", ["Add", "MatMul"]),
        ("image", "a = Mul(x, s) b = Mul(a, c4) d = Add(b, s) e = Sub(d, c4) y = Relu(e)", ["Mul", "Add", "Relu"]),
        ("image", "a = Add(x, s) b = Sub(a, c4) y = Relu(b)", ["Add", "Relu"]),
        ("image", "a = Sub(s, x) b = Sub(s, a) y = Div(b, c4)", ["Mul"]),
        ("image", "a = Add(x, s) b = Mul(a, c4) y = Relu(b)", ["Add", "Mul", "Relu"]),
    ],
)  # fmt: skip
def test_affine(kind: str, body: str, expected: list[str]) -> None:
    assert ops(apply("fold-affine", graph_of(kind, body), tolerance=5e-6)) == expected


@pytest.mark.parametrize(("kind", "body"), [
    ("image", "t = Conv(x, w) y = Mul(t, plane)"),
    ("image", "t = Conv(x, w) y = Div(s, t)"),
    ("image", "t = Conv(x, w) u = Mul(t, s) y = Add(u, t)"),
    ("image", "t = Add(x, s) y = Conv<pads=[1,1,1,1]>(t, w)"),
    ("image", "t = Add(x, s) y = ConvTranspose(t, wt)"),
    ("rows", "t = Gemm(x, k) y = Add(t, rows)"),
    ("rows", "t = Mul(x, s) y = Neg(t)"),
])  # fmt: skip
def test_affine_refuses(kind: str, body: str) -> None:
    assert unchanged("fold-affine", graph_of(kind, body))


def test_a_division_by_zero_stays() -> None:
    graph = net("(float[2,4,3,3] x) => (float[2,6,1,1] y) { t = Conv(x, w) y = Div(t, z) }", **given("w z"))
    assert unchanged("fold-affine", graph)


def test_integers_are_left_alone() -> None:
    graph = net("(int64[4] x) => (int64[4] y) { a = Mul(x, i) b = Add(a, i) y = Mul(b, i) }", i=np.array(3))
    assert unchanged("fold-affine", graph)


def test_a_constant_that_widens_the_operand_stays() -> None:
    graph = net("(float[2,1,5,5] x) => (float[2,6,3,3] y) { t = Mul(x, c4) y = Conv(t, w) }", **given("c4 w"))
    assert unchanged("fold-affine", graph)


def test_a_chain_ends_at_a_rounding() -> None:
    graph = graph_of("image", "a = Mul(x, s) b = Mul(a, c4) y = Relu(b)")
    assert unchanged("fold-affine", quantized(graph, "a"))
    assert ops(apply("fold-affine", quantized(graph, "b"), tolerance=0.06)) == ["Mul", "Relu"]


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("rows", "t = MatMul(x, k) y = Add(t, b5)", ["Gemm"]),
        ("rows", "t = MatMul(x, k) y = Add(b15, t)", ["Gemm"]),
        ("rows", "t = MatMul(x, k) y = Sub(t, s)", ["Gemm"]),
        ("rows", "t = Gemm<transB=1, beta=0.5>(x, kt, b5) y = Add(t, b15)", ["Gemm"]),
        ("rows", "y = Gemm<alpha=3.0, beta=0.5>(x, k, b5)", ["Gemm"]),
        ("image", "t = Conv(x, w) y = Add(t, c6)", ["Conv"]),
        ("image", "t = Conv(x, w, c) y = Sub(t, s)", ["Conv"]),
        ("image", "t = ConvTranspose(x, wt) y = Add(t, c6)", ["ConvTranspose"]),
    ],
)
def test_sums_become_biases(kind: str, body: str, expected: list[str]) -> None:
    after = apply("fuse-matmul-add", graph_of(kind, body), tolerance=5e-6)
    assert ops(after) == expected
    assert not {"alpha", "beta"} & set(after.nodes[0].attrs)


@pytest.mark.parametrize(("kind", "body"), [
    ("sequence", "t = MatMul(x, k) y = Add(t, b5)"),
    ("rows", "t = MatMul(x, k) y = Add(t, rows)"),
    ("rows", "t = MatMul(x, k) u = Add(t, b5) y = Mul(u, t)"),
    ("rows", "t = MatMul(x, k) y = Mul(t, b5)"),
    ("rows", "t = MatMul(x, k) y = Sub(b5, t)"),
    ("image", "t = Conv(x, w) y = Add(t, wide)"),
    ("image", "t = Conv(x, w) y = Add(t, plane)"),
])  # fmt: skip
def test_sums_that_are_no_bias(kind: str, body: str) -> None:
    if "wide" in body:
        body = body.replace("y = Add", "v = Add") + " y = Squeeze(v)"
        graph = net(f"(float[2,4,5,5] x) => (float[P,Q,R,S] y) {{ {body} }}", **given(body))
    else:
        graph = graph_of(kind, body)
    assert unchanged("fuse-matmul-add", graph)


def test_a_transposed_operand_gets_its_transpose() -> None:
    graph = net("(float[4,3] x) => (float[3,5] y) { y = Gemm<transA=1>(x, k, b5) }", **given("k b5"))
    assert ops(apply("fuse-matmul-add", graph)) == ["Transpose", "Gemm"]


PADS = {"p": [0, 0, 1, 1, 0, 0, 1, 0], "q": [0, 0, 1, 1, 0, 1, 1, 0], "m": [0, 0, -1, 0, 0, 0, 0, 0],
        "b2": [2, 1], "ax": [2],
        "low": np.float32(-np.inf), "one": np.float32(1), "w": normal(6, 4, 3, 3), "big": [0, 0, 3, 0, 0, 0, 0, 0],
        "wq": normal(6, 5, 3, 3)}  # fmt: skip


def padded(body: str) -> Graph:
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return net(
        f"(float[2,4,6,6] x) => (float[P,Q,R,S] y) {{ {body} }}", **{k: v for k, v in PADS.items() if k in words}
    )


@pytest.mark.parametrize("body", [
    "t = Pad(x, p) y = Conv(t, w)",
    "t = Pad(x, p) y = Conv<pads=[1,0,0,1], strides=[2,2]>(t, w)",
    "t = Pad(x, b2, , ax) y = Conv<auto_pad=\"VALID\">(t, w)",
    "t = Pad(x, p) y = AveragePool<kernel_shape=[3,3]>(t)",
    "t = Pad(x, p) y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(t)",
    "t = Pad(x, p, low) y = MaxPool<kernel_shape=[2,2]>(t)",
    "r = Relu(x) t = Pad(r, p) y = MaxPool<kernel_shape=[3,3], strides=[2,2]>(t)",
])  # fmt: skip
def test_padding_joins_the_window(body: str) -> None:
    assert "Pad" not in ops(apply("fuse-pad", padded(body)))


@pytest.mark.parametrize("body", [
    "t = Pad(x, q) y = Conv(t, wq)",
    "t = Pad(x, m) y = Conv(t, w)",
    "t = Pad(x, p, one) y = Conv(t, w)",
    "t = Pad<mode=\"reflect\">(x, p) y = Conv(t, w)",
    "t = Pad(x, p) y = Conv<auto_pad=\"SAME_UPPER\">(t, w)",
    "t = Pad(x, p) y = MaxPool<kernel_shape=[2,2]>(t)",
    "t = Pad(x, big, low) y = MaxPool<kernel_shape=[2,2]>(t)",
    "t = Pad(x, p) y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(t)",
    "t = Pad(x, p) y = AveragePool<kernel_shape=[3,3], ceil_mode=1>(t)",
    "t = Pad(x, p) u = Conv(t, w) v = ReduceMax(t) y = Add(u, v)",
])  # fmt: skip
def test_padding_that_is_something_else(body: str) -> None:
    assert unchanged("fuse-pad", padded(body))


def test_padding_keeps_a_rounding_of_the_same_codes_only() -> None:
    graph = padded("e = Exp(x) t = Pad(e, p) y = Conv(t, w)")
    assert unchanged("fuse-pad", quantized(graph, "t"))
    assert "Pad" not in ops(apply("fuse-pad", quantized(graph, "e", "t")))
