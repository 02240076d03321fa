"""qir.IntAdd: a weighted sum of two tensors of uint8 codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.loops import broadcast_loops, broadcast_struct, too_many_loops
from qir.backends.c.orders import FOLLOW
from qir.backends.c.program import Kernel, Struct
from qir.backends.c.requant import requant
from qir.backends.c.site import Site

_SOURCE = Path(__file__).parent / "add_u8__portable.c"


def _accepts(site: Site) -> str | None:
    return too_many_loops(broadcast_loops(site.input(0), site.input(1), site.output))


def numbers(site: Site) -> Struct:
    """The qir_add_u8_numbers of a site."""
    keys = ("a_multiplier", "b_multiplier", "offset")
    reals = tuple((key, float(np.float32(site.node.attr(key)))) for key in keys)
    return Struct("qir_add_u8_numbers", (*reals, ("requant", requant(site.node))))


def _bind(site: Site) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    args = (broadcast_struct(a, b, y), numbers(site), a.read, b.read, y.write)
    return Bound(Kernel("qir_add_u8u8_u8__portable", _SOURCE), args)


FAMILY = Family("add_u8", ("qir.IntAdd",), FOLLOW, (Variant("portable", _SOURCE, _accepts, _bind),), in_place=(0, 1))
