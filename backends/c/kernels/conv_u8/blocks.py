"""What conv_u8_blocks.h wants: blocks of output pixels, segments of their windows, panels of weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from qir.backends.c.binding.loops import three
from qir.backends.c.binding.requant import per_channel, weight_sums
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.tiles import PANEL
from qir.backends.c.binding.weights import chosen_planes, few_alone
from qir.backends.c.binding.x86 import FEW, PROVEN, TEMPLATES, table_bytes
from qir.backends.c.kernels.conv_u8.planes import planes_data, refuse_planes
from qir.backends.c.kernels.conv_u8.proof import fits, in_fitting_steps
from qir.backends.c.program import Data, Field, Scratch, Struct
from qir.ops.window import Window
from qir.quant.bitpack import pack_fields

_SLACK = 64
"""Bytes that vectors may read beyond what is copied."""
_WOVEN_BYTES = 98304
"""Of a block's woven windows, so that they stay in the second cache beside a panel of weights."""
_CHUNK = 16
"""Bytes of a pixel that lie together in woven windows."""
_PIXELS = 96
"""Of a block at least: over them the reading of a panel of weights is spread."""
_BLOCK_BYTES = 32768
"""Of a block's input at most, so that it stays near the processor."""
_UNPACKING = {"avx512vnni": (2.2, 4.5), "avxvnni": (1.4, 2.0), "avx2_few": (1.5, 2.0),
              "i8mm": (5.5, 5.5), "dotprod": (3.5, 3.5), "neon": (1.2, 1.2)}  # fmt: skip
"""Products of a weight that take as long as unpacking it, where the first cache holds what is unpacked and else."""
_ALONE = 1.5
"""How much longer a panel takes alone where vectors are wide enough for two."""
_NEAR = 24576
"""Bytes of unpacked weights that the first cache holds beside what is computed."""


