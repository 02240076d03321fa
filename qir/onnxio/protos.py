"""Single protobuf messages of ONNX to the IR's values and back: types, tensors, attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from onnx import AttributeProto, SparseTensorProto, TensorProto, TypeProto, numpy_helper

from qir.errors import ModelError
from qir.ir.dtype import BY_NAME, FLOAT32, STRING, DType, of_array
from qir.ir.graph import AttrValue, EmptyList, Graph
from qir.ir.types import OpaqueType, OptionalType, SequenceType, TensorType, ValueType

_RENAMED = {"FLOAT": "float32", "DOUBLE": "float64"}
_TO_DTYPE = {
    number: BY_NAME[_RENAMED.get(name, name.lower())]
    for name, number in TensorProto.DataType.items()
    if _RENAMED.get(name, name.lower()) in BY_NAME
}
_TO_NUMBER = {dtype: number for number, dtype in _TO_DTYPE.items()}
_LIST_KINDS = {
    AttributeProto.INTS: "ints",
    AttributeProto.FLOATS: "floats",
    AttributeProto.STRINGS: "strings",
    AttributeProto.TENSORS: "tensors",
}
_KIND_NUMBERS = {kind: number for number, kind in _LIST_KINDS.items()}


@dataclass(frozen=True)
class RawAttribute:
    """An attribute that qir only carries (sparse tensors, lists of graphs or types): its serialized AttributeProto."""

    proto: bytes

    def __str__(self) -> str:
        return f"<raw {len(self.proto)} bytes>"


def dtype_of(number: int) -> DType | None:
    """The element type of an ONNX type number, None for UNDEFINED and types that this qir does not know."""
    return _TO_DTYPE.get(number)


def number_of(dtype: DType) -> int:
    """ONNX's number for an element type.

    Raises:
        ModelError: where the installed onnx has no such type.
    """
    if dtype not in _TO_NUMBER:
        raise ModelError(f"the installed onnx {onnx.__version__} has no element type {dtype}", fix="Upgrade onnx")
    return int(_TO_NUMBER[dtype])


def read_type(proto: TypeProto) -> ValueType | None:
    """A value's type; None where the message says nothing."""
    kind = proto.WhichOneof("value")
    if kind is None:
        return None
    if kind == "tensor_type":
        dtype = dtype_of(proto.tensor_type.elem_type)
        if not proto.tensor_type.HasField("shape"):
            return None if dtype is None else TensorType(dtype)
        dims = tuple(
            dim.dim_value if dim.HasField("dim_value") else _symbol(dim.dim_param)
            for dim in proto.tensor_type.shape.dim
        )
        dims = tuple(None if isinstance(dim, int) and dim < 0 else dim for dim in dims)
        return TensorType(dtype or FLOAT32, dims)
    if kind in ("sequence_type", "optional_type"):
        element = read_type(getattr(proto, kind).elem_type)
        if element is None:
            return OpaqueType(proto.SerializeToString(deterministic=True))
        return SequenceType(element) if kind == "sequence_type" else OptionalType(element)
    return OpaqueType(proto.SerializeToString(deterministic=True))


def write_type(kind: ValueType) -> TypeProto:
    """The message for a type; its quantization is not part of ONNX's types."""
    proto = TypeProto()
    if isinstance(kind, OpaqueType):
        proto.ParseFromString(kind.proto)
    elif isinstance(kind, SequenceType):
        proto.sequence_type.elem_type.CopyFrom(write_type(kind.element))
    elif isinstance(kind, OptionalType):
        proto.optional_type.elem_type.CopyFrom(write_type(kind.element))
    else:
        proto.tensor_type.elem_type = number_of(kind.dtype)
        if kind.shape is not None:
            proto.tensor_type.shape.SetInParent()
            for size in kind.shape:
                dim = proto.tensor_type.shape.dim.add()
                if isinstance(size, int):
                    dim.dim_value = size
                elif size is not None:
                    dim.dim_param = size
    return proto


def _symbol(name: str) -> str | None:
    """A dimension's name; None for the question marks that some exporters write for every size they do not know."""
    return name if any(c.isalnum() for c in name) else None


