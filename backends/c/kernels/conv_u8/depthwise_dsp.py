"""Depthwise convolutions of three by three taps by the DSP instructions of Cortex-M (conv_u8_depthwise_dsp.h)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_window
from qir.backends.c.program import Data, Field, Kernel, Scratch, Struct
from qir.backends.c.requant import per_channel, requant
from qir.backends.c.site import Site
from qir.backends.c.weights import is_packed

_SOURCE = Path(__file__).parent / "conv_u8_depthwise_3x3__dsp.c"


def _along(site: Site) -> int:
    """The spatial axis that lines go along: the one of more results."""
    rows, columns = conv_window(site).output
    return int(columns >= rows)


def _accepts(site: Site) -> str | None:
    x, w = site.input(0), site.input(1)
    if not int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] or w.shape[0] < 4:
        return "not one input and one output channel a group, or fewer than four of them"
    if w.shape[2:] != (3, 3) or conv_window(site).dilations != (1, 1):
        return "not three by three neighbouring taps"
    if conv_window(site).strides[_along(site)] > 2:
        return "its windows are more than two pixels apart"
    if site.output.short != "u8" or is_packed(site):
        return "its result is real, or its weights are packed"
    return accepts(site)


def _axis(site: Site, axis: int) -> Field:
    """The qir_conv_u8_depthwise_axis of a spatial axis."""
    win = conv_window(site)
    return (win.input[axis], win.output[axis], win.strides[axis], win.begin[axis],
            site.input(0).strides[2 + axis], site.output.strides[2 + axis])  # fmt: skip


def _bind(site: Site) -> Bound:
    w, along = np.asarray(site.constant(1)), _along(site)
    channels, stride = w.shape[0], conv_window(site).strides[along]
    pairs = stride * -(-conv_window(site).output[along] // 2) + 1
    shape = Struct("qir_conv_u8_depthwise_lines", (
        ("batch", site.input(0).shape[0]), ("channels", channels),
        ("x_zero_point", int(site.node.attr("x_zero_point", 0))), ("pairs", pairs),
        ("along", _axis(site, along)), ("across", _axis(site, 1 - along)), ("requant", requant(site.node)),
    ))  # fmt: skip
    data = (Data(np.ascontiguousarray(w[:, 0].transpose(2 - along, 1 + along, 0)), "weights"),
            Data(np.asarray(site.constant(2)).astype(np.int32), "bias"),
            Data(per_channel(site.constant(3), channels), "multipliers"))  # fmt: skip
    args = (shape, site.input(0).read, *data, Scratch(4 * 4 * 3 * pairs), site.output.write)
    return Bound(_kernel(site, stride), args)


def _kernel(site: Site, stride: int) -> Kernel:
    """The template for outputs `stride` pixels apart."""
    clamped = (site.node.attr("qmin", 0), site.node.attr("qmax", 255)) != (0, 255)
    name = f"qir_conv_u8s8_depthwise_3x3_u8{'_by2' * (stride == 2)}{'_clamped' * clamped}__dsp"
    return Kernel("qir_conv_u8s8_depthwise_3x3_T__dsp", _SOURCE, name, (
        ("QIR_LINE", f"QIR_DSP_LINE_BY_{stride}"), ("QIR_SKIP", f"QIR_DSP_SKIP_{stride}"),
        ("QIR_CLAMP", f"QIR_DSP_{'CLAMPED' if clamped else 'BYTES'}"),
    ))  # fmt: skip


ON_DSP_DEPTHWISE = Variant("dsp", _SOURCE, _accepts, _bind, work=lambda site: 9.0 * site.output.size)
