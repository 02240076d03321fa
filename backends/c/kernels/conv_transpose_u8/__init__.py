"""qir.IntConvTranspose: activations of 8 or 16 bits, weights of 2 to 16; codes or reals out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.loops import window_fields
from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.requant import constants_missing, pack_blocks, per_channel, requant
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import bias_data, eight_kernel, is_wide, refuse, rows
from qir.backends.c.binding.x86 import X86
from qir.backends.c.kernels import Bound, Family
from qir.backends.c.kernels.conv_transpose_u8.phases import conv_weights, on_panels
from qir.backends.c.kernels.conv_u8.blocks import ARM, PACKED
from qir.backends.c.kernels.conv_u8.portable import on_bytes_or_packed
from qir.backends.c.program import Data, Struct
from qir.ops.window import transposed_window

_SOURCE = Path(__file__).parent / "conv_transpose_u8__portable.c"
_FUNCTION = "qir_conv_transpose_u8s8_T__portable"
_UNPACKING = 0.8
"""Share of the work that it takes to unpack weights for every product: 0.6 to 1.4 by instructions."""


def _accepts(site: Site) -> str | None:
    if (reason := constants_missing(site)) is not None:
        return reason
    if not 3 <= site.input(0).rank <= 5:
        return f"{site.input(0).rank - 2} spatial axes, 1 to 3 are supported"
    return refuse(site, conv_weights(site), np.asarray(site.constant(2)))


def _bind(site: Site) -> Bound:
    x, node, w = site.input(0), site.node, conv_weights(site)
    groups = int(node.attr("group", 1))
    shape = Struct("qir_conv_u8_shape", (
        ("window", window_fields(x.shape[0], transposed_window(node, x.shape[2:], w.shape[2:]))), ("groups", groups),
        ("in_channels", w.shape[1]), ("out_channels", w.shape[0] // groups),
        ("x_zero_point", int(node.attr("x_zero_point", 0))), ("requant", requant(node)),
    ))  # fmt: skip
    bias = np.asarray(site.constant(2))
    wide = is_wide(site, w, bias)
    data = (rows(site, pack_blocks(w, groups, 8)), bias_data(bias, wide),
            Data(per_channel(site.constant(3), w.shape[0]), "multipliers"))  # fmt: skip
    return Bound(eight_kernel(site, _FUNCTION, _SOURCE, wide), (shape, x.read, *data, site.output.write))


def _work(site: Site) -> float:
    return site.input(0).size * (site.input(1).size / site.input(1).shape[0])


FAMILY = Family(
    "conv_transpose_u8",
    ("qir.IntConvTranspose",),
    CHANNELS_LAST,
    (
        *on_bytes_or_packed(_SOURCE, _accepts, _bind, _work, lambda site: _UNPACKING),
        *(on_panels(isa, _accepts) for isa in (*X86, *ARM)),
        *(on_panels(isa, _accepts, few=True) for isa in PACKED),
    ),
)
