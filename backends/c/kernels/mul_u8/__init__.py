"""qir.IntMul: the product of two tensors of codes of 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import integer_kernel, only_bytes
from qir.backends.c.binding.loops import broadcast_loops, broadcast_struct, steps_apart, too_many_loops
from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.requant import flushed, requant, vector_types
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Scalar, Struct
from qir.ir.dtype import INT16, UINT8

_SCALAR = Path(__file__).parent / "mul_scalar__avx2.c"


def _source(isa: str) -> Path:
    return Path(__file__).parent / f"mul_u8__{isa}.c"


def _accepts(site: Site) -> str | None:
    return too_many_loops(broadcast_loops(site.input(0), site.input(1), site.output))


def _accepts_vectors(site: Site) -> str | None:
    return _accepts(site) or only_bytes(site) or steps_apart(broadcast_loops(site.input(0), site.input(1), site.output))


def _accepts_neon(site: Site) -> str | None:
    return _accepts_vectors(site) or flushed(site, site.node.attr("multiplier"))


def _bind(site: Site, isa: str) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    kernel = integer_kernel(site, f"qir_mul_u8u8_T__{isa}", _source(isa), ("QIR_A", "QIR_B"),
                            wide=only_bytes(site) is not None, parts=vector_types(site, isa, "reals16"))  # fmt: skip
    return Bound(kernel, (broadcast_struct(a, b, y), _numbers(site), a.read, b.read, y.write))


def _numbers(site: Site) -> Struct:
    """The qir_mul_u8_numbers of a site."""
    node = site.node
    return Struct("qir_mul_u8_numbers", (
        ("a_zero_point", int(node.attr("a_zero_point", 0))), ("b_zero_point", int(node.attr("b_zero_point", 0))),
        ("multiplier", float(np.float32(node.attr("multiplier")))), ("requant", requant(node)),
    ))  # fmt: skip


def _accepts_scalar(site: Site) -> str | None:
    a, b, y = site.input(0), site.input(1), site.output
    if (a.dtype, b.dtype, y.dtype) != (INT16, UINT8, UINT8):
        return "no codes of 16 bits become such of 8"
    if b.size != 1 or len(broadcast_loops(a, b, y)) > 1 or a.size != y.size:
        return "its second operand is no single number"
    return None


def _bind_scalar(site: Site) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    args = (_numbers(site), Scalar(y.size, "size_t"), a.read, b.read, y.write)
    return Bound(Kernel("qir_mul_s16u8_u8__avx2", _SCALAR), args)


def _on(isa: str, accepts: Callable[[Site], str | None]) -> Variant:
    return Variant(isa, _source(isa), accepts, lambda site: _bind(site, isa))


FAMILY = Family(
    "mul_u8", ("qir.IntMul",), FOLLOW,
    (_on("portable", _accepts), _on("avx2", _accepts_vectors), _on("neon", _accepts_neon),
     Variant("avx2", _SCALAR, _accepts_scalar, _bind_scalar)),
    in_place=(0, 1),
)  # fmt: skip
