"""Channels moved by offsets that biases take: the function of the network stays, and the graph says what was done."""

from __future__ import annotations

import numpy as np
import pytest

from qir.coupling import Coupling
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.rewrite.channel_offsets import Offsets, all_offsets, movable, move_channels, moved_like, offsets_of
from tests.passes.graphs import assert_same, feeds, net, normal

CONV = {"w": normal(4, 3, 3, 3), "b": normal(4), "v": normal(5, 4, 1, 1, seed=1)}
IMAGE = "(float[N,3,8,8] x) => (float[N,5,p,q] y)"
PADS = "pads=[1,1,1,1]"

# Name: graph, the values that layers make and that may move, constants.
MOVABLE = {
    "biased": (f"{IMAGE} {{ a = Conv(x, w, b) y = Conv(a, v, c) }}", "a", {**CONV, "c": normal(5)}),
    "no bias": (f"{IMAGE} {{ a = Conv(x, w) y = Conv(a, v) }}", "a", CONV),
    "grouped": (f"{IMAGE} {{ a = Conv(x, w) c = Conv<group=2>(a, d) y = Conv(c, v) }}", "ac",
                {**CONV, "d": normal(4, 2, 3, 3)}),
    "transposed": (f"{IMAGE} {{ a = ConvTranspose(x, t) y = Conv(a, v) }}", "a", {**CONV, "t": normal(3, 4, 2, 2)}),
    "residual": (
        f"{IMAGE} {{ a = Conv(x, w, b) d = Conv<{PADS}>(x, l) p = MaxPool<kernel_shape=[3,3]>(d) s = Add(a, p) "
        "e = Conv(s, k) u = Sub(s, e) y = Conv(u, v) }",
        "e", {**CONV, "k": normal(4, 4, 1, 1), "l": normal(4, 3, 3, 3)},
    ),
    "constant summand": (
        f"{IMAGE} {{ a = Conv(x, w) c = Add(a, s) y = Conv(c, v) }}", "a", {**CONV, "s": normal(4, 1, 1)},
    ),
    "pooled and flattened": (
        "(float[N,3,8,8] x) => (float[N,3] y) { a = Conv(x, w, b) c = AveragePool<kernel_shape=[3,3]>(a) "
        "d = Flatten(c) y = Gemm<transB=1>(d, t) }",
        "a", {**CONV, "t": normal(3, 64)},
    ),
    "mean": (
        "(float[N,3,8,8] x) => (float[N,3] y) { a = Conv(x, w) c = GlobalAveragePool(a) d = Flatten(c)"
        " y = Gemm(d, t) }",
        "a", {**CONV, "t": normal(4, 3)},
    ),
    "batchnorm": (
        f"{IMAGE} {{ a = Conv(x, w) c = BatchNormalization(a, g, h, m, z) y = Conv(c, v) }}",
        "c", {**CONV, **{k: np.abs(normal(4, seed=i)) + 0.1 for i, k in enumerate("ghmz")}},
    ),
}  # fmt: skip

# Name: graph of which nothing may move, constants.
HELD = {
    "padding": (f"{IMAGE} {{ a = Conv(x, w) y = Conv<{PADS}>(a, k) }}", {**CONV, "k": normal(5, 4, 3, 3)}),
    "automatic padding": (
        f"{IMAGE} {{ a = Conv(x, w) y = Conv<auto_pad=\"SAME_UPPER\">(a, k) }}", {**CONV, "k": normal(5, 4, 3, 3)},
    ),
    "windows that reach beyond": (
        f"{IMAGE} {{ a = Conv(x, w) c = AveragePool<kernel_shape=[4,4], strides=[3,3], ceil_mode=1>(a)"
        " y = Conv(c, v) }",
        CONV,
    ),
    "output": ("(float[N,3,8,8] x) => (float[N,4,6,6] y) { y = Conv(x, w, b) }", CONV),
    "leaky": (f"{IMAGE} {{ a = Conv(x, w) c = LeakyRelu(a) y = Conv(c, v) }}", CONV),
    "relu behind a sum": (
        f"{IMAGE} {{ a = Conv(x, w) d = Conv(x, w, b) s = Add(a, d) c = Relu(s) y = Conv(c, v) }}", CONV,
    ),
    "doubled": (f"{IMAGE} {{ a = Conv(x, w) c = Add(a, a) y = Conv(c, v) }}", CONV),
    "no room for a bias": (
        "(float[N,7,6] x) => (float[N,7,3] y) { a = LayerNormalization(x, g) y = MatMul(a, v) }",
        {"g": normal(6), "v": normal(6, 3)},
    ),
}  # fmt: skip


