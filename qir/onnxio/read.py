"""A ModelProto as a Graph, operator for operator; what is wrong with it is said in the user's terms."""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable, Iterator

import numpy as np
import onnx
from onnx import GraphProto, NodeProto

from qir.errors import ModelError
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import TensorType, ValueType
from qir.onnxio.protos import TensorReader, read_attribute, read_type

_PLAIN_FORMS = (("value_int", "i", np.int64), ("value_float", "f", np.float32),
                ("value_ints", "ints", np.int64), ("value_floats", "floats", np.float32))  # fmt: skip
_META = ("producer_name", "producer_version", "domain", "doc_string")


def read_model(proto: onnx.ModelProto, tensors: TensorReader, *, fold_constants: bool = True) -> Graph:
    """Initializers become constants, also those that a caller could override; so do Constant nodes.

    Args:
        fold_constants: False leaves Constant nodes as nodes.

    Value types are those that the model declares; `types` lacks the others.

    Raises:
        ModelError: for models that are inconsistent in themselves.
    """
    _check_text(
        [item.domain for item in proto.opset_import],
        [text for item in proto.metadata_props for text in (item.key, item.value)],
        [getattr(proto, name) for name in _META],
    )
    opsets = {_domain(item.domain): item.version for item in proto.opset_import}
    graph = _GraphReader(proto, tensors, opsets, fold_constants).graph(proto.graph, frozenset())
    metadata = {item.key: item.value for item in proto.metadata_props}
    metadata.update({f"onnx:{name}": getattr(proto, name) for name in _META if getattr(proto, name)})
    if proto.model_version:
        metadata["onnx:model_version"] = str(proto.model_version)
    functions = tuple(item.SerializeToString(deterministic=True) for item in proto.functions)
    return graph.with_(functions=functions, metadata=metadata)


def write_metadata(graph: Graph, proto: onnx.ModelProto) -> None:
    """The inverse of what `read_model` does with a model's metadata."""
    for key, value in graph.metadata.items():
        if key == "onnx:model_version":
            proto.model_version = int(value)
        elif key.startswith("onnx:") and key[5:] in _META:
            setattr(proto, key[5:], value)
        else:
            proto.metadata_props.add(key=key, value=value)


def constant_types(constants: dict[str, Constant]) -> dict[str, ValueType]:
    """The type of every constant, from its array."""
    return {name: TensorType(of_array(item.value), item.value.shape) for name, item in constants.items()}


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g)


def _is_constant(node: NodeProto) -> bool:
    return node.op_type == "Constant" and not _domain(node.domain)


def _decoded(items: Iterable[bytes]) -> list[str]:
    return [item.decode("utf-8", "surrogateescape") for item in items]


