"""Binary convolutions and matrix products with few levels on AVX2, pixels in the lanes (conv_bits_pixels__avx2.c)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_bits.layer import (
    Layer,
    accepts,
    bit_window,
    conv_shape,
    in_planes,
    layer_of,
    weights_of,
    window_bits,
)
from qir.backends.c.program import Data, Kernel, Scratch, Struct
from qir.ops.window import Window

_SOURCE = Path(__file__).parent / "conv_bits_pixels__avx2.c"
_ROOM = 7 << 12
"""Bytes that the planes of a block may take: what first caches hold beside the tables."""
_MOST = (1 << 15) - 2
"""Ones that are counted, with room for a limit that all stay below."""
_LANES, _TOGETHER = 32, 128
"""Pixels of a vector, and of four, which are counted together."""


@dataclass(frozen=True)
class _Block:
    """Rows of the result that are counted together, planes of the input for them, and bytes of one; whether windows are
    single pixels of one column."""

    rows: int
    flat: bool
    planes: int
    plane: int

    def pixels(self, win: Window) -> int:
        """Of all blocks, by whole vectors, two at least."""
        height, width = win.output
        blocks = [min(self.rows, height - first) for first in range(0, height, self.rows)]
        return _LANES * sum(max(-(-rows * width // _LANES), 2) for rows in blocks)


def _pixels(site: Site) -> tuple[int, Window]:
    """Batch and window with two axes. Where windows are single pixels, of all samples, these stand in one column."""
    batch, win = bit_window(site)
    one, none = (1,), (0,)
    if {*win.kernel, *win.strides} == {1} and not any((*win.begin, *win.end)):
        pixels = (batch * prod(win.output), 1)
        return 1, Window(one * 2, one * 2, one * 2, none * 2, none * 2, none * 2, pixels, pixels)
    if len(win.output) > 1:
        return batch, win
    return batch, Window(one + win.kernel, one + win.strides, one + win.dilations, none + win.begin, none + win.end,
                         none + win.declared_end, one + win.input, one + win.output)  # fmt: skip


def _block(win: Window, size: int) -> _Block:
    """As many rows as there is room for; of single pixels those of four vectors, at least."""
    height, width = win.output
    reach = (win.kernel[0] - 1) * win.dilations[0]
    planes, more = 2 * size * min(reach + 1, win.strides[0]) * win.kernel[1], reach // win.strides[0]
    flat = width == win.input[1] == 1 and win.output == win.input
    if flat:
        rows = max(_ROOM // planes // _TOGETHER, 1) * _TOGETHER
        return _Block(rows, flat, planes, max(-(-min(rows, height) // _LANES), 2) * _LANES)
    rows = min(max((_ROOM // planes - _LANES) // width - more, 1), height)
    return _Block(rows, flat, planes, (-(-(rows + more) * width // _LANES) + 1) * _LANES)


def _accepts(site: Site) -> str | None:
    if (reason := accepts(site)) is not None:
        return reason
    node, w = site.node, weights_of(site)
    if w.ndim > 4 or "y_levels" not in node.attrs:
        return "no product of matrices or convolution over one or two axes whose sums are compared"
    if int(node.attr("bits")) != 1 or in_planes(w)[2] == 0:
        return "not binary by binary"
    if w.shape[0] % 8:
        return "its channels do not fill bytes"
    if window_bits(site) > _MOST:
        return f"windows of more than {_MOST} bits"
    win = bit_window(site)[1]
    step, zero = int(node.attr("step", 1)), int(node.attr("x_zero_point", 0))
    if zero and any((*win.begin, *win.end)) and (step != 2 * zero or w.shape[1] % 2):
        return "zeros outside the input lie beside the middle of its codes"
    return None


def _limits(site: Site, layer: Layer) -> np.ndarray:
    """int16 [levels - 1, M]: a threshold is reached where there are fewer ones."""
    thresholds = np.asarray(site.constant(3), np.int64)
    limits = (layer.bias.astype(np.int64) - thresholds) // int(site.node.attr("step", 1)) + 1
    never = thresholds == np.iinfo(np.int32).max
    return np.where(never, 0, limits.clip(0, _MOST + 1)).astype(np.int16)


def _half_bytes(layer: Layer) -> np.ndarray:
    """uint8 [pairs of channels, steps]: four bits of the first channel, then of the second."""
    bits = layer.bits.reshape(layer.outputs // 2, 2, -1, 4).transpose(0, 2, 1, 3)
    return np.packbits(bits.reshape(layer.outputs // 2, -1), axis=-1, bitorder="little")


def _bind(site: Site) -> Bound:
    batch, win = _pixels(site)
    layer = replace(layer_of(site), batch=batch, win=win)
    block, steps = _block(win, layer.bytes), 2 * prod(win.kernel) * layer.bytes
    starts = _TOGETHER + (-(-block.rows * win.output[1] // _TOGETHER) * _TOGETHER if layer.padded else 0)
    result = _TOGETHER * (layer.outputs // 8) * (2 if int(site.node.attr("y_levels")) > 2 else 1)
    starts_and_columns = starts + (win.output[1] + 47) // 32 * 32
    planes = (block.planes + 1) * block.plane
    scratch = Scratch(4096 + 512 + 2 * starts_and_columns + planes + 8 * (steps + 2) + 2 * result + 32 + _TOGETHER)
    shape = Struct("qir_bits_block", (
        ("rows", block.rows), ("flat", int(block.flat)), ("planes", block.planes), ("plane", block.plane),
        ("starts", starts), ("half", weights_of(site).shape[1] // 2),
    ))  # fmt: skip
    weights = np.pad(_half_bytes(layer).reshape(-1), (0, 2))
    args = (conv_shape(site, layer), shape, site.input(0).read, Data(weights, "weights, in planes"),
            Data(_limits(site, layer), "limits"), scratch)  # fmt: skip
    return Bound(Kernel("qir_conv_bits_pixels__avx2", _SOURCE), (*args, site.output.write))


def _work(site: Site) -> float:
    """Pairs of bits, pixels by whole vectors."""
    (batch, win), w = _pixels(site), weights_of(site)
    return float(batch * _block(win, -(-w.shape[1] // 8)).pixels(win) * w.size)


PIXELS = Variant("avx2", _SOURCE, _accepts, _bind, "conv_bits_pixels__avx2", _work)
