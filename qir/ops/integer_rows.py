"""Integer operators on rows of codes: softmax and layer normalization.

Sums are exact integers, so that they may be taken in any order; what follows is one rounded operation at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qir.ir.dtype import of_array
from qir.ir.graph import Node
from qir.ir.types import TensorType
from qir.ops.integer import finish, mode, result_type
from qir.ops.registry import OpDef, register_op
from qir.quant.fixedpoint import clamp_round, fixed_row, normalized, spread_fraction

EXPONENT_BITS = 24
"""Exponentials are integers of at most 2^24, so that float32 holds each one."""


def exponentials(scale: np.float32) -> np.ndarray:
    """[256] int32: `rint(2^24 exp(-d scale))` for codes d below the largest of their row."""
    return np.rint(np.exp(-np.arange(256) * np.float64(scale)) * 2.0**EXPONENT_BITS).astype(np.int32)


def _softmax(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """`e = table[max(x) - x]`, `y = finish(e, multiplier / float32(sum(e)))`: a float32 quotient for each row."""
    x, table, axis = arrays[0].astype(np.int64), arrays[1], node.attr("axis")
    found = table[x.max(axis, keepdims=True, initial=0) - x]
    total = found.sum(axis, dtype=np.int64, keepdims=True)
    return (finish(node, found, np.float32(node.attr("multiplier")) / total.astype(np.float32)),)


def _layernorm(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Rows of n codes along the last axis:

    v = n sum(x^2) - sum(x)^2                           int64: n^2 times the variance of the codes
    r = float32(1 / sqrt(float64(v) + epsilon))         float64
    y = rint((float32(n x - sum(x)) * r) * scale + bias)   float32, one step at a time
    """
    x, (scale, bias) = arrays[0].astype(np.int64), arrays[1:]
    size, total = x.shape[-1], x.sum(-1, keepdims=True)
    spread = size * (x * x).sum(-1, keepdims=True) - total * total
    if mode(node) == "fixed":
        return (_normalized_fixed(node, size * x - total, spread, scale, bias, spread_fraction(of_array(arrays[0]))),)
    r = (1.0 / np.sqrt(spread.astype(np.float64) + node.attr("epsilon"))).astype(np.float32)
    with np.errstate(over="ignore"):
        real = (size * x - total).astype(np.float32) * r * scale + bias
    codes = clamp_round(real, node.attr("y_zero_point"), node.attr("qmin"), node.attr("qmax"))
    return (codes.astype(result_type(node, None)[0].dtype.numpy),)


def _normalized_fixed(
    node: Node, total: np.ndarray, spread: np.ndarray, scale: np.ndarray, bias: np.ndarray, fraction: int
) -> np.ndarray:
    """The same by integers alone: a root and a quotient of 31 bits, then one product, one sum and one shift."""
    row, zero = fixed_row(scale, bias), node.attr("y_zero_point")
    assert row is not None, "lowering leaves such rows in float"
    codes = (normalized(total, spread, node.attr("epsilon"), fraction) * row.scale + row.bias) >> row.shift
    clamped = np.clip(codes, node.attr("qmin") - zero, node.attr("qmax") - zero) + zero
    return np.asarray(clamped.astype(result_type(node, None)[0].dtype.numpy))


def _same_shape(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    return result_type(node, types[0].shape)


register_op(OpDef("qir.IntSoftmax", _same_shape, _softmax))
register_op(OpDef("qir.IntLayerNorm", _same_shape, _layernorm))
