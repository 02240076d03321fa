"""Channels scaled by factors that weights take: the function of the network stays, and the graph says what was done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.coupling import FIXED, Coupling
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.rewrite.channel_scaling import factors_of, nearest_codes, scale_channels, scaled_like
from tests.passes.graphs import assert_same, feeds, net, normal

CONV = {"w": normal(4, 3, 3, 3), "b": normal(4), "v": normal(5, 4, 3, 3, seed=1)}
IMAGE = "(float[N,3,8,8] x) => (float[N,5,p,q] y)"
ROWS = "(float[N,6] x) => (float[N,3] y)"
TOKENS = "(float[N,7,6] x) => (float[N,7,3] y)"
PADS = "pads=[1,1,1,1]"

# Name: graph, the value whose channels must be free (several for several classes of them), constants.
FREE = {
    "relu": (f"{IMAGE} {{ a = Conv(x, w, b) c = Relu(a) y = Conv(c, v) }}", "c", CONV),
    "leaky": (f"{IMAGE} {{ a = Conv(x, w) c = LeakyRelu<alpha=0.2>(a) y = Conv(c, v) }}", "c", CONV),
    "prelu": (f"{IMAGE} {{ a = Conv(x, w) c = PRelu(a, s) y = Conv(c, v) }}", "c", {**CONV, "s": normal(4, 1, 1)}),
    "max pool": (f"{IMAGE} {{ a = Conv(x, w) c = MaxPool<kernel_shape=[2,2]>(a) y = Conv(c, v) }}", "c", CONV),
    "resize": (
        f"{IMAGE} {{ a = Conv(x, w) c = Resize<mode=\"nearest\">(a, , r) y = Conv(c, v) }}",
        "c", {**CONV, "r": np.array([1, 1, 2, 2], np.float32)},
    ),
    "pad": (
        f"{IMAGE} {{ a = Conv(x, w) c = Pad(a, p) y = Conv(c, v) }}",
        "c", {**CONV, "p": np.array([0, 0, 1, 1, 0, 0, 1, 1])},
    ),
    "depthwise": (
        f"{IMAGE} {{ a = Conv(x, w) c = Conv<group=4>(a, d, b) y = Conv(c, v) }}",
        "ac", {**CONV, "d": normal(4, 1, 3, 3)},
    ),
    "grouped": (
        f"{IMAGE} {{ a = Conv(x, w) c = Conv<group=2>(a, d) y = Conv(c, v) }}", "ac", {**CONV, "d": normal(4, 2, 3, 3)},
    ),
    "transposed": (
        f"{IMAGE} {{ a = Conv(x, w) c = ConvTranspose<group=2>(a, d, b) y = Conv(c, v) }}",
        "ac", {**CONV, "d": normal(4, 2, 3, 3)},
    ),
    "batchnorm": (
        f"{IMAGE} {{ a = Conv(x, w) c = BatchNormalization(a, g, h, m, z) y = Conv(c, v) }}",
        "c", {**CONV, **{k: np.abs(normal(4, seed=i)) + 0.1 for i, k in enumerate("ghmz")}},
    ),
    "residual": (
        f"{IMAGE} {{ a = Conv<{PADS}>(x, w, b) c = Conv<{PADS}>(a, u) d = Add(a, c) e = Conv<{PADS}>(d, t)"
        " f = Sub(d, e) y = Conv(f, v) }",
        "f", {**CONV, "u": normal(4, 4, 3, 3), "t": normal(4, 4, 3, 3, seed=2)},
    ),
    "constant summand": (
        f"{IMAGE} {{ a = Conv(x, w) c = Add(a, s) y = Conv(c, v) }}", "c", {**CONV, "s": normal(4, 1, 1)},
    ),
    "scalar summand": (
        f"{IMAGE} {{ a = Conv(x, w) c = Sub(s, a) y = Conv(c, v) }}", "c", {**CONV, "s": np.float32(2)},
    ),
    "concat": (
        f"{IMAGE} {{ a = Conv(x, w) z = Conv(x, k) s = Sigmoid(z)"
        " c = Concat<axis=1>(a, s, a) y = Conv(c, t) }",
        "c", {**CONV, "k": normal(2, 3, 3, 3), "t": normal(5, 10, 3, 3)},
    ),
    "split": (
        f"{IMAGE} {{ a = Conv(x, w) c, d = Split<axis=1, num_outputs=2>(a) f = Sigmoid(d) e = Mul(c, f)"
        " y = Conv(e, t) }",
        "e", {**CONV, "t": normal(5, 2, 3, 3)},
    ),
    "squeeze and excite": (
        f"{IMAGE} {{ a = Conv(x, w) g = GlobalAveragePool(a) h = Conv(g, s) i = Sigmoid(h) c = Mul(i, a)"
        " y = Conv(c, v) }",
        "c", {**CONV, "s": normal(4, 4, 1, 1)},
    ),
    "flatten": (
        "(float[N,3,4,4] x) => (float[N,3] y) { a = Conv(x, w, b) c = Flatten(a) y = Gemm(c, t, k) }",
        "c", {**CONV, "t": normal(16, 3), "k": np.float32(1).reshape(1)},
    ),
    "mean": (
        "(float[N,3,4,4] x) => (float[N,3] y) { a = Conv(x, w, b) c = ReduceMean<keepdims=0>(a, i) y = MatMul(c, t) }",
        "c", {**CONV, "t": normal(4, 3), "i": np.array([2, 3])},
    ),
    "gemm": (f"{ROWS} {{ a = Gemm<transB=1>(x, w, b) c = Relu(a) y = Gemm(c, v) }}", "c",
             {"w": normal(8, 6), "b": normal(8), "v": normal(8, 3)}),
    "tokens": (f"{TOKENS} {{ a = MatMul(x, w) c = Add(a, b) d = Relu(c) y = MatMul(d, v) }}", "d",
               {"w": normal(6, 8), "b": normal(8), "v": normal(8, 3)}),
    "layernorm": (f"{TOKENS} {{ c = LayerNormalization(x, g, h) y = MatMul(c, v) }}", "c",
                  {"g": normal(6), "h": normal(6, seed=1), "v": normal(6, 3)}),
    "heads": (
        f"{TOKENS} {{ a = MatMul(x, w) r = Reshape(a, s) t = Transpose<perm=[0,2,1,3]>(r) "
        "u = Transpose<perm=[0,2,1,3]>(t) c = Reshape(u, q) y = MatMul(c, v) }",
        "a", {"w": normal(6, 8), "s": np.array([0, 7, 8, 1]), "q": np.array([0, 7, 8]), "v": normal(8, 3)},
    ),
    "class token": (
        "(float[N,7,6] x) => (float[N,3] y) { a = LayerNormalization(x, g) c = Gather<axis=1>(a, i) y = MatMul(c, v) }",
        "c", {"g": normal(6), "i": np.array(0), "v": normal(6, 3)},
    ),
}  # fmt: skip

# Name: graph whose channels must all be fixed, constants.
FIXED_ALL = {
    "output": ("(float[N,3,8,8] x) => (float[N,4,6,6] y) { y = Conv(x, w, b) }", CONV),
    "sigmoid": (f"{IMAGE} {{ a = Conv(x, w, b) c = Sigmoid(a) y = Conv(c, v) }}", CONV),
    "input in a sum": (
        f"{IMAGE} {{ a = Conv<{PADS}>(x, u) c = Add(a, x) y = Conv(c, t) }}",
        {"u": normal(3, 3, 3, 3), "t": normal(5, 3, 3, 3)},
    ),
    "shared weight": (
        f"{IMAGE} {{ a = Conv<{PADS}>(x, u) c = Conv<{PADS}>(a, u) y = Conv(c, t) }}",
        {"u": normal(3, 3, 3, 3), "t": normal(5, 3, 3, 3)},
    ),
    "padding with ones": (
        f"{IMAGE} {{ a = Conv(x, w) c = Pad(a, p, o) y = Conv(c, v) }}",
        {**CONV, "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "o": np.float32(1)},
    ),
    "resizing beyond the image": (
        f"{IMAGE} {{ a = Conv(x, w) c = Resize<mode=\"nearest\", extrapolation_value=1.0>(a, , r) y = Conv(c, v) }}",
        {**CONV, "r": np.array([1, 1, 2, 2], np.float32)},
    ),
    "two axes": (
        "(float[N,3,8,8] x) => (float[N,4,6,3] y) { a = Conv(x, w) y = MatMul(a, t) }", {**CONV, "t": normal(6, 3)},
    ),
    "mean of channels": (
        f"{IMAGE} {{ a = Conv(x, w) m = ReduceMean(a, i) c = Conv(m, t) y = Concat<axis=1>(c, a) }}",
        {**CONV, "t": normal(1, 1, 1, 1), "i": np.array([1])},
    ),
    "body": (
        "(float[N,3,8,8] x, bool q) => (float[N,5,4,4] y) { a = Conv(x, w) "
        "c = If<then_branch=t() => (float[N,4,6,6] k) { k = Relu(a) }, else_branch=e() => (float[N,4,6,6] k) "
        "{ k = Neg(a) }>(q) d = Add(c, a) y = Conv(d, v) }",
        CONV,
    ),
}  # fmt: skip


def codes(graph: Graph, seed: int, most: int = 40) -> np.ndarray:
    found = np.random.default_rng(seed).integers(-most, most + 1, len(Coupling.of(graph).groups)).astype(np.int8)
    found[FIXED] = 0
    return found


@pytest.mark.parametrize("name", FREE)
def test_factors_cancel(name: str) -> None:
    text, free, constants = FREE[name]
    graph = net(text, **constants)
    coupling = Coupling.of(graph)
    assert set(free) <= coupling.values.keys()
    assert len({id for value in free for id in coupling.values[value].ids} - {FIXED}) >= len(free)
    chosen = codes(graph, 3)
    scaled = scale_channels(graph, coupling, chosen)
    assert_same(graph, scaled, tolerance=1e-5)
    for value in free:
        channels = coupling.values[value]
        shape = [-1 if axis == channels.axis else 1 for axis in range(len(graph.tensor(value).shape or ()))]
        before, after = (evaluate(one, feeds(graph), (value,))[value] for one in (graph, scaled))
        factors = np.exp2(chosen[channels.ids] / 16).reshape(shape)
        np.testing.assert_allclose(after, before * factors, rtol=1e-3, atol=1e-4 * np.abs(after).max())
        np.testing.assert_array_equal(factors_of(scaled)[value].codes, chosen[channels.ids])


@pytest.mark.parametrize("name", FIXED_ALL)
def test_channels_that_no_factor_may_change(name: str) -> None:
    text, constants = FIXED_ALL[name]
    assert Coupling.of(net(text, **constants)).values == {}


def test_what_meets_in_a_sum_is_one_group_and_layers_part_groups() -> None:
    graph = net(FREE["residual"][0], **FREE["residual"][2])
    coupling = Coupling.of(graph)
    assert len({tuple(coupling.values[name].ids) for name in "acdf"}) == 1
    assert coupling.groups.max() == 1
    apart = Coupling.of(net(FREE["depthwise"][0], **FREE["depthwise"][2]))
    assert apart.groups.max() == 2


def test_clips_carry_channels_whose_elements_they_do_not_cut() -> None:
    graph = net(f"{IMAGE} {{ a = Conv(x, w) c = Clip(a, l, h) y = Conv(c, v) }}",
                **CONV, l=np.float32(0), h=np.float32(1000))  # fmt: skip
    assert_same(graph, scale_channels(graph, Coupling.of(graph), codes(graph, 1)), tolerance=1e-5)
    other = net(f"{IMAGE} {{ a = Conv(x, w) c = Clip(a, l, h) y = Conv(c, v) }}",
                **CONV, l=np.float32(-1), h=np.float32(1000))  # fmt: skip
    assert Coupling.of(other).values == {}


def test_the_model_file_says_what_was_scaled() -> None:
    graph = net(FREE["residual"][0], **FREE["residual"][2])
    scaled = scale_channels(graph, Coupling.of(graph), codes(graph, 1))
    again = lift(export(scaled))
    assert {name: one.codes.tolist() for name, one in factors_of(again).items()} == {
        name: one.codes.tolist() for name, one in factors_of(scaled).items()
    }
    assert factors_of(graph) == {}


@pytest.mark.parametrize("name", FREE)
def test_a_graph_is_scaled_like_another(name: str) -> None:
    graph = net(FREE[name][0], **FREE[name][2])
    once = scale_channels(graph, Coupling.of(graph), codes(graph, 1))
    twice = scale_channels(once, Coupling.of(once), codes(graph, 2))
    found = scaled_like(graph, twice)
    assert_same(graph, twice, tolerance=1e-4)
    for key, constant in twice.constants.items():
        np.testing.assert_allclose(found.constants[key].value, constant.value, rtol=1e-5)
    assert scaled_like(twice, found) is twice
    assert scaled_like(graph, graph) is graph
    back = scaled_like(twice, graph)
    assert_same(graph, back, tolerance=1e-4)
    assert not any(one.codes.any() for one in factors_of(back).values())


def test_another_models_factors_are_left() -> None:
    graph = net(FREE["relu"][0], **FREE["relu"][2])
    other = net(FREE["gemm"][0], **FREE["gemm"][2])
    assert scaled_like(graph, scale_channels(other, Coupling.of(other), codes(other, 1))) is graph


@settings(max_examples=200, deadline=None)
@given(st.floats(1 / 256, 256), st.floats(1e-9, 1), st.floats(1, 1e9))
def test_codes_are_near_and_keep_to_their_bounds(factor: float, lower: float, upper: float) -> None:
    factor = min(max(factor, lower), upper)
    found = 2.0 ** (nearest_codes(*map(np.atleast_1d, (factor, lower, upper)))[0] / 16)
    assert lower * (1 - 1e-6) <= found <= upper * (1 + 1e-6)
    assert abs(np.log2(found / factor)) <= 1 / 16 + 1e-6
