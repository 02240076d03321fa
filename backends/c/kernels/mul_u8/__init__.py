"""qir.IntMul: the product of two tensors of codes of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.integer_types import integer_kernel, only_bytes
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.add_u8 import accepts_loops, rows_variant
from qir.backends.c.loops import broadcast_struct
from qir.backends.c.orders import FOLLOW
from qir.backends.c.program import Struct
from qir.backends.c.requant import requant
from qir.backends.c.site import Site

_HERE = Path(__file__).parent
_SOURCE = _HERE / "mul_u8__portable.c"


def _numbers(site: Site) -> Struct:
    node = site.node
    return Struct("qir_mul_u8_numbers", (
        ("a_zero_point", int(node.attr("a_zero_point", 0))), ("b_zero_point", int(node.attr("b_zero_point", 0))),
        ("multiplier", float(np.float32(node.attr("multiplier")))), ("requant", requant(node)),
    ))  # fmt: skip


def _bind(site: Site) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    kernel = integer_kernel(site, "qir_mul_u8u8_T__portable", _SOURCE, ("QIR_A", "QIR_B"),
                            wide=only_bytes(site) is not None)  # fmt: skip
    return Bound(kernel, (broadcast_struct(a, b, y), _numbers(site), a.read, b.read, y.write))


FAMILY = Family(
    "mul_u8", ("qir.IntMul",), FOLLOW,
    (
        Variant("portable", _SOURCE, accepts_loops, _bind),
        rows_variant("mul", _HERE / "mul_u8_avx2.h", _numbers),
    ),
    in_place=(0, 1),
)  # fmt: skip