def offsets(graph: Graph, seed: int = 1) -> dict[str, Offsets]:
    coupling = Coupling.of(graph)
    return {
        name: Offsets.nearest(normal(coupling.values[name].ids.size, seed=seed + number))
        for number, name in enumerate(movable(graph, coupling))
    }


def moved(graph: Graph, seed: int = 1) -> Graph:
    return move_channels(graph, Coupling.of(graph), offsets(graph, seed))


@pytest.mark.parametrize("name", MOVABLE)
def test_offsets_cancel(name: str) -> None:
    graph = net(MOVABLE[name][0], **MOVABLE[name][2])
    coupling = Coupling.of(graph)
    assert set(MOVABLE[name][1]) <= set(movable(graph, coupling))
    after = moved(graph)
    assert_same(graph, after, tolerance=1e-5)
    every = all_offsets(graph, coupling, {value: one.values for value, one in offsets(graph).items()})
    for value, offset in every.items():
        shape = [
            -1 if axis == coupling.values[value].axis else 1 for axis in range(len(graph.tensor(value).shape or ()))
        ]
        was, now = (evaluate(one, feeds(graph), (value,))[value] for one in (graph, after))
        np.testing.assert_allclose(now, was - offset.reshape(shape), atol=1e-4)


@pytest.mark.parametrize("name", HELD)
def test_what_must_stay(name: str) -> None:
    graph = net(HELD[name][0], **HELD[name][1])
    assert movable(graph, Coupling.of(graph)) == []


def test_relus_pass_what_is_below_their_results() -> None:
    graph = net(
        f"{IMAGE} {{ a = Conv(x, w, b) c = Relu(a) y = Conv(c, v) }}", **{**CONV, "b": np.full(4, 60, np.float32)}
    )
    coupling = Coupling.of(graph)
    assert movable(graph, coupling) == ["a"]
    low = evaluate(graph, feeds(graph), ("c",))["c"].min(axis=(0, 2, 3))
    assert (low > 0).all()
    assert_same(graph, move_channels(graph, coupling, {"a": Offsets.nearest(low)}), tolerance=1e-5)


@pytest.mark.parametrize("name", MOVABLE)
def test_a_graph_is_moved_like_another(name: str) -> None:
    graph = net(MOVABLE[name][0], **MOVABLE[name][2])
    after = moved(graph)
    again = lift(export(after))
    assert {value: one.values.tolist() for value, one in offsets_of(again).items()} == {
        value: one.values.tolist() for value, one in offsets(graph).items()
    }
    found = moved_like(graph, again)
    assert_same(found, after, tolerance=1e-6)
    inner = tuple(MOVABLE[name][1])
    one, other = evaluate(found, feeds(graph), inner), evaluate(after, feeds(graph), inner)
    for value in inner:
        np.testing.assert_allclose(one[value], other[value], atol=1e-5)
    assert moved_like(after, after) is after


def test_another_models_offsets_are_left() -> None:
    graph = net(MOVABLE["biased"][0], **MOVABLE["biased"][2])
    other = net("(float[N,6] x) => (float[N,3] y) { a = Gemm(x, w) y = Gemm(a, v) }", w=normal(6, 9), v=normal(9, 3))
    assert moved_like(graph, moved(other)) is graph


def test_offsets_are_rounded_towards_zero() -> None:
    wanted = normal(50)
    found = Offsets.nearest(wanted)
    assert (np.abs(found.values) <= np.abs(wanted) * (1 + 1e-6)).all()
    assert np.abs(found.values - wanted).max() <= found.unit * (1 + 1e-6)
    assert not Offsets.nearest(np.zeros(3)).codes.any()
