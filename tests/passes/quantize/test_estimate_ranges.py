"""Ranges from BatchNorms: those of normal data, followed through the operators behind them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import qir
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.target import target
from tests.passes.graphs import net, normal

HEAD = "(float[N,4,8,8] x) => (float[N,k,h,w] y) { n = BatchNormalization(x, gamma, beta, mean, var) "
TAILS = {
    "relu": "y = Relu(n) }",
    "clip": "y = Clip(n, zero, two) }",
    "layer": "r = Relu(n) y = Conv(r, v, c) }",
    "depthwise": "r = Relu(n) y = Conv<group=4>(r, u) }",
    "sum": "r = Relu(n) y = Add(r, n) }",
    "concat": "r = Relu(n) y = Concat<axis=1>(r, n) }",
    "pool": "r = Relu(n) y = MaxPool<kernel_shape=[2,2]>(r) }",
}
KNOWN = {
    "gamma": normal(4, seed=1), "beta": normal(4, seed=2), "mean": normal(4, seed=3), "zero": np.float32(0),
    "var": np.abs(normal(4, seed=4)) + 0.5, "v": normal(6, 4, 1, 1), "c": normal(6), "u": normal(4, 1, 1, 1),
    "two": np.float32(2),
}  # fmt: skip


def graph(tail: str) -> Graph:
    text = HEAD + TAILS[tail]
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return net(text, **{name: value for name, value in KNOWN.items() if name in words})


def estimated(given: Graph) -> tuple[Graph, Context]:
    context = Context(target("onnx"))
    return run(given, parse_pipeline("estimate-ranges"), context), context


def samples(count: int = 200) -> np.ndarray:
    """Data of the mean and variance that the BatchNorm learnt."""
    shape = (1, 4, 1, 1)
    return (normal(count, 4, 8, 8) * np.sqrt(KNOWN["var"]).reshape(shape) + KNOWN["mean"].reshape(shape)).astype(
        np.float32
    )


@pytest.mark.parametrize("tail", TAILS)
def test_ranges_hold_the_values_and_are_not_much_wider(tail: str) -> None:
    found, context = estimated(graph(tail))
    values = evaluate(found, {"x": samples()}, taps=["n", "y"])
    assert "x" not in found.ranges
    for name in ("n", "y"):
        low, high = found.ranges[name]
        assert low <= values[name].min()
        assert values[name].max() <= high
        assert high - low < 3 * (values[name].max() - values[name].min())
    assert "ranges from BatchNorm statistics" in context.notes[-1]


@pytest.mark.parametrize("tail", ["relu", "clip", "layer", "depthwise", "concat"])
def test_moments_are_those_of_the_data(tail: str) -> None:
    found, context = estimated(graph(tail))
    values = evaluate(found, {"x": samples(400)}, taps=["y"])["y"]
    np.testing.assert_allclose(context.moments["y"].mean, values.mean(axis=(0, 2, 3)), atol=0.05)
    np.testing.assert_allclose(context.moments["y"].std, values.std(axis=(0, 2, 3)), atol=0.05)


def test_models_without_batchnorms_are_left_alone() -> None:
    given = net("(float[N,4,8,8] x) => (float[N,6,8,8] y) { y = Conv(x, v) }", v=KNOWN["v"])
    found, context = estimated(given)
    assert found is given
    assert not context.notes


def model() -> tuple[onnx.ModelProto, np.ndarray]:
    """Two normalised layers and a head, with statistics that fit the data."""
    data = normal(64, 3, 8, 8)
    random = {"w": normal(8, 3, 3, 3) / 5, "v": normal(8, 8, 3, 3, seed=1) / 8, "h": normal(4, 8, seed=2)}
    ones = {"s": np.abs(normal(8, seed=5)) + 0.5, "t": normal(8, seed=6)}
    body = """(float[N,3,8,8] x) => (float[N,4] y) {
        a = Conv<pads=[1,1,1,1]>(x, w) n = BatchNormalization(a, s, t, m1, v1) r = Relu(n)
        c = Conv<pads=[1,1,1,1]>(r, v) o = BatchNormalization(c, s, t, m2, v2) q = Relu(o)
        p = GlobalAveragePool(q) f = Flatten(p) y = Gemm<transB=1>(f, h) }"""
    fitted = {"m1": np.zeros(8, np.float32), "v1": np.ones(8, np.float32),
              "m2": np.zeros(8, np.float32), "v2": np.ones(8, np.float32)}  # fmt: skip
    for value, mean, variance in (("a", "m1", "v1"), ("c", "m2", "v2")):
        found = evaluate(net(body, **random, **ones, **fitted), {"x": data}, taps=[value])[value]
        fitted |= {mean: found.mean(axis=(0, 2, 3)), variance: found.var(axis=(0, 2, 3))}
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {body}')
    for name, value in {**random, **ones, **fitted}.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return proto, data


@pytest.mark.parametrize("where", ["onnx", "portable"])
def test_a_model_compiles_without_data(where: str) -> None:
    proto, data = model()
    shapes = {"N": 1} if where == "portable" else None
    found = qir.compile(proto, target=where, shapes=shapes)
    again = qir.compile(proto, target=where, shapes=shapes)
    assert found.notes == again.notes
    assert any("ranges from BatchNorm statistics" in note for note in found.notes)
    assert any("corrected the biases" in note for note in found.notes)
    names = [one.name for one in found.passes]
    assert "estimate-ranges" in names
    assert "calibrate" not in names
    quant = found.rounding.quant
    assert quant is not None
    assert [quant.tensor(node.inputs[0]).quant is None for node in quant.nodes if node.op == "Conv"] == [True, False]
    wanted, got = (evaluate(one, {"x": data[:1]})["y"] for one in (qir.lift(proto), quant))
    assert np.square(wanted).sum() > 1000 * np.square(wanted - got).sum()
