"""Which versions of ONNX's operators a node is valid in, and the lowest that a whole model needs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import onnx
from onnx.defs import OpSchema

from qir.ir.graph import Node
from qir.ir.types import OptionalType, SequenceType, TensorType, ValueType
from qir.onnxio.protos import number_of

LOWEST = 13
"""Models are stamped with at least this: from here on Q/DQ have axes and initializers need not be inputs."""

_CHANGED: dict[tuple[str, int], Mapping[str, tuple[str, ...]] | None] = {
    ("RoiAlign", 16): None,
    ("GridSample", 20): None,
    ("DFT", 20): None,
    ("GroupNormalization", 21): None,
    ("Resize", 19): {"coordinate_transformation_mode": ("half_pixel_symmetric",)},
    ("Pad", 19): {"mode": ("wrap",)},
    ("ScatterElements", 18): {"reduction": ("min", "max")},
    ("ScatterND", 18): {"reduction": ("min", "max")},
}
"""(operator, version) whose change a signature does not show: new attribute values; None if every node changes."""


@functools.cache
def schema_of(op_type: str, domain: str, version: int) -> OpSchema | None:
    """The definition of an operator at a version; None if it is not known or not there (any more)."""
    try:
        schema = onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None
    return None if schema.deprecated else schema


def accepts(node: Node, types: Mapping[str, ValueType], version: int) -> bool:
    """Whether the definition at a version of the default domain takes the node's attributes, operands and types.

    Args:
        types: of the node's operands; those that are missing or of unknown shape are taken on trust.
    """
    schema = schema_of(node.op_type, node.domain, version)
    if schema is None:
        return False
    if any(name not in schema.attributes for name in node.attrs):
        return False
    if any(item.required and name not in node.attrs for name, item in schema.attributes.items()):
        return False
    if not _slots(node.inputs, schema.inputs, schema.max_input):
        return False
    if not _slots(node.outputs, schema.outputs, schema.max_output):
        return False
    return _typed(node.inputs, schema.inputs, types, schema) and _typed(node.outputs, schema.outputs, types, schema)


def _slots(names: tuple[str, ...], formal: Iterable[OpSchema.FormalParameter], most: int) -> bool:
    given = len(names)
    while given and not names[given - 1]:
        given -= 1
    needed = [slot for slot, item in enumerate(formal) if item.option == OpSchema.FormalParameterOption.Single]
    return given <= most and all(slot < len(names) and names[slot] for slot in needed)


def _typed(
    names: tuple[str, ...], formal: Iterable[OpSchema.FormalParameter], types: Mapping[str, ValueType], schema: OpSchema
) -> bool:
    formal = list(formal)
    allowed = {item.type_param_str: set(item.allowed_type_strs) for item in schema.type_constraints}
    for slot, name in enumerate(names):
        kind = types.get(name)
        if kind is None or (isinstance(kind, TensorType) and kind.shape is None):
            continue
        text = type_text(kind)
        wanted = formal[min(slot, len(formal) - 1)].type_str
        if text is not None and text not in allowed.get(wanted, {wanted}):
            return False
    return True


def type_text(kind: ValueType) -> str | None:
    """A type as operators' definitions spell it, None for those that they do not name."""
    if isinstance(kind, TensorType):
        return f"tensor({onnx.TensorProto.DataType.Name(number_of(kind.dtype)).lower()})"
    if isinstance(kind, SequenceType | OptionalType):
        inner = type_text(kind.element)
        return None if inner is None else f"{'seq' if isinstance(kind, SequenceType) else 'optional'}({inner})"
    return None


def lowest_opset(node: Node, types: Mapping[str, ValueType], version: int) -> int:
    """The lowest version of the default domain, at least 13, in which a node of `version` means the same.

    Operators of other domains, and those that onnx does not know, allow any.
    """
    if node.domain:
        return LOWEST
    schema = schema_of(node.op_type, "", version)
    if schema is None:
        return version if onnx.defs.has(node.op_type) else LOWEST
    best = version
    while best > LOWEST:
        since = schema.since_version
        if since <= LOWEST:
            return LOWEST
        change = _CHANGED.get((node.op_type, since), {})
        if change is None or any(node.attrs.get(name) in values for name, values in change.items()):
            return since
        if not accepts(node, types, since - 1):
            return since
        best = since - 1
        schema = schema_of(node.op_type, "", best)
        if schema is None:
            return since
    return best
