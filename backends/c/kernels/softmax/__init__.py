"""Softmax, LogSoftmax and Hardmax on floats."""

from __future__ import annotations

from math import prod
from pathlib import Path

from qir.backends.c.float_types import float_kernel, takes_floats
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.orders import FOLLOW
from qir.backends.c.program import Scalar
from qir.backends.c.site import Operand, Site

_HERE = Path(__file__).parent


def around(x: Operand, axis: int) -> tuple[int, int, int]:
    """(outer, size, inner) of a logical axis as stored."""
    place = x.stored_axis(axis)
    return prod(x.stored_shape[:place]), x.stored_shape[place], prod(x.stored_shape[place + 1 :])


def _bind(site: Site) -> Bound:
    x, name = site.input(0), site.node.op.lower()
    sizes = tuple(Scalar(n) for n in around(x, int(site.node.attr("axis", -1))))
    kernel = float_kernel(site, f"qir_{name}_T__portable", _HERE / f"{name}__portable.c")
    return Bound(kernel, (*sizes, x.read, site.output.write))


def _accepts(site: Site) -> str | None:
    return None if site.input(0).rank and site.input(0).size else "there is nothing to normalize"


FAMILIES = tuple(
    Family(op.lower(), (op,), FOLLOW, (Variant("portable", _HERE / f"{op.lower()}__portable.c", _accepts, _bind),),
           takes=takes_floats, in_place=(0,))
    for op in ("Softmax", "LogSoftmax", "Hardmax")
)  # fmt: skip
