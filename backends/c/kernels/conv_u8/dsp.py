"""Convolutions by the DSP instructions of Cortex-M: what conv_u8__dsp.c wants."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window
from qir.backends.c.loops import window_fields
from qir.backends.c.program import Data, Field, Kernel, Scratch
from qir.backends.c.requant import output_types, per_channel
from qir.backends.c.site import Site
from qir.backends.c.weights import is_packed

_SOURCE = Path(__file__).parent / "conv_u8__dsp.c"


def filled(values: np.ndarray, *multiples: int) -> np.ndarray:
    """With zeros after the last axes, up to a multiple each."""
    missing = [-size % multiple for size, multiple in zip(values.shape[-len(multiples) :], multiples, strict=True)]
    return np.pad(values, ((0, 0),) * (values.ndim - len(multiples)) + tuple((0, more) for more in missing))


def in_pairs(codes: np.ndarray) -> Data:
    """Weights [group, channel, code] to words [group][four channels][four codes][even, odd][two channels]: bytes c d c d.

    Code 4 i + 2 h + p of channel 4 f + 2 j + d is byte 2 h + d of word [f][i][p][j].
    """
    full = filled(codes.astype(np.int8), 4, 4)
    groups, channels, depth = full.shape
    apart = full.reshape(groups, channels // 4, 2, 2, depth // 4, 2, 2)
    words = apart.transpose(0, 1, 4, 6, 2, 5, 3).reshape(groups, channels // 4, depth // 4, 2, 2, 4)
    return Data(np.ascontiguousarray(words).view("<u4")[..., 0], "weights")


def in_fours(values: np.ndarray, groups: int, role: str) -> Data:
    """[M] to [group][four channels][4], zeros beyond the last channel."""
    return Data(np.ascontiguousarray(filled(values.reshape(groups, -1), 4)), role)


def dsp_kernel(site: Site, function: str, source: Path) -> Kernel:
    """A template `..._T__dsp` with QIR_Y and QIR_STORE4, for a site's result."""
    name, types = output_types(site, function)
    bounds = (site.node.attr("qmin", 0), site.node.attr("qmax", 255))
    store = "f32" if site.output.short == "f32" else "bytes" if bounds == (0, 255) else "clamped"
    name = name.replace("_u8__", "_u8_clamped__") if store == "clamped" else name
    return Kernel(function, source, name, (*types, ("QIR_STORE4", f"qir_dsp_store4_{store}")))


def _groups(site: Site) -> int:
    return int(site.node.attr("group", 1))


def _accepts(site: Site) -> str | None:
    w, groups = site.input(1), _groups(site)
    if is_packed(site):
        return "its weights are packed"
    if groups > 1 and min(w.shape[1], w.shape[0] // groups) < 4:
        return "its groups have fewer than four channels"
    return accepts(site)


def _window(site: Site) -> Field:
    """The qir_window; where each window is one pixel these are one row, with a stride of zero."""
    x, win = site.input(0), conv_window(site)
    padded = any(win.begin) or any(win.end)
    if padded or prod(win.kernel) > 1 or prod(win.strides) > 1 or _groups(site) > 1:
        return window_fields(x.shape[0], win)
    one, row = (1, 1, 1), (1, 1, x.shape[0] * prod(win.input))
    return (1, row, row, one, (1, 1, 0), one, (0, 0, 0))


def _codes(site: Site) -> np.ndarray:
    """Weights [group, channel, code], codes by [taps][channels]."""
    w = np.moveaxis(np.asarray(site.constant(1)), 1, -1)
    return w.reshape(_groups(site), w.shape[0] // _groups(site), -1)


def _bind(site: Site) -> Bound:
    """Taps outside the input have the code of zero, so that the bias keeps its zero-point term."""
    groups, w = _groups(site), site.input(1)
    bias, scale = np.asarray(site.constant(2)).astype(np.int32), per_channel(site.constant(3), w.shape[0])
    data = in_pairs(_codes(site)), in_fours(bias, groups, "bias"), in_fours(scale, groups, "multipliers")
    words = -(-prod(w.shape[1:]) // 4) * 4
    room = Scratch(4 * words + (words if w.shape[1] % 4 else 0))
    args = (conv_shape(site, _window(site)), site.input(0).read, *data, room, site.output.write)
    return Bound(dsp_kernel(site, "qir_conv_u8s8_T__dsp", _SOURCE), args)


def _work(site: Site) -> float:
    """Multiply-accumulates, those of channels that are none included; taking a code apart counts as two of them, a
    result as twelve."""
    w, groups = site.input(1), _groups(site)
    each, outputs = w.shape[0] // groups, site.output.size
    windows = outputs / each * prod(w.shape[1:])
    return windows * (-(-each // 4) * 4 + 2) + 12 * outputs


ON_DSP = (Variant("dsp", _SOURCE, _accepts, _bind, work=_work),)
