"""Integer averages: pools and means over axes.

Each output is `clamp(rint(float32(acc) * (multiplier / count)) + y_zero_point)`, acc = sum of (x - x_zero_point), with
`multiplier / count` a float32 quotient of the float32 ratio s_x / s_y.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from qir.ir.graph import Node
from qir.ir.types import TensorType
from qir.ops.integer import finish, result_type
from qir.ops.registry import OpDef, register_op
from qir.ops.window import window


def _average_pool(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    x = arrays[0].astype(np.int64) - node.attr("x_zero_point")
    win = window(node, x.shape[2:], node.attr("kernel_shape"))
    pads = ((0, 0), (0, 0), *zip(win.begin, win.end, strict=True))
    counted = np.ones(x.shape[2:], np.int64)
    if node.attr("count_include_pad", 0):
        counted = np.pad(counted, tuple(zip(win.begin, win.declared_end, strict=True)), constant_values=1)
        rest = [(0, e - d) for e, d in zip(win.end, win.declared_end, strict=True)]
    else:
        rest = list(zip(win.begin, win.end, strict=True))
    counted, padded = np.pad(counted, rest), np.pad(x, pads)
    accumulator = np.zeros((*x.shape[:2], *win.output), np.int64)
    count = np.zeros(win.output, np.int64)
    for _, slices in win.taps():
        accumulator += padded[(slice(None), slice(None), *slices)]
        count += counted[slices]
    multiplier = np.float32(node.attr("multiplier")) / np.maximum(count, 1).astype(np.float32)
    return (finish(node, accumulator, multiplier),)


def _average_pool_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    x = types[0]
    if not x.is_static:
        return result_type(node, None)
    return result_type(node, (*x.sizes[:2], *window(node, x.sizes[2:], node.attr("kernel_shape")).output))


def _mean(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, axes = arrays[0], tuple(node.attr("axes"))
    count = np.float32(prod(x.shape[axis] for axis in axes))
    total = (x.astype(np.int64) - node.attr("x_zero_point")).sum(axis=axes, keepdims=bool(node.attr("keepdims", 1)))
    return (finish(node, total, np.float32(node.attr("multiplier")) / count),)


def _mean_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    shape = types[0].shape
    if shape is None:
        return result_type(node, None)
    axes = {axis % len(shape) for axis in node.attr("axes")}
    if node.attr("keepdims", 1):
        return result_type(node, tuple(1 if i in axes else d for i, d in enumerate(shape)))
    return result_type(node, tuple(d for i, d in enumerate(shape) if i not in axes))


register_op(OpDef("qir.IntAveragePool", _average_pool_type, _average_pool))
register_op(OpDef("qir.IntMean", _mean_type, _mean))
