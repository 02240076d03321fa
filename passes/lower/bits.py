"""Layers whose weights and activations have a bit or two: their integer form on packed bits.

The sums of products are integers and every code of the result begins at one of them, so rounding to a few codes is a
compare: number y is the count of thresholds t with `sum >= t`. That holds whatever stands between the sum and its code
(scales, a bias, a folded BatchNormalization, a sign), for all of it rises with the sum. The least sum that reaches a
code is found by bisection on the rounding itself, in the arithmetic of a type's codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.ir.dtype import UINT8
from qir.ir.graph import Node
from qir.ops.weighted import weighted
from qir.passes.lower.codes import Codes, Lowering
from qir.passes.lower.weighted import geometry, real_bias, weight_codes
from qir.quant.bitpack import signed_bits

_LEVELS = 4
"""Of activations that are packed: two bits."""


@dataclass(frozen=True)
class BitLayer:
    """A layer that runs on packed bits.

    Attributes:
        x: codes of its input.
        weight: signed codes, [M, C, ...] of a convolution, [K, N] of a matrix.
        scale: real value of one unit of a sum, float64 [M].
        bias: real, float32 [M].
    """

    x: Codes
    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray

    @property
    def bits(self) -> int:
        """Of a packed code of the input."""
        return _bits(self.x)


def _bits(codes: Codes) -> int:
    return (codes.levels - 1).bit_length()


def bit_layer(node: Node, low: Lowering) -> BitLayer | None:
    """The layer of a node that runs on bits; None where it does not."""
    slots = weighted(node, low.graph)
    x = low.stored(node.inputs[0]) if slots is not None and low.target.bit_products else None
    if slots is None or x is None or x.levels > _LEVELS or x.storage != UINT8 or node.op == "ConvTranspose":
        return None
    plain = node.op != "Gemm" or not (node.attr("transA", 0) or node.attr("alpha", 1.0) != 1.0)
    found = weight_codes(node.inputs[1], slots.channel_axis, low) if plain and node.attr("group", 1) == 1 else None
    if found is None:
        return None
    weight, scale = found
    if node.op != "Conv":
        if weight.ndim != 2:
            return None
        weight = np.ascontiguousarray(weight.T) if node.attr("transB", 0) else weight
    channels, outputs = (weight.shape[1], weight.shape[0]) if node.op == "Conv" else weight.shape
    few = 1 if np.abs(weight).max(initial=0) == np.abs(weight).min(initial=1) == 1 else signed_bits(weight)
    target, products = low.target, _bits(x) * few
    least = target.binary_channels if products == 1 else target.bit_channels
    if channels < least or products > target.bit_products or node.attr("beta", 1.0) != 1.0:
        return None
    bias = real_bias(node, slots.bias, outputs, low) if slots.bias >= 0 else np.zeros(outputs, np.float32)
    if bias is None or not low.graph.tensor(node.inputs[0]).is_static:
        return None
    units = np.broadcast_to((np.float32(x.scale) * scale).astype(np.float64), (outputs,))
    return BitLayer(x, weight, units, bias)


def on_bits(node: Node, low: Lowering) -> bool:
    """The form of Conv, Gemm and MatMul as qir.IntBitConv or qir.IntBitGemm."""
    layer = bit_layer(node, low)
    if layer is None:
        return False
    is_conv, output = node.op == "Conv", node.outputs[0]
    axis, outputs = (1, layer.weight.shape[0]) if is_conv else (-1, layer.weight.shape[1])
    attrs: dict[str, Any] = {"bits": layer.bits, "step": layer.x.step,
                             "x_zero_point": (layer.x.zero_point - layer.x.qmin)}  # fmt: skip
    if is_conv:
        attrs |= geometry(node, layer.weight.shape[2:], low)
    op, y = ("qir.IntBitConv" if is_conv else "qir.IntBitGemm"), low.stored(output)
    names = [low.packed(node.inputs[0], layer.bits, axis), low.constant(f"{node.inputs[1]}_codes", layer.weight),
             low.constant(f"{node.name}_bias", np.zeros(outputs, np.int32))]  # fmt: skip
    if y is None or y.levels > _LEVELS or y.storage != UINT8:
        factors = layer.scale.astype(np.float32)
        low.sums(node, op, (*names, low.constant(f"{node.name}_multiplier", factors)), attrs, layer.bias, axis)
        return True
    names.append(low.constant(f"{node.name}_thresholds", thresholds(layer, y)))
    attrs["y_levels"] = y.levels
    users = low.graph.index.consumers(output)
    if users and not low.graph.index.is_output(output) and all(_reads_bits(user, output, axis, low) for user in users):
        attrs["y_bits"] = _bits(y)
        low.add(op, names, (low.packed_name(output, _bits(y), axis),), attrs, node.origin, node.name)
    else:
        low.integer(node, op, names, {**attrs, "y_step": y.step, "qmin": y.qmin, **y.to})
    return True


def _reads_bits(user: Node, name: str, axis: int, low: Lowering) -> bool:
    """Whether a node reads a value, as nothing but its packed input, along that axis."""
    along = 1 if user.op == "Conv" else -1
    rank = len(low.graph.tensor(name).shape or ())
    return user.inputs.count(name) == 1 and along % rank == axis % rank and bit_layer(user, low) is not None


def thresholds(layer: BitLayer, y: Codes) -> np.ndarray:
    """int32 [levels - 1, M]: the least sums that give the second, third, ... code of `y`; 2^31 - 1 for never."""
    kernel = layer.weight.reshape(layer.weight.shape[0], -1) if layer.weight.ndim > 2 else layer.weight.T
    largest = max(layer.x.qmax - layer.x.zero_point, layer.x.zero_point - layer.x.qmin)
    reach = np.abs(kernel.astype(np.int64)).sum(axis=1) * largest
    numbers = np.arange(1, y.levels)[:, None]
    low, high = (np.tile(bound, (len(numbers), 1)) for bound in (-reach, reach + 1))
    while (low < high).any():
        middle = (low + high) // 2
        reals = (middle * layer.scale + layer.bias.astype(np.float64)).astype(np.float32)
        reached = (y.encode(reals).astype(np.int64) - y.qmin) // y.step >= numbers
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    never = low > reach
    return np.where(never, np.iinfo(np.int32).max, low).astype(np.int32)
