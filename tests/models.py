"""Small ONNX models that many tests use, made on the spot."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import qir
from qir.pipeline import default_pipeline
from qir.target import target as find_target


def constant(name: str, value: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(value, name)


def tiny_cnn(batch: int | str = "N", seed: int = 0) -> onnx.ModelProto:
    """x [N, 2, 6, 6] -> Conv 3x3, Relu, GlobalAveragePool, Flatten, Gemm -> y [N, 3]."""
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["a"], "conv", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("GlobalAveragePool", ["b"], ["c"], "pool"),
        helper.make_node("Flatten", ["c"], ["d"], "flatten"),
        helper.make_node("Gemm", ["d", "head.weight", "head.bias"], ["y"], "head", transB=1),
    ]
    weights = [
        constant("conv.weight", random.standard_normal((4, 2, 3, 3)).astype(np.float32)),
        constant("conv.bias", random.standard_normal(4).astype(np.float32)),
        constant("head.weight", random.standard_normal((3, 4)).astype(np.float32)),
        constant("head.bias", random.standard_normal(3).astype(np.float32)),
    ]
    return model(nodes, {"x": [batch, 2, 6, 6]}, {"y": [batch, 3]}, weights)


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    weights: list[onnx.TensorProto] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model with float32 inputs and outputs."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        weights or [],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def images(n: int = 24, seed: int = 1) -> np.ndarray:
    """Samples for `tiny_cnn`, [n, 2, 6, 6]."""
    return np.random.default_rng(seed).standard_normal((n, 2, 6, 6)).astype(np.float32)


def uncorrected(recipe: qir.Recipe, target: str = "onnx") -> tuple[qir.Pass, ...]:
    """The default passes but for bias correction, which would mend part of a fault made on purpose."""
    passes = default_pipeline(recipe, find_target(target), has_data=True)
    return tuple(one for one in passes if one.name != "correct-biases")
