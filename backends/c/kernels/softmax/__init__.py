"""Softmax, LogSoftmax and Hardmax on floats."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path

from qir.backends.c.binding.float_types import float_kernel, takes_floats
from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.binding.vectors import VECTORS, vector_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Scalar

_HERE = Path(__file__).parent
_VECTORS = _HERE / "softmax__vectors.c"


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


def _accepts_vectors(site: Site) -> str | None:
    return _accepts(site) if site.input(0).dtype.name == "float32" else "only float32"


def _bind_vectors(site: Site, isa: str) -> Bound:
    x = site.input(0)
    sizes = tuple(Scalar(n) for n in around(x, int(site.node.attr("axis", -1))))
    return Bound(vector_kernel("qir_softmax_f32", _VECTORS, isa), (*sizes, x.read, site.output.write))


def _variants(op: str) -> tuple[Variant, ...]:
    isas = VECTORS if op == "Softmax" else ()
    return (
        Variant("portable", _HERE / f"{op.lower()}__portable.c", _accepts, _bind),
        *(Variant(isa, _VECTORS, _accepts_vectors, partial(_bind_vectors, isa=isa), f"softmax_f32__{isa}")
          for isa in isas),
    )  # fmt: skip


FAMILIES = tuple(
    Family(op.lower(), (op,), FOLLOW, _variants(op), takes=takes_floats, in_place=(0,))
    for op in ("Softmax", "LogSoftmax", "Hardmax")
)  # fmt: skip
