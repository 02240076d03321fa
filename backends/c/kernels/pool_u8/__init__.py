"""qir.IntAveragePool: averages of codes of 8 or 16 bits; codes or reals out."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.integer_types import integer_kernel, only_bytes
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.loops import three, window_fields
from qir.backends.c.orders import CHANNELS_LAST
from qir.backends.c.program import Struct
from qir.backends.c.requant import requant, vector_types
from qir.backends.c.site import Site
from qir.ops.window import window
from qir.quant.fixedpoint import largest

_HERE = Path(__file__).parent
_SOURCE, _AVX2 = _HERE / "pool_u8__portable.c", _HERE / "pool_u8__avx2.c"


def _accepts(site: Site) -> str | None:
    if not 3 <= site.input(0).rank <= 5:
        return f"{site.input(0).rank - 2} spatial axes, 1 to 3 are supported"
    most = largest(site.input(0).dtype, int(site.node.attr("x_zero_point", 0)))
    return "a sum could leave int32" if prod(site.node.attr("kernel_shape")) * most >= 1 << 31 else None


def _accepts_vectors(site: Site) -> str | None:
    """Sums of 16 bits, sixteen channels at a time."""
    if site.input(0).shape[1] < 16:
        return "fewer than 16 channels"
    if prod(site.node.attr("kernel_shape")) > 257:
        return "a sum could leave 16 bits"
    return only_bytes(site) or _accepts(site)


def _work(site: Site) -> float:
    return site.output.size * prod(site.node.attr("kernel_shape"))


def _bind(site: Site, isa: str, source: Path) -> Bound:
    x, node = site.input(0), site.node
    win = window(node, x.shape[2:], node.attr("kernel_shape"))
    ends = [size + end for size, end in zip(win.input, win.declared_end, strict=True)]
    shape = Struct("qir_pool_u8_shape", (
        ("window", window_fields(x.shape[0], win)), ("channels", x.shape[1]),
        ("counts_padding", int(node.attr("count_include_pad", 0))), ("counted_end", three(ends, 1)),
        ("x_zero_point", int(node.attr("x_zero_point", 0))),
        ("multiplier", float(np.float32(node.attr("multiplier")))), ("requant", requant(node)),
    ))  # fmt: skip
    kernel = integer_kernel(site, f"qir_pool_u8_T__{isa}", source, parts=vector_types(site, "avx2", "store16"))
    return Bound(kernel, (shape, x.read, site.output.write))


FAMILY = Family(
    "pool_u8", ("qir.IntAveragePool",), CHANNELS_LAST,
    (
        Variant("portable", _SOURCE, _accepts, lambda site: _bind(site, "portable", _SOURCE), work=_work),
        Variant("avx2", _AVX2, _accepts_vectors, lambda site: _bind(site, "avx2", _AVX2), work=_work),
    ),
)  # fmt: skip
