"""Depthwise convolutions on Helium: channels at once (conv_u8_depthwise__mve.c), or along lines, windows at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from qir.backends.c.binding.loops import three
from qir.backends.c.binding.requant import is_fixed, per_channel
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window
from qir.backends.c.kernels.conv_u8.dsp import refuse_dsp
from qir.backends.c.kernels.conv_u8.mve import mve_scales
from qir.backends.c.program import Data, Kernel, Scalar, Scratch

_SOURCE = Path(__file__).parent / "conv_u8_depthwise__mve.c"
_ALONG_LINES = Path(__file__).parent / "conv_u8_depthwise_lines__mve.c"
_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
"""Of eight channels: even ones and odd ones go apart."""


def _together(channels: int) -> int:
    """Channels that are computed at once."""
    return 16 if channels >= 16 else 8


def _codes(site: Site) -> np.ndarray:
    """Weights [channel, tap]."""
    w = np.asarray(site.constant(1))
    return w.reshape(w.shape[0], -1)


def _accepts(site: Site) -> str | None:
    x, w = site.input(0), site.input(1)
    if not int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] or w.shape[0] == 1:
        return "not one input and one output channel a group"
    return "its result is real" if site.output.short != "u8" else refuse_dsp(site) or accepts(site)


def _blocks(values: np.ndarray, together: int) -> np.ndarray:
    """[channels, ...] as [blocks, together, ...]: the last ones lap over those before, or are filled up with zeros."""
    full = np.pad(values, ((0, max(together - len(values), 0)), *((0, 0),) * (values.ndim - 1)))
    starts = [max(min(start, len(values) - together), 0) for start in range(0, len(values), together)]
    return np.stack([full[start : start + together] for start in starts])


def _bind(site: Site) -> Bound:
    codes = _codes(site)
    channels, taps = codes.shape
    together = _together(channels)
    starts, scale = (
        _blocks(values, together).reshape(-1, together // 8, 8)[..., _ORDER].reshape(-1, together // 4, 4)
        for values in (np.asarray(site.constant(2)).astype(np.int32), per_channel(site.constant(3), channels))
    )
    parts = (starts.view(np.uint32), mve_scales(site, scale))
    results = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    args = (conv_shape(site), site.input(0).read,
            Data(np.ascontiguousarray(_blocks(codes, together).swapaxes(1, 2)), "weights"),
            Data(results, "bias and multipliers"), Scratch(8 * taps + channels), site.output.write)  # fmt: skip
    kinds = f"u8{'_by8' * (together == 8)}{'_fixed' * is_fixed(site)}"
    rounding = "FIXED" if is_fixed(site) else "REAL"
    return Bound(Kernel("qir_conv_u8s8_depthwise_T__mve", _SOURCE, f"qir_conv_u8s8_depthwise_{kinds}__mve", (
        ("QIR_ROUNDED", f"QIR_MVE_{rounding}"), ("QIR_RESULT", f"QIR_MVE_{rounding}_WORDS"),
        ("QIR_TOGETHER", str(together)), ("QIR_PIXELS", f"QIR_MVE_DEPTHWISE_{together}"),
    )), args)  # fmt: skip


def _work(site: Site) -> float:
    """Instructions, as counted for common layers: of pixels and channels that go together, of rows and their ends."""
    channels, taps = _codes(site).shape
    together = _together(channels)
    each = 34 + 10 * taps if together == 8 else 50 + 16.5 * taps
    pixels, rows = site.output.size / channels, site.output.size / channels / site.output.shape[-1]
    return float(pixels * -(-channels // together) * each + 600 * rows)


@dataclass(frozen=True)
class _Lines:
    """A layer by lines.

    Attributes:
        along: the axis of the window, 1 or 2, that lines go along: the one of more results.
        kernel, output: taps and results, across lines and along them.
        stride: from window to window along a line.
        columns: under the windows of a line.
        together: channels, eight or four; of the columns of more, there would be much beside the operands.
    """

    along: int
    kernel: tuple[int, int]
    output: tuple[int, int]
    stride: tuple[int, int]
    together: int

    @property
    def columns(self) -> int:
        return (self.output[1] - 1) * self.stride[1] + self.kernel[1]

    @property
    def scratch_bytes(self) -> int:
        """Columns, and what is read behind them where windows do not go by fours."""
        return 4 * self.columns * self.together + 12 * self.stride[1] + 16


def _lines(site: Site) -> _Lines:
    win = conv_window(site)
    output, kernel, strides = (three(values, 1) for values in (win.output, win.kernel, win.strides))
    along = 2 if output[2] >= output[1] else 1
    taps, results, steps = ((values[3 - along], values[along]) for values in (kernel, output, strides))
    lines = _Lines(along, taps, results, steps, together=8)
    fits = site.output.shape[1] >= 8 and 20 * lines.scratch_bytes <= site.input(0).size + site.output.size
    return lines if fits else replace(lines, together=4)


def _accepts_lines(site: Site) -> str | None:
    win = conv_window(site)
    if max(win.kernel) > 4 or len(win.kernel) > 2 or set(win.dilations) != {1}:
        return "not up to four by four neighbouring taps"
    if any(begin >= taps for begin, taps in zip(win.begin, win.kernel, strict=True)):
        return "windows lie outside the input"
    if site.output.shape[1] < 4 or _lines(site).stride[1] > 4:
        return "fewer than four channels, or its windows are more than four pixels apart"
    far = _lines(site).columns * 4 * 8 >= 1 << 16
    return "its lines are too long" if far else _accepts(site)


def _places(kernel: tuple[int, int]) -> np.ndarray:
    """[row of the first tap, mod 4][2][16]: which tap is at each byte of four columns, and whether there is one."""
    places = np.zeros((4, 2, 4, 4), np.uint8)
    for first in range(4):
        for line, tap in np.ndindex(kernel):
            places[first, :, tap, (first + line) % 4] = line * kernel[1] + tap, 255
    return places


def _bind_lines(site: Site) -> Bound:
    lines, w = _lines(site), _codes(site).reshape(-1, *three(conv_window(site).kernel, 1)[1:])
    taps = (w if lines.along == 2 else w.swapaxes(1, 2)).reshape(len(w), -1)
    bias = np.asarray(site.constant(2)).astype(np.int64) + 128 * taps.astype(np.int64).sum(axis=1)
    scale = mve_scales(site, per_channel(site.constant(3), len(w))[:, None])
    results = np.concatenate([bias.astype(np.int32).view(np.uint32)[:, None], scale], axis=1)
    args = (conv_shape(site), Scalar(lines.along), site.input(0).read, Data(np.ascontiguousarray(taps), "weights"),
            Data(results, "bias and multipliers"), Data(_places(lines.kernel).reshape(4, 2, 16), "places of taps"),
            Scratch(lines.scratch_bytes), site.output.write)  # fmt: skip
    kinds = (("_fixed", is_fixed(site)), (f"_by{lines.stride[1]}", lines.stride[1] > 1), ("_few", lines.together == 4))
    rounding = f"QIR_MVE_LINE_{'FIXED' if is_fixed(site) else 'REAL'}"
    name = f"qir_conv_u8s8_depthwise_lines_u8{''.join(kind for kind, taken in kinds if taken)}__mve"
    return Bound(Kernel("qir_conv_u8s8_depthwise_lines_T__mve", _ALONG_LINES, name, (
        ("QIR_TOGETHER", str(lines.together)), ("QIR_WIDTH", f'"{128 // lines.together}"'),
        ("QIR_NEXT", f'"{4 * lines.stride[1]}"'), ("QIR_TAKEN", f"{rounding}_TAKEN"), ("QIR_ROUNDED", rounding),
        ("QIR_RESULT", f"{rounding}_WORDS"),
    )), args)  # fmt: skip


def _work_lines(site: Site) -> float:
    """Instructions, as counted for common layers: of lines and channels, of four windows, of columns."""
    lines, channels = _lines(site), site.output.shape[1]
    count, batch = lines.output[0], site.output.shape[0]
    groups = -(-channels // lines.together)
    line = lines.together * (20 + 20 * -(-lines.output[1] // 4)) + 60
    rows = min(lines.stride[0], lines.kernel[0]) * (6 * lines.columns + 30)
    return float(batch * groups * count * (line + rows))


ON_MVE_DEPTHWISE = (
    Variant("mve", _ALONG_LINES, _accepts_lines, _bind_lines, work=_work_lines, fixed=True),
    Variant("mve", _SOURCE, _accepts, _bind, work=_work, fixed=True),
)
