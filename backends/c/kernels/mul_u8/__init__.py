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
from qir.backends.c.program import Struct


def _source(isa: str) -> Path:
    return Path(__file__).parent / f"mul_u8__{isa}.c"


def _accepts(site: Site) -> str | None:
    return too_many_loops(broadcast_loops(site.input(0), site.input(1), site.output))


def _accepts_vectors(site: Site) -> str | None:
    return _accepts(site) or only_bytes(site) or steps_apart(broadcast_loops(site.input(0), site.input(1), site.output))


def _accepts_neon(site: Site) -> str | None:
    return _accepts_vectors(site) or flushed(site, site.node.attr("multiplier"))


def _bind(site: Site, isa: str) -> Bound:
    a, b, y, node = site.input(0), site.input(1), site.output, site.node
    numbers = Struct("qir_mul_u8_numbers", (
        ("a_zero_point", int(node.attr("a_zero_point", 0))), ("b_zero_point", int(node.attr("b_zero_point", 0))),
        ("multiplier", float(np.float32(node.attr("multiplier")))), ("requant", requant(node)),
    ))  # fmt: skip
    kernel = integer_kernel(site, f"qir_mul_u8u8_T__{isa}", _source(isa), ("QIR_A", "QIR_B"),
                            wide=only_bytes(site) is not None, parts=vector_types(site, isa, "reals16"))  # fmt: skip
    return Bound(kernel, (broadcast_struct(a, b, y), numbers, a.read, b.read, y.write))


def _on(isa: str, accepts: Callable[[Site], str | None]) -> Variant:
    return Variant(isa, _source(isa), accepts, lambda site: _bind(site, isa))


FAMILY = Family(
    "mul_u8", ("qir.IntMul",), FOLLOW,
    (_on("portable", _accepts), _on("avx2", _accepts_vectors), _on("neon", _accepts_neon)),
    in_place=(0, 1),
)  # fmt: skip
