"""ConvTranspose on floats."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.coded import float_kernel, float_weights
from qir.backends.c.binding.float_types import takes_floats, typed_kernel
from qir.backends.c.binding.loops import window_fields
from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_f32 import accepts, bias_of, few_axes
from qir.backends.c.program import Arg, Scratch, Struct
from qir.ops.window import transposed_window

_HERE = Path(__file__).parent
_PACKED, _COMPUTED = _HERE / "conv_transpose_f32__portable.c", _HERE / "conv_transpose_computed__portable.c"


def _args(site: Site, *weights: Arg) -> tuple[Arg, ...]:
    x, w = site.input(0), site.input(1)
    groups = int(site.node.attr("group", 1))
    win = transposed_window(site.node, x.shape[2:], w.shape[2:])
    shape = Struct("qir_conv_transpose_f32_shape", (
        ("window", window_fields(x.shape[0], win)), ("groups", groups),
        ("in_channels", w.shape[0] // groups), ("out_channels", w.shape[1]),
    ))  # fmt: skip
    return shape, x.read, *weights, bias_of(site, 2, groups * w.shape[1]), site.output.write


def _packed(w: np.ndarray, groups: int) -> np.ndarray:
    """[C, M/g, *K] to [g][taps][ceil(M/g / 8)][C/g][8], zeros beyond the last channel."""
    inner, outer, taps = w.shape[0] // groups, w.shape[1], prod(w.shape[2:])
    blocks = -(-outer // 8)
    padded = np.zeros((groups, inner, blocks * 8, taps), w.dtype)
    padded[:, :, :outer] = w.reshape(groups, inner, outer, taps)
    return np.ascontiguousarray(padded.reshape(groups, inner, blocks, 8, taps).transpose(0, 4, 2, 1, 3))


def _bind(site: Site) -> Bound:
    groups, codes = int(site.node.attr("group", 1)), site.input(1).coded
    codes = codes if codes is not None and codes.along(1) and (groups == 1 or codes.scale.ndim == 0) else None
    w = np.asarray(site.constant(1)) if codes is None else codes.codes
    args = _args(site, *float_weights(_packed(w, groups), codes, groups * w.shape[1], groups))
    scratch = Scratch(w.shape[0] // groups * 8 * 4 if codes else 0)
    return Bound(float_kernel("qir_conv_transpose_f32f32__portable", _PACKED, codes), (*args, scratch))


def _bind_computed(site: Site) -> Bound:
    kernel = typed_kernel(site, "qir_conv_transpose_computed_T__portable", _COMPUTED)
    return Bound(kernel, _args(site, site.input(1).read))


FAMILY = Family(
    "conv_transpose_f32",
    ("ConvTranspose",),
    CHANNELS_LAST,
    (Variant("portable", _PACKED, accepts, _bind), Variant("portable", _COMPUTED, few_axes, _bind_computed)),
    takes=takes_floats,
)
