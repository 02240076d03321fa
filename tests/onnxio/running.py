"""Small helpers: models from text, both engines' results."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from qir.ir.graph import Graph
from qir.onnxio.export import export


def parse(graph: str, opset: int = 17, ir: int = 8, extra: str = "", imports: str = "") -> onnx.ModelProto:
    """A model from ONNX's text form: `g (float[2] x) => (float[2] y) { y = Relu(x) }`."""
    return onnx.parser.parse_model(f'<ir_version: {ir}, opset_import: ["": {opset}{imports}]> {graph} {extra}')


def run(model: onnx.ModelProto | Graph, **inputs: Any) -> list[np.ndarray]:
    """Outputs in onnxruntime, its graph optimizations off."""
    proto = export(model) if isinstance(model, Graph) else model
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: list[np.ndarray] = session.run(None, inputs)
    return results


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def imported(proto: onnx.ModelProto) -> int:
    """The version of the default domain that a model asks for."""
    return next(item.version for item in proto.opset_import if item.domain == "")
