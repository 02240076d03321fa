"""How fast the variants of a family are beside each other: the table by which a plan chooses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RATES: Mapping[str, float] = MappingProxyType({
    "conv_u8__portable": 6, "conv_u8_depthwise__portable": 3, "conv_u8__avx2": 20, "conv_u8__avx512vnni": 45,
    "conv_u8_winograd__avx2": 20,
    "conv_u8_depthwise__avx2": 8, "conv_u8_depthwise__avx512vnni": 16,
    "gemm_u8__portable": 6, "gemm_u8_row__avx512vnni": 16,
    "quantize__portable": 0.5, "quantize__avx2": 1.5,
    "matmul_u8__portable": 0.4, "matmul_u8__avx2": 16, "pool_u8__portable": 1, "pool_u8__avx2": 8,
    "maxpool__portable": 4, "maxpool_u8__avx2": 12, "mul_u8__portable": 0.25, "mul_u8__avx2": 4,
    "add_u8__portable": 0.5, "add_u8__avx2": 4,
})  # fmt: skip
"""Variant.title to units of its `work` (multiply-accumulates or elements) in one cycle of one core.

Measured on a Zen 4 core with gcc 12 on layers whose operands are in the first two caches (tests/benchmarks/kernels.py
shows them). Only ratios inside a family matter."""
