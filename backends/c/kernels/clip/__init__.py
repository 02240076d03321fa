"""Clip, its bounds constants or computed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.binding.site import Site
from qir.backends.c.binding.vectors import VECTORS
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.unary import on_vectors, same_order
from qir.backends.c.program import Arg, Data, Kernel, Scalar

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


def bounds(site: Site) -> tuple[float, float] | None:
    """Constant bounds; None where one is computed."""
    found = []
    for slot, missing in ((1, -np.inf), (2, np.inf)):
        given = site.optional(slot)
        if given is not None and given.value is None:
            return None
        found.append(missing if given is None or given.value is None else float(given.value.reshape(-1)[0]))
    return found[0], found[1]


def _accepts_vectors(site: Site) -> str | None:
    if site.input(0).dtype.name != "float32":
        return "only float32"
    return "a bound is computed" if bounds(site) is None else None


def _bind_vectors(site: Site, isa: str) -> Bound:
    limits = bounds(site)
    assert limits is not None, "refused by accepts"
    text = "QIR_MIN(QIR_ALL(high), QIR_MAX(QIR_ALL(low), v))"
    return on_vectors(site, isa, "clip_f32", text, dict(zip(("low", "high"), limits, strict=True)))


FAMILY = Family("clip", ("Clip",), same_order,
                (Variant("portable", _SOURCE, lambda site: None, _bind),
                 *(Variant(isa, _SOURCE.parents[1] / "unary" / "unary_f32__vectors.c", _accepts_vectors,
                           partial(_bind_vectors, isa=isa), f"clip_f32__{isa}") for isa in VECTORS)),
                takes=_takes, in_place=(0,), pointwise=True)  # fmt: skip
