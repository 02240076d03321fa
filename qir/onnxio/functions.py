"""Operators that ONNX defines by a function body, written out."""

from __future__ import annotations

import onnx
import onnx.inliner

from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import UNKNOWN
from qir.onnxio.infer import infer_graph
from qir.onnxio.protos import TensorReader
from qir.onnxio.read import read_model
from qir.onnxio.write import model_proto, opset_of


def function_body(node: Node, graph: Graph) -> Graph | None:
    """What a node computes, as a graph from its inputs to its outputs; None where ONNX gives no body for it.

    The body's nodes are of the graph's opset; the types of the node's operands decide on bodies that depend on them.
    """
    if node.domain or node.subgraphs or not onnx.defs.has(node.op_type, opset_of(graph), ""):
        return None
    reads = tuple(dict.fromkeys(node.reads))
    live = tuple(name for name in reads if name not in graph.constants)
    outputs = tuple(name for name in node.outputs if name)
    types = {name: graph.types.get(name, UNKNOWN) for name in (*reads, *outputs)}
    constants = {name: graph.constants[name] for name in reads if name in graph.constants}
    single = graph.with_(inputs=live, outputs=outputs, nodes=(node,), types=types, constants=constants,
                         stage=Stage.FLOAT, ranges={}, functions=())  # fmt: skip
    proto = model_proto(single, {"": opset_of(graph), **graph.opsets})
    try:
        inlined = onnx.inliner.inline_selected_functions(proto, [("", node.op_type)], inline_schema_functions=True)
    except Exception:  # the inliner reports by bare RuntimeErrors; a body it cannot write out is none
        return None
    if any(inner.op_type == node.op_type for inner in inlined.graph.node):
        return None
    return infer_graph(read_model(inlined, TensorReader(None)))
