"""What changed between versions of ONNX's operators, as rewrites of single nodes to the form of opset 21.

A step that only allows more (new element types, new attributes whose default is the old meaning, inputs that became
optional) needs no rule. `tests/onnxio/test_upgrade.py` holds the table to ONNX's own definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from qir.ir.graph import EmptyList, Node
from qir.ir.types import TensorType


class Context(Protocol):
    """What a rule may ask for; everything new is named after the node at hand."""

    def constant(self, hint: str, array: np.ndarray) -> str:
        """Adds a constant and returns its name."""

    def value(self, hint: str) -> str:
        """An unused value name."""

    def helper(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attrs: Any) -> Node:
        """A node beside the one at hand, already in its final form."""

    def tensor(self, name: str) -> TensorType | None:
        """What is known of a value, None where it is no tensor or nothing is known."""

    def array(self, name: str) -> np.ndarray | None:
        """The content of a constant."""

    def is_used(self, name: str) -> bool:
        """Whether some node reads a result of the node at hand, or it is a result of the graph."""


@dataclass(frozen=True)
class Step:
    """A node in its next form, with helpers around it."""

    node: Node
    before: tuple[Node, ...] = ()
    after: tuple[Node, ...] = ()


Rule: TypeAlias = Callable[[Node, Context], Step | None]
"""None where this node has no equal in the next version."""


def _without(node: Node, *names: str) -> dict[str, Any]:
    return {key: value for key, value in node.attrs.items() if key not in names}


def _put(inputs: Sequence[str], slot: int, name: str) -> tuple[str, ...]:
    padded = [*inputs, *[""] * (slot + 1 - len(inputs))]
    padded[slot] = name
    while padded and not padded[-1]:
        padded.pop()
    return tuple(padded)


def _ints(value: Any) -> np.ndarray:
    return np.array(value, np.int64).reshape(-1)


def _moved(attr: str, slot: int) -> Rule:
    """An attribute of integers that became an input."""

    def rule(node: Node, context: Context) -> Step:
        if attr not in node.attrs:
            return Step(node)
        name = context.constant(attr, _ints(node.attr(attr)))
        return Step(node.with_(attrs=_without(node, attr), inputs=_put(node.inputs, slot, name)))

    return rule


def _scalar_dtype(node: Node, context: Context) -> np.dtype:
    kind = context.tensor(node.input(0))
    return kind.dtype.numpy if kind is not None else np.dtype(np.float32)


def _clip(node: Node, context: Context) -> Step:
    inputs, dtype = node.inputs, _scalar_dtype(node, context)
    for slot, attr in ((1, "min"), (2, "max")):
        if attr in node.attrs:
            inputs = _put(inputs, slot, context.constant(attr, np.array(node.attrs[attr], dtype)))
    return Step(node.with_(attrs=_without(node, "min", "max"), inputs=inputs))


def _pad(node: Node, context: Context) -> Step:
    inputs = _put(node.inputs, 1, context.constant("pads", _ints(node.attr("pads"))))
    if node.attr("value", 0.0) != 0.0:
        fill = np.array(node.attr("value"), _scalar_dtype(node, context))
        inputs = _put(inputs, 2, context.constant("value", fill))
    return Step(node.with_(attrs=_without(node, "pads", "value"), inputs=inputs))


def _slice(node: Node, context: Context) -> Step:
    inputs = node.inputs
    for slot, attr in ((1, "starts"), (2, "ends"), (3, "axes")):
        if attr in node.attrs and not isinstance(node.attrs[attr], EmptyList):
            inputs = _put(inputs, slot, context.constant(attr, _ints(node.attrs[attr])))
        elif slot < 3:
            inputs = _put(inputs, slot, context.constant(attr, _ints(())))
    return Step(node.with_(attrs=_without(node, "starts", "ends", "axes"), inputs=inputs))


def _split_outputs(node: Node, context: Context) -> Step:
    if node.input(1) or "num_outputs" in node.attrs:
        return Step(node)
    return Step(node.with_(attrs={**node.attrs, "num_outputs": len(node.outputs)}))


def _dropout_mask(node: Node, context: Context) -> Step | None:
    """What the mask holds outside training was left open before 12, and its type was the data's before 10."""
    if any(context.is_used(name) for name in node.outputs[1:]):
        return None
    return Step(node.with_(outputs=node.outputs[:1]))


def _dropout_ratio(node: Node, context: Context) -> Step | None:
    step = _dropout_mask(node, context)
    if step is None or "ratio" not in node.attrs:
        return step
    ratio = context.constant("ratio", np.array(node.attrs["ratio"], np.float32))
    return Step(step.node.with_(attrs=_without(node, "ratio"), inputs=_put(node.inputs, 1, ratio)))


def _batchnorm(node: Node, context: Context) -> Step | None:
    """Before 14, further outputs meant training with other update rules."""
    return None if any(node.outputs[1:]) else Step(node.with_(outputs=node.outputs[:1]))


