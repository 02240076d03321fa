"""What the variants of a family cost beside each other: the table by which a plan chooses.

cycles(call) = Cost.call + work / Cost.rate, work as the variant counts it (Variant.work). The defaults are here;
`qir bench kernels --save FILE` fits a table to the processor it runs on, which replaces those of its variants.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from qir.errors import DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Cost:
    """Of a variant's calls.

    Attributes:
        rate: units of its work in one cycle.
        call: cycles of a call that has nothing to do.
    """

    rate: float
    call: float = 0.0

    def cycles(self, work: float) -> float:
        return self.call + work / self.rate


Costs: TypeAlias = Mapping[str, Cost]
"""By Variant.title. A variant without a cost is taken only where none that has one accepts the node."""

RATES: Mapping[str, float] = MappingProxyType({
    "add_u8__avx2": 1.5, "add_wide__avx2": 1.3, "add_few__avx2": 12, "add_u8__portable": 0.2,
    "conv_u8__avx2": 24, "conv_u8__avx2_pairs": 26, "conv_u8__avx2_fours": 33, "conv_u8__avx2_few": 46,
    "conv_u8_packed__avx512vnni": 100, "conv_u8_packed__avxvnni": 95,
    "conv_u8__avx512vnni": 100, "conv_u8__avxvnni": 95, "conv_u8__portable": 7,
    "conv_u8_packed__portable": 7,
    "conv_u8_sparse__avx2": 20, "conv_u8_sparse__avxvnni": 91, "conv_u8_sparse__avx512vnni": 93,
    "gemm_u8_sparse_row__avx2": 16, "gemm_u8_sparse_row__avxvnni": 51, "gemm_u8_sparse_row__avx512vnni": 65,
    "conv_bits__avx2": 140, "conv_bits__avx512vpopcntdq": 330, "conv_bits__portable": 14, "conv_bits__neon": 40,
    "conv_bits_pixels__avx2": 330, "conv_bits_signs__asimd": 45, "conv_bits__dsp": 20,
    "pack_bits__avx2": 16, "pack_bits__neon": 1.7, "pack_bits__portable": 0.7,
    "compare__avx2": 6, "compare__portable": 1,
    "conv_u8_winograd__avx2": 20, "conv_u8_winograd4__avx2": 20,
    "conv_u8_winograd__avx2_crossed": 22, "conv_u8_winograd4__avx2_crossed": 22,
    "conv_u8_winograd_by2__avx2_crossed": 22,
    "conv_u8_packed__neon": 13, "conv_u8_packed__dotprod": 39, "conv_u8_packed__i8mm": 69,
    "conv_u8__neon": 13, "conv_u8__dotprod": 39, "conv_u8__i8mm": 69, "conv_u8_winograd__neon": 10.3,
    "conv_u8_winograd4__neon": 10.3,
    "conv_u8_depthwise__avx2": 10, "conv_u8_depthwise_3x3__avx2": 15,
    "conv_u8_depthwise__avx512vnni": 29, "conv_u8_depthwise__avxvnni": 18,
    "conv_u8_depthwise__portable": 1, "conv_u8_depthwise_packed__portable": 1,
    "conv_transpose_u8__portable": 1, "conv_transpose_u8_packed__portable": 1,
    "gemm_u8__portable": 8, "gemm_u8_packed__portable": 8,
    "gemm_u8_row__avx2": 16, "gemm_u8_row__avx512vnni": 73, "gemm_u8_row__avxvnni": 55,
    "gemm_u8_row__avx2_few": 22, "gemm_u8_row_packed__avx512vnni": 69, "gemm_u8_row_packed__avxvnni": 45,
    "mean_u8__avx2": 6.5, "mean_u8__portable": 1.2,
    "layernorm_u8__avx2": 0.7, "layernorm_u8__portable": 0.3,
    "lookup_u8__avx2": 1.6, "lookup_u8__portable": 1,
    "matmul_u8__avx2": 21, "matmul_u8__avx512vnni": 50, "matmul_u8__avxvnni": 40, "matmul_u8__portable": 0.4,
    "matmul_u8__neon": 2.5, "matmul_u8__dotprod": 6.4, "matmul_u8__i8mm": 6.6,
    "maxpool__portable": 11, "maxpool_u8__avx2": 30,
    "mul_u8__avx2": 1.7, "mul_scalar__avx2": 2.5, "mul_u8__portable": 0.2,
    "pool_u8__avx2": 10, "pool_u8__portable": 1.4,
    "softmax_u8__avx2": 0.4, "softmax_u8__portable": 0.15,
    "quantize__avx2": 2.3, "quantize__portable": 0.1,
    "add_u8__neon": 1.1, "add_wide__neon": 1, "mul_u8__neon": 1.8, "lookup_u8__neon": 6, "maxpool_u8__neon": 20,
    "pool_u8__neon": 7, "mean_u8__neon": 2.7, "quantize__neon": 0.8, "dequantize__neon": 1.4,
    "layernorm_u8__neon": 0.9, "softmax_u8__asimd": 0.35,
    "conv_u8_depthwise_3x3__dotprod": 7, "conv_u8_depthwise_3x3__neon": 5, "conv_u8_depthwise__neon": 2.6,
    "conv_u8__dsp": 20, "conv_u8_depthwise_3x3__dsp": 20, "gemm_u8_row__dsp": 20,
    "conv_u8_few__dsp": 20, "gemm_u8_few_row__dsp": 20,
    "conv_u8__mve": 20, "conv_u8_depthwise__mve": 20, "conv_u8_depthwise_lines__mve": 20, "quantize__mve": 3,
    "quantize_interleave__avx2": 2, "quantize_transpose__avx2": 1.7,
    "dequantize__avx2": 8, "dequantize_interleave__avx2": 6, "dequantize_transpose__avx2": 4, "dequantize__portable": 1,
    "interleave__avx2": 20, "transpose__avx2": 8, "transpose__portable": 1,
    "transpose_words__avx2": 4, "transpose_words__neon": 2,
    "conv_f32__avx2": 14, "conv_f32__avx512vnni": 28,
    "binary_f32__avx2": 3, "binary_f32__avx512vnni": 4, "clip_f32__avx2": 3, "clip_f32__avx512vnni": 4,
    "rownorm_f32__avx2": 2, "rownorm_f32__avx512vnni": 3, "softmax_f32__avx2": 0.8, "softmax_f32__avx512vnni": 1.4,
    "unary_f32__avx2": 2, "unary_f32__avx512vnni": 3,
    "recurrent_f32__avx2": 8, "recurrent_f32__avx512vnni": 12,
    "matmul_f32__avx2": 13, "matmul_f32__avx512vnni": 25,
    "matmul_f32_rows__avx2": 14, "matmul_f32_rows__avx512vnni": 28,
    "conv_f32_depthwise__avx2": 8, "conv_f32_depthwise__avx512vnni": 14,
    "conv_f32__asimd": 7, "matmul_f32__asimd": 6.5, "matmul_f32_rows__asimd": 7, "conv_f32_depthwise__asimd": 1.8,
    "recurrent_f32__asimd": 4, "softmax_f32__asimd": 0.25, "rownorm_f32__asimd": 0.6, "unary_f32__asimd": 1,
    "binary_f32__asimd": 1.7, "clip_f32__asimd": 2,
})  # fmt: skip
"""Variant.title to units of its `work` (multiply-accumulates or elements) in one cycle of one core.

