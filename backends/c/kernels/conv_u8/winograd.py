"""Winograd's F(2x2, 3x3) in integers: which convolutions, the packed weights, the call of conv_u8_winograd__avx2.c."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.blocks import PANEL, in_panels
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window
from qir.backends.c.program import Data, Scalar, Scratch
from qir.backends.c.requant import added, per_channel, weight_sums
from qir.backends.c.site import Site
from qir.backends.c.x86 import x86_kernel

_SOURCE = Path(__file__).parent / "conv_u8_winograd__avx2.c"
_ROOM, _NEAR = (12, 24), 1 << 18
"""Tiles of a block, two passes of six or four: few, whose codes and sums fit the first cache, where all weights stay in
the second one, of so many bytes; else more, so that weights are read less often."""
_TRANSFORMS = (40, 96)
"""Products that could be done while one input channel of a tile is transformed, or one output channel back."""


def _accepts(site: Site) -> str | None:
    win, w = conv_window(site), site.input(1)
    if (win.kernel, win.strides, win.dilations) != ((3, 3), (1, 1), (1, 1)) or int(site.node.attr("group", 1)) != 1:
        return "not three by three neighbouring taps one pixel apart"
    if w.shape[1] < PANEL:
        return f"fewer than {PANEL} input channels"
    if (reason := accepts(site)) is not None:
        return reason
    values = np.asarray(site.constant(1), np.int64)
    most = np.abs(np.asarray(site.constant(2), np.int64)) + 255 * weight_sums(np.abs(values))
    if np.any(most >= 1 << 29):
        return "four times an accumulator could leave int32"
    scale = np.abs(np.asarray(site.constant(3), np.float32))
    least = scale.min(initial=np.inf, where=scale > 0)
    return "a quarter of a multiplier could be subnormal" if least < 4 * np.finfo(np.float32).tiny else None


def _tiles(site: Site) -> int:
    high, across = conv_window(site).output
    return site.input(0).shape[0] * -(-high // 2) * -(-across // 2)


def _work(site: Site) -> float:
    w = site.input(1)
    columns, depth = -(-w.shape[0] // PANEL) * PANEL, -(-w.shape[1] // 2) * 2
    into, back = _TRANSFORMS
    return _tiles(site) * (16.0 * columns * depth + into * depth + back * columns)


def transformed(w: np.ndarray) -> np.ndarray:
    """4 G g G' of kernels [M, C, 3, 3] as int16 [M, C, 4, 4]."""
    doubled = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
    result: np.ndarray = (doubled @ w.astype(np.int64) @ doubled.T).astype(np.int16)
    return result


def _packed(w: np.ndarray) -> Data:
    """[M, C, 3, 3] to [panel][place][pair of channels][16][2], zeros where there is nothing."""
    places = transformed(w)
    panels, pairs = -(-w.shape[0] // PANEL), -(-w.shape[1] // 2)
    padded = np.zeros((panels * PANEL, pairs * 2, 16), np.int16)
    padded[: w.shape[0], : w.shape[1]] = places.reshape(*w.shape[:2], 16)
    cut = padded.reshape(panels, PANEL, pairs, 2, 16).transpose(0, 4, 2, 1, 3)
    return Data(np.ascontiguousarray(cut), "weights, transformed")


def _bind(site: Site) -> Bound:
    w, bias = np.asarray(site.constant(1), np.int8), np.asarray(site.constant(2), np.int32)
    packed, pairs = _packed(w), -(-w.shape[1] // 2)
    room = min(_ROOM[packed.array.nbytes > _NEAR], _tiles(site))
    data = (packed, in_panels(4 * bias, 1, "bias, four times"),
            in_panels(per_channel(site.constant(3), w.shape[0]) / 4, 1, "multipliers, a quarter"))  # fmt: skip
    scratch = Scratch(16 * room * (PANEL * 4 + pairs * 2 * 2) + w.shape[1])
    kernel = x86_kernel("qir_conv_u8s8_winograd_T__avx2", _SOURCE, site, "avx2")
    args = (conv_shape(site), Scalar(room), site.input(0).read, *data, *added(site), scratch, site.output.write)
    return Bound(kernel, args)


WINOGRAD = Variant("avx2", _SOURCE, _accepts, _bind, work=_work, sums=True, grows=True)
