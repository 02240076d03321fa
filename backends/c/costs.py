"""How fast the variants of a family are beside each other: the table by which a plan chooses."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RATES: Mapping[str, float] = MappingProxyType({
    "add_u8__avx2": 1.5, "add_u8__portable": 0.2,
    "conv_u8__avx2": 21, "conv_u8__avx512vnni": 55, "conv_u8__portable": 7, "conv_u8_winograd__avx2": 22,
    "conv_u8_depthwise__avx2": 7, "conv_u8_depthwise__avx512vnni": 12, "conv_u8_depthwise__portable": 1,
    "gemm_u8__portable": 8, "gemm_u8_row__avx512vnni": 28,
    "lookup_u8__avx2": 1.6, "lookup_u8__portable": 1,
    "matmul_u8__avx2": 21, "matmul_u8__portable": 0.4,
    "maxpool__portable": 11, "maxpool_u8__avx2": 30,
    "mul_u8__avx2": 1.7, "mul_u8__portable": 0.2,
    "pool_u8__avx2": 10, "pool_u8__portable": 1.4,
    "quantize__avx2": 2.3, "quantize__portable": 0.1,
    "conv_f32__avx2": 14, "conv_f32__avx512vnni": 28,
    "binary_f32__avx2": 3, "binary_f32__avx512vnni": 4, "clip_f32__avx2": 3, "clip_f32__avx512vnni": 4,
    "rownorm_f32__avx2": 2, "rownorm_f32__avx512vnni": 3, "softmax_f32__avx2": 0.8, "softmax_f32__avx512vnni": 1.4,
    "unary_f32__avx2": 2, "unary_f32__avx512vnni": 3,
    "recurrent_f32__avx2": 8, "recurrent_f32__avx512vnni": 12,
    "matmul_f32__avx2": 13, "matmul_f32__avx512vnni": 25,
    "matmul_f32_rows__avx2": 14, "matmul_f32_rows__avx512vnni": 28,
    "conv_f32_depthwise__avx2": 8, "conv_f32_depthwise__avx512vnni": 14,
})  # fmt: skip
"""Variant.title to units of its `work` (multiply-accumulates or elements) in one cycle of one core.

Measured on a Zen 4 core with gcc 12 on layers whose operands are in the first two caches (tests/benchmarks/kernels.py
shows them). Only ratios inside a family matter."""
