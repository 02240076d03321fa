"""The predicted fate of every node against the graph that onnxruntime optimised to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import qir.passes
from qir.backends.onnx.fusion import format_notes, predict
from qir.backends.onnx.targets import ONNX
from qir.calibration import feeds
from qir.ir.graph import Graph
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe, recipe

PIPELINE = "calibrate,quantize,quantize-weights,quantize-biases,absorb-activations"
rng = np.random.default_rng(0)


def optimized_operators(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """What onnxruntime runs, as counts of operators."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)


def quantized(model: object, samples: object, recipe: Recipe | None = None, passes: str = PIPELINE) -> Graph:
    graph = lift(model)
    context = Context(ONNX, recipe or Recipe(), feeds(samples, {name: graph.types[name] for name in graph.inputs}))
    return run(graph, parse_pipeline(passes), context)


def check(graph: Graph, folder: Path) -> None:
    predicted = Counter(row.runs_as for row in predict(graph).rows if row.integer)
    actual = optimized_operators(export(graph), folder)
    assert predicted == Counter({name: count for name, count in actual.items() if name in predicted})
    assert not [name for name in actual if name.startswith(("QLinear", "QGemm", "MatMulN")) and name not in predicted]


def model(nodes: list[onnx.NodeProto], shape: list[int], **weights: np.ndarray) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def node(op: str, inputs: str, output: str, **attrs: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attrs)


W = rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
W2 = rng.standard_normal((4, 4, 3, 3)).astype(np.float32)
B = rng.standard_normal(4).astype(np.float32)
FC = rng.standard_normal((256, 5)).astype(np.float32)
SAME = {"pads": [1, 1, 1, 1]}
CONV = node("Conv", "x w b", "c", **SAME)

