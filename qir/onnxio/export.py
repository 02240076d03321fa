"""The IR to ONNX: quantized types as Q/DQ pairs, the lowest opset that will do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx

from qir.ir.graph import Graph, Node
from qir.ir.types import ValueType
from qir.onnxio.opset import LOWEST, lowest_opset
from qir.onnxio.qdq import plain
from qir.onnxio.write import model_proto, opset_of


def export(graph: Graph, *, minimal_opset: bool = True) -> onnx.ModelProto:
    """A model that means what the graph means, in ONNX's operators (and those that the user's model brought).

    Args:
        graph: of stage FLOAT or QUANT.
        minimal_opset: stamp the lowest version of the default domain, at least 13, in which every node means the
            same; False keeps the graph's.

    Returns:
        The model; equal graphs give equal bytes. Input and output names are the graph's.

    Raises:
        UnsupportedError: for graphs of stage INT and operators without a meaning in ONNX.
        ModelError: for quantization and attributes that ONNX cannot express.
    """
    written = plain(graph)
    version = opset_of(written)
    if minimal_opset and not written.functions and version > LOWEST:
        needs = (lowest_opset(node, types, version) for node, types in _typed_nodes(written, {}))
        version = max(LOWEST, *needs) if written.nodes else LOWEST
    return model_proto(written, {**written.opsets, "": version})


def _typed_nodes(graph: Graph, outer: Mapping[str, ValueType]) -> Iterator[tuple[Node, Mapping[str, ValueType]]]:
    """Every node, bodies included, with the types of all values that it can see."""
    types = {**outer, **graph.types}
    for node in graph.nodes:
        yield node, types
        for body in node.subgraphs.values():
            yield from _typed_nodes(body, types)
