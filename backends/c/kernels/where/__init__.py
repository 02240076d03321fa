"""Where: a choice between two operands, element by element."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Struct

_SOURCE = Path(__file__).parent / "where__portable.c"


def _loops(site: Site) -> list[tuple[int, ...]]:
    y = site.output
    return merged_loops(y.stored_shape, *(site.input(slot).broadcast_strides(y) for slot in range(3)))


def _bind(site: Site) -> Bound:
    y, loops = site.output, _loops(site)
    shape = Struct("qir_where_shape", (
        ("size", led(loops, 0, 1)), ("choice_stride", led(loops, 1, 0)), ("a_stride", led(loops, 2, 0)),
        ("b_stride", led(loops, 3, 0)),
    ))  # fmt: skip
    kernel = Kernel("qir_where_T__portable", _SOURCE, f"qir_where_{y.short}__portable", (("QIR_T", y.ctype),))
    return Bound(kernel, (shape, *(site.input(slot).read for slot in range(3)), y.write))


def _accepts(site: Site) -> str | None:
    return too_many_loops(_loops(site))


FAMILY = Family("where", ("Where",), FOLLOW, (Variant("portable", _SOURCE, _accepts, _bind),), in_place=(1, 2))
