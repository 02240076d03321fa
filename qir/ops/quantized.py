"""Where numbers change their form: qir.Requantize, qir.Quantize, qir.Dequantize, qir.Lookup."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qir.ir.dtype import BY_NAME, FLOAT32
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.ops.registry import OpDef, register_op
from qir.quant.binary import binary_codes
from qir.quant.fixedpoint import clamp_round
from qir.quant.ternary import ternary_codes


def _along(values: object, axis: int | None, rank: int) -> np.ndarray:
    array = np.asarray(values)
    if axis is None or array.ndim == 0:
        return array.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return array.reshape(shape)


def _quantize(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """To the nearest code; where the node says `rounding`, to one of ternary or binary codes around the zero point."""
    if "rounding" in node.attrs:
        compare = binary_codes if node.attr("rounding") == "binary" else ternary_codes
        signs = compare(arrays[0], float(node.attr("threshold")))
        return ((signs.astype(np.int32) + node.attr("zero_point")).astype(BY_NAME[node.attr("to", "uint8")].numpy),)
    codes = clamp_round(
        arrays[0] / np.float32(node.attr("scale")), node.attr("zero_point"), node.attr("qmin"), node.attr("qmax")
    )
    return (codes.astype(BY_NAME[node.attr("to", "uint8")].numpy),)


def _dequantize(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    codes, axis = arrays[0], node.attr("axis")
    zero_point = _along(node.attr("zero_point"), axis, codes.ndim).astype(np.int32)
    scale = _along(node.attr("scale"), axis, codes.ndim).astype(np.float32)
    return ((codes.astype(np.int32) - zero_point).astype(np.float32) * scale,)


def _quantize_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    return (TensorType(BY_NAME[node.attr("to", "uint8")], types[0].shape),)


def _expand_requantize(node: Node, graph: Graph) -> list[Node]:
    return [Node("Identity", node.inputs, node.outputs, name=node.name, origin=node.origin)]


register_op(OpDef("qir.Requantize", lambda node, types: (TensorType(types[0].dtype, types[0].shape),),
                  expand=_expand_requantize))  # fmt: skip
register_op(OpDef("qir.Quantize", _quantize_type, _quantize))
register_op(OpDef("qir.Dequantize", lambda node, types: (TensorType(FLOAT32, types[0].shape),), _dequantize))
register_op(OpDef("qir.Lookup", lambda node, types: (TensorType(types[1].dtype, types[0].shape),),
                  lambda node, arrays: (arrays[1][arrays[0]],)))  # fmt: skip
