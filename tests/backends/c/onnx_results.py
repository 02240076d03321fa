"""What onnxruntime, or where it lacks a type onnx itself, makes of the cases of the C backend's tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime
from graphs import Case, check_cases
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

from qir.backends.c import CModule


def results(one: Case, exact: bool = False) -> list[np.ndarray]:
    """Outputs of one node, operators in the form of opset 21 (23 where they are newer); `exact`: by onnx itself."""
    opset = {"RMSNormalization": 23}.get(one.node.op, 21)
    named = [(name, array) for name, array in zip(one.node.inputs, one.arrays, strict=True) if array is not None]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for name, a in named
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in one.node.outputs if name]
    node = helper.make_node(one.node.op, one.node.inputs, one.node.outputs, **one.node.attrs)
    graph = helper.make_graph([node], "case", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if exact:
        return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, dict(named))]
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except NotImplemented:
        return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, dict(named))]
    return [np.asarray(value) for value in session.run(None, dict(named))]


def check_with_onnxruntime(cases: Sequence[Case], tolerance: float = 1e-5, target: str = "portable") -> CModule:
    """Compiles the cases together and compares with onnxruntime."""
    return check_cases(cases, [results(one) for one in cases], target=target, tolerance=tolerance)
