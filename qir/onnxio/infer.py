"""Types of values by ONNX's own inference: of whole graphs after lifting, of single nodes that passes make."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import onnx
from onnx import AttributeProto, GraphProto
from onnx.shape_inference import infer_shapes

from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import UNKNOWN, Dim, OptionalType, SequenceType, TensorType, ValueType
from qir.onnxio.names import with_bodies
from qir.onnxio.protos import dtype_of, read_type
from qir.onnxio.qonnx import is_qonnx
from qir.onnxio.write import DEFAULT_OPSET, model_proto, opset_of
from qir.ops import OPS

_LOG = logging.getLogger(__name__)
BIG = 1024
"""Constants of more elements than this matter to inference by their type alone."""


def infer_graph(graph: Graph) -> Graph:
    """The graph with a type for every value, bodies included; known types are kept and made more precise.

    Values that inference does not reach get the likeliest element type and an unknown shape.
    """
    symbols = _symbols(graph)
    if not any(node.op in OPS for _, node in graph.walk()):
        try:
            proto = model_proto(graph, {"": opset_of(graph), **graph.opsets}, big=BIG)
            graph = _merge(graph, infer_shapes(proto, data_prop=True).graph, symbols)
        except Exception as error:  # onnx reports by bare RuntimeErrors, protobuf by its own
            _LOG.info("types are inferred node by node: %s", error)
    return _complete(graph, {}, {}, symbols)


def infer_types(
    node: Node,
    types: Mapping[str, ValueType],
    constants: Mapping[str, Constant],
    opsets: Mapping[str, int],
) -> tuple[ValueType, ...]:
    """Types of one node's results, one for each output slot, without quantization.

    Args:
        types: of all values that the node reads; quantization is ignored.
        constants: those that the node reads (sizes, axes, ... decide on shapes).
        opsets: domain to version.

    Returns:
        Types with an unknown shape where nothing better is known.
    """
    definition = OPS.get(node.op)
    known = [types.get(name, UNKNOWN) for name in node.inputs]
    if definition is not None:
        return definition.infer(node, [kind if isinstance(kind, TensorType) else UNKNOWN for kind in known])
    if is_qonnx(node) and known:
        return (TensorType(UNKNOWN.dtype, known[0].shape if isinstance(known[0], TensorType) else None),)
    symbols = {dim for name in node.reads for dim in _dims(types.get(name)) if isinstance(dim, str)}
    reads = tuple(dict.fromkeys(node.reads))
    near = {name: constants[name] for name in reads if name in constants and constants[name].value.size <= BIG}
    single = Graph(
        "node",
        tuple(name for name in reads if name not in near),
        (),
        (node,),
        {name: types[name] for name in reads if name in types},
        near,
        opsets={"": DEFAULT_OPSET, **opsets},
    )
    proto = model_proto(single, single.opsets)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.outputs if name)
    found: dict[str, ValueType] = {}
    try:
        inferred = infer_shapes(proto, data_prop=True).graph
        found = _declared(inferred, symbols)
    except Exception as error:  # as above
        _LOG.debug("%s: %s", node.name, error)
    return tuple(found.get(name) or _guess(node, slot, types, opsets) for slot, name in enumerate(node.outputs))


def _guess(node: Node, slot: int, types: Mapping[str, ValueType], opsets: Mapping[str, int]) -> ValueType:
    """An unknown shape with the element type that the operator's definition ties the output to."""
    try:
        schema = onnx.defs.get_schema(node.op_type, opsets.get(node.domain, DEFAULT_OPSET), node.domain)
    except onnx.defs.SchemaError:
        return UNKNOWN
    if not schema.outputs:
        return UNKNOWN
    wanted = schema.outputs[min(slot, len(schema.outputs) - 1)].type_str
    for position, name in enumerate(node.inputs):
        kind = types.get(name)
        if schema.inputs and schema.inputs[min(position, len(schema.inputs) - 1)].type_str == wanted and kind:
            return TensorType(kind.dtype) if isinstance(kind, TensorType) else kind
    fixed = {"tensor(int64)": onnx.TensorProto.INT64, "tensor(bool)": onnx.TensorProto.BOOL}.get(wanted)
    dtype = None if fixed is None else dtype_of(fixed)
    return UNKNOWN if dtype is None else TensorType(dtype)


