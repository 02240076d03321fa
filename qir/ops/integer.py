"""Integer operators with weights or two operands: their types and exact numpy references.

Activations are uint8 or int16 codes, weights int8 or int16, biases and accumulators int32, or int64 where operands of
16 bits could leave that. Every matrix product goes through float64, exact below 2^53. Requantization:
`y = clamp(rint(float32(acc) * multiplier) + y_zero_point, qmin, qmax)` with a float32 product, halves to even; a node
without `y_zero_point` gives the float32 product itself. Where `requantization` is "fixed" the product is exact and
halves go up, by integers alone (qir.quant.fixedpoint). `to` names the storage of its codes (uint8 by default);
`weight_bits` (2 to 5) says that no weight code needs more, so that they may be stored in as many, 1 that all are -1 or
1, and `planes` (2 to 4) that those of an output channel are sums of as many planes (qir.quant.planes); `small` says
that bytes count for more than the time to unpack them. Where an operand of qir.IntAdd has at most 16 neighbouring
codes, and the result at most FEW_SUMS, `few` names its slot, the least and the most of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qir.ir.dtype import BY_NAME, FLOAT32, DType, of_array
from qir.ir.graph import Node
from qir.ir.types import Shape, TensorType
from qir.ops.registry import OpDef, register_op
from qir.ops.window import Window, transposed_window, window
from qir.quant.fixedpoint import REQUANTIZE, clamp_round, fixed_sum, largest_code

FEW_SUMS = 4
"""Codes of a sum that thresholds may tell apart."""


def finish(node: Node, accumulator: np.ndarray, multiplier: np.ndarray | np.float32) -> np.ndarray:
    """Requantizes int accumulators to codes, or to reals where the node has no y_zero_point."""
    if "y_zero_point" not in node.attrs:
        return np.asarray(accumulator.astype(np.int64).astype(np.float32) * multiplier)
    zero_point, qmin, qmax = (node.attr(key) for key in ("y_zero_point", "qmin", "qmax"))
    codes = REQUANTIZE[mode(node)](accumulator.astype(np.int64), np.asarray(multiplier), zero_point, qmin, qmax)
    return codes.astype(_storage(node).numpy)


def mode(node: Node) -> str:
    """How a node's accumulators become codes: float32 or fixed."""
    return str(node.attr("requantization", "float32"))


def _storage(node: Node) -> DType:
    """What a node's codes are stored as: uint8 unless it says otherwise."""
    return BY_NAME[node.attr("to", "uint8")]


def result_type(node: Node, shape: Shape | None) -> tuple[TensorType, ...]:
    """The type that `finish` gives."""
    return (TensorType(_storage(node) if "y_zero_point" in node.attrs or "qmin" in node.attrs else FLOAT32, shape),)


def per_channel(values: np.ndarray, rank: int) -> np.ndarray:
    """Values [C] along axis 1 of a tensor of that rank."""
    return values.reshape((1, -1) + (1,) * (rank - 2))


def convolved(padded: np.ndarray, w: np.ndarray, win: Window, group: int) -> np.ndarray:
    """Sums of products, float64 [N, M, ...], of a padded input [N, C, ...] with integer weights [M, C / group, ...]."""
    batch, per_group = padded.shape[0], w.shape[0] // group
    kernels = w.astype(np.float64).reshape(*w.shape[:2], -1)
    accumulator = np.zeros((batch, w.shape[0], *win.output))
    for tap, slices in win.taps():
        seen = padded[(slice(None), slice(None), *slices)].reshape(batch, group, w.shape[1], -1)
        taps = kernels[..., np.ravel_multi_index(tap, win.kernel)].reshape(group, per_group, w.shape[1])
        accumulator += np.matmul(taps, seen).reshape(accumulator.shape)
    return accumulator


