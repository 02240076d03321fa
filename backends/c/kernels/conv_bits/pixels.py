"""Binary convolutions with few levels on AVX2, pixels in the lanes (conv_bits_pixels__avx2.c)."""

from __future__ import annotations

from dataclasses import dataclass
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
    window_bits,
)
from qir.backends.c.kernels.conv_bits.vectors import panels
from qir.backends.c.program import Data, Kernel, Scratch, Struct
from qir.ops.window import Window

_SOURCE = Path(__file__).parent / "conv_bits_pixels__avx2.c"
_ROOM = 1 << 15
"""Bytes that the planes of a block may take: what first caches hold."""
_MOST = (1 << 15) - 2
"""Ones that are counted, with room for a limit that all stay below."""
_LANES, _GROUP = 32, 128


@dataclass(frozen=True)
class _Block:
    """Rows of the result that are counted together, planes of the input for them, and bytes of one."""

    rows: int
    planes: int
    plane: int

    def pixels(self, win: Window) -> int:
        """Of all blocks, by whole vectors, two at least."""
        height, width = win.output
        blocks = [min(self.rows, height - first) for first in range(0, height, self.rows)]
        return _LANES * sum(max(-(-rows * width // _LANES), 2) for rows in blocks)


def _planar(win: Window) -> Window:
    """With two axes."""
    one, none = (1,), (0,)
    if len(win.output) > 1:
        return win
    return Window(one + win.kernel, one + win.strides, one + win.dilations, none + win.begin, none + win.end,
                  none + win.declared_end, one + win.input, one + win.output)  # fmt: skip


def _block(win: Window, size: int) -> _Block:
    """As many rows as there is room for."""
    height, width = win.output
    reach = (win.kernel[0] - 1) * win.dilations[0]
    planes, more = 2 * size * min(reach + 1, win.strides[0]) * win.kernel[1], reach // win.strides[0]
    rows = min(max((_ROOM // planes - _LANES) // width - more, 1), height)
    return _Block(rows, planes, (rows + more) * width + _LANES)


def _accepts(site: Site) -> str | None:
    if (reason := accepts(site)) is not None:
        return reason
    node, w = site.node, np.asarray(site.constant(1))
    if node.op != "qir.IntBitConv" or w.ndim > 4 or "y_levels" not in node.attrs:
        return "no convolution over one or two axes whose sums are compared"
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


def _bind(site: Site) -> Bound:
    layer = layer_of(site)
    win = _planar(layer.win)
    block, steps = _block(win, layer.bytes), prod(win.kernel) * layer.bytes
    starts = _GROUP + (-(-block.rows * win.output[1] // _GROUP) * _GROUP if layer.padded else 0)
    result = _GROUP * (layer.outputs // 8) * (2 if int(site.node.attr("y_levels")) > 2 else 1)
    scratch = Scratch(512 + 2 * starts + 8 * steps + 32 + 2 * result + 32 + block.planes * block.plane + _GROUP)
    shape = Struct("qir_bits_block", (
        ("rows", block.rows), ("plane", block.plane), ("starts", starts),
        ("half", np.asarray(site.constant(1)).shape[1] // 2),
    ))  # fmt: skip
    weights = np.pad(panels(layer, 2, 1).reshape(-1), (0, 8))
    args = (conv_shape(site, layer), shape, site.input(0).read, Data(weights, "weights, in planes"),
            Data(_limits(site, layer), "limits"), scratch)  # fmt: skip
    return Bound(Kernel("qir_conv_bits_pixels__avx2", _SOURCE), (*args, site.output.write))


def _work(site: Site) -> float:
    """Pairs of bits, pixels by whole vectors."""
    batch, win = bit_window(site)
    win, w = _planar(win), np.asarray(site.constant(1))
    return float(batch * _block(win, -(-w.shape[1] // 8)).pixels(win) * w.size)


PIXELS = Variant("avx2", _SOURCE, _accepts, _bind, "conv_bits_pixels__avx2", _work)
