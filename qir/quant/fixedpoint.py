"""Requantization: int32 accumulators to 8-bit codes, in float32 or with integers alone.

Both modes scale by the same float32 multiplier m, an integer of 24 bits over a power of two. They differ in two places:
float32 rounds the accumulator and the product to 24 bits before it rounds to a code, and sends halves to even; the
integer form rounds once, exactly, and sends halves up. So codes differ only within a few float32 units of a half, and
then by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qir.ir.dtype import DType


def largest(storage: DType, zero_point: int = 0) -> int:
    """Largest |code - zero_point|; for 8-bit codes that of any zero point."""
    if storage.bits == 8:
        return 255
    return max(storage.max - zero_point, zero_point - storage.min)


def largest_code(storage: DType) -> int:
    """Largest |code|."""
    return max(storage.max, -storage.min)


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


def requantize_fixed(acc: np.ndarray, m: np.ndarray, zero_point: int, qmin: int, qmax: int) -> np.ndarray:
    """clamp(floor(acc * m + 1/2) + zero_point, qmin, qmax), by integers alone.

    One exact product, one rounding: halves go up (towards plus infinity). A float32 m is an integer of 24 bits over a
    power of two, so that acc * m = acc * integer / 2^shift; the last 32 bits of a product do not matter to a shift of
    33 and more, and with a smaller one accumulators beyond 32 bits are beyond all codes.

    Args:
        acc: int32 accumulators, or int64 ones below 2^53.
        m: positive float32 multipliers that broadcast against `acc`.

    Returns:
        codes as int32, of the shape of `acc`.
    """
    mantissa, exponent = np.frexp(np.asarray(m, np.float32).astype(np.float64))
    integer, shift = np.ldexp(mantissa, 24).astype(np.int64), 24 - exponent.astype(np.int64)
    wide = np.asarray(acc, np.int64)
    high = (wide >> 32) * integer + (((wide & 0xFFFFFFFF) * integer) >> 32)
    far = ((high >> np.clip(shift - 33, 0, 62)) + 1) >> 1
    near_shift = np.clip(shift, 1, 32)
    near = (np.clip(wide, -(1 << 32), 1 << 32) * integer + (np.int64(1) << (near_shift - 1))) >> near_shift
    rounded = np.where(shift > 32, far, near)
    return np.asarray(np.clip(rounded, qmin - zero_point, qmax - zero_point) + zero_point).astype(np.int32)


REQUANTIZE = {"float32": requantize_float32, "fixed": requantize_fixed}
"""How accumulators become codes, by the name of the mode."""


@dataclass(frozen=True)
class FixedSum:
    """`a * a_real + b * b_real + offset_real` in units of 2^-shift.

    Attributes:
        a, b: what the operands are multiplied by, less than 2^31.
        offset: what is added, and a half for rounding.
        shift: by which the sum is shifted to the right.
    """

    a: int
    b: int
    offset: int
    shift: int


def fixed_sum(a: np.float32, b: np.float32, offset: np.float32, largest: tuple[int, int]) -> FixedSum | None:
    """The integers of a weighted sum of codes: as fine as 32 bits hold it, 64 where codes have 16; None where that is
    too coarse.

    Args:
        a, b, offset: the factors and what is added.
        largest: absolute codes of both operands.
    """
    factors, bits = (abs(float(a)), abs(float(b))), 31 if max(largest) < 256 else 62
    most = sum(code * factor for code, factor in zip(largest, factors, strict=True)) + abs(float(offset)) + 1
    shift = min(bits - math.frexp(most)[1], 31 - math.frexp(max(factors))[1])
    if shift < _COARSEST:
        return None
    whole = [round(float(number) * 2.0**shift) for number in (a, b, offset)]
    return FixedSum(whole[0], whole[1], whole[2] + (1 << (shift - 1)), shift)


_COARSEST = 10
"""A shift below it would leave less than a thousandth of a code."""

NORMAL_BITS = 23
"""Fraction of a normalized value: below 2^7.5, it fits 31 bits."""


@dataclass(frozen=True)
class FixedRow:
    """`x * scale_real + bias_real` of normalized x in units of 2^-NORMAL_BITS, the sum in units of 2^-shift.

    Attributes:
        scale: int32 [N], less than 2^30.
        bias: int64 [N], less than 2^61, with a half for rounding.
        shift: by which the sum is shifted to the right.
    """

    scale: np.ndarray
    bias: np.ndarray
    shift: int


def fixed_row(scale: np.ndarray, bias: np.ndarray) -> FixedRow | None:
    """The integers of what a normalized row is multiplied by and what is added; None where they are too coarse."""
    exponents = [math.frexp(float(np.abs(values).max(initial=0)))[1] for values in (scale, bias)]
    shift = min(30 - exponents[0] + NORMAL_BITS, 60 - exponents[1], 60)
    if shift < NORMAL_BITS:
        return None
    scaled = np.rint(np.ldexp(scale.astype(np.float64), shift - NORMAL_BITS)).astype(np.int32)
    added = np.rint(np.ldexp(bias.astype(np.float64), shift)).astype(np.int64)
    return FixedRow(scaled, added + (np.int64(1) << (shift - 1)), shift)


def normalized(total: np.ndarray, spread: np.ndarray, epsilon: float, fraction: int) -> np.ndarray:
    """`total / sqrt(spread + epsilon)` in units of 2^-NORMAL_BITS, by integers alone.

    The root is taken of W = 2^f (spread + epsilon), moved to the left by 2 j so that its root q has 31 bits; with
    r = floor((2^61 - 1) / q) the quotient times 2^23 is total * r / 2^(38 - f/2 - j).

    Args:
        total: int64, |total| <= sqrt(n * spread) < 2^31.
        spread: int64 in [0, 2^(60 - f)); where it is 0 so is total.
        fraction: f, see `spread_fraction`.
    """
    wide = (np.maximum(spread, 1) << fraction) + fixed_epsilon(epsilon, fraction)
    left = np.zeros_like(wide)
    for step in (16, 8, 4, 2, 1):
        left += np.where((wide << (2 * left)) < np.int64(1) << (62 - 2 * step), step, 0)
    wide = wide << (2 * left)
    root = np.sqrt(wide.astype(np.float64)).astype(np.int64)
    root -= root * root > wide
    root += (root + 1) * (root + 1) <= wide
    down = 38 - fraction // 2 - left
    return np.asarray((total * ((np.int64(2) ** 61 - 1) // root) + (np.int64(1) << (down - 1))) >> down)


def spread_fraction(storage: DType) -> int:
    """Bits behind the point of a spread, n sum(x^2) - sum(x)^2 of n < 2^15 codes: it lies below 2^44 where codes have 8
    bits, and below 2^60 where they have 16."""
    return 16 if storage.bits == 8 else 0


def fixed_epsilon(epsilon: float, fraction: int) -> int:
    """Added to 2^fraction times a spread."""
    return min(round(math.ldexp(epsilon, fraction)), 1 << 60)
