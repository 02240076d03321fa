"""Integer forms of layers with weights.

`sum (q_x - z_x) q_w = sum q_x q_w - z_x sum q_w`: the second term is known at compile time and joins the bias. The
accumulator times `m = float32(float32(s_x * s_w) / s_y)` is the result in units of its codes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qir.ir.dtype import INT4, INT8, INT16, UINT4, UINT8, UINT16
from qir.ir.graph import Node
from qir.ops.weighted import FEW_CODES
from qir.ops.window import window
from qir.passes.lower.codes import Codes, Lowering
from qir.quant.bitpack import few_bits, signed_bits
from qir.quant.channels import along
from qir.quant.fixedpoint import multiplier
from qir.quant.planes import MOST, plane_codes
from qir.quant.scales import decode, encode

_STORAGES = (INT4, UINT4, INT8, UINT8, INT16, UINT16)
_EXACT = 2**53
"""Sums below it are exact in the float64 of the references; kernels that add in int64 hold more."""


@dataclass(frozen=True)
class _Bias:
    """What is added to a layer's sums of products.

    Attributes:
        sums: in units of the accumulator, int64 [channels].
        reals: what is added once they are reals, float32 [channels]; None where the result is made of them as they are.
    """

    sums: np.ndarray
    reals: np.ndarray | None = None

    def less(self, term: np.ndarray) -> _Bias:
        """With a term taken off the sums."""
        return replace(self, sums=self.sums - term)


def _activation(name: str, low: Lowering) -> Codes | None:
    """The codes of an operand that is multiplied; None where they do not fit 16 bits without their zero point."""
    found = low.stored(name)
    return None if found is None or (found.storage == INT16 and found.zero_point) else found


def weight_codes(name: str, channel_axis: int, low: Lowering) -> tuple[np.ndarray, np.ndarray] | None:
    """Signed weight codes with zero point 0 and their scales ([] or one a channel); None where that is not exact."""
    constant, quant = low.graph.constants.get(name), low.quant(name)
    if constant is None or quant is None or quant.block_size or quant.storage not in _STORAGES:
        return None
    if quant.axis is not None and quant.axis % constant.value.ndim != channel_axis % constant.value.ndim:
        return None
    codes = (encode(constant.value, quant) if constant.codes is None else constant.codes).astype(np.int32)
    centred = codes - along(quant.zero_point, quant.axis, codes.shape)
    kind = INT16 if quant.storage.bits == 16 else INT8
    if centred.min(initial=0) < kind.min or centred.max(initial=0) > kind.max:
        return None
    return centred.astype(kind.numpy), quant.scale.reshape(-1) if quant.axis is not None else quant.scale.reshape(())


def real_bias(node: Node, slot: int, channels: int, low: Lowering) -> np.ndarray | None:
    """The real values of a bias, [channels], zeros where there is none; None where it is not a constant per channel."""
    name = node.input(slot)
    if not name:
        return np.zeros(channels, np.float32)
    constant, quant = low.graph.constants.get(name), low.quant(name)
    if (
        constant is None
        or constant.value.size not in (1, channels)
        or (constant.value.ndim > 1 and max(constant.value.shape[:-1]) > 1)
    ):
        return None
    value = constant.value if quant is None or constant.codes is None else decode(constant.codes, quant)
    return np.broadcast_to(value.reshape(-1), (channels,)).copy()


def _bias(node: Node, slot: int, scale: np.ndarray, channels: int, low: Lowering) -> np.ndarray | None:
    """Bias in accumulator units, int64 [channels]; None where it is not a constant per channel."""
    real, name = real_bias(node, slot, channels, low), node.input(slot)
    if real is None or not name:
        return None if real is None else np.zeros(channels, np.int64)
    codes, quant = low.graph.constants[name].codes, low.quant(name)
    if quant is not None and codes is not None and np.array_equal(quant.scale.reshape(-1), scale.reshape(-1)):
        return np.broadcast_to(codes.astype(np.int64).reshape(-1), (channels,)).copy()
    return np.asarray(np.rint(real.astype(np.float64) / scale.reshape(-1)), np.int64)


def _in_sums(node: Node, slot: int, x: Codes, scale: np.ndarray, channels: int, low: Lowering) -> _Bias | None:
    """The bias of a layer; None where it is not a constant per channel.

    It joins the accumulator where that is fine enough: not beside activations of few levels, whose codes are large
    steps. There, and where a compare decides the result's code, the accumulators become reals to which it is added.
    """
    compared = low.quant(node.outputs[0]) is not None and low.rounded(node.outputs[0]) is None
    if compared or (x.levels <= FEW_CODES and node.input(slot)):
        real = real_bias(node, slot, channels, low)
        return None if real is None else _Bias(np.zeros(channels, np.int64), real)
    sums = _bias(node, slot, scale, channels, low)
    return None if sums is None else _Bias(sums)


def _finish(
    node: Node,
    op: str,
    x: Codes,
    weight: np.ndarray,
    scale: np.ndarray,
    bias: _Bias,
    attrs: dict[str, Any],
    low: Lowering,
) -> bool:
    """Adds the node unless its accumulator could overflow or its result has codes of another kind."""
    output = node.outputs[0]
    result = low.rounded(output) if bias.reals is None else None
    if bias.reals is None and low.quant(output) is not None and result is None:
        return False
    products = x.largest * np.abs(weight.astype(np.int64)).sum(axis=_reduced(op, weight)).max(initial=0)
    most = np.abs(bias.sums).max(initial=0) + products
    if most >= (2**31 if x.storage == UINT8 and weight.dtype == np.int8 else _EXACT):
        return False
    channels = bias.sums.size
    factor = (
        multiplier(float(x.scale), scale, float(result.scale)) if result is not None else np.float32(x.scale) * scale
    )
    factors = np.broadcast_to(np.asarray(factor, np.float32), (channels,))
    names = (
        low.codes(node.inputs[0]),
        low.constant(f"{node.inputs[1]}_codes", weight),
        low.constant(f"{node.name}_bias", bias.sums.astype(np.int32 if most < 2**31 else np.int64)),
        low.constant(f"{node.name}_multiplier", factors),
    )
    stored = _stored(node, op, weight, low) if most < 2**31 and weight.dtype == np.int8 else {}
    attrs = {**attrs, **stored, **(result.attrs if result is not None else {})}
    if bias.reals is None:
        low.integer(node, op, names, attrs)
    else:
        low.sums(node, op, names, attrs, bias.reals, -1 if op == "qir.IntGemm" else 1)
    return True


def _stored(node: Node, op: str, weight: np.ndarray, low: Lowering) -> dict[str, int]:
    """How an int8 weight may be stored in fewer bits.

    One that was rounded to at most 4 bits, whatever stores it, needs at most 5 less its zero points; the sums of planes
    of an output channel need as many bits as they have planes.
    """
    quant, small = low.quant(node.inputs[1]), {"small": 1} if low.target.small else {}
    narrow = (quant is not None and quant.storage.bits <= 4) or signed_bits(weight) <= 4
    bits, channels = few_bits(weight) if narrow else 8, _channels_first(node, op, weight)
    found = plane_codes(channels, min(bits - 1, MOST)) if channels is not None else None
    if found is not None and len(found[0]) > 1:
        return {"planes": len(found[0]), **small}
    return {"weight_bits": bits, **small} if narrow else {}


def _channels_first(node: Node, op: str, weight: np.ndarray) -> np.ndarray | None:
    """The weight with its output channels as first axis; None for operators whose planes no kernel knows."""
    if op == "qir.IntConv" and node.attr("group", 1) == 1:
        return weight
    return weight.T if op == "qir.IntGemm" else None


def _reduced(op: str, weight: np.ndarray) -> tuple[int, ...]:
    if op == "qir.IntGemm":
        return (0,)
    return tuple(range(1, weight.ndim)) if op == "qir.IntConv" else (0, *range(2, weight.ndim))


def conv(node: Node, low: Lowering) -> bool:
    """Conv to qir.IntConv: padding becomes explicit and pads with the zero point's code."""
    x, found = _activation(node.inputs[0], low), weight_codes(node.inputs[1], 0, low)
    kind = low.graph.tensor(node.inputs[0])
    if x is None or found is None or (not kind.is_static and node.attr("auto_pad", "NOTSET") != "NOTSET"):
        return False
    weight, scale = found
    bias = _in_sums(node, 2, x, np.float32(x.scale) * scale, weight.shape[0], low)
    if bias is None:
        return False
    bias = bias.less(x.zero_point * weight.astype(np.int64).sum(axis=tuple(range(1, weight.ndim))))
    attrs = {**geometry(node, weight.shape[2:], low), "group": node.attr("group", 1), "x_zero_point": x.zero_point}
    return _finish(node, "qir.IntConv", x, weight, scale, bias, attrs, low)


