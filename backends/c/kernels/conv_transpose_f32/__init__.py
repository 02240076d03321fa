"""ConvTranspose on floats."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.float_types import takes_floats, typed_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_f32 import bias_of, few_axes, pack_floats
from qir.backends.c.loops import window_fields
from qir.backends.c.orders import CHANNELS_LAST
from qir.backends.c.program import Arg, Data, Struct
from qir.backends.c.site import Site
from qir.ops.window import transposed_window

_SOURCE = Path(__file__).parent / "conv_transpose_f32__portable.c"


def _bind(site: Site) -> Bound:
    x, w, node = site.input(0), site.input(1), site.node
    groups = int(node.attr("group", 1))
    inner, outer, taps = w.shape[0] // groups, w.shape[1], prod(w.shape[2:])
    weights: Arg = w.read
    # (input channel, tap, block of eight outputs, output channel, group) of [C, M/g, taps]
    strides = (outer * taps, 1, 8 * taps, taps, inner * outer * taps)
    if w.value is not None:
        by_output = w.value.reshape(groups, inner, outer, taps).transpose(0, 2, 1, 3).reshape(-1, inner, taps)
        packed = pack_floats(np.ascontiguousarray(by_output), groups)
        weights = Data(packed, "weights")
        strides = (8, inner * 8, taps * inner * 8, 1, packed.size // groups)
    names = ("channel_stride", "tap_stride", "block_stride", "out_stride", "group_stride")
    shape = Struct("qir_conv_transpose_f32_shape", (
        ("window", window_fields(x.shape[0], transposed_window(node, x.shape[2:], w.shape[2:]))), ("groups", groups),
        ("in_channels", inner), ("out_channels", outer), *zip(names, strides, strict=True),
    ))  # fmt: skip
    kernel = typed_kernel(site, "qir_conv_transpose_T__portable", _SOURCE)
    return Bound(kernel, (shape, x.read, weights, bias_of(site, 2, groups * outer), site.output.write))


FAMILY = Family(
    "conv_transpose_f32", ("ConvTranspose",), CHANNELS_LAST, (Variant("portable", _SOURCE, few_axes, _bind),),
    takes=takes_floats,
)  # fmt: skip
