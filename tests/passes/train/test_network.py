"""A graph as a torch module computes what the graph means, and has its gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qir.errors import PassError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passmanager.base import Context
from qir.recipe import recipe
from qir.target import target
from tests.passes.graphs import net, normal
from tests.passes.train.networks import context, convolutions, pictures, quantized

pytestmark = pytest.mark.needs("module:torch")

FLOAT = Context(target("onnx"))
OPERATORS = (
    "Conv(x, w)", "Conv<pads=[1,0,0,1], strides=[2,1], dilations=[1,2]>(x, w, b)", "Conv<group=4>(x, u)",
    'Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', "ConvTranspose(x, w)",
    "ConvTranspose<strides=[2,2], output_padding=[1,1], pads=[1,0,1,1]>(x, w, b)",
    "MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,0,0]>(x)",
    "MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>(x)",
    "AveragePool<kernel_shape=[3,3], pads=[1,1,0,0]>(x)",
    "AveragePool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1, count_include_pad=1>(x)",
    "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x)",
    "GlobalAveragePool(x)", "GlobalMaxPool(x)", "Flatten<axis=2>(x)", "Transpose<perm=[0,2,3,1]>(x)",
    "Reshape(x, shape)", "Concat<axis=1>(x, x)", "Slice(x, one, three, one)", "Squeeze(p, one)", "Unsqueeze(x, one)",
    "Gather<axis=2>(x, places)", "Pad(x, pads)", 'Pad<mode="reflect">(x, pads)', 'Pad<mode="edge">(x, pads)',
    "Softmax<axis=1>(x)", "LogSoftmax(x)", "LayerNormalization<axis=-1>(x, five, five)",
    "BatchNormalization(x, b, b, b, v)", "InstanceNormalization(x, b, b)", "ReduceMean(x, one)",
    "ReduceMean<keepdims=0>(x)", "ReduceSum(x, one)", "ReduceMax<keepdims=0>(x, one)",
    "Relu(x)", "LeakyRelu<alpha=0.2>(x)", "PRelu(x, c)", "Elu(x)", "Sigmoid(x)", "HardSigmoid(x)", "HardSwish(x)",
    "Tanh(x)", "Gelu(x)", 'Gelu<approximate="tanh">(x)', "Erf(x)", "Exp(x)", "Softplus(x)", "Mish(x)",
    "Clip(x, b0, b1)",
    "Add(x, c)", "Sub(c, x)", "Mul(x, x)", "Div(x, v1)", "Pow(x, two)", "Neg(x)", "Abs(x)", "Min(x, c)", "Max(x, c, x)",
    "Sum(x, x, x)", "Identity(x)", "Dropout(x)", "MatMul(x, m)", "Expand(p, wide)", "Shape(x)",
    'Resize<mode="nearest">(x, , scales)', 'Resize<mode="linear">(x, , scales)',
    'Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , , sizes)',
)  # fmt: skip
CONSTANTS = {
    "w": normal(4, 4, 3, 3) / 6, "u": normal(4, 1, 3, 3), "b": normal(4, seed=2), "v": np.abs(normal(4)) + 0.5,
    "c": normal(4, 1, 1, seed=3), "v1": np.abs(normal(4, 1, 1)) + 0.5, "m": normal(5, 3), "five": normal(5, seed=4),
    "shape": np.array([0, 2, -1]), "one": np.array([1]), "three": np.array([3]), "places": np.array([[0, -1], [2, 2]]),
    "pads": np.array([0, 0, 1, 2, 0, 0, 2, 1]), "b0": np.float32(-0.5), "b1": np.float32(0.75), "two": np.float32(2),
    "scales": np.array([1, 1, 2, 2], np.float32), "sizes": np.array([3, 4, 9, 7]),
    "wide": np.array([3, 4, 5, 5]),
}  # fmt: skip


def run(graph: Graph, given: Context, feeds: dict[str, np.ndarray], taps: list[str] | None = None) -> dict[str, object]:
    import torch

    from qir.passes.train.network import Network
    from qir.passes.train.training import threads

    with torch.no_grad(), threads(1):
        found = Network(graph, given)({name: torch.from_numpy(value) for name, value in feeds.items()}, taps or ())
    return {name: value.numpy() for name, value in found.items()}


def test_operators_give_what_onnxruntime_gives() -> None:
    """All of them in one graph, each on the input."""
    lines = [f"y{i} = {text}" for i, text in enumerate(OPERATORS)]
    declared = ", ".join(f"{'int64' if 'Shape(x)' in text[:8] else 'float'} y{i}" for i, text in enumerate(OPERATORS))
    graph = net(f"(float[3,4,5,5] x, float[3,1,5,5] p) => ({declared}) {{ {' '.join(lines)} }}", **CONSTANTS)
    feeds = {"x": normal(3, 4, 5, 5, seed=5), "p": normal(3, 1, 5, 5, seed=6)}
    expected, found = evaluate(graph, feeds), run(graph, FLOAT, feeds)
    for i, text in enumerate(OPERATORS):
        np.testing.assert_allclose(found[f"y{i}"], expected[f"y{i}"], rtol=1e-4, atol=2e-5, err_msg=text)


@pytest.mark.parametrize(
    ("numbers", "where"),
    [("int8", "onnx"), ("ternary", "onnx"), ("binary", "onnx"), ("planes3", "portable"), ("w4a4", "onnx"),
     ("w1a1", "portable"), ("wtat", "portable"), ("w2a2", "onnx"), ("weights-int4", "onnx"), ("float", "onnx")],
)  # fmt: skip
def test_values_are_those_of_the_reference(numbers: str, where: str) -> None:
    """The same codes everywhere, but for sums so near to a tie that their order decides, and what these change."""
    graph = convolutions()
    given = context(graph, replace(recipe(numbers), ends=None), where)
    after = quantized(graph, given) if numbers != "float" else graph
    taps = [name for node in after.nodes for name in node.outputs]
    expected, found = evaluate(after, {"x": pictures(32)}, taps), run(after, given, {"x": pictures(32)}, taps)
    for name in taps:
        off = np.abs(found[name] - expected[name])  # type: ignore[operator]
        assert (off > 1e-5 * np.abs(expected[name]).max()).mean() < 0.01, name



def test_gradients_of_a_float_network_are_slopes() -> None:
    import torch

    from qir.passes.train.network import Network

    graph = convolutions()
    network = Network(graph, FLOAT).double()
    x = torch.from_numpy(pictures(4).astype(np.float64))
    network({"x": x})["y"].square().sum().backward()
    for name in ("w0", "b1", "w2", "b3"):
        moved = (network.weights.get(name) or network.offsets[name]).moved
        place = (0,) * moved.ndim
        values = []
        for step in (1e-5, -1e-5):
            moved.data[place] = step
            values.append(float(network({"x": x})["y"].detach().square().sum()))
        moved.data[place] = 0
        assert float(moved.grad[place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4), name


def test_a_node_without_a_gradient_is_named_where_one_has_to_pass() -> None:
    text = "(float[N,4] x) => (float[N,4] y) { a = MatMul(x, w) b = CumSum(a, axis) y = Relu(b) }"
    graph = net(text, w=normal(4, 4), axis=np.array(1))
    with pytest.raises(PassError, match="CumSum") as raised:
        run(graph, FLOAT, {"x": normal(3, 4)})
    assert graph.nodes[1].name == raised.value.node


def test_nodes_that_no_gradient_passes_may_be_any() -> None:
    text = "(float[N,4] x) => (float[N,4] y) { a = CumSum(x, axis) b = Sign(a) y = MatMul(b, w) }"
    graph = net(text, w=normal(4, 4), axis=np.array(1))
    feeds = {"x": normal(3, 4)}
    np.testing.assert_allclose(run(graph, FLOAT, feeds)["y"], evaluate(graph, feeds)["y"], atol=1e-6)  # type: ignore[arg-type]


def test_a_graph_of_one_sample_takes_many() -> None:
    graph, open_graph, feeds = convolutions(1), convolutions(), {"x": pictures(5)}
    np.testing.assert_array_equal(run(graph, FLOAT, feeds)["y"], run(open_graph, FLOAT, feeds)["y"])  # type: ignore[arg-type]
