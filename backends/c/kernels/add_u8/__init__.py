"""qir.IntAdd: a weighted sum of two tensors of codes of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.integer_types import only_bytes
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.loops import broadcast_loops, broadcast_struct, steps_apart, too_many_loops
from qir.backends.c.orders import FOLLOW
from qir.backends.c.program import Kernel, Struct
from qir.backends.c.requant import requant
from qir.backends.c.site import Site

_HERE = Path(__file__).parent
_SOURCE, _AVX2 = _HERE / "add_u8__portable.c", _HERE / "add_u8__avx2.c"


def _accepts(site: Site) -> str | None:
    return too_many_loops(broadcast_loops(site.input(0), site.input(1), site.output))


def numbers(site: Site) -> Struct:
    """The qir_add_u8_numbers of a site."""
    keys = ("a_multiplier", "b_multiplier", "offset")
    reals = tuple((key, float(np.float32(site.node.attr(key)))) for key in keys)
    return Struct("qir_add_u8_numbers", (*reals, ("requant", requant(site.node))))


def _accepts_vectors(site: Site) -> str | None:
    return _accepts(site) or only_bytes(site) or steps_apart(broadcast_loops(site.input(0), site.input(1), site.output))


def _bind(site: Site, isa: str, source: Path) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    args = (broadcast_struct(a, b, y), numbers(site), a.read, b.read, y.write)
    types = (("QIR_A", a.ctype), ("QIR_B", b.ctype), ("QIR_Y", y.ctype)) if isa == "portable" else ()
    name = f"qir_add_{a.short}{b.short}_{y.short}__{isa}"
    return Bound(Kernel(f"qir_add_u8u8_u8__{isa}", source, name, types), args)


FAMILY = Family(
    "add_u8", ("qir.IntAdd",), FOLLOW,
    (
        Variant("portable", _SOURCE, _accepts, lambda site: _bind(site, "portable", _SOURCE)),
        Variant("avx2", _AVX2, _accepts_vectors, lambda site: _bind(site, "avx2", _AVX2)),
    ),
    in_place=(0, 1),
)  # fmt: skip
