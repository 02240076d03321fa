"""Packed bits: the kernels give exactly what the references give, for every width, shape and kind of result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import Case, case, check_cases

from qir.ops.integer_bits import pack, unpack

FINISHES: tuple[dict[str, Any], ...] = (
    {},
    {"y_zero_point": 3, "qmin": 0, "qmax": 255},
    {"y_levels": 2, "qmin": 127, "y_step": 2},
    {"y_levels": 2, "y_bits": 1},
    {"y_levels": 3, "y_bits": 2},
    {"y_levels": 4, "y_bits": 2},
)
"""Reals, codes, codes of two numbers, packed numbers."""
WEIGHTS = ("binary", "ternary", "2 bits", "3 bits", "4 bits")


def weights(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    low, high = {"binary": (0, 2), "ternary": (-1, 2), "2 bits": (-2, 2), "3 bits": (-4, 4), "4 bits": (-8, 8)}[kind]
    w = rng.integers(low, high, shape)
    return (2 * w - 1 if kind == "binary" else w).astype(np.int8)


def layer(number: int, shape: tuple[int, ...], w_shape: tuple[int, ...], x_bits: int, kind: str,
          finish: dict[str, Any], **attrs: Any) -> Case:  # fmt: skip
    """A convolution of numbers [N, C, ...] with weights [M, C, ...], or a product of [..., K] with [K, N]."""
    rng = np.random.default_rng(number)
    is_conv = len(w_shape) > 2
    x = pack(np.moveaxis(rng.integers(0, 1 << x_bits, shape), 1 if is_conv else -1, -1).astype(np.uint8), x_bits)
    w, outputs = weights(kind, w_shape, rng), w_shape[0] if is_conv else w_shape[1]
    bias = rng.integers(-9, 9, outputs).astype(np.int32)
    last = rng.uniform(0.05, 0.2, outputs).astype(np.float32)
    if "y_levels" in finish:
        last = np.sort(rng.integers(-12, 12, (finish["y_levels"] - 1, outputs)), axis=0).astype(np.int32)
        last[..., :1] = np.iinfo(np.int32).max  # never reached
    codes = {"step": 2, "x_zero_point": 1} if x_bits == 1 else {"step": 1, "x_zero_point": number % 3}
    op = "qir.IntBitConv" if is_conv else "qir.IntBitGemm"
    return case(op, (x, w, bias, last), bits=x_bits, **codes, **attrs, **finish)


SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((1, 64, 5, 6), (16, 64, 3, 3), {"pads": (1, 1, 1, 1)}),
    ((2, 32, 6, 5), (19, 32, 3, 2), {"strides": (2, 1), "pads": (0, 1, 1, 0)}),
    ((1, 40, 7, 7), (8, 40, 3, 3), {"dilations": (2, 2), "pads": (2, 2, 2, 2)}),
    ((1, 9, 4, 4), (33, 9, 1, 1), {}),
    ((1, 128, 9), (5, 128, 3), {"pads": (1, 1)}),
    ((1, 16, 3, 4, 3), (3, 16, 2, 2, 2), {"pads": (1, 0, 1, 0, 1, 0)}),
    ((3, 200), (200, 17), {}),
    ((2, 3, 64), (64, 64), {}),
    ((1, 784), (784, 10), {}),
    ((70, 1152), (1152, 32), {}),
)


def test_packing_is_lossless() -> None:
    rng = np.random.default_rng(0)
    for bits, channels in ((1, 1), (1, 8), (2, 13), (2, 64)):
        numbers = rng.integers(0, 1 << bits, (3, channels)).astype(np.uint8)
        packed = pack(numbers, bits)
        assert packed.shape == (3, bits * -(-channels // 8))
        np.testing.assert_array_equal(numbers, unpack(packed, bits, channels))


def test_codes_are_packed(any_target: str) -> None:
    rng = np.random.default_rng(1)
    cases = []
    for shape, axis in (((2, 3), -1), ((1, 40, 3, 5), 1), ((2, 8, 7), 1), ((1, 64, 4, 4), 1), ((5, 784), -1)):
        for bits, step in ((1, 2), (1, 1), (2, 1)):
            codes = (127 + step * rng.integers(0, 1 << bits, shape)).astype(np.uint8)
            cases.append(case("qir.IntPackBits", (codes,), bits=bits, step=step, qmin=127, axis=axis))
    check_cases(cases, target=any_target)


def test_reals_are_compared(any_target: str) -> None:
    x = np.array([[0.5, 0.49999, -0.5, -0.50001, 0, -0.0, 3, np.nan, np.inf, -np.inf]], np.float32)
    attrs = {"scale": 1.0, "zero_point": 128, "qmin": 127, "qmax": 129}
    cases = [case("qir.Quantize", (x,), rounding=rounding, threshold=threshold, **attrs)
             for rounding in ("binary", "ternary") for threshold in (0.0, 0.5)]  # fmt: skip
    check_cases(cases, target=any_target)


@pytest.mark.parametrize("x_bits", [1, 2])
def test_layers(x_bits: int, any_target: str) -> None:
    cases = []
    for shape, w_shape, attrs in SHAPES:
        for kind in WEIGHTS:
            number = len(cases)
            cases.append(layer(number, shape, w_shape, x_bits, kind, FINISHES[number % len(FINISHES)], **attrs))
    check_cases(cases, target=any_target)
