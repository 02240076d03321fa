"""qir.IntAdd: a weighted sum of two tensors of codes of 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from qir.backends.c.integer_types import only_bytes
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.loops import broadcast_loops, broadcast_struct, steps_apart, too_many_loops
from qir.backends.c.orders import FOLLOW
from qir.backends.c.program import Kernel, Struct
from qir.backends.c.requant import requant, vector_types
from qir.backends.c.site import Site

_HERE = Path(__file__).parent
_SOURCE, _ROWS = _HERE / "add_u8__portable.c", _HERE / "rows_u8__avx2.c"


def accepts_loops(site: Site) -> str | None:
    """Whether operands broadcast in few enough loops."""
    return too_many_loops(broadcast_loops(site.input(0), site.input(1), site.output))


def accepts_rows(site: Site) -> str | None:
    """Whether `rows_variant` takes a site of two operands."""
    loops = broadcast_loops(site.input(0), site.input(1), site.output)
    return too_many_loops(loops) or only_bytes(site) or steps_apart(loops)


def rows_variant(op: str, header: Path, numbers: Callable[[Site], Struct]) -> Variant:
    """The vector kernel of an operator on two tensors of bytes.

    Args:
        op: add, mul, ...
        header: defines qir_<op>8, qir_widen_<op>8 and qir_avx2_<op>8, the operator on eight elements.
        numbers: the qir_<op>_u8_numbers of a site.
    """

    def bind(site: Site) -> Bound:
        a, b, y = site.input(0), site.input(1), site.output
        kernel = Kernel("qir_rows_u8u8_T__avx2", _ROWS, f"qir_{op}_u8u8_{y.short}__avx2", (
            ("QIR_NUMBERS", f"qir_{op}_u8_numbers"), ("QIR_WIDE", f"qir_{op}8"), ("QIR_WIDEN", f"qir_widen_{op}8"),
            ("QIR_EIGHT", f"qir_avx2_{op}8"), ("QIR_Y", y.ctype), *vector_types(site, "avx2", "reals16"),
        ), (header,))  # fmt: skip
        return Bound(kernel, (broadcast_struct(a, b, y), numbers(site), a.read, b.read, y.write))

    return Variant("avx2", _ROWS, accepts_rows, bind, f"{op}_u8__avx2")


def numbers(site: Site) -> Struct:
    """The qir_add_u8_numbers of a site."""
    keys = ("a_multiplier", "b_multiplier", "offset")
    reals = tuple((key, float(np.float32(site.node.attr(key)))) for key in keys)
    return Struct("qir_add_u8_numbers", (*reals, ("requant", requant(site.node))))


def _bind(site: Site) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    args = (broadcast_struct(a, b, y), numbers(site), a.read, b.read, y.write)
    types = (("QIR_A", a.ctype), ("QIR_B", b.ctype), ("QIR_Y", y.ctype))
    name = f"qir_add_{a.short}{b.short}_{y.short}__portable"
    return Bound(Kernel("qir_add_u8u8_u8__portable", _SOURCE, name, types), args)


FAMILY = Family(
    "add_u8", ("qir.IntAdd",), FOLLOW,
    (
        Variant("portable", _SOURCE, accepts_loops, _bind),
        rows_variant("add", _HERE / "add_u8_avx2.h", numbers),
    ),
    in_place=(0, 1),
)  # fmt: skip