def _dims(kind: ValueType | None) -> tuple[Dim, ...]:
    if isinstance(kind, SequenceType | OptionalType):
        return _dims(kind.element)
    return kind.shape or () if isinstance(kind, TensorType) else ()


def _symbols(graph: Graph) -> set[str]:
    found = {dim for kind in graph.types.values() for dim in _dims(kind) if isinstance(dim, str)}
    for node in graph.nodes:
        for body in node.subgraphs.values():
            found |= _symbols(body)
    return found


def _named(kind: ValueType, symbols: set[str]) -> ValueType:
    """The type with symbols that inference invented made unknown."""
    if isinstance(kind, SequenceType | OptionalType):
        return type(kind)(_named(kind.element, symbols))
    if not isinstance(kind, TensorType) or kind.shape is None:
        return kind
    return TensorType(kind.dtype, tuple(None if isinstance(d, str) and d not in symbols else d for d in kind.shape))


def _declared(proto: GraphProto, symbols: set[str]) -> dict[str, ValueType]:
    found = {item.name: read_type(item.type) for item in (*proto.value_info, *proto.output, *proto.input)}
    return {name: _named(kind, symbols) for name, kind in found.items() if kind is not None}


def _finer(old: ValueType | None, new: ValueType) -> ValueType:
    """The more precise of a known type and an inferred one, dimension by dimension."""
    if not isinstance(old, TensorType) or not isinstance(new, TensorType) or old.dtype != new.dtype:
        return new
    if old.shape is None or new.shape is None or len(old.shape) != len(new.shape):
        shape = old.shape if new.shape is None else new.shape
    else:
        rank = {int: 2, str: 1}
        shape = tuple(
            a if rank.get(type(a), 0) > rank.get(type(b), 0) else b for a, b in zip(old.shape, new.shape, strict=True)
        )
    return TensorType(new.dtype, shape, old.quant)


def _merge(graph: Graph, proto: GraphProto, symbols: set[str]) -> Graph:
    known = {*graph.inputs, *(name for node in graph.nodes for name in node.outputs if name)}
    found = {name: kind for name, kind in _declared(proto, symbols).items() if name in known}
    types = {**graph.types, **{name: _finer(graph.types.get(name), kind) for name, kind in found.items()}}
    written = proto.node[len(proto.node) - len(graph.nodes) :]  # constants that are results come before
    nodes = []
    for node, item in zip(graph.nodes, written, strict=True):
        bodies = {a.name: a.g for a in item.attribute if a.type == AttributeProto.GRAPH}
        merged = {key: _merge(body, bodies[key], symbols) for key, body in node.subgraphs.items()}
        nodes.append(with_bodies(node, merged))
    return graph.with_(types=types, nodes=tuple(nodes))


def _complete(
    graph: Graph, outer: Mapping[str, ValueType], outer_constants: Mapping[str, Constant], symbols: set[str]
) -> Graph:
    """Types for the values that have none yet, node by node."""
    types: dict[str, ValueType] = {**outer, **graph.types}
    own = dict(graph.types)
    constants = {**outer_constants, **graph.constants}
    own.update({name: UNKNOWN for name in graph.inputs if name not in types})
    types.update(own)
    nodes = []
    for node in graph.nodes:
        bodies = {key: _complete(body, types, constants, symbols) for key, body in node.subgraphs.items()}
        nodes.append(with_bodies(node, bodies))
        missing = [name for name in node.outputs if name and name not in own]
        if missing:
            inferred = infer_types(node, types, constants, graph.opsets)
            fresh = {n: _named(k, symbols) for n, k in zip(node.outputs, inferred, strict=True) if n in missing}
            own.update(fresh)
            types.update(fresh)
    if len(own) == len(graph.types) and all(a is b for a, b in zip(nodes, graph.nodes, strict=True)):
        return graph
    return graph.with_(types=own, nodes=tuple(nodes))
