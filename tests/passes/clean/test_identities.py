"""eliminate-identities: each kind of operator with and without effect."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.graphs import apply, net, normal, ops, quantized, unchanged

IDLE = [
    "Identity(x)", "Dropout(x)", "Cast<to=1>(x)", "Transpose<perm=[0,1,2]>(x)", "Reshape(x, same)", "Reshape(x, open)",
    "Reshape(x, copy)", "Unsqueeze(x, none)", "Expand(x, ones)", "Tile(x, ones)", "Slice(x, zeros, sizes)",
    "Slice(x, zero, huge, zero)", "Pad(x, pads)", "Add(x, f0)", "Add(f0, x)", "Sub(x, f0)", "Mul(x, f1)", "Mul(f1, x)",
    "Div(x, f1)", "Pow(x, f1)", "Concat<axis=1>(x)", "Sum(x)", "Max(x)", "Min(x)", "Mean(x)", "Clip(x)",
    "AveragePool<kernel_shape=[1]>(x)", "MaxPool<kernel_shape=[1], strides=[1]>(x)", "Split<axis=0, num_outputs=1>(x)",
    "Clip(x, low, high)",
]  # fmt: skip
CONSTANTS = {
    "same": [2, 3, 4], "open": [2, -1, 4], "copy": [0, 0, -1], "none": np.zeros(0, np.int64), "ones": [1, 1, 1],
    "zeros": [0, 0, 0], "sizes": [2, 3, 4], "zero": [0], "huge": [2**62], "pads": [0] * 6, "f0": np.float32(0),
    "f1": np.ones((1, 1), np.float32), "low": np.float32(-np.inf), "high": np.float32(np.inf), "c": normal(4),
    "perm": [2, 3, 4], "other": [4, 3, 2], "trim": [0, 0, 1], "more": [0, 0, 0, 0, 0, 1], "two": [1, 2, 1],
    "wide": np.zeros((5, 1, 1, 1), np.float32), "true": np.array(True), "half": np.float32(0.5),
}  # fmt: skip


def given(text: str) -> dict[str, object]:
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: value for name, value in CONSTANTS.items() if name in words}


@pytest.mark.parametrize("call", IDLE)
def test_operators_without_effect_go(call: str) -> None:
    graph = net(f"(float[2,3,4] w) => (float[2,3,4] y) {{ x = Exp(w) t = {call} y = Neg(t) }}", **given(call))
    assert ops(apply("eliminate-identities", graph)) == ["Exp", "Neg"]


@pytest.mark.parametrize("call", [
    "Cast<to=10>(x)", "Transpose(x)", "Reshape(x, other)", "Slice(x, trim, sizes)", "Pad(x, more)", "Tile(x, two)",
    "Add(x, f1)", "Sub(f0, x)", "Mul(x, f0)", "Div(f1, x)", "Add(x, wide)", "Add(x, c)", "Concat<axis=0>(x, x)",
    "AveragePool<kernel_shape=[2]>(x)", "MaxPool<kernel_shape=[1], strides=[2]>(x)", "Relu(x)", "Clip(x, f0s)",
    "Clip(x, , half)", "Dropout(x, half, true)",
])  # fmt: skip
def test_operators_with_effect_stay(call: str) -> None:
    constants = given(call) | ({"f0s": np.float32(0)} if "f0s" in call else {})
    text = (
        f"(float[2,3,4] w) => (float y) {{ x = Sin(w) t = {call} u = Cast<to=1>(t) z = "
        f"ReduceSum<keepdims=0>(u) y = Neg(z) }}"
    )
    if "to=10" not in call:
        text = text.replace("u = Cast<to=1>(t) ", "").replace("(u)", "(t)")
    graph = net(text, **constants)
    assert unchanged("eliminate-identities", graph)


@pytest.mark.parametrize("call", ["Relu(x)", "Abs(x)", "Clip(x, low)"])
@pytest.mark.parametrize("source", ["Relu(w)", "Sigmoid(w)", "Softmax(w)", "Clip(w, zero, one)"])
def test_limits_of_values_that_keep_them_go(call: str, source: str) -> None:
    text = (
        f"(float[2,3] w) => (float[2,3] y) {{ s = {source} x = MaxPool<kernel_shape=[1], strides=[1]>(s) t = "
        f"{call} y = Neg(t) }}"
    )
    text = text.replace("MaxPool<kernel_shape=[1], strides=[1]>(s)", "Transpose<perm=[1,0]>(s)").replace(
        "float[2,3] y", "float[3,2] y"
    )
    graph = net(text, zero=np.float32(0), one=np.float32(1), low=np.float32(-1))
    assert call.split("(")[0] not in ops(apply("eliminate-identities", graph))[2:]


def test_symbolic_shapes_that_are_equal() -> None:
    graph = net(
        "(float[N,4] w) => (float[N,4] y) { x = Exp(w) r = Reshape(x, t) f = Flatten(r) y = Neg(f) }", t=[-1, 4]
    )
    assert ops(apply("eliminate-identities", graph)) == ["Exp", "Neg"]


def test_a_result_keeps_its_name() -> None:
    graph = net("(float[2] x) => (float[2] y, float[2] z) { y = Identity(x) t = Exp(x) z = Identity(t) }")
    after = apply("eliminate-identities", graph)
    assert ops(after) == ["Identity", "Exp"]
    assert after.outputs == ("y", "z")


def test_a_mask_that_is_used_keeps_its_dropout() -> None:
    graph = net("(float[2] x) => (float[2] y, bool[2] m) { e = Exp(x) d, m = Dropout(e) y = Neg(d) }")
    assert unchanged("eliminate-identities", graph)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a = Reshape(x, p) y = Reshape(a, q)", ["Reshape"]),
        ("a = Flatten(x) y = Reshape(a, q)", ["Reshape"]),
        ("a = Reshape(x, p) y = Flatten(a)", ["Reshape"]),
        ("a = Reshape(x, v) y = Flatten(a)", ["Flatten"]),
        ("a = Unsqueeze(x, u) y = Reshape(a, q)", ["Reshape"]),
        ("a = Reshape(x, r) y = Flatten(a)", ["Reshape"]),
        ("a = Reshape(x, r) y = Reshape(a, z)", ["Reshape", "Reshape"]),
        ("a = Reshape(x, p) b = Neg(a) y = Reshape(b, q)", ["Reshape", "Neg", "Reshape"]),
    ],
)  # fmt: skip
def test_views_of_views(body: str, expected: list[str]) -> None:
    constants = {"p": [2, 12], "q": [2, 2, 6], "u": [0], "r": [6, 4, 1], "v": [2, 4, 3], "z": [0, 2, 2]}
    graph = net(f"(float[2,3,4] x) => (float[A,B,C] y) {{ {body} "
                f"}}".replace("A,B,C", "A,B" if "y = Flatten" in body else "A,B,C"),
                **{k: v for k, v in constants.items() if f", {k})" in body})  # fmt: skip
    assert ops(apply("eliminate-identities", graph)) == expected


def test_a_zero_initial_state_is_the_default() -> None:
    arrays = {"w": normal(1, 8, 3), "r": normal(1, 8, 2), "one": [1], "two": [2]}
    text = """(float[5,N,3] x) => (float[5,1,N,2] y) {
        n = Shape<start=1, end=2>(x) t = Concat<axis=0>(one, n, two) z = ConstantOfShape(t)
        y = LSTM<hidden_size=2>(x, w, r, , , z, z) }"""
    assert ops(apply("eliminate-identities,eliminate-dead-code", net(text, **arrays))) == ["LSTM"]


def test_rounding_is_an_effect() -> None:
    graph = net("(float[2] x) => (float[2] y) { a = Exp(x) b = Identity(a) y = Neg(b) }")
    assert unchanged("eliminate-identities", quantized(graph, "b"))
    assert ops(apply("eliminate-identities", quantized(graph, "a", "b"))) == ["Exp", "Neg"]
    assert ops(apply("eliminate-identities", quantized(graph, "a"))) == ["Exp", "Neg"]


def test_bodies() -> None:
    text = """(float[2] x, bool b) => (float[2] y) {
        e = Exp(x)
        y = If (b) <then_branch = t () => (float[2] p) { i = Identity(e) p = Neg(i) },
                    else_branch = f () => (float[2] q) { q = Identity(e) }> }"""
    after = apply("eliminate-identities", net(text))
    assert [node.op for _, node in after.walk()] == ["Exp", "If", "Neg", "Identity"]
