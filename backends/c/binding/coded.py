"""Weights of float kernels that stay codes in flash: (code - zero_point) * scale, decoded just before use.

A qir.Dequantize of a constant is no call of its own. Kernels that know of codes (runtime/qir_coded.h) store these; to
all others the operand is a constant of floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qir.backends.c.binding import RUNTIME
from qir.backends.c.program import Arg, Data, Kernel, Scalar
from qir.ir.graph import Node
from qir.quant.bitpack import pack

_HEADER = RUNTIME / "qir_coded.h"


@dataclass(frozen=True, eq=False)
class Coded:
    """Codes behind a constant of floats.

    Attributes:
        codes: signed integers, in the constant's logical shape.
        bits: that they are stored in: 2, 3, 4, 8 or 16.
        scale, zero_point: float32 and integers, [] or one for each slice along `axis`.
    """

    codes: np.ndarray
    bits: int
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None

    def along(self, axis: int) -> bool:
        """True where scales are one, or run along an axis of the constant."""
        return self.scale.ndim == 0 or (self.axis is not None and self.axis == axis % self.codes.ndim)


def coded(node: Node, codes: np.ndarray) -> Coded:
    """What a qir.Dequantize of constant codes stands for."""
    scale, zero_point = np.asarray(node.attr("scale"), np.float32), np.asarray(node.attr("zero_point"), np.int32)
    axis = node.attr("axis")
    return Coded(codes, int(node.attr("weight_bits", 8 * codes.dtype.itemsize)), scale, zero_point,
                 None if axis is None else axis % codes.ndim)  # fmt: skip


def float_kernel(function: str, source: Path, weights: Coded | None, *, depthwise: bool = False) -> Kernel:
    """A template `..._f32f32..__portable` for weights that are codes, or floats."""
    bits = weights.bits if weights is not None else 0
    short, kind = (f"s{bits}", "uint8_t" if bits < 8 else f"int{bits}_t") if bits else ("f32", "float")
    if not depthwise:
        parts: tuple[tuple[str, str], ...] = (("QIR_FLOATS", f"qir_floats_{short}"),
                                              ("QIR_GROUP", str(min(bits or 8, 8))))  # fmt: skip
    elif bits:
        parts = (("QIR_TAPS", f"qir_tap_floats_{short}"), ("QIR_SPAN", "16"), ("QIR_STEP", "8"),
                 ("QIR_NEXT", "(8 * taps)"))  # fmt: skip
    else:
        own = f"{function.split('__')[0]}_taps"
        parts = (("QIR_TAPS", own), ("QIR_SPAN", "channels"), ("QIR_STEP", "channels"), ("QIR_NEXT", "8"))
    name = function.replace("f32f32", f"f32{short}")
    return Kernel(function, source, name, (("QIR_W", kind), *parts), (_HEADER,) if bits else ())


def float_weights(laid: np.ndarray, weights: Coded | None, channels: int, groups: int = 1,
                  block: int = 8) -> tuple[Arg, Arg, Arg]:  # fmt: skip
    """Weights, scales and zero points as the kernels of `float_kernel` read them.

    Args:
        laid: floats, or the codes, in the kernel's layout [..., 8].
        channels: of all groups; those of a group are filled up to a multiple of `block`.
    """
    if weights is None:
        return Data(laid, "weights"), Scalar(0), Scalar(0)
    stored = pack(laid, weights.bits) if weights.bits < 8 else laid
    per_group = channels // groups
    filled = -(-per_group // block) * block

    def each(values: np.ndarray, kind: type, role: str) -> Data:
        rows: np.ndarray = np.zeros((groups, filled), kind)
        rows[:, :per_group] = np.broadcast_to(values, (channels,)).reshape(groups, per_group)
        return Data(rows, role)

    return (Data(stored, "weights"), each(weights.scale, np.float32, "scales"),
            each(weights.zero_point, np.int16, "zero points"))  # fmt: skip