CASES: dict[str, list[onnx.NodeProto]] = {
    "conv": [CONV],
    "conv_relu_conv": [CONV, node("Relu", "c", "r"), node("Conv", "r w2 b", "d", **SAME)],
    "conv_clip": [CONV, node("Clip", "c lo hi", "r"), node("Conv", "r w2 b", "d", **SAME)],
    "residual": [CONV, node("Conv", "c w2 b", "d", **SAME), node("Add", "c d", "s"), node("Relu", "s", "r")],
    "mul": [CONV, node("Conv", "c w2 b", "d", **SAME), node("Mul", "c d", "s")],
    "sub_stays_float": [CONV, node("Conv", "c w2 b", "d", **SAME), node("Sub", "c d", "s")],
    "concat": [CONV, node("Conv", "c w2 b", "d", **SAME), node("Concat", "c d", "s", axis=1)],
    "where": [CONV, node("Conv", "c w2 b", "d", **SAME), node("Where", "mask c d", "s"), node("Where", "mask s lo", "t")],  # noqa: E501
    "maxpool": [CONV, node("MaxPool", "c", "p", kernel_shape=[2, 2]), node("Conv", "p w2 b", "d", **SAME)],
    "average": [CONV, node("AveragePool", "c", "p", kernel_shape=[2, 2], strides=[2, 2])],
    "global_average": [CONV, node("GlobalAveragePool", "c", "p"), node("Flatten", "p", "f")],
    "sigmoid": [CONV, node("Sigmoid", "c", "s"), node("Mul", "c s", "m")],
    "leaky": [CONV, node("LeakyRelu", "c", "s", alpha=0.1), node("Conv", "s w2 b", "d", **SAME)],
    "hardswish_island": [CONV, node("HardSwish", "c", "s"), node("Conv", "s w2 b", "d", **SAME)],
    "flatten_gemm": [CONV, node("Flatten", "c", "f"), node("Gemm", "f fc", "g")],
    "matmul": [CONV, node("Flatten", "c", "f"), node("MatMul", "f fc", "g")],
    "gemm_softmax": [CONV, node("Flatten", "c", "f"), node("Gemm", "f fc", "g"), node("Softmax", "g", "s")],
    "transpose": [CONV, node("Transpose", "c", "t", perm=[0, 1, 3, 2]), node("Conv", "t w2 b", "d", **SAME)],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_prediction_matches_what_onnxruntime_runs(name: str, tmp_path: Path) -> None:
    weights = {"w": W, "w2": W2, "b": B, "fc": FC, "lo": np.float32(0), "hi": np.float32(6), "mask": np.eye(8) > 0}
    used = {x for n in CASES[name] for x in n.input}
    made = model(CASES[name], [1, 3, 8, 8], **{k: np.asarray(v) for k, v in weights.items() if k in used})
    graph = quantized(made, rng.standard_normal((8, 3, 8, 8)).astype(np.float32))
    check(graph, tmp_path)


FORMATS = ["w4", "w8", "w2a8", "w4a8", "w6a8", "w8a16", "w4a16", "w16a16", "w16a8"]


@pytest.mark.parametrize("name", ["conv_relu_conv", "flatten_gemm", "matmul", "gemm_softmax", "maxpool", "residual"])
@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_prediction_matches_in_every_format(text: str, name: str, symmetric: bool, tmp_path: Path) -> None:
    weights = {"w": W, "w2": W2, "b": B, "fc": FC}
    used = {x for n in CASES[name] for x in n.input}
    made = model(CASES[name], [1, 3, 8, 8], **{k: v for k, v in weights.items() if k in used})
    chosen = recipe(text).with_override("*", weight_symmetric=symmetric)
    passes = PIPELINE if "a" in text else "quantize-weights,orient-weights"
    graph = quantized(made, rng.standard_normal((8, 3, 8, 8)).astype(np.float32), chosen, passes)
    check(graph, tmp_path)


GEMMS: dict[str, tuple[dict[str, object], tuple[int, ...], bool]] = {
    "plain": ({}, (5,), True), "transposed": ({"transB": 1}, (5,), True), "no bias": ({}, (0,), True),
    "alpha": ({"alpha": 0.5}, (5,), False), "beta": ({"beta": 0.5}, (5,), False), "row": ({}, (1, 5), False),
}  # fmt: skip


@pytest.mark.parametrize("text", ["w4", "w8"])
@pytest.mark.parametrize("name", GEMMS)
def test_weight_only_gemms_run_packed(name: str, text: str, tmp_path: Path) -> None:
    attrs, shape, packed = GEMMS[name]
    weights = {"fc": FC.T.copy() if "transB" in attrs else FC}
    if shape != (0,):
        weights["b"] = rng.standard_normal(shape).astype(np.float32)
    made = model([node("Gemm", " ".join(["x", *weights]), "y", **attrs)], [3, 256], **weights)
    graph = quantized(made, rng.standard_normal((8, 256)).astype(np.float32), recipe(text),
                      "quantize-weights,orient-weights")  # fmt: skip
    check(graph, tmp_path)
    assert optimized_operators(export(graph), tmp_path)["MatMulNBits"] == packed
    assert any("MatMulNBits" in note for note in format_notes(graph)) == packed


def test_notes_name_the_formats_that_run_in_float() -> None:
    made = model(CASES["conv_relu_conv"], [1, 3, 8, 8], w=W, w2=W2, b=B)
    data = rng.standard_normal((8, 3, 8, 8)).astype(np.float32)
    assert format_notes(quantized(made, data)) == ()
    (note,) = format_notes(quantized(made, data, recipe("w4a16")))
    for told in ("2 of 2 layers", "float", "int4 weights", "uint16 activations"):
        assert told in note


def test_every_reason_names_what_stays_float() -> None:
    made = model(CASES["hardswish_island"], [1, 3, 8, 8], w=W, w2=W2, b=B)
    graph = quantized(made, rng.standard_normal((8, 3, 8, 8)).astype(np.float32))
    rows = {row.op: row for row in predict(graph).rows}
    assert not rows["HardSwish"].integer
    assert "HardSwish" in rows["HardSwish"].why
    assert rows["Conv"].integer


@pytest.mark.parametrize(
    "name", ["resnet8_cifar10", "cnn_mnist", "mlp_mnist", "dscnn_kws", "ppocr_cls", "digits_dscnn"]
)
def test_prediction_matches_on_trained_models(name: str, zoo: Path, tmp_path: Path) -> None:
    data = np.load(zoo / name / "data.npz")
    raw = data["x_calib_u8"] if "x_calib_u8" in data else data["x_calib"]
    check(quantized(str(zoo / name / "model.onnx"), raw[:16].astype(np.float32)), tmp_path)


assert qir.passes  # names the passes