def geometry(node: Node, kernel: tuple[int, ...], low: Lowering) -> dict[str, Any]:
    """Strides, dilations and explicit pads of a convolution."""
    kind, rank = low.graph.tensor(node.inputs[0]), len(kernel)
    pads = tuple(node.attr("pads") or (0,) * (2 * rank))
    if kind.is_static:
        win = window(node, kind.sizes[2:], kernel)
        pads = (*win.begin, *win.declared_end)
    return {"strides": tuple(node.attr("strides") or (1,) * rank),
            "dilations": tuple(node.attr("dilations") or (1,) * rank), "pads": pads}  # fmt: skip


def conv_transpose(node: Node, low: Lowering) -> bool:
    """ConvTranspose to qir.IntConvTranspose, which subtracts the zero point itself: taps are absent at borders."""
    x, found = _activation(node.inputs[0], low), weight_codes(node.inputs[1], 1, low)
    if x is None or found is None:
        return False
    weight, scale = found
    channels = weight.shape[1] * node.attr("group", 1)
    if scale.ndim and scale.size != channels:
        return False
    bias = _bias(node, 2, np.float32(x.scale) * scale, channels, low)
    if bias is None:
        return False
    attrs = {key: value for key, value in node.attrs.items() if key != "kernel_shape"}
    attrs["x_zero_point"] = x.zero_point
    return _finish(node, "qir.IntConvTranspose", x, weight, scale, _Bias(bias), attrs, low)


