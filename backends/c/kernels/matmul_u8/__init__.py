"""qir.IntMatMul: two matrices of codes of 8 or 16 bits; codes or reals out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import integer_kernel, only_bytes
from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.requant import requant, vector_types
from qir.backends.c.binding.site import Operand, Site, plain
from qir.backends.c.binding.tiles import of_rows
from qir.backends.c.binding.x86 import x86_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Scalar, Scratch, Struct
from qir.quant.fixedpoint import largest

_HERE = Path(__file__).parent
_SOURCE, _AVX2, _VNNI = (_HERE / f"matmul_u8__{name}.c" for name in ("portable", "avx2", "vnni"))
_ARM = {"i8mm": (8, 2), "dotprod": (4, 1), "neon": (4, 1)}
"""Codes of a step, rows that share vectors."""


def _as_stored(site: Site) -> Orders:
    """Operands as they are, the result plain: the kernel takes any strides."""
    return Orders(tuple(x.order if x else None for x in site.inputs), (plain(site.output.rank),))


def _batch_strides(x: Operand, rank: int) -> tuple[int, ...]:
    """Strides of an operand along the batch axes of the result, 0 where it broadcasts."""
    lead = rank - x.rank
    return tuple(0 if axis < lead or x.shape[axis - lead] == 1 else x.strides[axis - lead] for axis in range(rank - 2))


def _loops(site: Site) -> list[tuple[int, ...]]:
    y = site.output
    return merged_loops(y.shape[:-2], _batch_strides(site.input(0), y.rank), _batch_strides(site.input(1), y.rank))


def _accepts(site: Site) -> str | None:
    a, b = site.input(0), site.input(1)
    if a.rank < 2 or b.rank < 2:
        return "both operands must be matrices"
    reason = "an accumulator could leave int32" if _overflows(site) and only_bytes(site) is None else None
    return reason or too_many_loops(_loops(site))


def _accepts_vectors(site: Site) -> str | None:
    return only_bytes(site) or _accepts(site)


def _overflows(site: Site) -> bool:
    a, b, node = site.input(0), site.input(1), site.node
    factors = largest(a.dtype, int(node.attr("a_zero_point", 0))), largest(b.dtype, int(node.attr("b_zero_point", 0)))
    return a.shape[-1] * factors[0] * factors[1] >= 1 << 31


def _work(site: Site) -> float:
    return site.output.size * site.input(0).shape[-1]


def _panel_work(site: Site) -> float:
    """Columns filled up to sixteen; packing them, and widening rows, costs as much as some rows more."""
    rows, columns = site.output.shape[-2:]
    depth = site.input(0).shape[-1]
    return site.output.size // (rows * columns) * depth * (rows + 12) * (-(-columns // 16) * 16)


def _arguments(site: Site) -> tuple[Struct, Scalar]:
    a, b, node, loops = site.input(0), site.input(1), site.node, _loops(site)
    shape = Struct("qir_matmul_u8_shape", (
        ("batch", (led(loops, 0, 1), led(loops, 1, 0), led(loops, 2, 0))),
        ("rows", a.shape[-2]), ("depth", a.shape[-1]), ("columns", b.shape[-1]),
        ("a_row_stride", a.strides[-2]), ("a_depth_stride", a.strides[-1]),
        ("b_depth_stride", b.strides[-2]), ("b_column_stride", b.strides[-1]),
        ("a_zero_point", int(node.attr("a_zero_point", 0))), ("b_zero_point", int(node.attr("b_zero_point", 0))),
        ("requant", requant(node)),
    ))  # fmt: skip
    return shape, Scalar(float(np.float32(node.attr("multiplier"))), "float")


def _bind(site: Site, isa: str, source: Path) -> Bound:
    a, b = site.input(0), site.input(1)
    parts = vector_types(site, "neon" if isa in _ARM else "avx2", "store16", "laid", "lay", "store_pair")
    kernel = integer_kernel(site, f"qir_matmul_u8u8_T__{isa}", source, ("QIR_A", "QIR_B"), wide=_overflows(site),
                            parts=parts)  # fmt: skip
    return Bound(kernel, (*_arguments(site), a.read, b.read, *_scratch(isa, *a.shape[-2:]), site.output.write))


def _bind_vnni(site: Site, isa: str) -> Bound:
    a, b = site.input(0), site.input(1)
    rows, depth, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    steps, filled = -(-depth // 4), -(-columns // 16) * 16
    scratch = Scratch(24 * rows + 4 * (steps * filled + filled + steps + steps * rows))
    kernel = x86_kernel("qir_matmul_u8u8_T__vnni", _VNNI, site, isa, offsets=True, products=of_rows)
    return Bound(kernel, (*_arguments(site), a.read, b.read, scratch, site.output.write))


def _on_vnni(isa: str) -> Variant:
    return Variant(isa, _VNNI, _accepts_vectors, partial(_bind_vnni, isa=isa), f"matmul_u8__{isa}", _panel_work)


def _scratch(isa: str, rows: int, depth: int) -> tuple[Scratch, ...]:
    """Room for a panel of sixteen columns and all rows, in the kernel's own form."""
    if isa == "avx2":
        return (Scratch(4 * (-(-depth // 2)) * (16 + rows)),)
    if isa in _ARM:
        step, together = _ARM[isa]
        rows = -(-rows // together) * together
        return (Scratch(24 * rows + -(-depth // step) * step * rows + -(-depth // 8) * 8 * 16),)
    return ()


def _on_arm(isa: str) -> Variant:
    source = _HERE / f"matmul_u8__{isa}.c"
    return Variant(isa, source, _accepts_vectors, lambda site: _bind(site, isa, source), work=_panel_work)


FAMILY = Family(
    "matmul_u8", ("qir.IntMatMul",), _as_stored,
    (
        Variant("portable", _SOURCE, _accepts, lambda site: _bind(site, "portable", _SOURCE), work=_work),
        *map(_on_vnni, ("avx512vnni", "avxvnni")),
        Variant("avx2", _AVX2, _accepts_vectors, lambda site: _bind(site, "avx2", _AVX2), work=_panel_work),
        *(_on_arm(isa) for isa in _ARM),
    ),
)  # fmt: skip
