"""qir.IntAveragePool: averages of uint8 codes; codes or reals out."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.integer_types import integer_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.loops import three, window_fields
from qir.backends.c.orders import CHANNELS_LAST
from qir.backends.c.program import Struct
from qir.backends.c.requant import requant
from qir.backends.c.site import Site
from qir.ops.window import window
from qir.quant.fixedpoint import largest

_SOURCE = Path(__file__).parent / "pool_u8__portable.c"
_FUNCTION = "qir_pool_u8_T__portable"


def _accepts(site: Site) -> str | None:
    if not 3 <= site.input(0).rank <= 5:
        return f"{site.input(0).rank - 2} spatial axes, 1 to 3 are supported"
    most = largest(site.input(0).dtype, int(site.node.attr("x_zero_point", 0)))
    return "a sum could leave int32" if prod(site.node.attr("kernel_shape")) * most >= 1 << 31 else None


def _bind(site: Site) -> Bound:
    x, node = site.input(0), site.node
    win = window(node, x.shape[2:], node.attr("kernel_shape"))
    ends = [size + end for size, end in zip(win.input, win.declared_end, strict=True)]
    shape = Struct("qir_pool_u8_shape", (
        ("window", window_fields(x.shape[0], win)), ("channels", x.shape[1]),
        ("counts_padding", int(node.attr("count_include_pad", 0))), ("counted_end", three(ends, 1)),
        ("x_zero_point", int(node.attr("x_zero_point", 0))),
        ("multiplier", float(np.float32(node.attr("multiplier")))), ("requant", requant(node)),
    ))  # fmt: skip
    return Bound(integer_kernel(site, _FUNCTION, _SOURCE), (shape, x.read, site.output.write))


FAMILY = Family("pool_u8", ("qir.IntAveragePool",), CHANNELS_LAST, (Variant("portable", _SOURCE, _accepts, _bind),))
