"""Kernels for ARM are chosen where they can be, and leave what their vectors would get wrong to portable C."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Case, case, joined
from test_integer_families import codes

from qir.backends.c import compile_c

FINISH = {"y_zero_point": 12, "qmin": 5, "qmax": 250}
FACTORS = {"a_zero_point": 3, "b_zero_point": 200}
POOL = {"kernel_shape": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)}
ELEMENTWISE: dict[str, Case] = {
    "qir_add_u8u8_u8__neon": case("qir.IntAdd", (codes(0, (2, 40)), codes(1, (40,))), (0, 1), a_multiplier=0.5,
                                  b_multiplier=0.7, offset=3.0, qmin=0, qmax=255),
    "qir_mul_u8u8_u8__neon": case("qir.IntMul", (codes(0, (2, 40)), codes(1, (2, 1))), (0, 1), multiplier=0.01,
                                  **FACTORS, **FINISH),
    "qir_mul_u8u8_f32__neon": case("qir.IntMul", (codes(0, (40,)), codes(1, (40,))), (0, 1), multiplier=0.01,
                                   **FACTORS),
    "qir_lookup_u8_u8__neon": case("qir.Lookup", (codes(0, (40,)), codes(1, (256,)))),
    "qir_maxpool_u8__neon": case("MaxPool", (codes(0, (1, 16, 4, 4)),), **POOL),
    "qir_pool_u8_u8__neon": case("qir.IntAveragePool", (codes(0, (1, 9, 4, 4)),), x_zero_point=7, multiplier=0.9,
                                 **POOL, **FINISH),
    "qir_mean_u8_f32__neon": case("qir.IntMean", (codes(0, (1, 5, 300, 9)),), axes=(1, 2), x_zero_point=255,
                                  multiplier=0.9),
    "qir_quantize_f32_u8__neon": case("qir.Quantize", (np.arange(40, dtype=np.float32),), scale=0.3, zero_point=4,
                                      qmin=0, qmax=255),
    "qir_dequantize_u8_f32__neon": case("qir.Dequantize", (codes(0, (3, 17)),), axis=0,
                                        scale=np.array([0.1, 0.2, 0.3], np.float32),
                                        zero_point=np.array([0, 9, 255], np.int32)),
}  # fmt: skip
"""One case for every kernel, which is not the only thing that it takes."""


def explained(one: Case, target: str) -> str:
    """What a plan says of a case whose result nobody needs."""
    results = [[np.zeros((1, 16, 2, 2), np.uint8)]] if one.node.op == "MaxPool" else None
    return compile_c(joined([one], results)[0], target=target).explain()


@pytest.mark.parametrize("target", ["arm-neon", "armv7-neon", "arm-neon-dotprod"])
@pytest.mark.parametrize("kernel", ELEMENTWISE)
def test_every_operator_has_its_kernel(kernel: str, target: str) -> None:
    assert kernel in explained(ELEMENTWISE[kernel], target)


@pytest.mark.parametrize("one", [
    case("qir.IntMul", (codes(0, (40,)), codes(1, (40,))), (0, 1), multiplier=1e-39, **FACTORS),
    case("qir.IntAveragePool", (codes(0, (1, 9, 4, 4)),), x_zero_point=7, multiplier=2e-38, **POOL),
    case("qir.IntMean", (codes(0, (1, 5, 3, 9)),), axes=(1, 2), x_zero_point=0, multiplier=2e-38),
    case("qir.Dequantize", (codes(0, (40,)),), scale=1e-39, zero_point=9),
], ids=lambda one: one.node.op)  # fmt: skip
def test_what_32_bit_vectors_would_flush_is_left_to_portable_c(one: Case) -> None:
    text = explained(one, "armv7-neon")
    assert "its results could be subnormal" in text
    assert "__portable" in text