def _conv(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, w, bias, multiplier = arrays
    win = window(node, x.shape[2:], w.shape[2:])
    pads = ((0, 0), (0, 0), *zip(win.begin, win.end, strict=True))
    padded = np.pad(x, pads, constant_values=node.attr("x_zero_point", 0)).astype(np.float64)
    accumulator = convolved(padded, w, win, node.attr("group", 1)) + per_channel(bias, x.ndim)
    return (finish(node, accumulator, per_channel(multiplier, x.ndim)),)


def _conv_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    x, w = types[0], types[1]
    if not x.is_static or not w.is_static:
        return result_type(node, None)
    win = window(node, x.sizes[2:], w.sizes[2:])
    return result_type(node, (x.sizes[0], w.sizes[0], *win.output))


def _conv_transpose(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, w, bias, multiplier = arrays
    win = transposed_window(node, x.shape[2:], w.shape[2:])
    group, rank, batch = node.attr("group", 1), x.ndim, x.shape[0]
    centred = (x.astype(np.float64) - node.attr("x_zero_point", 0)).reshape(batch, group, x.shape[1] // group, -1)
    kernels = w.astype(np.float64).reshape(group, x.shape[1] // group, w.shape[1], *win.kernel)
    accumulator = np.zeros((batch, group * w.shape[1], *win.output))
    for tap in np.ndindex(*win.kernel):
        taps = kernels[(slice(None), slice(None), slice(None), *tap)].transpose(0, 2, 1)
        product = np.matmul(taps, centred).reshape(batch, -1, *win.input)
        source, target = [slice(None)] * 2, [slice(None)] * 2
        for axis, position in enumerate(tap):
            offset = position * win.dilations[axis] - win.begin[axis]
            step, size = win.strides[axis], win.input[axis]
            first = max(0, -(offset // step))
            last = min(size, (win.output[axis] - 1 - offset) // step + 1)
            source.append(slice(first, max(last, first)))
            target.append(
                slice(first * step + offset, max((last - 1) * step + offset + 1, first * step + offset), step)
            )
        accumulator[tuple(target)] += product[tuple(source)]
    accumulator += per_channel(bias, rank)
    return (finish(node, accumulator, per_channel(multiplier, rank)),)


def _conv_transpose_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    x, w = types[0], types[1]
    if not x.is_static or not w.is_static:
        return result_type(node, None)
    win = transposed_window(node, x.sizes[2:], w.sizes[2:])
    return result_type(node, (x.sizes[0], w.sizes[1] * node.attr("group", 1), *win.output))


def _gemm(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    x, w, bias, multiplier = arrays
    return (finish(node, x.astype(np.float64) @ w.astype(np.float64) + bias, multiplier),)


def _gemm_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    x, w = types[0].shape, types[1].shape
    return result_type(node, None if x is None or w is None else (*x[:-1], w[-1]))


def _matmul(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    a = arrays[0].astype(np.float64) - node.attr("a_zero_point")
    b = arrays[1].astype(np.float64) - node.attr("b_zero_point")
    return (finish(node, a @ b, np.float32(node.attr("multiplier"))),)


def _matmul_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    if not types[0].is_static or not types[1].is_static:
        return result_type(node, None)
    a, b = types[0].sizes, types[1].sizes
    return result_type(node, (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1]))


def _add(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    if mode(node) == "fixed":
        return (_add_fixed(node, *arrays),)
    a, b = (array.astype(np.float32) for array in arrays)
    partial = np.float32(node.attr("offset")) + a * np.float32(node.attr("a_multiplier"))
    real = partial + b * np.float32(node.attr("b_multiplier"))
    return (clamp_round(real, 0, node.attr("qmin"), node.attr("qmax")).astype(_storage(node).numpy),)


def _add_fixed(node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    first, second, offset = (np.float32(node.attr(key)) for key in ("a_multiplier", "b_multiplier", "offset"))
    sums = fixed_sum(first, second, offset, (largest_code(of_array(a)), largest_code(of_array(b))))
    assert sums is not None, "lowering leaves such sums in float"
    total = (a.astype(np.int64) * sums.a + b.astype(np.int64) * sums.b + sums.offset) >> sums.shift
    return np.asarray(np.clip(total, node.attr("qmin"), node.attr("qmax")).astype(_storage(node).numpy))


def _mul(node: Node, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    a = arrays[0].astype(np.int64) - node.attr("a_zero_point")
    b = arrays[1].astype(np.int64) - node.attr("b_zero_point")
    return (finish(node, a * b, np.float32(node.attr("multiplier"))),)


def _broadcast_type(node: Node, types: Sequence[TensorType]) -> tuple[TensorType, ...]:
    if not types[0].is_static or not types[1].is_static:
        return result_type(node, None)
    return result_type(node, np.broadcast_shapes(types[0].sizes, types[1].sizes))


register_op(OpDef("qir.IntConv", _conv_type, _conv))
register_op(OpDef("qir.IntConvTranspose", _conv_transpose_type, _conv_transpose))
register_op(OpDef("qir.IntGemm", _gemm_type, _gemm))
register_op(OpDef("qir.IntMatMul", _matmul_type, _matmul))
register_op(OpDef("qir.IntAdd", _broadcast_type, _add))
register_op(OpDef("qir.IntMul", _broadcast_type, _mul))
