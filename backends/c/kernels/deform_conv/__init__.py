"""DeformConv on floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.float_types import float_kernel, takes_floats
from qir.backends.c.binding.loops import window_fields
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_f32 import bias_of
from qir.backends.c.program import Data, Struct
from qir.ops.window import window

_SOURCE = Path(__file__).parent / "deform_conv__portable.c"


def _accepts(site: Site) -> str | None:
    spatial = site.input(0).rank - 2
    return None if spatial == 2 else f"{spatial} spatial axes, 2 are supported"


def _bind(site: Site) -> Bound:
    x, w, node = site.input(0), site.input(1), site.node
    mask = site.optional(4)
    shape = Struct("qir_deform_conv_shape", (
        ("window", window_fields(x.shape[0], window(node, x.shape[2:], w.shape[2:]))), ("channels", x.shape[1]),
        ("groups", int(node.attr("group", 1))), ("offset_groups", int(node.attr("offset_group", 1))),
        ("out_channels", w.shape[0]), ("masked", int(mask is not None)),
    ))  # fmt: skip
    factors = Data(np.ones(1, x.dtype.numpy), "no mask") if mask is None else mask.read
    args = (shape, x.read, w.read, site.input(2).read, bias_of(site, 3, w.shape[0]), factors, site.output.write)
    return Bound(float_kernel(site, "qir_deform_conv_T__portable", _SOURCE), args)


FAMILY = Family(
    "deform_conv", ("DeformConv",), PLAIN, (Variant("portable", _SOURCE, _accepts, _bind),), takes=takes_floats
)
