"""Affine codes: choosing scale and zero point, rounding to codes, going back.

`q = clamp(rint(x / scale) + zero_point, qmin, qmax)` and `x = (q - zero_point) * scale`, halves to even, every step in
float32: the arithmetic of ONNX QuantizeLinear and DequantizeLinear as onnxruntime computes them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.errors import DataError
from qir.ir.dtype import INT8, DType
from qir.ir.types import Affine
from qir.quant.binary import binary_codes
from qir.quant.channels import along, per_channel, rows
from qir.quant.ternary import ternary_codes

_FLOAT32 = np.finfo(np.float32)
_INT32_MAX = 2**31 - 1


def affine_params(
    low: np.ndarray | float,
    high: np.ndarray | float,
    storage: DType,
    *,
    symmetric: bool = False,
    power_of_two: bool = False,
    qmin: int | None = None,
    qmax: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point for values in [low, high].

    The range is first widened to include zero; an empty range counts as [0, 1], so that the scale is positive.
    Otherwise `scale = (high - low) / (qmax - qmin)` and `zero_point = rint(qmin - low / scale)`. Symmetric codes lie
    around 0 (128 for uint8): `scale = max(-low, high) / (codes on the shorter side)`.

    Args:
        low, high: finite reals of one shape, one range a channel.
        storage: integer type of the codes.
        symmetric: put the zero point in the middle of the storage type.
        power_of_two: raise the scale to the next power of two.
        qmin, qmax: the codes to use; by default all that the storage has.

    Returns:
        scale, float32, positive and normal, and zero_point, int32 in [qmin, qmax]; both of the shape of `low`.

    Raises:
        DataError: if a bound is NaN or infinite, or low > high.
        ValueError: if the codes cannot hold the range (qmin >= qmax, or no middle for symmetric codes).
    """
    low, high = np.broadcast_arrays(np.asarray(low, np.float64), np.asarray(high, np.float64))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise DataError("a range is not finite", fix="Remove NaN and Inf from the weights or the calibration data")
    if (low > high).any():
        raise DataError(f"a range is empty: low {low.max()} above high {high.min()}")
    qmin = storage.min if qmin is None else qmin
    qmax = storage.max if qmax is None else qmax
    if qmin >= qmax:
        raise ValueError(f"codes {qmin}..{qmax} hold no range")
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    high = np.where(low == high, 1.0, high)

    centre = 0 if storage.kind == "int" else 1 << (storage.bits - 1)
    if symmetric:
        steps = min(centre - qmin, qmax - centre)
        if steps < 1:
            raise ValueError(f"codes {qmin}..{qmax} of {storage} have no middle for a symmetric range")
        span = np.maximum(-low, high)
    else:
        steps, span = qmax - qmin, high - low
    scale = _normal_float32(span / steps)
    if power_of_two:
        scale = _next_power_of_two(scale)
    if symmetric:
        zero_point = np.full(scale.shape, centre, np.int32)
    else:
        zero_point = np.clip(np.rint(qmin - low / scale.astype(np.float64)), qmin, qmax).astype(np.int32)
    return scale, zero_point


def _normal_float32(scale: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(scale, float(_FLOAT32.tiny), float(_FLOAT32.max))).astype(np.float32)