class TensorReader:
    """Reads tensors, those in files beside the model included.

    Args:
        folder: where the model lies; None if it did not come from a file.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def array(self, proto: TensorProto) -> np.ndarray:
        """The content of a tensor, read-only; text is str with undecodable bytes as surrogates.

        Raises:
            ModelError: for element types unknown here, missing or short data.
        """
        dtype = dtype_of(proto.data_type)
        if dtype is None:
            raise ModelError(f"element type {proto.data_type} is not known", tensor=proto.name, fix="Upgrade onnx")
        if proto.data_location == TensorProto.EXTERNAL:
            inner = TensorProto(name=proto.name, data_type=proto.data_type, dims=proto.dims)
            inner.raw_data = self._external(proto)
            proto = inner
        try:
            if dtype is STRING:
                text = [item.decode("utf-8", "surrogateescape") for item in proto.string_data]
                array = np.array(text, object).reshape(tuple(proto.dims))
            else:
                array = numpy_helper.to_array(proto)
        except (ValueError, TypeError) as error:
            size = "x".join(map(str, proto.dims)) or "scalar"
            raise ModelError(
                f"the stored data does not fill a {dtype} tensor of shape {size} ({error})", tensor=proto.name,
                fix="Export the model again",
            ) from error  # fmt: skip
        array = np.asarray(array)
        array.setflags(write=False)
        return array

    def dense(self, proto: SparseTensorProto) -> np.ndarray:
        """A sparse tensor with its zeros written out."""
        values, indices = self.array(proto.values), self.array(proto.indices)
        flat = np.zeros(int(np.prod(proto.dims)), values.dtype)
        try:
            where = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), tuple(proto.dims))
            flat[where] = values
        except (ValueError, IndexError) as error:
            raise ModelError(f"the sparse tensor's indices do not fit ({error})", tensor=proto.values.name) from error
        return flat.reshape(tuple(proto.dims))

    def _external(self, proto: TensorProto) -> bytes:
        entries = {entry.key: entry.value for entry in proto.external_data}
        location = entries.get("location", "")
        if self.folder is None:
            raise ModelError(
                f"its data lies in the file '{location}', but the model did not come from a file", tensor=proto.name,
                fix="Pass the path of the .onnx file, or load it with onnx.load",
            )  # fmt: skip
        root = self.folder.resolve()
        path = (root / location).resolve()
        if not location or not path.is_relative_to(root):
            raise ModelError(f"its data file '{location}' lies outside the model's folder", tensor=proto.name)
        try:
            with path.open("rb") as file:
                file.seek(int(entries.get("offset", 0)))
                length = int(entries["length"]) if entries.get("length") else -1
                data: bytes = file.read(length)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"its data file '{path}' cannot be read ({error})", tensor=proto.name,
                fix="Put the file beside the .onnx file",
            ) from error  # fmt: skip
        if len(data) < length:
            raise ModelError(f"its data file '{path}' is too short", tensor=proto.name, fix="Copy the file again")
        return data


def write_tensor(array: np.ndarray, name: str = "") -> TensorProto:
    """An array as a message; 4- and 2-bit types are packed."""
    if of_array(array) is not STRING:
        return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name or None)
    proto = TensorProto(name=name, data_type=TensorProto.STRING, dims=array.shape)
    items = (item if isinstance(item, bytes) else str(item).encode("utf-8", "surrogateescape") for item in array.flat)
    proto.string_data.extend(items)
    return proto


def read_text(data: bytes) -> str | bytes:
    """A text attribute: str, or the bytes themselves where they are no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def read_attribute(proto: AttributeProto, tensors: TensorReader, body: Callable[[onnx.GraphProto], Graph]) -> AttrValue:
    """An attribute's value.

    Args:
        body: turns a subgraph into a Graph.
    """
    kind = proto.type
    if proto.ref_attr_name:
        return RawAttribute(proto.SerializeToString(deterministic=True))
    if kind == AttributeProto.INT:
        return int(proto.i)
    if kind == AttributeProto.FLOAT:
        return float(proto.f)
    if kind == AttributeProto.STRING:
        return read_text(proto.s)
    if kind == AttributeProto.TENSOR:
        return tensors.array(proto.t)
    if kind == AttributeProto.GRAPH:
        return body(proto.g)
    if kind == AttributeProto.TYPE_PROTO:
        return read_type(proto.tp) or OpaqueType(proto.tp.SerializeToString(deterministic=True))
    if kind in _LIST_KINDS:
        return _read_list(proto, tensors) or EmptyList(_LIST_KINDS[kind])
    return RawAttribute(proto.SerializeToString(deterministic=True))


