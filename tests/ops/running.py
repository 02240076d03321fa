"""Single ONNX nodes in onnxruntime, and single integer operators by their references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from qir.evaluate import session
from qir.ir.dtype import of_array
from qir.ir.graph import Node
from qir.ir.types import TensorType
from qir.ops import OPS


def onnx_node(op: str, arrays: Sequence[np.ndarray], attrs: Mapping[str, Any] | None = None, domain: str = "") -> Any:
    """The result of one ONNX node on arrays."""
    names = [f"x{i}" for i in range(len(arrays))]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, arrays, strict=True)
    ]
    node = helper.make_node(op, names, ["y"], domain=domain, **(attrs or {}))
    graph = helper.make_graph([node], "one", inputs, [onnx.ValueInfoProto(name="y")])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return session(model.SerializeToString(), optimize=False).run(None, dict(zip(names, arrays, strict=True)))[0]


def reference(op: str, arrays: Sequence[np.ndarray], **attrs: Any) -> np.ndarray:
    """The result of one of qir's operators; its type must be the one that the operator announces."""
    node = Node(op, tuple(f"x{i}" for i in range(len(arrays))), ("y",), attrs, "node")
    definition = OPS[op]
    assert definition.reference is not None
    (result,) = definition.reference(node, arrays)
    (kind,) = definition.infer(node, [TensorType(of_array(a), a.shape) for a in arrays])
    assert (kind.dtype.numpy, kind.shape) == (result.dtype, result.shape)
    (unknown,) = definition.infer(node, [TensorType(of_array(a)) for a in arrays])
    assert unknown.dtype == kind.dtype
    assert unknown.shape is None
    return np.asarray(result)


def codes(*shape: int, seed: int = 0) -> np.ndarray:
    """uint8 over its whole range."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def small(*shape: int, seed: int = 1) -> np.ndarray:
    """int8 weights of which any two sum to less than 128, so that no 16-bit pair saturates."""
    return np.random.default_rng(seed).integers(-60, 61, shape).astype(np.int8)
