"""Clip, its bounds constants or computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.unary import same_order
from qir.backends.c.program import Arg, Data, Kernel, Scalar
from qir.backends.c.site import Site

_SOURCE = Path(__file__).parent / "clip__portable.c"


def _takes(site: Site) -> str | None:
    return None if site.input(0).dtype.is_integer or site.input(0).dtype.is_float else "only numbers are clipped"


def _bound(site: Site, slot: int, high: bool) -> Arg:
    given = site.optional(slot)
    if given is not None:
        return given.read
    dtype = site.input(0).dtype
    limit = (np.inf if high else -np.inf) if dtype.is_float else (dtype.max if high else dtype.min)
    return Data(np.array([limit], dtype.numpy), "bound")


def _bind(site: Site) -> Bound:
    x, y = site.input(0), site.output
    kernel = Kernel("qir_clip_T__portable", _SOURCE, f"qir_clip_{x.short}__portable", (("QIR_T", x.ctype),))
    return Bound(kernel, (Scalar(y.size, "size_t"), _bound(site, 1, False), _bound(site, 2, True), x.read, y.write))


FAMILY = Family("clip", ("Clip",), same_order, (Variant("portable", _SOURCE, lambda site: None, _bind),),
                takes=_takes, in_place=(0,), pointwise=True)  # fmt: skip
