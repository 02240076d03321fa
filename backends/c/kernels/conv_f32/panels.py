"""What conv_f32_panels.h wants: blocks of output pixels, segments of their windows, panels of weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

import numpy as np

from qir.backends.c.binding.loops import three
from qir.backends.c.program import Arg, Data, Scratch, Struct
from qir.ops.window import Window

_PIXELS = 84
"""Of a block at least, where there are as many: over them the reading of a panel of weights is spread."""
_BLOCK_FLOATS = 16384
"""Of a block's input at most, so that it stays near the processor."""


@dataclass(frozen=True)
class Panels:
    """How a convolution is cut up.

    Attributes:
        batch, window: three axes (in, out, kernel, stride, dilation, pad); a product of matrices, which has one tap and
            no padding, is one long row of pixels.
        groups, in_channels, out_channels: channels in one group.
        copied: a block's input is copied.
        by_taps: segments are single taps.
        rows, columns: output pixels of a block.
    """

    batch: int
    window: tuple[tuple[int, ...], ...]
    groups: int
    in_channels: int
    out_channels: int
    copied: bool
    by_taps: bool
    rows: int
    columns: int

    @property
    def segments(self) -> int:
        taps = self.window[2]
        return prod(taps) if self.by_taps else taps[0] * taps[1]

    @property
    def length(self) -> int:
        return self.in_channels * (1 if self.by_taps else self.window[2][2])

    @property
    def _pitch(self) -> tuple[int, int]:
        """Rows of a plane and pixels of a row of what is read."""
        inputs = self.window[0]
        if not self.copied:
            return inputs[1], inputs[2]
        return _extent(self.window, 1, self.rows), _extent(self.window, 2, self.columns)

    def struct(self, low: float = -inf, most: float = inf) -> Struct:
        """The qir_conv_f32_panels."""
        high, across = self._pitch
        return Struct("qir_conv_f32_panels", (
            ("window", (self.batch, *self.window)), ("groups", self.groups), ("in_channels", self.in_channels),
            ("out_channels", self.out_channels), ("rows", self.rows), ("columns", self.columns),
            ("copied", int(self.copied)), ("high", high), ("across", across), ("segments", self.segments),
            ("length", self.length), ("low", low), ("most", most),
        ))  # fmt: skip

    @property
    def offsets(self) -> Data:
        """Floats from a window's corner to each of its segments."""
        _, _, taps, _, dilation, _ = self.window
        high, across = self._pitch
        shape = taps if self.by_taps else (*taps[:2], 1)
        apart = 1 if self.copied else dilation[0]
        places = [(a * apart * high + b * dilation[1]) * across + c * dilation[2] for a, b, c in np.ndindex(*shape)]
        return Data(np.array(places, np.int32) * np.int32(self.groups * self.in_channels), "segments")

    @property
    def scratch(self) -> Scratch:
        """A block's copied input."""
        high, across = self._pitch
        planes = self.window[2][0]
        return Scratch(4 * planes * high * across * self.groups * self.in_channels if self.copied else 0)

    def work(self, width: int) -> float:
        """Multiply-accumulates, unused lanes included."""
        lanes = -(-self.out_channels // width) * width
        return float(self.batch * prod(self.window[1]) * self.groups * lanes * self.segments * self.length)


def _extent(window: tuple[tuple[int, ...], ...], axis: int, count: int) -> int:
    _, _, kernel, stride, dilation, _ = window
    return (count - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1


def panels(batch: int, win: Window, groups: int, in_channels: int, out_channels: int) -> Panels:
    """Cuts a convolution up.

    Args:
        in_channels, out_channels: of one group.
    """
    axes = [i for i in range(len(win.kernel))
            if (win.input[i], win.output[i], win.kernel[i], win.begin[i]) != (1, 1, 1, 0)]  # fmt: skip
    inputs, outputs, kernel, strides, dilations, begin = (
        [values[i] for i in axes]
        for values in (win.input, win.output, win.kernel, win.strides, win.dilations, win.begin)
    )
    padded = any(win.begin) or any(win.end)
    if prod(kernel) == prod(strides) == 1 and not padded:
        inputs = outputs = [batch * prod(inputs)]
        kernel, strides, dilations, begin, batch = [1], [1], [1], [0], 1
    window = (three(inputs, 1), three(outputs, 1), three(kernel, 1), three(strides, 1), three(dilations, 1),
              three(begin, 0))  # fmt: skip
    by_taps = window[2][2] > 1 and (groups > 1 or window[4][2] > 1)
    pixel = groups * in_channels

    def floats(rows: int, columns: int) -> int:
        return window[2][0] * _extent(window, 1, rows) * _extent(window, 2, columns) * pixel

    columns = window[1][2]
    while columns > _PIXELS and floats(1, columns) > _BLOCK_FLOATS:
        columns = max(_PIXELS, columns - _PIXELS) // _PIXELS * _PIXELS
    rows = min(window[1][1], max(1, -(-_PIXELS // columns)))
    while rows < window[1][1] and floats(rows + 1, columns) <= _BLOCK_FLOATS:
        rows += 1
    return Panels(batch, window, groups, in_channels, out_channels, padded, by_taps, rows, columns)


def panel_weights(w: np.ndarray, groups: int, width: int) -> Data:
    """[M, C/g, *K] to [group][panel][taps and channels][width], zeros beyond the last channel."""
    each = w.shape[0] // groups
    padded = np.zeros((groups, -(-each // width) * width, w.size // w.shape[0]), np.float32)
    padded[:, :each] = np.moveaxis(w, 1, -1).reshape(groups, each, -1)
    cut = padded.reshape(groups, -1, width, padded.shape[2])
    return Data(np.ascontiguousarray(cut.swapaxes(2, 3)), "weights")


def panel_bias(bias: np.ndarray | None, channels: int, groups: int, width: int) -> Arg:
    """[M] to [group][panel][width], zeros where there is none."""
    each = channels // groups
    padded = np.zeros((groups, -(-each // width) * width), np.float32)
    if bias is not None:
        padded[:, :each] = bias.reshape(groups, each)
    return Data(padded, "bias")
