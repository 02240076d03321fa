"""qir.IntMean: means of codes of 8 or 16 bits over axes; codes or reals out."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import integer_kernel, only_bytes
from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.orders import Orders, reduced
from qir.backends.c.binding.requant import flushed, requant, vector_types
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Struct
from qir.quant.fixedpoint import largest


def _source(isa: str) -> Path:
    return Path(__file__).parent / f"mean_u8__{isa}.c"


def _axes(site: Site) -> frozenset[int]:
    return frozenset(int(axis) % site.input(0).rank for axis in site.node.attr("axes"))


def _layout(site: Site) -> Orders:
    keepdims = bool(site.node.attr("keepdims", 1))
    return Orders((site.input(0).order,), (reduced(site.input(0).order, _axes(site), keepdims),))


def _loops(site: Site, wanted: bool) -> list[tuple[int, ...]]:
    """Loops over the reduced (or the kept) axes as stored."""
    x, axes = site.input(0), _axes(site)
    chosen = [axis for axis in x.order if (axis in axes) == wanted]
    return merged_loops([x.shape[axis] for axis in chosen], [x.strides[axis] for axis in chosen])


def _count(site: Site) -> int:
    return prod(site.input(0).shape[axis] for axis in _axes(site))


def _accepts(site: Site) -> str | None:
    if _count(site) * largest(site.input(0).dtype, int(site.node.attr("x_zero_point", 0))) >= 1 << 31:
        return "a sum could leave int32"
    return too_many_loops(_loops(site, True)) or too_many_loops(_loops(site, False))


def _multiplier(site: Site) -> float:
    return float(np.float32(site.node.attr("multiplier")) / np.float32(_count(site)))


def _accepts_neighbours(site: Site, least: int) -> str | None:
    kept = _loops(site, False)
    if not kept or kept[-1][1] != 1 or kept[-1][0] < least:
        return f"fewer than {least} neighbours are kept"
    return only_bytes(site) or _accepts(site)


def _accepts_neon(site: Site) -> str | None:
    return flushed(site, _multiplier(site)) or _accepts_neighbours(site, 8)


def _accepts_avx2(site: Site) -> str | None:
    return _accepts_neighbours(site, 16)


def _bind(site: Site, isa: str) -> Bound:
    node, kept, gone = site.node, _loops(site, False), _loops(site, True)
    shape = Struct("qir_mean_u8_shape", (
        ("kept", led(kept, 0, 1)), ("kept_stride", led(kept, 1, 0)),
        ("reduced", led(gone, 0, 1)), ("reduced_stride", led(gone, 1, 0)),
        ("x_zero_point", int(node.attr("x_zero_point", 0))), ("multiplier", _multiplier(site)),
        ("requant", requant(node)),
    ))  # fmt: skip
    parts = vector_types(site, isa, "store16" if isa == "avx2" else "store8")
    kernel = integer_kernel(site, f"qir_mean_u8_T__{isa}", _source(isa), parts=parts)
    return Bound(kernel, (shape, site.input(0).read, site.output.write))


def _on(isa: str, accepts: Callable[[Site], str | None]) -> Variant:
    return Variant(isa, _source(isa), accepts, lambda site: _bind(site, isa), work=lambda site: site.input(0).size)


FAMILY = Family(
    "mean_u8", ("qir.IntMean",), _layout,
    (_on("portable", _accepts), _on("avx2", _accepts_avx2), _on("neon", _accepts_neon)),
)  # fmt: skip
