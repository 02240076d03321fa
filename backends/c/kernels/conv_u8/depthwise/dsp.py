"""Depthwise convolutions of three by three taps by the DSP instructions of Cortex-M (conv_u8_depthwise_dsp.h)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import is_fixed, per_channel
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window
from qir.backends.c.kernels.conv_u8.dsp import dsp_scales, narrow, refuse_dsp
from qir.backends.c.program import Data, Kernel, Scalar, Scratch

_SOURCE = Path(__file__).parent / "conv_u8_depthwise_3x3__dsp.c"


def _along(site: Site) -> int:
    """The spatial axis that windows go along: the one of more results."""
    rows, columns = conv_window(site).output
    return int(columns >= rows)


def _accepts(site: Site) -> str | None:
    x, w = site.input(0), site.input(1)
    if not int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] or w.shape[0] < 4:
        return "not one input and one output channel a group, or fewer than four of them"
    if w.shape[2:] != (3, 3) or conv_window(site).dilations != (1, 1):
        return "not three by three neighbouring taps"
    if max(conv_window(site).strides) > 2:
        return "its windows are more than two pixels apart"
    if max(conv_window(site).begin) >= 3:
        return "windows lie outside the input"
    if site.output.short != "u8":
        return "its result is real"
    return refuse_dsp(site) or accepts(site)


def _bind(site: Site) -> Bound:
    w, along, win = np.asarray(site.constant(1)), _along(site), conv_window(site)
    data = (Data(np.ascontiguousarray(w[:, 0].transpose(2 - along, 1 + along, 0)), "weights"),
            Data(np.asarray(site.constant(2)).astype(np.int32), "bias"),
            Data(dsp_scales(site, per_channel(site.constant(3), w.shape[0])), "multipliers"))  # fmt: skip
    columns = (win.output[along] - 1) * win.strides[along] + 3
    begin, stride = win.begin[1 - along], win.strides[1 - along]
    pairs = ((win.output[1 - along] - 1) * stride - begin >> 1) - (-begin >> 1) + 2
    args = (conv_shape(site), Scalar(1 + along), site.input(0).read, *data, Scratch(32 * columns + 16 * pairs),
            site.output.write)  # fmt: skip
    return Bound(_kernel(site, win.strides[along]), args)


def _kernel(site: Site, stride: int) -> Kernel:
    """The template for windows `stride` pixels apart."""
    clamped = (site.node.attr("qmin", 0), site.node.attr("qmax", 255)) != (0, 255)
    small = narrow(site, np.asarray(site.constant(1)).reshape(site.input(1).shape[0], -1))
    zero, rounding = int(site.node.attr("y_zero_point", 0)) == 0, "FIXED" if is_fixed(site) else "REAL"
    kinds = (("_fixed", is_fixed(site)), ("_by2", stride == 2), ("_each", not small), ("_zero", zero),
             ("_clamped", clamped))  # fmt: skip
    zero_point = '""' if zero else "QIR_DSP_ZERO_POINT"
    added = "ZERO" if zero else "PAIR" if small else "EACH"
    name = f"qir_conv_u8s8_depthwise_3x3_u8{''.join(kind for kind, taken in kinds if taken)}__dsp"
    return Kernel("qir_conv_u8s8_depthwise_3x3_T__dsp", _SOURCE, name, (
        ("QIR_BETWEEN", f'"{32 * stride}"'), ("QIR_TAKEN", f"QIR_DSP_{rounding}_SCALES_TAKEN"),
        ("QIR_ROUNDED", f"QIR_DSP_{rounding}_FOUR"),
        ("QIR_CODES", f"QIR_DSP_{'PAIRS' if small else 'EACH'}({zero_point}, QIR_DSP_ADD_{added})"),
        ("QIR_CLAMP", "QIR_DSP_CLAMP_TAPS" if clamped else '""'), ("QIR_SCALE", "2" if is_fixed(site) else "1"),
        ("QIR_TWICE", "0x10001u" if small else "1u"),
    ))  # fmt: skip


def _work(site: Site) -> float:
    """Instructions, as counted for common layers: of windows and rows of them, of columns and pairs of lines, of taps;
    each of four channels."""
    win, along = conv_window(site), _along(site)
    batch, channels = site.output.shape[:2]
    rows, length = win.output[1 - along], win.output[along]
    pairs = rows * win.strides[1 - along] / 2 + 1
    lines = rows * (66.0 * length + 22) + pairs * (11.5 * length * win.strides[along] + 30)
    return -(-channels // 4) * (batch * lines + 150)


ON_DSP_DEPTHWISE = Variant("dsp", _SOURCE, _accepts, _bind, work=_work, fixed=True)