def gemm(node: Node, low: Lowering) -> bool:
    """Gemm to qir.IntGemm with the weight as [K, N]."""
    if node.attr("transA", 0) or node.attr("alpha", 1.0) != 1.0 or (node.input(2) and node.attr("beta", 1.0) != 1.0):
        return False
    transposed = bool(node.attr("transB", 0))
    return _int_gemm(node, 0 if transposed else 1, transposed, 2, low)


def matmul(node: Node, low: Lowering) -> bool:
    """MatMul by a constant matrix to qir.IntGemm, of two activations to qir.IntMatMul."""
    if node.inputs[1] in low.graph.constants:
        return low.graph.constants[node.inputs[1]].value.ndim == 2 and _int_gemm(node, 1, False, 3, low)
    a, b, y = low.stored(node.inputs[0]), low.stored(node.inputs[1]), low.rounded(node.outputs[0])
    if a is None or b is None or (y is None and low.quant(node.outputs[0]) is not None):
        return False
    shapes = [low.graph.tensor(name).shape for name in node.inputs]
    if any(shape is None or len(shape) < 2 for shape in shapes):
        return False
    depth = shapes[0][-1] if shapes[0] else None
    most = 2**31 if a.storage == b.storage == UINT8 else _EXACT
    if not isinstance(depth, int) or depth * a.largest * b.largest >= most:
        return False
    factor = (
        multiplier(float(a.scale), float(b.scale), float(y.scale)) if y is not None else np.float32(a.scale * b.scale)
    )
    attrs = {"a_zero_point": a.zero_point, "b_zero_point": b.zero_point, "multiplier": float(factor),
             **(y.attrs if y is not None else {})}  # fmt: skip
    low.integer(node, "qir.IntMatMul", (low.codes(node.inputs[0]), low.codes(node.inputs[1])), attrs)
    return True


def _int_gemm(node: Node, channel_axis: int, transposed: bool, bias_slot: int, low: Lowering) -> bool:
    x, found = _activation(node.inputs[0], low), weight_codes(node.inputs[1], channel_axis, low)
    if x is None or found is None:
        return False
    weight, scale = found
    matrix = weight.T if transposed else weight
    bias = _in_sums(node, bias_slot, x, np.float32(x.scale) * scale, matrix.shape[1], low)
    if bias is None:
        return False
    bias = bias.less(x.zero_point * matrix.astype(np.int64).sum(axis=0))
    return _finish(node, "qir.IntGemm", x, np.ascontiguousarray(matrix), scale, bias, {}, low)
