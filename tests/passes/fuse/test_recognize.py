"""recognize-activations and recognize-layernorm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qir.ir.graph import Graph
from tests.passes.graphs import apply, net, normal, ops, quantized, unchanged

NUMBERS = {
    "half": 0.5, "one": 1.0, "two": 2.0, "three": 3.0, "six": 6.0, "zero": 0.0, "root2": math.sqrt(2),
    "rroot2": math.sqrt(0.5),
    "k": math.sqrt(2 / math.pi), "cub": 0.044715, "sixth": 1 / 6, "tenth": 0.1, "odd": 1.3, "eps": 1e-5, "neg": -0.5,
}  # fmt: skip


def graph_of(body: str, **arrays: object) -> Graph:
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    numbers = {name: np.float32(value) for name, value in NUMBERS.items() if name in words and name not in arrays}
    return net(f"(float[2,3,4,5] w) => (float[2,3,4,5] y) {{ x = Sin(w) {body} }}", **numbers, **arrays)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("d = Div(x, root2) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half)", "Gelu"),
        ("d = Mul(rroot2, x) e = Erf(d) a = Add(one, e) h = Mul(half, x) y = Mul(h, a)", "Gelu"),
        ("d = Div(x, root2) e = Erf(d) a = Add(e, one) h = Mul(a, half) y = Mul(h, x)", "Gelu"),
        ("d = Div(x, root2) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Div(m, two)", "Gelu"),
        (
            "p = Pow(x, three) c = Mul(p, cub) s = Add(x, c) k2 = Mul(s, k) t = Tanh(k2) a = Add(t, one) h = "
            "Mul(x, half) "
            "y = Mul(h, a)",
            "Gelu",
        ),
        (
            "q = Mul(x, x) p = Mul(x, q) c = Mul(cub, p) s = Add(c, x) k2 = Mul(k, s) t = Tanh(k2) a = Add(one, t) "
            "m = Mul(x, a) y = Mul(m, half)",
            "Gelu",
        ),
        (
            "q = Mul(x, x) c = Mul(q, cub) o = Add(c, one) xk = Mul(x, k) k2 = Mul(xk, o) t = Tanh(k2) a = Add(one, t) "
            "m = Mul(x, a) y = Mul(half, m)",
            "Gelu",
        ),
        ("a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six)", "HardSwish"),
        ("a = Add(three, x) c = Clip(a, zero, six) d = Div(c, six) y = Mul(d, x)", "HardSwish"),
        ("a = Add(x, three) c = Clip(a, zero, six) d = Mul(c, sixth) y = Mul(x, d)", "HardSwish"),
        ("g = HardSigmoid<alpha=0.16666667, beta=0.5>(x) y = Mul(x, g)", "HardSwish"),
        ("a = Add(x, three) r = Max(a, zero) c = Min(r, six) d = Div(c, six) y = Mul(d, x)", "HardSwish"),
        ("a = Add(x, three) c = Clip(a, zero, six) y = Div(c, six)", "HardSigmoid"),
        ("b = Mul(x, two) a = Add(b, one) c = Clip(a, zero, two) y = Mul(c, half)", "HardSigmoid"),
        ("s = Softplus(x) t = Tanh(s) y = Mul(t, x)", "Mish"),
        ("g = Greater(x, zero) m = Mul(x, tenth) y = Where(g, x, m)", "LeakyRelu"),
        ("g = Less(x, zero) m = Mul(x, odd) y = Where(g, m, x)", "LeakyRelu"),
        ("g = Less(zero, x) m = Mul(x, tenth) y = Where(g, x, m)", "LeakyRelu"),
        ("m = Mul(tenth, x) y = Max(m, x)", "LeakyRelu"),
        ("y = PRelu(x, tenth)", "LeakyRelu"),
        ("y = Max(x, zero)", "Relu"),
        ("y = Max(tenth, x)", "Clip"),
        ("y = Min(x, tenth)", "Clip"),
        ("a = Min(x, half) y = Max(a, zero)", "Clip"),
        ("a = Clip(x, neg, six) b = Relu(a) y = Clip(b, zero, half)", "Clip"),
        ("a = Clip(x, neg) y = Relu(a)", "Relu"),
    ],
)
def test_spelled_out_activations(body: str, expected: str) -> None:
    after = apply("recognize-activations", graph_of(body), tolerance=1e-5)
    assert ops(after) == ["Sin", expected]
    assert len(after.nodes[1].origin) >= len(body.split(" = ")) - 1


@pytest.mark.parametrize("body", [
    "d = Div(x, two) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, half)",
    "d = Div(x, root2) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, odd)",
    "d = Div(x, root2) e = Erf(d) a = Add(e, one) m = Mul(w, a) y = Mul(m, half)",
    "d = Div(x, root2) e = Erf(d) a = Add(e, one) m = Mul(x, a) n = Mul(m, half) y = Add(n, e)",
    "a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, three)",
    "a = Add(x, three) c = Clip(a, zero, six) m = Mul(w, c) y = Mul(m, odd)",
    "a = Add(x, three) c = Clip(a, one, six) y = Div(c, six)",
    "s = Sigmoid(x) y = Mul(x, s)",
    "s = Softplus(w) t = Tanh(s) y = Mul(t, x)",
    "m = Mul(x, odd) y = Max(x, m)",
    "g = Greater(x, one) m = Mul(x, tenth) y = Where(g, x, m)",
    "g = Greater(w, zero) m = Mul(x, tenth) y = Where(g, x, m)",
    "y = PRelu(x, slopes)",
    "y = Max(x, w)",
    "a = Clip(x, zero, one) b = Clip(a, neg, half) y = Add(b, a)",
])  # fmt: skip
def test_what_only_looks_like_one(body: str) -> None:
    graph = graph_of(body, **({"slopes": normal(5)} if "slopes" in body else {}))
    assert unchanged("recognize-activations", graph)


def test_the_numbers_are_kept() -> None:
    after = apply(
        "recognize-activations", graph_of("b = Mul(x, two) a = Add(b, one) c = Clip(a, zero, two) y = Mul(c, half)")
    )
    assert (after.nodes[1].attr("alpha"), after.nodes[1].attr("beta")) == (1.0, 0.5)
    after = apply("recognize-activations", graph_of("a = Clip(x, neg, six) b = Relu(a) y = Clip(b, zero, half)"))
    assert [after.value(name).item() for name in after.nodes[1].inputs[1:]] == [0.0, 0.5]  # type: ignore[union-attr]


def test_a_rounding_inside_is_kept() -> None:
    graph = graph_of("a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six)")
    assert unchanged("recognize-activations", quantized(graph, "m"))


MEAN, VAR = "m = ReduceMean(x, axes)", "v = ReduceMean(q, axes)"


@pytest.mark.parametrize("axes", [[-1], [3], [2, 3], [-2, -1]])
@pytest.mark.parametrize("core", [
    f"{MEAN} d = Sub(x, m) q = Pow(d, two) {VAR} e = Add(v, eps) s = Sqrt(e) n = Div(d, s)",
    f"{MEAN} d = Sub(x, m) d2 = Sub(x, m) q = Mul(d2, d2) {VAR} e = Add(eps, v) s = Sqrt(e) r = Reciprocal(s) n = "
    f"Mul(r, d)",
    f"{MEAN} d = Sub(x, m) q = Mul(d, d) {VAR} e = Add(v, eps) s = Pow(e, half) n = Div(d, s)",
])  # fmt: skip
@pytest.mark.parametrize(("tail", "expected"), [
    ("y = Neg(n)", ["Sin", "LayerNormalization", "Neg"]),
    ("g = Mul(n, gamma) y = Add(beta, g)", ["Sin", "LayerNormalization"]),
])  # fmt: skip
def test_layernorm(axes: list[int], core: str, tail: str, expected: list[str]) -> None:
    arrays = {"gamma": normal(5), "beta": normal(5, seed=3)} if "gamma" in tail else {}
    after = apply("recognize-layernorm", graph_of(f"{core} {tail}", axes=axes, **arrays), tolerance=1e-5)
    assert ops(after) == expected
    assert after.nodes[1].attr("axis") == (-1 if len(axes) == 1 else -2)


@pytest.mark.parametrize(("body", "axes"), [
    (f"{MEAN} d = Sub(x, m) q = Pow(d, two) {VAR} e = Add(v, eps) s = Sqrt(e) y = Div(d, s)", [1]),
    (f"{MEAN} d = Sub(x, m) q = Pow(d, three) {VAR} e = Add(v, eps) s = Sqrt(e) y = Div(d, s)", [3]),
    (f"{MEAN} d = Sub(x, m) q = Pow(d, two) {VAR} e = Add(v, eps) s = Sqrt(e) n = Div(d, s) y = Add(n, d)", [3]),
    (f"{MEAN} d = Sub(w, m) q = Pow(d, two) {VAR} e = Add(v, eps) s = Sqrt(e) y = Div(d, s)", [3]),
])  # fmt: skip
def test_no_layernorm(body: str, axes: list[int]) -> None:
    assert unchanged("recognize-layernorm", graph_of(body, axes=axes))


def test_a_scale_along_other_axes_stays() -> None:
    graph = net(
        "(float[2,3,5] x) => (float[2,3,5] y) { n = LayerNormalization<axis=-1>(x, g) y = Mul(n, c) }",
        g=normal(5),
        c=normal(3, 1),
    )
    assert unchanged("recognize-layernorm", graph)
