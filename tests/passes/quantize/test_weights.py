"""Rounding of weights and biases: axes, sharing, 16-bit pairs, overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.evaluate import evaluate
from qir.ir.dtype import INT8, INT32
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.passes.quantize.saturation import pair_partners, without_saturation, worst_pair
from qir.quant.scales import decode, encode, weight_params
from qir.recipe import Recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, apply, samples

LAYERS: dict[str, tuple[str, tuple[int, ...], int]] = {
    "conv": ("Conv <pads=[1,1,1,1]> (x, w)", (6, 4, 3, 3), 0),
    "depthwise": ("Conv <group=4> (x, w)", (4, 1, 3, 3), 0),
    "transposed": ("ConvTranspose (x, w)", (4, 6, 2, 2), 1),
    "matmul": ("MatMul (x, w)", (8, 5), 1),
}


def layer(name: str, where: str = "portable", recipe: Recipe | None = None) -> Graph:
    text, shape, _ = LAYERS[name]
    graph = net(f"(float[1,4,8,8] x) => (float[a,b,c,d] y) {{ y = {text} }}", w=normal(*shape))
    return apply("calibrate{method=minmax},quantize,quantize-weights", graph, where, recipe)


@pytest.mark.parametrize("name", LAYERS)
def test_one_scale_an_output_channel(name: str) -> None:
    graph, (_, shape, axis) = layer(name), LAYERS[name]
    quant = graph.tensor("w").quant
    assert quant is not None
    assert (quant.axis, quant.scale.shape) == (axis, (shape[axis],))
    assert (quant.qmin, quant.qmax) == (-127, 127)
    codes = graph.constants["w"].codes
    assert codes is not None
    assert np.abs(decode(codes, quant) - graph.constants["w"].value).max() <= quant.scale.max() / 2 * 1.001


@pytest.mark.parametrize("transposed", [0, 1])
def test_channels_of_a_gemm(transposed: int) -> None:
    w = normal(5, 8) if transposed else normal(8, 5)
    graph = net(f"(float[N,8] x) => (float[N,5] y) {{ y = Gemm <transB={transposed}> (x, w, b) }}", w=w, b=normal(5))
    graph = apply(ALL, graph)
    quant, bias = graph.tensor("w").quant, graph.tensor("b").quant
    assert quant is not None
    assert quant.axis == 1 - transposed
    assert bias is not None
    x = graph.tensor("x").quant
    assert x is not None
    np.testing.assert_array_equal(bias.scale, x.scale * quant.scale)


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize("name", LAYERS)
def test_one_scale_a_tensor(name: str, where: str) -> None:
    graph = layer(name, where, Recipe().with_override("*", per_channel=False))
    quant = graph.tensor("w").quant
    assert quant is None if (name, where) == ("transposed", "onnx") else quant is not None and quant.scale.shape == ()


def test_grouped_transposed_weights_have_one_scale() -> None:
    """Their axis 1 counts the channels of one group only."""
    graph = net("(float[1,4,8,8] x) => (float[a,b,c,d] y) { y = ConvTranspose <group=2> (x, w) }", w=normal(4, 3, 2, 2))
    quant = apply(ALL, graph).tensor("w").quant
    assert quant is not None
    assert quant.axis is None


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize("shape", [(8,), (4, 8, 5), (1, 8, 5)])
def test_products_with_vectors_and_stacks_of_matrices(where: str, shape: tuple[int, ...]) -> None:
    out = "float[1,4,8] y" if len(shape) == 1 else "float[1,4,8,5] y"
    before = net(f"(float[1,4,8,8] x) => ({out}) {{ y = MatMul (x, w) }}", w=normal(*shape))
    after, feed = apply(ALL, before, where), samples(before)
    expected, found = evaluate(before, feed)["y"], evaluate(after, feed)["y"]
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("where", ["onnx", "portable"])
def test_a_weight_that_two_layers_share_is_rounded_for_each(where: str) -> None:
    before = net("(float[N,8] x) => (float[N,8] y) { a = MatMul(x, w) r = Relu(a) y = MatMul(r, w) }", w=normal(8, 8))
    after = apply(ALL, before, where)
    weights = {node.inputs[1] for node in after.nodes if node.op == "MatMul"}
    assert len(weights) == 2
    assert all(after.constants[name].codes is not None for name in weights)


def test_a_weight_that_is_a_result_too_stays_real_there() -> None:
    before = net("(float[N,8] x) => (float[N,8] y, float[8,8] w) { y = MatMul(x, w) }", w=normal(8, 8))
    after = apply(ALL, before)
    assert after.tensor("w").quant is None
    np.testing.assert_array_equal(evaluate(after, samples(before))["w"], before.constants["w"].value)


# Sums of neighbours


def neighbours(node: Node, codes: np.ndarray) -> int:
    """The largest sum of two codes of one sign in the three orders that kernels know, written out plainly."""
    if node.op != "Conv":
        matrix = codes if node.attr("transB", 0) else codes.T
        orders = [matrix]
    else:
        channels_last = np.moveaxis(codes, 1, -1)
        orders = [codes.reshape(len(codes), -1), channels_last.reshape(len(codes), -1)]
        orders += list(channels_last.reshape(len(codes), -1, codes.shape[1]).transpose(1, 0, 2))
    worst = 0
    for matrix in orders:
        for row in matrix.astype(int).tolist():
            for a, b in zip(row[0::2], row[1::2], strict=False):
                worst = max(worst, abs(a + b) if (a > 0) == (b > 0) else max(abs(a), abs(b)))
    return worst


SHAPES = [("Conv", (3, 4, 3, 3)), ("Conv", (2, 3, 2, 2)), ("Conv", (2, 1, 5)), ("Conv", (3, 5, 1, 1)),
          ("Gemm", (7, 3)), ("MatMul", (6, 2))]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SHAPES), st.integers(0, 10**6), st.sampled_from([0.3, 1, 3]), st.booleans(), st.booleans())
def test_no_pair_saturates_16_bits(
    case: tuple[str, tuple[int, ...]], seed: int, power: float, per_channel: bool, positive: bool
) -> None:
    op, shape = case
    weight = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    weight = np.sign(weight) * np.abs(weight) ** power
    node = Node(op, ("x", "w"), ("y",))
    check_pairs(node, np.abs(weight) if positive else weight, per_channel)


def check_pairs(node: Node, weight: np.ndarray, per_channel: bool) -> None:
    axis = (0 if node.op == "Conv" or node.attr("transB", 0) else 1) if per_channel else None
    before = weight_params(np.asarray(weight, np.float32), INT8, axis)
    after = without_saturation(node, weight, before, 128)
    codes, partners = encode(weight, after), pair_partners(node, weight)
    assert partners is not None
    assert neighbours(node, codes) == worst_pair(node, codes, partners).max() <= 128
    assert (after.scale >= before.scale).all()
    assert (after.scale <= before.scale * 2.01).all(), "more is given up than two codes of 127 need"


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(
    "weight",
    [
        np.ones((2, 4, 3, 3)),
        -np.ones((2, 3, 3, 3)),
        np.full((1, 2, 1, 1), 1e-30),
        np.stack([np.ones((4, 3, 3)), np.zeros((4, 3, 3))]),
        np.where(np.arange(36).reshape(1, 4, 3, 3) % 2, 1.0, 0.5),
        np.linspace(0.999, 1.001, 72).reshape(2, 4, 3, 3),
    ],
)
def test_adversarial_weights_do_not_saturate(weight: np.ndarray, per_channel: bool) -> None:
    check_pairs(Node("Conv", ("x", "w"), ("y",)), weight.astype(np.float32), per_channel)


def test_transposed_gemm_pairs_lie_along_its_rows() -> None:
    weight = np.array([[1, -1, 1, -1], [1, 1, 1, 1]], np.float32)
    node = Node("Gemm", ("x", "w"), ("y",), {"transB": 1})
    before = weight_params(weight, INT8, 0)
    after = without_saturation(node, weight, before, 128)
    assert after.scale[0] == before.scale[0]
    assert after.scale[1] > 1.9 * before.scale[1]


@pytest.mark.parametrize("name", ["depthwise", "transposed"])
def test_what_no_such_kernel_runs_keeps_its_full_range(name: str) -> None:
    text, shape, axis = LAYERS[name]
    weight = np.ones(shape, np.float32)
    graph = net(f"(float[1,4,8,8] x) => (float[a,b,c,d] y) {{ y = {text} }}", w=weight)
    before = weight_params(weight, INT8, axis)
    assert without_saturation(graph.nodes[0], weight, before, 128) is before


# Biases


def gemm(w: np.ndarray, b: np.ndarray, **attrs: Any) -> Graph:
    return net(
        f"(float[N,{w.shape[0]}] x) => (float[N,{w.shape[1]}] y) {{ y = Gemm (x, w, b) }}",
        w=np.asarray(w, np.float32),
        b=np.asarray(b, np.float32),
    )


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-12, 1e-30, 1e-38])
def test_biases_never_overflow(scale: float) -> None:
    """Where s_x s_w is tiny, weights give up precision, so that the bias keeps its own."""
    before = gemm(normal(8, 3) * scale, [5.0, -2.0, 0.0])
    data = {"x": normal(64, 8) * np.float32(1e-3)}
    after = apply(ALL, before, data=data)
    codes, quant = after.constants["b"].codes, after.tensor("b").quant
    assert codes is not None
    assert quant is not None
    assert quant.storage == INT32
    np.testing.assert_allclose(decode(codes, quant), before.constants["b"].value, atol=1e-4)
    weight, x = after.tensor("w").quant, after.tensor("x").quant
    assert weight is not None
    assert x is not None
    np.testing.assert_array_equal(quant.scale, x.scale * weight.scale)
    accumulator = np.abs(codes.astype(np.int64)) + 255 * np.abs(after.constants["w"].codes.astype(np.int64)).sum(0)  # type: ignore[union-attr]
    assert accumulator.max() < 2**31


@pytest.mark.parametrize("shape", [(3,), (1,), (), (1, 3), (1, 1)])
@pytest.mark.parametrize("where", ["onnx", "portable"])
def test_biases_of_every_shape(shape: tuple[int, ...], where: str) -> None:
    before = gemm(normal(8, 3), normal(*shape))
    after, feed = apply(ALL, before, where), samples(before)
    (node,) = (node for node in after.nodes if node.op == "Gemm")
    assert after.tensor(node.inputs[2]).quant is not None
    np.testing.assert_allclose(evaluate(after, feed)["y"], evaluate(before, feed)["y"], atol=0.2)


def test_products_that_could_overflow_leave_the_bias_real() -> None:
    before = gemm(np.ones((70_000, 1)), [1.0])
    after = apply("calibrate{method=minmax},quantize,quantize-weights,quantize-biases", before,
                  data={"x": normal(2, 70_000)})  # fmt: skip
    assert after.tensor("b").quant is None


@pytest.mark.parametrize(("codes", "rounded"), [((-1, 1), False), ((0, 15), False), ((-8, 7), False), ((0, 16), True)])
def test_biases_beside_few_codes_stay_real(codes: tuple[int, int], rounded: bool) -> None:
    before = gemm(normal(8, 3), normal(3))
    kind = before.tensor("x")
    quant = Affine(INT8, np.float32(0.3), 0, qmin=codes[0], qmax=codes[1])
    before = before.with_(types={**before.types, "x": TensorType(kind.dtype, kind.shape, quant)}, stage=Stage.QUANT)
    after = apply("quantize-weights,quantize-biases", before)
    assert after.tensor("w").quant is not None
    assert rounded == (after.tensor("b").quant is not None)
