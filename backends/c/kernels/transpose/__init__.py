"""Copies of a value into another order of axes, put in by the layout step (the operator qir.Reorder)."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.loops import led, merged_loops, too_many_loops
from qir.backends.c.orders import PLAIN
from qir.backends.c.program import Kernel, Struct
from qir.backends.c.site import Site

_SOURCE = Path(__file__).parent / "transpose__portable.c"


def _loops(site: Site) -> list[tuple[int, ...]]:
    x, y = site.input(0), site.output
    return merged_loops(y.stored_shape, [x.strides[axis] for axis in y.order])


def _bind(site: Site) -> Bound:
    x, y, loops = site.input(0), site.output, _loops(site)
    kernel = Kernel("qir_transpose_T__portable", _SOURCE, f"qir_transpose_{x.short}__portable", (("QIR_T", x.ctype),))
    shape = Struct("qir_transpose_shape", (("size", led(loops, 0, 1)), ("stride", led(loops, 1, 0))))
    return Bound(kernel, (shape, x.read, y.write))


FAMILY = Family("transpose", ("qir.Reorder",), PLAIN,
                (Variant("portable", _SOURCE, lambda site: too_many_loops(_loops(site)), _bind),))  # fmt: skip