def _asymmetric(node: Node, context: Context) -> Step:
    """Resize of 10 (and Upsample) sampled at `x_out / scale`, rounded down; scales move behind the region."""
    attrs = {**node.attrs, "coordinate_transformation_mode": "asymmetric"}
    if node.attr("mode", "nearest") == "nearest":
        attrs["nearest_mode"] = "floor"
    return Step(node.with_(op="Resize", attrs=attrs, inputs=(node.input(0), "", node.input(1))))


def _resize_optional(node: Node, context: Context) -> Step | None:
    """Unused regions, scales and sizes were empty tensors, now they are left out."""
    if node.attr("coordinate_transformation_mode") == "tf_half_pixel_for_nn":
        return None
    inputs = list(node.inputs)
    for slot in range(1, len(inputs)):
        content = context.array(inputs[slot])
        if content is not None and content.size == 0:
            inputs[slot] = ""
    while inputs and not inputs[-1]:
        inputs.pop()
    return Step(node.with_(inputs=tuple(inputs)))


def _coerced(node: Node, context: Context) -> Step:
    """Softmax and its kin saw a matrix `[prod(shape[:axis]), prod(shape[axis:])]` whatever the input's rank."""
    axis, kind = int(node.attr("axis", 1)), context.tensor(node.input(0))
    last = node.with_(attrs={**node.attrs, "axis": -1})
    if axis == -1 or (kind is not None and kind.shape is not None and axis == len(kind.shape) - 1):
        return Step(last)
    source, shape = node.input(0), context.value("shape")
    matrix, result = context.value("matrix"), context.value("result")
    return Step(
        last.with_(inputs=(matrix,), outputs=(result,)),
        before=(
            context.helper("Shape", [source], [shape]),
            context.helper("Flatten", [source], [matrix], axis=axis),
        ),
        after=(context.helper("Reshape", [result, shape], node.outputs),),
    )


def _group_norm(node: Node, context: Context) -> Step:
    """Scale and bias went from one a group to one a channel: each is repeated `channels / groups` times."""
    groups = int(node.attr("num_groups"))
    channels, repeats = context.value("channels"), context.value("repeats")
    one, count = context.constant("one", _ints(1)), context.constant("groups", _ints(groups))
    wide = context.value("wide")
    before = [
        context.helper("Shape", [node.input(0)], [channels], start=1, end=2),
        context.helper("Div", [channels, count], [repeats]),
        context.helper("Concat", [count, repeats], [wide], axis=0),
    ]
    inputs = [node.input(0)]
    flat = context.constant("flat", _ints(-1))
    for name in node.inputs[1:3]:
        column, grid, each = context.value("column"), context.value("grid"), context.value("per_channel")
        before += [
            context.helper("Unsqueeze", [name, one], [column]),
            context.helper("Expand", [column, wide], [grid]),
            context.helper("Reshape", [grid, flat], [each]),
        ]
        inputs.append(each)
    return Step(node.with_(inputs=tuple(inputs)), before=tuple(before))


def _dft(node: Node, context: Context) -> Step:
    axis = context.constant("axis", np.array(node.attr("axis", 1), np.int64))
    return Step(node.with_(attrs=_without(node, "axis"), inputs=_put(node.inputs, 2, axis)))


def _renamed_values(attr: str, names: dict[str, str]) -> Rule:
    def rule(node: Node, context: Context) -> Step:
        value = node.attr(attr)
        return Step(node.with_(attrs={**node.attrs, attr: names[value]}) if value in names else node)

    return rule


def _default(attr: str, value: Any) -> Rule:
    """The meaning of leaving an attribute out changed."""

    def rule(node: Node, context: Context) -> Step:
        return Step(node if attr in node.attrs else node.with_(attrs={**node.attrs, attr: value}))

    return rule


def _renamed(op: str) -> Rule:
    return lambda node, context: Step(node.with_(op=op))


_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")

RULES: dict[tuple[str, int], Rule] = {
    ("Dropout", 10): _dropout_mask,
    ("Dropout", 12): _dropout_ratio,
    ("Slice", 10): _slice,
    ("TopK", 10): _moved("k", 1),
    ("Upsample", 10): _renamed("Resize"),
    ("Clip", 11): _clip,
    ("Pad", 11): _pad,
    ("Resize", 11): _asymmetric,
    ("Scatter", 11): _renamed("ScatterElements"),
    ("Resize", 13): _resize_optional,
    ("Squeeze", 13): _moved("axes", 1),
    ("Unsqueeze", 13): _moved("axes", 1),
    ("ReduceSum", 13): _moved("axes", 1),
    ("Split", 13): _moved("split", 1),
    ("Softmax", 13): _coerced,
    ("LogSoftmax", 13): _coerced,
    ("Hardmax", 13): _coerced,
    ("BatchNormalization", 14): _batchnorm,
    ("RoiAlign", 16): _default("coordinate_transformation_mode", "output_half_pixel"),
    ("Split", 18): _split_outputs,
    **{(f"Reduce{kind}", 18): _moved("axes", 1) for kind in _REDUCTIONS},
    ("DFT", 20): _dft,
    ("GridSample", 20): _renamed_values("mode", {"bilinear": "linear", "bicubic": "cubic"}),
    ("GroupNormalization", 21): _group_norm,
}
"""(operator, version that brought the change): what the node becomes."""
