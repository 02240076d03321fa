"""ONNX to the IR: read, bind, normalise, type, and turn what rounds values to codes into types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qir.ir.graph import Graph
from qir.onnxio.bind import bind_inputs, bind_shapes
from qir.onnxio.infer import infer_graph
from qir.onnxio.inline_if import inline_ifs
from qir.onnxio.protos import TensorReader
from qir.onnxio.qonnx import expand_qonnx
from qir.onnxio.quantized import fold_qdq
from qir.onnxio.read import read_model
from qir.onnxio.source import inline_functions, open_source
from qir.onnxio.upgrade import check_opset, upgrade

_ROUNDS = 8
"""Inlining a branch can make shapes known on which the next If depends; networks nest a few deep."""


def lift(
    model: Any,
    *,
    shapes: Mapping[str, int | Sequence[int]] | None = None,
    bind: Mapping[str, Any] | None = None,
    example_inputs: Any = None,
) -> Graph:
    """Reads a model into a graph of stage FLOAT, or QUANT where it rounds values to codes: by Q/DQ pairs, QONNX's
    operators, or compares and arithmetic that amount to the same.

    Args:
        model: a path, bytes, an onnx.ModelProto, or a torch.nn.Module.
        shapes: dimension symbol to size, or input name to shape.
        bind: graph input to the value that it shall always have; an If on it is decided here.
        example_inputs: for a module: one tensor or array, a tuple of positional ones or a dict of named ones.

    Returns:
        A graph in the form of opset 21 (newer models keep theirs), with a type for every value.

    Raises:
        ModelError: if this is no ONNX model, is inconsistent, or is older than opset 9.
        ShapeError: for unknown symbols and shapes that do not fit.
        DataError: for bound values that do not fit.
        MissingDependencyError: for a module, if torch's exporter is not installed.
    """
    with open_source(model, example_inputs) as source:
        proto = inline_functions(source.proto)
        graph = read_model(proto, TensorReader(source.folder))
    check_opset(graph)
    graph = bind_shapes(bind_inputs(graph, bind or {}), shapes or {})
    graph = infer_graph(graph)
    upgraded = expand_qonnx(upgrade(graph))
    if upgraded is not graph:
        graph = infer_graph(upgraded)
    for _ in range(_ROUNDS):
        inlined = inline_ifs(graph)
        if inlined is graph:
            break
        graph = infer_graph(inlined)
    return fold_qdq(graph)