def _next_power_of_two(scale: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(scale)
    exponent = np.where(mantissa == 0.5, exponent - 1, exponent)
    return np.asarray(np.ldexp(np.float32(1), np.minimum(exponent, 127)), np.float32)


def weight_params(
    weight: np.ndarray,
    storage: DType = INT8,
    axis: int | None = None,
    *,
    symmetric: bool = True,
    power_of_two: bool = False,
    bits: int | None = None,
) -> Affine:
    """Codes that hold a weight tensor from its smallest to its largest value.

    Symmetric codes leave out the lowest one: [-127, 127] in int8, [1, 255] in uint8. A channel of zeros takes the
    smallest scale of the others, which keeps the scale of its bias fine.

    Args:
        weight: reals of any shape.
        storage: integer type of the codes.
        axis: the axis with a scale each; None for one scale.
        bits: use only as many codes as this width has, at most that of the storage.

    Raises:
        DataError: if a weight is NaN or infinite.
    """
    bits = storage.bits if bits is None else bits
    if not 2 <= bits <= storage.bits:
        raise ValueError(f"{bits} bits do not fit {storage}")
    half = 1 << (bits - 1)
    if symmetric:
        centre = 0 if storage.kind == "int" else 1 << (storage.bits - 1)
        qmin, qmax = centre - half + 1, centre + half - 1
    else:
        qmin, qmax = (-half, half - 1) if storage.kind == "int" else (0, 2 * half - 1)
    matrix = rows(np.asarray(weight), axis)
    low, high = (bound(matrix, axis=1, initial=0.0).astype(np.float64) for bound in (np.min, np.max))
    scale, zero_point = affine_params(
        low, high, storage, symmetric=symmetric, power_of_two=power_of_two, qmin=qmin, qmax=qmax
    )
    used = low < high
    if used.any():
        scale = np.where(used, scale, scale[used].min())
    return Affine(storage, per_channel(scale, axis), per_channel(zero_point, axis), axis, qmin=qmin, qmax=qmax)


def quantize(
    x: np.ndarray,
    scale: np.ndarray | float,
    zero_point: np.ndarray | int,
    qmin: int,
    qmax: int,
    storage: DType,
    axis: int | None = None,
    block_size: int = 0,
) -> np.ndarray:
    """Codes of `x`: clamp(rint(x / scale) + zero_point, qmin, qmax), of storage's numpy type and the shape of `x`."""
    x = np.asarray(x)
    zero = along(np.asarray(zero_point, np.int32), axis, x.shape, block_size)
    with np.errstate(over="ignore"):
        scaled = np.divide(x, along(np.asarray(scale, np.float32), axis, x.shape, block_size), dtype=np.float32)
    real = np.asarray(scaled, np.float64 if storage.bits > 16 else np.float32)
    np.rint(real, out=real)
    np.clip(real, qmin - zero.astype(real.dtype), qmax - zero.astype(real.dtype), out=real)
    np.add(real, zero.astype(real.dtype), out=real)
    if storage.bits < 8:  # the 4-bit types convert from whole bytes only
        return real.astype(np.int8).astype(storage.numpy)
    return real.astype(storage.numpy)


def dequantize(
    codes: np.ndarray,
    scale: np.ndarray | float,
    zero_point: np.ndarray | int,
    axis: int | None = None,
    block_size: int = 0,
) -> np.ndarray:
    """Reals of codes: float32(code - zero_point) * scale, the difference in int32 and the product in float32."""
    codes = np.asarray(codes)
    zero = along(np.asarray(zero_point, np.int32), axis, codes.shape, block_size)
    factor = along(np.asarray(scale, np.float32), axis, codes.shape, block_size)
    return np.asarray((codes.astype(np.int32) - zero).astype(np.float32) * factor)


def encode(x: np.ndarray, quant: Affine) -> np.ndarray:
    """The codes that a type's values are rounded to, of storage's numpy type and the shape of `x`."""
    if quant.rounding != "nearest":
        compare = binary_codes if quant.rounding == "binary" else ternary_codes
        return compare(np.asarray(x), quant.threshold, quant.axis).astype(quant.storage.numpy)
    return quantize(
        x, quant.scale, quant.zero_point, quant.qmin, quant.qmax, quant.storage, quant.axis, quant.block_size
    )


def decode(codes: np.ndarray, quant: Affine) -> np.ndarray:
    """`dequantize` with the parameters of a type."""
    return dequantize(codes, quant.scale, quant.zero_point, quant.axis, quant.block_size)


def settled(quant: Affine) -> Affine:
    """The type of values that have such codes already, so that rounding once more leaves them.

    It is the same one, unless compares have a threshold beyond what the codes stand for.
    """
    if quant.rounding == "nearest":
        return quant
    if quant.rounding == "binary":
        within, middle = (-quant.scale < quant.threshold) & (quant.threshold <= quant.scale), np.zeros_like(quant.scale)
    else:
        within, middle = quant.threshold < quant.scale, quant.scale / 2
    return quant if within.all() else replace(quant, threshold=np.where(within, quant.threshold, middle))


def bias_params(
    bias: np.ndarray,
    input_scale: np.ndarray | float,
    weight_scale: np.ndarray | float,
    *,
    headroom: np.ndarray | int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Int32 codes of a bias, in units of the accumulator: `scale = float32(input_scale * weight_scale)`.

    Where a bias does not fit int32 in that unit, the weight scale is raised until it does: the smallest scale allowed
    is `1.0001 * max|bias| / (2^31 - 1 - headroom)`. With headroom 0 that is the rule of onnxruntime's quantizer. The
    caller must then round the weights again with the scale returned.

    Args:
        bias: finite reals [C].
        input_scale: positive, of the activation.
        weight_scale: positive, [] or [C].
        headroom: largest |sum of products| that the accumulator adds to the bias, [] or [C].

    Returns:
        codes int32 [C]; their scale, float32 of the shape of weight_scale; the weight scale, raised where needed.

    Raises:
        DataError: if a bias is NaN or infinite, or the headroom leaves no room for a bias.
    """
    bias = np.asarray(bias, np.float64)
    weight_scale = np.asarray(weight_scale, np.float32)
    if not np.isfinite(bias).all():
        raise DataError("the bias is not finite", fix="Remove NaN and Inf from the weights")
    room = _INT32_MAX - np.asarray(headroom, np.float64)
    if (room <= 0).any():
        raise DataError("the products alone overflow a 32-bit accumulator", fix="Keep this layer in float")
    largest = np.abs(bias) / room if weight_scale.ndim else np.max(np.abs(bias) / room, initial=0.0)
    smallest = np.maximum(1.0001 * largest, float(_FLOAT32.tiny) * 1.0001).reshape(weight_scale.shape)
    product = np.asarray(np.float32(input_scale) * weight_scale, np.float64)
    exact = np.float64(np.float32(input_scale)) * weight_scale
    raised = (weight_scale.astype(np.float64) * (smallest / exact)).astype(np.float32)
    adjusted = np.asarray(np.where(product < smallest, raised, weight_scale), np.float32)
    scale = np.asarray(np.float32(input_scale) * adjusted, np.float32)
    codes = np.rint(bias / scale.astype(np.float64)).astype(np.int32)
    return codes, scale, adjusted
