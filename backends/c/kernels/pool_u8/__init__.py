"""qir.IntAveragePool: averages of codes of 8 or 16 bits; codes or reals out."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import integer_kernel, only_bytes
from qir.backends.c.binding.loops import three, window_fields
from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.requant import flushed, quotient, requant, vector_types
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Struct
from qir.ops.window import window
from qir.quant.fixedpoint import largest

_LEAST = {"avx2": 16, "neon": 8}
"""Channels that kernels on vectors need."""


def _source(isa: str) -> Path:
    return Path(__file__).parent / f"pool_u8__{isa}.c"


def _accepts(site: Site) -> str | None:
    if not 3 <= site.input(0).rank <= 5:
        return f"{site.input(0).rank - 2} spatial axes, 1 to 3 are supported"
    most = largest(site.input(0).dtype, int(site.node.attr("x_zero_point", 0)))
    return "a sum could leave int32" if prod(site.node.attr("kernel_shape")) * most >= 1 << 31 else None


def _accepts_vectors(site: Site, isa: str) -> str | None:
    """Sums of 16 bits, many channels at a time."""
    taps = prod(site.node.attr("kernel_shape"))
    if site.input(0).shape[1] < _LEAST[isa]:
        return f"fewer than {_LEAST[isa]} channels"
    if taps > 257:
        return "a sum could leave 16 bits"
    tiny = flushed(site, site.node.attr("multiplier") / taps) if isa == "neon" else None
    return only_bytes(site) or tiny or _accepts(site)


def _work(site: Site) -> float:
    return site.output.size * prod(site.node.attr("kernel_shape"))


def _bind(site: Site, isa: str) -> Bound:
    x, node = site.input(0), site.node
    win = window(node, x.shape[2:], node.attr("kernel_shape"))
    ends = [size + end for size, end in zip(win.input, win.declared_end, strict=True)]
    shape = Struct("qir_pool_u8_shape", (
        ("window", window_fields(x.shape[0], win)), ("channels", x.shape[1]),
        ("counts_padding", int(node.attr("count_include_pad", 0))), ("counted_end", three(ends, 1)),
        ("x_zero_point", int(node.attr("x_zero_point", 0))),
        ("multiplier", float(np.float32(node.attr("multiplier")))), ("requant", requant(node)),
    ))  # fmt: skip
    kernel = integer_kernel(site, f"qir_pool_u8_T__{isa}", _source(isa),
                            parts=(quotient(site), *vector_types(site, isa, "store8", "store16")))  # fmt: skip
    return Bound(kernel, (shape, x.read, site.output.write))


def _on(isa: str) -> Variant:
    return Variant(isa, _source(isa), lambda site: _accepts_vectors(site, isa), lambda site: _bind(site, isa),
                   work=_work)  # fmt: skip


FAMILY = Family(
    "pool_u8", ("qir.IntAveragePool",), CHANNELS_LAST,
    (
        Variant("portable", _source("portable"), _accepts, lambda site: _bind(site, "portable"), work=_work),
        _on("avx2"),
        _on("neon"),
    ),
)  # fmt: skip