@dataclass(frozen=True)
class Blocks:
    """How a convolution is cut up.

    Attributes:
        isa: whose kernel it is cut up for.
        batch, window: three axes (in, out, kernel, stride, dilation, pad); a product of matrices, which has one tap and
            no padding, is one long row of pixels.
        groups, channels: of the input, and in one group of it.
        by_taps: segments are single taps.
        copied: a block's input is copied.
        segments, length, depth: of a window, codes in one, codes in one step.
        rows, columns: output pixels of a block.
        size: bytes of a copied code.
        least: pixels of a block that take as long as one.
        apart: pixels of y from sample to sample and along each axis.
        again: steps that are taken again in each panel of weights, where there may be any.
        bits: in which weights are stored; fewer than eight are unpacked for each block.
        planes: of which weights are sums; 0 where they are none.
        run: steps whose sums fit 16 bits, for kernels that add there.
        taken: steps of each panel of sparse weights that are not zero for all its channels.
        woven: windows are laid side by side, as conv_u8_woven__x86.c wants them.
    """

    isa: str
    batch: int
    window: tuple[tuple[int, ...], ...]
    groups: int
    channels: int
    by_taps: bool
    copied: bool
    segments: int
    length: int
    depth: int
    rows: int
    columns: int
    size: int
    least: int
    apart: tuple[int, ...]
    again: tuple[int, ...] = ()
    bits: int = 8
    planes: int = 0
    run: int = 0
    taken: tuple[int, ...] = ()
    woven: bool = False

    @property
    def steps(self) -> int:
        """Of a segment, the last one filled up."""
        return -(-self.length // self.depth)

    @property
    def restored(self) -> bool:
        """Whether codes are taken less their zero point, so that the bias is to hold no term of that."""
        return self.isa == "avx2" and not self.woven

    @property
    def struct(self) -> Struct:
        """The qir_conv_u8_blocks."""
        return Struct("qir_conv_u8_blocks", (
            ("rows", self.rows), ("columns", self.columns), ("by_taps", int(self.by_taps)),
            ("copied", int(self.copied)), ("segments", self.segments), ("steps", self.steps), ("apart", self.apart),
            ("again", self._more), ("run", self.run),
        ))  # fmt: skip

    @property
    def window_field(self) -> Field:
        """The qir_window."""
        return (self.batch, *self.window)

    @property
    def scratch(self) -> Scratch:
        """Unpacked panels, a list of the pixels, on x86 of the steps of a window too, pointers and copied input of a
        block."""
        pixel = self.groups * self.channels * self.size
        if self.woven:
            copied = _copied_bytes(self.window, self.rows, self.columns, pixel // self.size) + _SLACK
            return Scratch(self._loom + (copied if self.copied else 0))
        copied = _copied_bytes(self.window, self.rows, self.columns, pixel) + _SLACK
        if self.isa == "i8mm":  # a row that is to be copied in pairs, and the pixels beyond it
            copied += _copied_bytes(self.window, 1, self.columns + 1, pixel) // self.size
            if self.rows > 1 and (self.columns % 2 or self.window[1][2] % self.columns % 2):  # last pixels once more
                copied += _copied_bytes(self.window, self.rows, 1, pixel)
        listed = 24 * self.rows * (self.columns + 1)
        if self.isa in TEMPLATES:
            listed = 24 * self.rows * self.columns + 4 * (self.segments * self.steps + self._more + 1)
        return Scratch(self._unpacked + listed + 8 * self.rows * self.segments + (copied if self.copied else 0))

    @property
    def _loom(self) -> int:
        """Bytes of woven windows, sums and pixels of a block, some of them filled up to a tile, and of pointers."""
        pixels = self.rows * self.columns + _woven_rows(self.isa) - 1
        each = self.segments * self.length * self.size + 4 * (PANEL + 1) + 24
        return pixels * each + 4 * (pixels % 2) + 8 * self.rows * self.segments

    @property
    def _more(self) -> int:
        """Places of steps beside those of a window, at most: again, or taken."""
        return max((*self.again, *self.taken), default=0)

    def stored(self, out_channels: int) -> int:
        """Bytes of weights, what fills steps and panels up included."""
        panels = self.groups * -(-out_channels // PANEL)
        return panels * (PANEL * self.segments * self.steps * self.depth * self.bits // 8 + table_bytes(self.planes))

    @property
    def _unpacked(self) -> int:
        """Bytes of panels that are unpacked together."""
        together = TEMPLATES[self.isa].lanes // 8 if self.isa in TEMPLATES else 1
        return self.segments * self.steps * self.depth * PANEL * together if self.bits < 8 else 0

    def work(self, out_channels: int) -> float:
        """Multiply-accumulates, what fills steps and panels up included; `out_channels` of one group."""
        planes, rows, columns = self.window[1]
        pixels: float = self.batch * planes * max(rows * columns, self.least)
        panels = self.groups * -(-out_channels // PANEL)
        if self.bits < 8:
            blocks_in_all = self.batch * planes * -(-rows // self.rows) * -(-columns // self.columns)
            pixels += blocks_in_all * _UNPACKING[self.isa][self._unpacked > _NEAR]
        if self.isa in FEW:
            pixels *= 1 + 1 / self.run  # sums of 16 bits are widened after each run
        return pixels * (panels * self.segments * self.steps + sum(self.again)) * PANEL * self.depth

    def sparse_work(self, out_channels: int) -> float:
        """Likewise, of the steps that sparse weights leave."""
        planes, rows, columns = self.window[1]
        alone = _ALONE if self.isa in TEMPLATES and TEMPLATES[self.isa].lanes // 8 > 1 and out_channels > PANEL else 1
        return self.batch * planes * max(rows * columns, self.least) * sum(self.taken) * PANEL * self.depth * alone


def _woven_rows(isa: str) -> int:
    """Pixels of a tile of woven windows."""
    return int(TEMPLATES[isa].words["QIR_WOVEN_ROWS"])


def _copied_bytes(window: tuple[tuple[int, ...], ...], rows: int, columns: int, pixel: int) -> int:
    _, _, kernel, stride, dilation, _ = window
    high = (rows - 1) * stride[1] + (kernel[1] - 1) * dilation[1] + 1
    across = (columns - 1) * stride[2] + (kernel[2] - 1) * dilation[2] + 1
    return kernel[0] * high * across * pixel


STEPS = {"avx512vnni": (4, 1, 4), "avxvnni": (4, 1, 4), "avx2": (2, 2, 2),
         "avx2_pairs": (4, 1, 2), "avx2_fours": (8, 1, 2), "avx2_few": (4, 1, 2),
         "neon": (4, 1, 1), "dotprod": (4, 1, 1), "i8mm": (8, 2, 2)}  # fmt: skip
"""Codes that one step of a kernel on panels takes, and bytes of each: vpdpbusd takes four as they are, vpmaddwd two of
16 bits, less their zero point, vpmaddubsw four or twice four as they are, smull and sdot four less 128, usmmla eight of
two pixels, side by side; and how many pixels it takes to hide the latency of its instructions, or share them."""
ARM = ("i8mm", "dotprod", "neon")
PACKED = ("avx512vnni", "avxvnni", *FEW, *ARM)
"""Their kernels take weights of fewer than eight bits, too, which they unpack."""
WOVEN = ("avx2", *PROVEN)
"""Their kernels take windows woven, where weights are stored as they are and none are left out."""
_TILES = {"neon": 4, "dotprod": 5, "i8mm": 6}
"""Pixels of their largest tiles."""
SIGNED = ("neon", "dotprod")
"""Their kernels take activations less 128, which the bias makes up for."""


def blocks(
    batch: int, win: Window, groups: int, channels: int, *, isa: str, apart: tuple[int, ...] | None = None,
    few: bool = False, dense: bool = False,
) -> Blocks:  # fmt: skip
    """Cuts a convolution up.

    Args:
        channels: of the input, in one group.
        isa: key of STEPS.
        apart: pixels of y from sample to sample and along each axis; None where they are neighbours.
        few: panels are to be unpacked for every block, so that these had better be large.
        dense: weights are stored as they are, none of them left out: windows may be woven.
    """
    depth, size, least = STEPS[isa]
    axes = [i for i in range(len(win.kernel))
            if (win.input[i], win.output[i], win.kernel[i], win.begin[i]) != (1, 1, 1, 0)]  # fmt: skip
    inputs, outputs, kernel, strides, dilations, begin = (
        [values[i] for i in axes]
        for values in (win.input, win.output, win.kernel, win.strides, win.dilations, win.begin)
    )
    padded = any(win.begin) or any(win.end)
    if prod(kernel) == prod(strides) == 1 and not padded and apart is None:
        inputs = outputs = [batch * prod(inputs)]
        kernel, strides, dilations, begin, batch = [1], [1], [1], [0], 1
    window = (three(inputs, 1), three(outputs, 1), three(kernel, 1), three(strides, 1), three(dilations, 1),
              three(begin, 0))  # fmt: skip
    _, out, taps, _, dilation, _ = window
    places: tuple[int, ...] = (prod(out), out[1] * out[2], out[2], 1)
    if apart is not None:
        places = (apart[0], *three([apart[1 + i] for i in axes], 0))
    by_taps = groups > 1 or (taps[2] > 1 and dilation[2] > 1)
    segments, length = (prod(taps), channels) if by_taps else (taps[0] * taps[1], taps[2] * channels)
    woven = dense and isa in WOVEN and length * size % _CHUNK == 0
    copied = padded or (not woven and (size > 1 or isa in SIGNED or length % depth != 0))
    columns, pixel = out[2], groups * channels * (1 if woven else size)
    most = _BLOCK_BYTES * (4 if few else 1)
    while (copied or not woven) and columns > 8 and _copied_bytes(window, 1, columns, pixel) > most:
        columns = -(-columns // 2)
    if isa in ARM and 2 * _TILES[isa] <= columns < out[2]:
        columns = -(-out[2] // (-(-out[2] // columns) * _TILES[isa])) * _TILES[isa]  # nearly equal parts in whole tiles
    if woven:
        pixels = min(max(_WOVEN_BYTES // (segments * length * size), _PIXELS // 4), _PIXELS)
        columns, rows = _evenly(columns, pixels, _woven_rows(isa)), _evenly(out[1], max(pixels // columns, 1))
    else:
        rows = min(out[1], -(-_PIXELS // columns))
    while (copied or not woven) and rows > 1 and _copied_bytes(window, rows, columns, pixel) > 2 * most:
        rows -= 1
    return Blocks(isa, batch, window, groups, channels, by_taps, copied, segments, length, depth, rows, columns, size,
                  least, places, woven=woven)  # fmt: skip


def _evenly(count: int, most: int, unit: int = 1) -> int:
    """The size of nearly equal parts, in whole units where there is more than one."""
    parts = -(-count // most)
    return count if parts <= 1 else min(-(-count // (parts * unit)) * unit, most)


def panels(w: np.ndarray, b: Blocks) -> np.ndarray:
    """[M, C/g, *K] to [group][panel][segment][step][channel][depth], zeros where there is nothing.

    For NEON each four channels have their first two codes of a step side by side, then their last two; of eight codes
    all channels have their first four, then their last four.
    """
    each = w.shape[0] // b.groups
    wide = -(-each // PANEL)
    padded = np.zeros((b.groups, wide * PANEL, b.segments, b.steps * b.depth), np.int8)
    moved = np.moveaxis(w, 1, -1).reshape(b.groups, each, b.segments, b.length)
    padded[:, :each, :, : b.length] = moved
    cut = padded.reshape(b.groups, wide, PANEL, b.segments, b.steps, b.depth)
    laid = cut.transpose(0, 1, 3, 4, 2, 5)
    if b.isa == "neon":
        laid = laid.reshape(*laid.shape[:4], PANEL // 4, 4, 2, 2).swapaxes(-3, -2)
    if b.isa == "avx2_fours":
        laid = laid.reshape(*laid.shape[:5], 2, 4).swapaxes(-3, -2)
    return np.ascontiguousarray(laid)


def _lanes(w: np.ndarray, b: Blocks) -> np.ndarray:
    """Weights as proofs want them: [group and panel, step, fours of codes, channel, 4]."""
    return panels(w, b).reshape(-1, b.segments * b.steps, b.depth // 4, PANEL, 4)


def repeating(b: Blocks, w: np.ndarray) -> Blocks:
    """With the number of steps that weights need again."""
    if b.isa != "avx2_fours":
        return b
    return replace(b, again=tuple(in_fitting_steps(panel)[1].size for panel in _lanes(w, b)))


def packed(b: Blocks, w: np.ndarray, bits: int, planes: int = 0) -> Blocks:
    """With weights stored in fewer than eight bits. One bit has no zeros, so that steps must be full. The products of
    64 / m steps of codes and weights fit 16 bits where no weight is larger than m: 64 * 255 * 2 = 32640."""
    full = b.length % b.depth == 0
    run = 64 // max(int(np.abs(w).max(initial=1)), 1)
    return replace(b, bits=bits if full else max(bits, 2), planes=planes, run=max(run, 1))


def refuse_sums(site: Site, w: np.ndarray, b: Blocks) -> str | None:
    """The reason why a kernel cannot add products in 16 bits, if it wants to; in fours it can where it can in pairs."""
    if b.isa in FEW and (reason := refuse_planes(w, b.planes)) is not None:
        return reason
    if b.isa in PROVEN and few_alone(site):
        return "of weights of few bits more products may be added in 16 bits"
    if b.isa in PROVEN and not fits(_lanes(w, b).reshape(-1, 1, PANEL, 4)).all():
        return "two neighbouring weights may leave 16 bits; those of recipe w7a8 do not"
    return None


def in_panels(values: np.ndarray, groups: int, role: str) -> Data:
    """[M] to [group][panel][channel], zeros beyond the last channel."""
    each = values.size // groups
    padded = np.zeros((groups, -(-each // PANEL) * PANEL), values.dtype)
    padded[:, :each] = values.reshape(groups, each)
    return Data(padded, role)


def panel_data(w: np.ndarray, bias: np.ndarray, multiplier: np.ndarray | None, b: Blocks) -> tuple[Data, ...]:
    """Weights, bias and multipliers of a kernel on panels; with eight codes a step, which steps are taken again."""
    scale = per_channel(multiplier, w.shape[0])
    if b.isa in SIGNED:
        bias = bias.astype(np.int64) + 128 * weight_sums(w)
    rest = in_panels(_less_crossed(bias, w, b), b.groups, "bias"), in_panels(scale, b.groups, "multipliers")
    flat = (-1, b.segments * b.steps * b.depth * PANEL)
    if b.planes:
        chosen, numbers = chosen_planes(w, b.planes)
        return planes_data(panels(chosen.astype(np.int8), b).reshape(flat), numbers, b.planes), *rest
    if b.bits < 8:
        each = panels(w, b).reshape(flat)
        return Data(pack_fields(np.where(each, each, -1) if b.bits == 1 else each, b.bits), "weights"), *rest
    if b.isa != "avx2_fours":
        return Data(panels(w, b), "weights"), *rest
    weights, numbers = zip(*map(in_fitting_steps, _lanes(w, b)), strict=True)
    first = np.cumsum([0, *map(len, numbers)], dtype=np.int32)
    return Data(np.concatenate(weights), "weights"), *rest, Data(np.concatenate([first, *numbers]), "steps again")


def _less_crossed(bias: np.ndarray, w: np.ndarray, b: Blocks) -> np.ndarray:
    """Bias less the products of weights that crossed products hold (runtime/qir_woven.h), modulo 2^32: each two weights
    of a step times those of the next one."""
    if b.woven and b.isa == "avx2":
        steps = np.moveaxis(w, 1, -1).reshape(w.shape[0], -1, 2, 2).astype(np.int64)
        bias = bias.astype(np.int64) - np.prod(steps, axis=2).sum((1, 2))
    return bias.astype(np.int32)


def refuse_packed(b: Blocks, w: np.ndarray) -> str | None:
    """The reason why weights [M, C/g, *K] are not worth packing: each group has panels of its own, filled up."""
    if b.planes and b.length % b.depth:
        return "sums of planes have no zeros to fill its steps up with"
    larger = b.bits < 8 and b.groups > 1 and b.stored(w.shape[0] // b.groups) > w.size
    return "panels of its groups would take more bytes than its weights" if larger else None


def refuse_vectors(site: Site, isa: str, channels: int) -> str | None:
    """The reason why an instruction set for ARM cannot compute a site; `channels` of the input, in one group."""
    if isa == "i8mm" and channels % 8:
        return "its input channels do not go by eights"
    scale = np.abs(np.asarray(site.constant(3), np.float32))
    subnormal = np.any((scale > 0) & (scale < np.finfo(np.float32).tiny))
    if isa == "neon" and site.output.dtype.name == "float32" and subnormal:
        return "the vectors of 32-bit ARM take subnormal reals for zero"
    return None
