"""Integer operators on activations of one or two bits, packed along their channels.

A packed value is uint8 [..., bits * ceil(C / 8)], its last axis `bits` planes of the channels' bits one after the
other: bit i of plane p, lowest first, is bit p of channel i's number. A number b in [0, 2^bits) stands for the code
`step * b - x_zero_point`: 2 b - 1 for binary codes, b - 1 for ternary ones, b - zero_point for two uniform bits.

Results are codes or reals like those of the other operators with weights, or, where the node has `y_levels`, numbers in
[0, y_levels): how many of the int32 thresholds [y_levels - 1, M] given in place of multipliers the accumulator reaches.
With `y_bits` these come packed, else as the codes `qmin + y_step * number`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qir.ir.dtype import UINT8
from qir.ir.graph import Node
from qir.ir.types import TensorType
from qir.ops.integer import convolved, finish, per_channel, result_type
from qir.ops.registry import OpDef, register_op
from qir.ops.window import window


def pack(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Numbers in [0, 2^bits), [..., C], as uint8 [..., bits * ceil(C / 8)]."""
    planes = [np.packbits((numbers >> bit) & 1, axis=-1, bitorder="little") for bit in range(bits)]
    return np.concatenate(planes, axis=-1)


def unpack(packed: np.ndarray, bits: int, channels: int) -> np.ndarray:
    """The inverse of `pack`: uint8 [..., channels]."""
    planes = np.split(packed, bits, axis=-1)
    numbers = [np.unpackbits(plane, axis=-1, count=channels, bitorder="little") << bit
               for bit, plane in enumerate(planes)]  # fmt: skip
    return np.asarray(np.bitwise_or.reduce(numbers), np.uint8)


def packed_bytes(channels: int, bits: int) -> int:
    """Bytes that the channels of one pixel take."""
    return bits * -(-channels // 8)


def _pack(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    numbers = (arrays[0].astype(np.int32) - node.attr("qmin")) // node.attr("step", 1)
    return (pack(np.moveaxis(numbers, node.attr("axis"), -1).astype(np.uint8), node.attr("bits")),)


def _pack_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    if not types[0].is_static:
        return (TensorType(UINT8, None),)
    sizes = list(types[0].sizes)
    channels = sizes.pop(node.attr("axis"))
    return (TensorType(UINT8, (*sizes, packed_bytes(channels, node.attr("bits")))),)


def _codes(node: Node, packed: np.ndarray, channels: int) -> np.ndarray:
    """Codes less their zero point, float64 [..., channels]."""
    numbers = unpack(packed, node.attr("bits"), channels).astype(np.float64)
    return np.asarray(numbers * node.attr("step", 1) - node.attr("x_zero_point", 0))


def _finish(node: Node, accumulator: np.ndarray, last: np.ndarray, axis: int) -> np.ndarray:
    """What the accumulators become.

    Args:
        last: multipliers [M] or thresholds [levels - 1, M].
        axis: of the channels in `accumulator`.
    """
    if "y_levels" not in node.attrs:
        factor = per_channel(last, accumulator.ndim) if axis == 1 else last
        return finish(node, accumulator, factor)
    sums = np.moveaxis(accumulator, axis, -1)
    numbers = (sums[..., None, :] >= last).sum(axis=-2).astype(np.uint8)
    if "y_bits" in node.attrs:
        return pack(numbers, node.attr("y_bits"))
    codes = numbers * node.attr("y_step", 1) + node.attr("qmin", 0)
    return np.ascontiguousarray(np.moveaxis(codes, -1, axis)).astype(np.uint8)


def _result_type(node: Node, shape: Sequence[int], axis: int) -> tuple[TensorType, ...]:
    """The type of `_finish` for accumulators of a shape."""
    if "y_bits" not in node.attrs:
        return result_type(node, tuple(shape)) if "y_levels" not in node.attrs else (TensorType(UINT8, tuple(shape)),)
    sizes = list(shape)
    channels = sizes.pop(axis)
    return (TensorType(UINT8, (*sizes, packed_bytes(channels, node.attr("y_bits")))),)


def _conv(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, w, bias, last = arrays
    codes = np.moveaxis(_codes(node, x, w.shape[1]), -1, 1)
    win = window(node, codes.shape[2:], w.shape[2:])
    pads = ((0, 0), (0, 0), *zip(win.begin, win.end, strict=True))
    accumulator = convolved(np.pad(codes, pads), w, win, 1) + per_channel(bias, codes.ndim)
    return (_finish(node, accumulator, last, 1),)


def _conv_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    x, w = types[0].sizes, types[1].sizes
    return _result_type(node, (x[0], w[0], *window(node, x[1:-1], w[2:]).output), 1)


def _gemm(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, w, bias, last = arrays
    return (_finish(node, _codes(node, x, w.shape[0]) @ w.astype(np.float64) + bias, last, -1),)


def _gemm_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    return _result_type(node, (*types[0].sizes[:-1], types[1].sizes[1]), -1)


register_op(OpDef("qir.IntPackBits", _pack_type, _pack))
register_op(OpDef("qir.IntBitConv", _conv_type, _conv))
register_op(OpDef("qir.IntBitGemm", _gemm_type, _gemm))
