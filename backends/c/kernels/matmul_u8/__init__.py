"""qir.IntMatMul: two matrices of uint8 codes; codes or reals out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.integer_types import integer_kernel, only_bytes
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.loops import led, merged_loops, too_many_loops
from qir.backends.c.orders import Orders
from qir.backends.c.program import Scalar, Struct
from qir.backends.c.requant import requant
from qir.backends.c.site import Operand, Site, plain
from qir.quant.fixedpoint import largest

_SOURCE = Path(__file__).parent / "matmul_u8__portable.c"
_FUNCTION = "qir_matmul_u8u8_T__portable"


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


def _overflows(site: Site) -> bool:
    a, b, node = site.input(0), site.input(1), site.node
    factors = largest(a.dtype, int(node.attr("a_zero_point", 0))), largest(b.dtype, int(node.attr("b_zero_point", 0)))
    return a.shape[-1] * factors[0] * factors[1] >= 1 << 31


def _bind(site: Site) -> Bound:
    a, b, y, node, loops = site.input(0), site.input(1), site.output, site.node, _loops(site)
    shape = Struct("qir_matmul_u8_shape", (
        ("batch", (led(loops, 0, 1), led(loops, 1, 0), led(loops, 2, 0))),
        ("rows", a.shape[-2]), ("depth", a.shape[-1]), ("columns", b.shape[-1]),
        ("a_row_stride", a.strides[-2]), ("a_depth_stride", a.strides[-1]),
        ("b_depth_stride", b.strides[-2]), ("b_column_stride", b.strides[-1]),
        ("a_zero_point", int(node.attr("a_zero_point", 0))), ("b_zero_point", int(node.attr("b_zero_point", 0))),
        ("requant", requant(node)),
    ))  # fmt: skip
    multiplier = Scalar(float(np.float32(node.attr("multiplier"))), "float")
    kernel = integer_kernel(site, _FUNCTION, _SOURCE, ("QIR_A", "QIR_B"), wide=_overflows(site))
    return Bound(kernel, (shape, multiplier, a.read, b.read, y.write))


FAMILY = Family("matmul_u8", ("qir.IntMatMul",), _as_stored, (Variant("portable", _SOURCE, _accepts, _bind),))
