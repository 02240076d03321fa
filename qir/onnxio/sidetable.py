"""What ONNX cannot say about a graph, as JSON: quantized types, stage, ranges, origins, names, exact numbers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from qir.ir.dtype import BY_NAME, DType
from qir.ir.graph import AttrValue, Constant, Graph, Node, Stage
from qir.ir.types import Affine, OpaqueType, OptionalType, SequenceType, TensorType, ValueType

FORMAT = 1
Json = dict[str, Any]


def describe(graph: Graph, codes: Mapping[str, str]) -> Json:
    """The table of one graph and, nested, its bodies.

    Args:
        codes: constant to the name under which its codes are stored; names are unique in the whole model.
    """
    return {
        "name": graph.name,
        "stage": graph.stage.value,
        "opsets": dict(graph.opsets),
        "types": {name: type_json(kind) for name, kind in graph.types.items()},
        "constants": {
            name: codes.get(name) if item.codes is not None else None for name, item in graph.constants.items()
        },
        "metadata": dict(graph.metadata),
        "ranges": {name: list(span) for name, span in graph.ranges.items()},
        "nodes": [_node_json(node, codes) for node in graph.nodes],
    }


def _node_json(node: Node, codes: Mapping[str, str]) -> Json:
    entry: Json = {"name": node.name, "origin": list(node.origin)}
    if list(node.attrs) != sorted(node.attrs):
        entry["order"] = list(node.attrs)
    exact = {key: _value_json(value) for key, value in node.attrs.items() if not in_onnx(value)}
    bodies = {key: describe(body, codes) for key, body in node.subgraphs.items()}
    return {**entry, **({"attrs": exact} if exact else {}), **({"bodies": bodies} if bodies else {})}


def restore(graph: Graph, table: Json, arrays: Mapping[str, Constant]) -> Graph:
    """The graph that `describe` was given, from what was read of the ONNX part.

    Args:
        arrays: constants of the whole model, codes among them.
    """
    nodes = []
    for node, entry in zip(graph.nodes, table["nodes"], strict=True):
        attrs = dict(node.attrs)
        attrs.update({key: _value_of(value) for key, value in entry.get("attrs", {}).items()})
        for key, inner in entry.get("bodies", {}).items():
            attrs[key] = restore(attrs[key], inner, arrays)
        attrs = {key: attrs[key] for key in entry.get("order", sorted(attrs))}
        nodes.append(node.with_(attrs=attrs, name=entry["name"], origin=tuple(entry["origin"])))
    constants = {
        name: Constant(graph.constants[name].value, None if stored is None else arrays[stored].value)
        for name, stored in table["constants"].items()
    }
    return graph.with_(
        name=table["name"],
        nodes=tuple(nodes),
        types={name: type_of(item) for name, item in table["types"].items()},
        constants=constants,
        stage=Stage(table["stage"]),
        opsets=table["opsets"],
        metadata=table["metadata"],
        ranges={name: (low, high) for name, (low, high) in table["ranges"].items()},
    )


def in_onnx(value: AttrValue) -> bool:
    """Whether an attribute survives ONNX: its floats are float32, and it has no booleans and no types of qir."""
    if isinstance(value, tuple):
        return all(in_onnx(item) for item in value) and len({isinstance(item, float) for item in value}) == 1
    if isinstance(value, float):
        return float(np.float32(value)) == value or value != value
    return not (value is None or isinstance(value, bool | Affine | DType | np.generic | Mapping))


def _value_json(value: AttrValue) -> Any:
    if isinstance(value, Affine):
        return {"affine": affine_json(value)}
    if isinstance(value, DType):
        return {"dtype": value.name}
    if isinstance(value, tuple):
        return {"tuple": [_value_json(item) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": {key: _value_json(item) for key, item in value.items()}}
    return value.item() if isinstance(value, np.generic) else value


def _value_of(item: Any) -> AttrValue:
    if not isinstance(item, dict):
        return item
    if "affine" in item:
        return affine_of(item["affine"])
    if "dtype" in item:
        return BY_NAME[item["dtype"]]
    if "mapping" in item:
        return {key: _value_of(inner) for key, inner in item["mapping"].items()}
    return tuple(_value_of(inner) for inner in item["tuple"])


def affine_json(quant: Affine) -> Json:
    """Scales and thresholds are float32, which JSON's numbers hold exactly."""
    compares = {"rounding": quant.rounding, "threshold": quant.threshold.tolist()}
    return {
        "storage": quant.storage.name,
        "scale": quant.scale.tolist(),
        "zero_point": quant.zero_point.tolist(),
        "axis": quant.axis,
        "block_size": quant.block_size,
        "codes": [quant.qmin, quant.qmax],
        **({} if quant.rounding == "nearest" else compares),
    }


def affine_of(item: Json) -> Affine:
    """The inverse of `affine_json`."""
    qmin, qmax = item["codes"]
    scale, zero_point = np.array(item["scale"], np.float32), np.array(item["zero_point"], np.int32)
    threshold = np.array(item.get("threshold", np.zeros(scale.shape)), np.float32)
    return Affine(BY_NAME[item["storage"]], scale, zero_point, item["axis"], item["block_size"], qmin, qmax,
                  item.get("rounding", "nearest"), threshold)  # fmt: skip


def type_json(kind: ValueType) -> Any:
    """A type; sizes are numbers, symbols text, unknown ones null."""
    if isinstance(kind, SequenceType):
        return {"sequence": type_json(kind.element)}
    if isinstance(kind, OptionalType):
        return {"optional": type_json(kind.element)}
    if isinstance(kind, OpaqueType):
        return {"proto": base64.b64encode(kind.proto).decode()}
    entry: Json = {"dtype": kind.dtype.name, "shape": None if kind.shape is None else list(kind.shape)}
    return entry if kind.quant is None else {**entry, "quant": affine_json(kind.quant)}


def type_of(item: Json) -> ValueType:
    """The inverse of `type_json`."""
    if "sequence" in item:
        return SequenceType(type_of(item["sequence"]))
    if "optional" in item:
        return OptionalType(type_of(item["optional"]))
    if "proto" in item:
        return OpaqueType(base64.b64decode(item["proto"]))
    shape = None if item["shape"] is None else tuple(item["shape"])
    quant = affine_of(item["quant"]) if "quant" in item else None
    return TensorType(BY_NAME[item["dtype"]], shape, quant)