def _read_list(proto: AttributeProto, tensors: TensorReader) -> tuple[Any, ...]:
    if proto.type == AttributeProto.INTS:
        return tuple(int(item) for item in proto.ints)
    if proto.type == AttributeProto.FLOATS:
        return tuple(float(item) for item in proto.floats)
    if proto.type == AttributeProto.STRINGS:
        return tuple(read_text(item) for item in proto.strings)
    return tuple(tensors.array(item) for item in proto.tensors)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")


def write_attribute(
    name: str, value: AttrValue, body: Callable[[Graph], onnx.GraphProto], kind: int | None = None
) -> AttributeProto:
    """An attribute's message.

    Args:
        body: turns a Graph into a subgraph.
        kind: the type that the operator's definition demands, where it is known (makes 1 a float where one is due).

    Raises:
        TypeError: for values that ONNX has no attribute type for.
    """
    proto = AttributeProto()
    if isinstance(value, RawAttribute):
        proto.ParseFromString(value.proto)
        return proto
    proto.name = name
    if isinstance(value, EmptyList):
        proto.type = _KIND_NUMBERS[value.kind]
    elif isinstance(value, Graph):
        proto.type = AttributeProto.GRAPH
        proto.g.CopyFrom(body(value))
    elif isinstance(value, np.ndarray):
        proto.type = AttributeProto.TENSOR
        proto.t.CopyFrom(write_tensor(value))
    elif isinstance(value, TensorType | SequenceType | OptionalType | OpaqueType):
        proto.type = AttributeProto.TYPE_PROTO
        proto.tp.CopyFrom(write_type(value))
    elif isinstance(value, str | bytes):
        proto.type = AttributeProto.STRING
        proto.s = _bytes(value)
    elif isinstance(value, bool | int | np.integer | np.bool_) and kind != AttributeProto.FLOAT:
        proto.type = AttributeProto.INT
        proto.i = int(value)
    elif isinstance(value, int | float | np.integer | np.floating):
        proto.type = AttributeProto.FLOAT
        proto.f = float(value)
    elif isinstance(value, tuple | list):
        _write_list(proto, tuple(value), kind)
    else:
        raise TypeError(f"attribute {name} is a {type(value).__name__}, which ONNX cannot hold")
    return proto


def _write_list(proto: AttributeProto, items: tuple[Any, ...], kind: int | None) -> None:
    if not items:
        proto.type = kind if kind in _LIST_KINDS else AttributeProto.INTS  # type: ignore[assignment]
    elif all(isinstance(item, str | bytes) for item in items):
        proto.type = AttributeProto.STRINGS
        proto.strings.extend(_bytes(item) for item in items)
    elif all(isinstance(item, np.ndarray) for item in items):
        proto.type = AttributeProto.TENSORS
        proto.tensors.extend(write_tensor(item) for item in items)
    elif all(isinstance(item, int | np.integer) for item in items) and kind != AttributeProto.FLOATS:
        proto.type = AttributeProto.INTS
        proto.ints.extend(int(item) for item in items)
    elif all(isinstance(item, int | float | np.integer | np.floating) for item in items):
        proto.type = AttributeProto.FLOATS
        proto.floats.extend(float(item) for item in items)
    else:
        raise TypeError(f"attribute {proto.name} mixes types, which ONNX cannot hold")


def attribute_kinds(op_type: str, domain: str, version: int) -> Mapping[str, int]:
    """Attribute name to AttributeProto type by the operator's definition; empty for operators unknown to onnx."""
    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return {}
    return {name: int(cast(Any, attribute.type)) for name, attribute in schema.attributes.items()}
