"""Requantization: int32 accumulators to 8-bit codes, in float32 or with integers alone.

Both modes scale by the same float32 multiplier m, which a 31-bit integer and a shift hold exactly. They differ in two
places: float32 rounds the accumulator and the product to 24 bits before it rounds to a code, and sends halves to even;
the integer form rounds once, exactly, and sends halves up. So codes differ only within a few float32 units of a half,
and then by one.
"""

from __future__ import annotations

import numpy as np

from qir.ir.dtype import DType


def largest(storage: DType, zero_point: int = 0) -> int:
    """Largest |code - zero_point|; for 8-bit codes that of any zero point."""
    if storage.bits == 8:
        return 255
    return max(storage.max - zero_point, zero_point - storage.min)


_MAX_SHIFT = 62
"""Largest shift whose rounding constant 2^(shift-1) still fits 63 bits beside a product below 2^62."""


def multiplier(
    input_scale: np.ndarray | float, weight_scale: np.ndarray | float, output_scale: np.ndarray | float
) -> np.ndarray:
    """float32(float32(s_x * s_w) / s_y), in that order: what onnxruntime's integer kernels use.

    Returns:
        float32, the arguments broadcast: [] or [C].
    """
    product = np.float32(input_scale) * np.asarray(weight_scale, np.float32)
    return np.asarray(product / np.asarray(output_scale, np.float32), np.float32)


def clamp_round(real: np.ndarray, zero_point: int, qmin: int, qmax: int) -> np.ndarray:
    """`clamp(rint(real) + zero_point, qmin, qmax)`, halves to even, clamped as reals so that nothing overflows.

    Returns:
        codes as int32, of the shape of `real`.
    """
    bounded = np.clip(real, np.float32(qmin - zero_point), np.float32(qmax - zero_point))
    return np.asarray(np.rint(bounded).astype(np.int32) + np.int32(zero_point))


def requantize_float32(acc: np.ndarray, m: np.ndarray, zero_point: int, qmin: int, qmax: int) -> np.ndarray:
    """clamp(rint(float32(acc) * m) + zero_point, qmin, qmax), a float32 product and halves to even.

    Args:
        acc: int32 or int64 accumulators.
        m: float32 multipliers that broadcast against `acc`.

    Returns:
        codes as int32, of the shape of `acc`.
    """
    with np.errstate(over="ignore"):
        real = np.asarray(np.asarray(acc).astype(np.float32) * np.asarray(m, np.float32))
    return clamp_round(real, zero_point, qmin, qmax)


def to_fixed(m: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """An integer and a shift for a multiplier: `m = integer / 2^shift`.

    Exact for float32 m in [2^-31, 2^30). Smaller ones are rounded to a multiple of 2^-62, larger ones become the
    largest that fits; neither moves a code by more than one, because |acc * m| is at most about a half or far
    outside any range of 16-bit codes.

    Args:
        m: positive finite float32, any shape.

    Returns:
        integer int32 in [0, 2^31), shift int32 in [1, 62].
    """
    mantissa, exponent = np.frexp(np.asarray(m, np.float32).astype(np.float64))
    shift = np.clip(31 - exponent, 1, _MAX_SHIFT)
    integer = np.minimum(np.rint(np.ldexp(mantissa, exponent + shift)), 2.0**31 - 1)
    return np.asarray(integer).astype(np.int32), np.asarray(shift).astype(np.int32)


def requantize_fixed(
    acc: np.ndarray, integer: np.ndarray, shift: np.ndarray, zero_point: int, qmin: int, qmax: int
) -> np.ndarray:
    """clamp(((acc * integer + 2^(shift-1)) >> shift) + zero_point, qmin, qmax) in 64-bit integers.

    One product, one rounding; the shift is arithmetic, so halves go up (towards plus infinity).

    Args:
        acc: int32 accumulators.
        integer, shift: of `to_fixed`, broadcast against `acc`.

    Returns:
        codes as int32, of the shape of `acc`.
    """
    shift = np.asarray(shift, np.int64)
    product = np.asarray(acc, np.int64) * np.asarray(integer, np.int64)
    rounded = (product + (np.int64(1) << (shift - 1))) >> shift
    return np.asarray(np.clip(rounded, qmin - zero_point, qmax - zero_point) + zero_point).astype(np.int32)
