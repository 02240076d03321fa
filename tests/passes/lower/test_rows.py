"""Softmax and LayerNormalization on codes against the operators that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.dtype import INT8, INT16, UINT8, DType
from qir.ir.graph import Graph
from qir.ir.types import Affine, TensorType
from qir.quant.scales import decode, encode
from tests.passes.graphs import net, normal, ops
from tests.passes.lower.test_integer import lowered, with_codes

CODED = ["qir.Quantize", "qir.Dequantize"]


def check(graph: Graph, x: np.ndarray, exact: np.ndarray) -> None:
    """At most one code apart, on at most 0.5 % of the elements; those within 1e-5 of a tie are not counted.

    Args:
        exact: the result in float64.
    """
    quant = graph.tensor("y").quant
    assert quant is not None
    expected, found = (evaluate(one, {"x": x})["y"] for one in (graph, lowered(graph)))
    steps = np.abs(found - expected) / float(quant.scale)
    assert steps.max() < 1 + 1e-3
    real = exact / float(quant.scale)
    counted = np.abs(real - np.floor(real) - 0.5) > 1e-5
    assert counted.sum() >= 10**5
    assert (steps[counted] > 0.5).mean() <= 0.005


def decoded(graph: Graph, x: np.ndarray) -> np.ndarray:
    """What the codes of x stand for, in float64."""
    quant = graph.tensor("x").quant
    assert quant is not None
    return decode(encode(x, quant), quant).astype(np.float64)


def probabilities(graph: Graph) -> Graph:
    """With the codes of probabilities at y: k / 256."""
    kind = graph.tensor("y")
    quant = Affine(UINT8, np.float32(1 / 256), np.array(0))
    return graph.with_(types={**graph.types, "y": TensorType(kind.dtype, kind.shape, quant)})


@pytest.mark.parametrize("storage", [UINT8, INT8])
@pytest.mark.parametrize(("rows", "size", "scale"), [(26000, 4, 0.02), (600, 197, 0.05), (600, 197, 0.5),
                                                     (60, 2000, 0.01)])  # fmt: skip
def test_softmax(rows: int, size: int, scale: float, storage: DType) -> None:
    graph = net(f"(float[{rows},{size}] x) => (float[a,b] y) {{ y = Softmax (x) }}")
    graph = probabilities(with_codes(graph, storage, x=scale))
    assert ops(lowered(graph)) == [CODED[0], "qir.IntSoftmax", CODED[1]]
    x = np.random.default_rng(size).normal(0, 40 * scale, (rows, size)).astype(np.float32)
    powers = np.exp(decoded(graph, x) - decoded(graph, x).max(-1, keepdims=True))
    check(graph, x, powers / powers.sum(-1, keepdims=True))


def test_softmax_along_any_axis_and_with_real_results() -> None:
    graph = with_codes(net("(float[2,5,3,4] x) => (float[a,b,c,d] y) { y = Softmax <axis=1> (x) }"), x=0.05)
    x = np.random.default_rng(0).normal(0, 2, (2, 5, 3, 4)).astype(np.float32)
    result = lowered(graph)
    assert ops(result) == [CODED[0], "qir.IntSoftmax"]
    np.testing.assert_allclose(evaluate(result, {"x": x})["y"], evaluate(graph, {"x": x})["y"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("storage", [UINT8, INT8, INT16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rows", "size", "scale"), [(26000, 4, 0.02), (1600, 64, 0.05), (60, 2000, 0.3)])
def test_layer_normalization(rows: int, size: int, scale: float, bias: bool, storage: DType) -> None:
    known = {"g": normal(size, seed=1), **({"b": normal(size, seed=2)} if bias else {})}
    graph = net(f"(float[{rows},{size}] x) => (float[a,b] y) {{ y = LayerNormalization (x, {', '.join(known)}) }}",
                **known)  # fmt: skip
    graph = with_codes(with_codes(graph, INT8, y=0.03), storage, x=scale)
    assert ops(lowered(graph)) == [CODED[0], "qir.IntLayerNorm", CODED[1]]
    x = np.random.default_rng(size).normal(scale, 30 * scale, (rows, size)).astype(np.float32)
    real = decoded(graph, x)
    real = (real - real.mean(-1, keepdims=True)) / np.sqrt(real.var(-1, keepdims=True) + 1e-5)
    check(graph, x, real * known["g"] + known.get("b", np.zeros(size)))


def test_rows_without_spread_give_the_bias() -> None:
    known = {"g": normal(8, seed=1), "b": normal(8, seed=2)}
    graph = net("(float[3,8] x) => (float[a,b] y) { y = LayerNormalization (x, g, b) }", **known)
    result = lowered(with_codes(graph, x=0.05, y=0.03))
    found = evaluate(result, {"x": np.full((3, 8), 1.7, np.float32)})["y"]
    assert np.abs(found - known["b"]).max() <= 0.5 * 0.03 + 1e-6


@pytest.mark.parametrize("text", ["LayerNormalization <axis=1> (x, g)", "LayerNormalization <epsilon=0.0> (x, g)"])
def test_other_normalizations_run_in_float(text: str) -> None:
    shape = (6, 8) if "axis" in text else (8,)
    graph = with_codes(net(f"(float[4,6,8] x) => (float[a,b,c] y) {{ y = {text} }}", g=normal(*shape)), x=0.05, y=0.03)
    assert ops(lowered(graph)) == [*CODED, "LayerNormalization", *CODED]