class _GraphReader:
    def __init__(self, proto: onnx.ModelProto, tensors: TensorReader, opsets: dict[str, int], fold: bool) -> None:
        self.tensors = tensors
        self.opsets = opsets
        self.fold = fold
        self.reserved = {node.name for node in _all_nodes(proto.graph)}
        self.taken: set[str] = set()

    def graph(self, proto: GraphProto, outer: frozenset[str]) -> Graph:
        """One graph or body; `outer` are the values it may use from around it."""
        _check_graph_text(proto)
        constants = self._constants(proto)
        inputs = tuple(item.name for item in proto.input if item.name not in constants)
        outputs = tuple(item.name for item in proto.output)
        _check_names(proto, [*inputs, *constants], constants)
        visible = outer | {*inputs, *constants} | {name for node in proto.node for name in node.output}
        nodes = [
            self._node(node, position, visible)
            for position, node in enumerate(proto.node)
            if not (self.fold and _is_constant(node))
        ]
        self._check_defined(nodes, outputs, visible, proto.name)
        types: dict[str, ValueType] = {}
        for item in (*proto.value_info, *proto.output, *proto.input):
            found = read_type(item.type)
            if found is not None:
                types[item.name] = found
        made = {*inputs, *(name for node in nodes for name in node.outputs)}
        types = {name: kind for name, kind in types.items() if name in made} | constant_types(constants)
        return Graph(proto.name, inputs, outputs, _in_order(nodes), types, constants, opsets=self.opsets)

    def _constants(self, proto: GraphProto) -> dict[str, Constant]:
        result = {item.name: Constant(self.tensors.array(item)) for item in proto.initializer}
        result.update({item.values.name: Constant(self.tensors.dense(item)) for item in proto.sparse_initializer})
        for node in proto.node:
            if self.fold and _is_constant(node):
                if len(node.output) != 1 or node.output[0] in result:
                    raise ModelError("its result is defined twice", node=node.name, tensor=", ".join(node.output))
                result[node.output[0]] = Constant(self._constant(node))
        return result

    def _constant(self, node: NodeProto) -> np.ndarray:
        given = {item.name: item for item in node.attribute}
        if "sparse_value" in given:
            return self.tensors.dense(given["sparse_value"].sparse_tensor)
        if "value" in given:
            return self.tensors.array(given["value"].t)
        if "value_string" in given:
            return np.array(_decoded([given["value_string"].s])[0], object)
        if "value_strings" in given:
            return np.array(_decoded(given["value_strings"].strings), object)
        for name, field, dtype in _PLAIN_FORMS:
            if name in given:
                content = getattr(given[name], field)
                return np.array(list(content) if name.endswith("s") else content, dtype)
        raise ModelError("a Constant without a value", node=node.name, tensor=node.output[0])

    def _node(self, proto: NodeProto, position: int, visible: frozenset[str]) -> Node:
        domain = _domain(proto.domain)
        name = self._unique(proto.name or f"{proto.op_type}_{position}", given=bool(proto.name))
        if not proto.op_type:
            raise ModelError("a node without an operator", node=name)
        try:
            attrs = {
                item.name: read_attribute(item, self.tensors, lambda body: self.graph(body, visible))
                for item in proto.attribute
            }
        except ModelError as error:
            raise ModelError(error.what, node=error.node or name, tensor=error.tensor, fix=error.fix) from error
        op = f"{domain}.{proto.op_type}" if domain else proto.op_type
        return Node(op, tuple(proto.input), tuple(proto.output), attrs, name, domain, (name,))

    def _unique(self, name: str, *, given: bool) -> str:
        if name in self.taken or (not given and name in self.reserved):
            number = 1
            while (candidate := f"{name}_{number}") in self.taken or candidate in self.reserved:
                number += 1
            name = candidate
        self.taken.add(name)
        return name

    @staticmethod
    def _check_defined(nodes: list[Node], outputs: Iterable[str], visible: frozenset[str], graph: str) -> None:
        for node in nodes:
            for name in node.inputs:
                if name and name not in visible:
                    raise ModelError(
                        "it uses a value that nothing makes", node=node.name, tensor=name, fix="Export the model again"
                    )
        for name in outputs:
            if name and name not in visible:
                raise ModelError(f"nothing makes this result of '{graph}'", tensor=name, fix="Export the model again")


def _check_graph_text(proto: GraphProto) -> None:
    values = [*proto.input, *proto.output, *proto.value_info]
    dims = [dim for item in values for dim in item.type.tensor_type.shape.dim]
    _check_text(
        [proto.name, *(item.name for item in (*values, *proto.initializer, *proto.node))],
        [dim.dim_param for dim in dims],
        [text for node in proto.node for text in (node.op_type, node.domain, *node.input, *node.output)],
        [item.name for node in proto.node for item in node.attribute],
    )


def _check_text(*groups: list[str]) -> None:
    """Protobuf hands out text that is no UTF-8 as bytes."""
    for text in (item for group in groups for item in group):
        if not isinstance(text, str):
            raise ModelError(f"the name {text!r} is not UTF-8 text, the file is damaged", fix="Export the model again")


def _check_names(proto: GraphProto, given: list[str], constants: Container[str]) -> None:
    seen = set(given)
    if len(seen) != len(given):
        twice = sorted({name for name in given if given.count(name) > 1})
        raise ModelError(f"graph '{proto.name}' has inputs or initializers of one name", tensor=", ".join(twice))
    for node in proto.node:
        if _is_constant(node) and node.output[0] in constants:
            continue
        for name in node.output:
            if name and name in seen:
                raise ModelError("the value is defined twice", node=node.name or node.op_type, tensor=name)
            seen.add(name)


def _in_order(nodes: list[Node]) -> tuple[Node, ...]:
    """Producers first, otherwise the order given, in which most models are valid already."""
    producers = {name: position for position, node in enumerate(nodes) for name in node.outputs if name}
    waits = [{producers[name] for name in node.reads if name in producers} for node in nodes]
    users: dict[int, list[int]] = {}
    for position, needed in enumerate(waits):
        for producer in needed:
            users.setdefault(producer, []).append(position)
    ready = [position for position, needed in enumerate(waits) if not needed]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for user in users.get(order[-1], ()):
            waits[user].discard(order[-1])
            if not waits[user]:
                heapq.heappush(ready, user)
    if len(order) < len(nodes):
        raise _cycle(nodes, waits)
    return tuple(nodes[position] for position in order)


def _cycle(nodes: list[Node], waits: list[set[int]]) -> ModelError:
    """The complaint about one cycle, found by walking from producer to producer among the nodes that still wait."""
    path = [next(position for position, needed in enumerate(waits) if needed)]
    while (before := min(waits[path[-1]])) not in path:
        path.append(before)
    names = [nodes[position].name for position in reversed(path[path.index(before) :])]
    return ModelError(
        f"these nodes wait for each other: {', '.join(names)}", node=names[0], fix="Export the model again"
    )
