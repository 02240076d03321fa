"""A Graph as protobuf, value for value and node for node: what inference, saving and export share."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import GraphProto, NodeProto, ValueInfoProto

from qir.errors import ModelError
from qir.ir.graph import Graph, Node
from qir.ir.types import UNKNOWN, TensorType, ValueType
from qir.onnxio.protos import attribute_kinds, write_attribute, write_tensor, write_type
from qir.onnxio.read import write_metadata

DEFAULT_OPSET = 21
"""The version of ONNX's operators that graphs are in unless they say otherwise."""


def opset_of(graph: Graph) -> int:
    """The version of the default domain's operators that the graph's nodes are in."""
    return graph.opsets.get("", DEFAULT_OPSET)


def value_info(name: str, kind: ValueType | None) -> ValueInfoProto:
    """A named type; None leaves the type open."""
    proto = ValueInfoProto(name=name)
    if kind is not None:
        proto.type.CopyFrom(write_type(kind))
    return proto


def node_proto(node: Node, opsets: Mapping[str, int], *, results_as_nodes: bool = True) -> NodeProto:
    """One node with its bodies.

    Raises:
        ModelError: for attributes that ONNX cannot hold.
    """
    proto = NodeProto(op_type=node.op_type, domain=node.domain, name=node.name)
    proto.input.extend(node.inputs)
    proto.output.extend(node.outputs)

    def body(graph: Graph) -> GraphProto:
        inner = GraphProto()
        fill_graph(inner, graph, results_as_nodes=results_as_nodes)
        return inner

    kinds = attribute_kinds(node.op_type, node.domain, opsets.get(node.domain, DEFAULT_OPSET))
    for key in sorted(node.attrs):
        try:
            proto.attribute.append(write_attribute(key, node.attrs[key], body, kinds.get(key)))
        except TypeError as error:
            raise ModelError(str(error), node=node.name) from error
    return proto


def fill_graph(
    proto: GraphProto, graph: Graph, *, main: bool = False, big: int | None = None, results_as_nodes: bool = True
) -> None:
    """Writes a graph or body.

    Args:
        proto: empty; filled in place, as messages of more than 2 GB cannot be copied.
        main: False for bodies, whose inputs and outputs may leave their types open.
        big: constants of more elements than this are written as inputs, for inference that needs no data.
        results_as_nodes: constants that are results become Constant nodes, as ONNX wants results made by nodes.
    """
    proto.name = graph.name or "graph"

    def declared(name: str) -> ValueType | None:
        kind = graph.types.get(name)
        return None if kind == UNKNOWN and not main else kind

    proto.input.extend(value_info(name, declared(name)) for name in graph.inputs)
    results = set(graph.outputs)
    for name, constant in graph.constants.items():
        if big is not None and constant.value.size > big:
            proto.input.append(value_info(name, graph.types[name]))
        elif name in results and results_as_nodes:
            node = proto.node.add(op_type="Constant", name=f"{name}_constant", output=[name])
            node.attribute.append(onnx.helper.make_attribute("value", write_tensor(constant.value)))
        else:
            proto.initializer.append(write_tensor(constant.value, name))
    proto.node.extend(node_proto(node, graph.opsets, results_as_nodes=results_as_nodes) for node in graph.nodes)
    proto.output.extend(value_info(name, declared(name)) for name in graph.outputs)
    proto.value_info.extend(inner_types(graph))


def inner_types(graph: Graph) -> list[ValueInfoProto]:
    """Types of the values that nodes make and that are no results; those whose shape is unknown are left out.

    An unknown shape comes with a guessed element type, which must not be stated as a fact.
    """
    results = set(graph.outputs)
    made = [name for node in graph.nodes for name in node.outputs if name and name not in results]
    return [
        value_info(name, kind)
        for name in made
        if (kind := graph.types.get(name)) is not None and not (isinstance(kind, TensorType) and kind.shape is None)
    ]


def model_proto(
    graph: Graph, opsets: Mapping[str, int], *, big: int | None = None, results_as_nodes: bool = True
) -> onnx.ModelProto:
    """The whole model: versions, functions, metadata and the graph (see `fill_graph`)."""
    proto = onnx.ModelProto(producer_name="qir")
    proto.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in sorted(opsets.items()))
    proto.ir_version = max(8 if graph.functions else LOWEST_IR, ir_version(opsets))
    for function in graph.functions:
        proto.functions.add().ParseFromString(function)
    write_metadata(graph, proto)
    fill_graph(proto.graph, graph, main=True, big=big, results_as_nodes=results_as_nodes)
    return proto


LOWEST_IR = 4
"""Since this format version, initializers need not be inputs too."""


def ir_version(opsets: Mapping[str, int]) -> int:
    """The lowest file format version that may hold models of these operator versions."""
    table = onnx.helper.OP_SET_ID_VERSION_MAP
    newest: dict[str, int] = {}
    for (domain, _), number in table.items():
        newest[domain] = max(number, newest.get(domain, 0))
    keys = [(domain or "ai.onnx", version) for domain, version in opsets.items()]
    return max((table.get(key, newest.get(key[0], LOWEST_IR)) for key in keys), default=LOWEST_IR)