Measured on a Zen 4 core with gcc 12 on layers whose operands are in the first two caches (tests/benchmarks/kernels.py
shows them); AVX2's panels of eight bits and Winograd's beside them on Zen 3, those of wide dot products raised as
Winograd's. Only ratios inside a family matter: those for ARM are what instructions counted in an emulator give, with
portable kernels' as measured. Work of kernels for Cortex-M is instructions; of portable ones there a unit of cycles is
about twenty (qir.backends.c.emitting.footprint)."""

DEFAULTS: Costs = MappingProxyType({title: Cost(rate) for title, rate in RATES.items()})


def write_costs(costs: Costs, processor: str, compiler: str) -> str:
    """A table as the text of a TOML file, by name; what was measured on is told, not read again."""
    head = [
        "# What a call of each kernel costs, in cycles: call + work / rate.",
        "# Made by: qir bench kernels --save FILE. Used by: qir compile --costs FILE.",
        f"processor = {_text(processor)}",
        f"compiler = {_text(compiler)}",
    ]
    rows = [f"\n[{_text(title)}]\ncall = {one.call:.1f}\nrate = {one.rate:.4g}" for title, one in sorted(costs.items())]
    return "\n".join([*head, *rows, ""])


def _text(text: str) -> str:
    """As a TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_costs(path: str | os.PathLike[str]) -> Costs:
    """The defaults, with those of a file in the place of theirs.

    Raises:
        DataError: where the file cannot be read or is no such table.
    """
    fix = "Make one with: qir bench kernels --target native --save FILE"
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"'{path}' is no table of costs ({error})", fix=fix) from error
    rows = {title: row for title, row in table.items() if isinstance(row, dict)}
    stray = sorted(set(table) - set(rows) - {"processor", "compiler"})
    if stray or not rows:
        why = f"'{stray[0]}' is no kernel's row" if stray else "it has no rows"
        raise DataError(f"'{path}' is no table of costs: {why}", fix=fix)
    return MappingProxyType({**DEFAULTS, **{title: _cost(title, row, path, fix) for title, row in rows.items()}})


def _cost(title: str, row: Mapping[str, object], path: str | os.PathLike[str], fix: str) -> Cost:
    rate, call = row.get("rate"), row.get("call", 0.0)
    if set(row) <= {"rate", "call"} and isinstance(rate, (int, float)) and isinstance(call, (int, float)):
        if 0 < rate < inf and 0 <= call < inf:
            return Cost(float(rate), float(call))
    raise DataError(f"'{path}': the costs of {title} are not rate > 0 and call >= 0, both numbers", fix=fix)
