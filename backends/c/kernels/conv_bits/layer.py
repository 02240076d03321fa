"""What conv_bits.h wants of a site: weights in planes of bits, what the bias holds, how results are made."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from qir.backends.c.binding.loops import window_fields
from qir.backends.c.binding.requant import constants_missing, requant, weight_sums
from qir.backends.c.binding.site import Site
from qir.backends.c.program import Data, Struct
from qir.ops.window import Window, window
from qir.quant.bitpack import signed_bits


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer on packed bits.

    Attributes:
        win: of a convolution over one to three axes; a product of matrices has rows of one pixel.
        batch: samples.
        planes, bytes: of a pixel of x, and of one of its planes.
        values, offset: of the planes of a weight.
        bits: the planes, bool [M, planes, taps, 8 * bytes].
        bias: int32 [M], whole.
        outside: int32 [taps, M], or zeros [1] where no tap lies outside, or has nothing to take off.
        padded: whether `outside` is to be added.
    """

    win: Window
    batch: int
    planes: int
    bytes: int
    values: tuple[int, ...]
    offset: int
    bits: np.ndarray
    bias: np.ndarray
    outside: np.ndarray
    padded: bool

    @property
    def outputs(self) -> int:
        return int(self.bits.shape[0])

    @property
    def binary(self) -> bool:
        """Whether an exclusive or tells the sum."""
        return self.offset != 0 and self.planes == 1

    @property
    def words(self) -> int:
        """Of 64 bits, in one plane of a window."""
        return -(-prod(self.win.kernel) * self.bytes // 8)

    @property
    def rows(self) -> np.ndarray:
        """uint64 [M, planes, words]."""
        bits = self.bits.reshape(*self.bits.shape[:2], -1)
        filled = np.zeros((*bits.shape[:2], 64 * self.words), bool)
        filled[..., : bits.shape[-1]] = bits
        return np.packbits(filled, axis=-1, bitorder="little").view("<u8")


def weights_of(site: Site) -> np.ndarray:
    """[M, C, *K], a matrix as [N, K]."""
    w = np.asarray(site.constant(1))
    return np.ascontiguousarray(w.T) if site.node.op == "qir.IntBitGemm" else w


def in_planes(w: np.ndarray) -> tuple[np.ndarray, tuple[int, ...], int]:
    """Planes [planes, *w.shape] of bits, the value of each, and the offset: w = offset + sum of value * bit."""
    if w.size and np.abs(w).min() == np.abs(w).max() == 1:
        return (w > 0)[None], (2,), -1
    if np.abs(w).max(initial=0) <= 1:
        return np.stack([w > 0, w < 0]), (1, -1), 0
    bits = signed_bits(w)
    numbers = w.astype(np.int64) & ((1 << bits) - 1)
    planes = np.stack([(numbers >> bit & 1).astype(bool) for bit in range(bits)])
    return planes, (*(1 << bit for bit in range(bits - 1)), -(1 << (bits - 1))), 0


def bit_window(site: Site) -> tuple[int, Window]:
    """Batch and window; the rows of a matrix are pixels of a window of one tap."""
    x, node = site.input(0), site.node
    if node.op == "qir.IntBitConv" and x.rank > 2:
        return x.shape[0], window(node, x.shape[1:-1], site.input(1).shape[2:])
    rows, one, none = (prod(x.shape[:-1]),), (1,), (0,)
    return 1, Window(one, one, one, none, none, none, rows, rows)


def layer_of(site: Site) -> Layer:
    """The layer of a site that `accepts` lets pass."""
    node, w = site.node, weights_of(site)
    batch, win = bit_window(site)
    planes, values, offset = in_planes(w)
    outputs, channels, taps = w.shape[0], w.shape[1], prod(w.shape[2:])
    size = -(-channels // 8)
    bits = np.zeros((outputs, len(planes), taps, 8 * size), bool)
    bits[..., :channels] = planes.reshape(len(planes), outputs, channels, taps).transpose(1, 0, 3, 2)
    zero, step, depth = int(node.attr("x_zero_point", 0)), int(node.attr("step", 1)), int(node.attr("bits"))
    bias = np.asarray(site.constant(2)).astype(np.int64) - zero * weight_sums(w)
    if offset and depth == 1:
        bias += step * weight_sums(planes[0].astype(np.int64))
    padded = zero != 0 and any((*win.begin, *win.end))
    sums = zero * w.reshape(outputs, channels, taps).astype(np.int64).sum(axis=1).T
    outside = np.ascontiguousarray(sums, np.int32) if padded else np.zeros(1, np.int32)
    return Layer(win, batch, depth, size, values, offset, bits, bias.astype(np.int32), outside, padded)


def accepts(site: Site) -> str | None:
    """What every variant needs: constants, one to three axes, sums that fit int32."""
    if (reason := constants_missing(site)) is not None:
        return reason
    if site.node.op == "qir.IntBitConv" and site.input(0).rank > 5:
        return f"{site.input(0).rank - 2} spatial axes, 1 to 3 are supported"
    w, node = weights_of(site), site.node
    if int(node.attr("bits")) > 2 or signed_bits(w) > 5:
        return "more than two bits an activation or five a weight"
    largest = int(node.attr("step", 1)) * 3 + int(node.attr("x_zero_point", 0))
    most = np.abs(np.asarray(site.constant(2), np.int64)) + 4 * largest * weight_sums(np.abs(w.astype(np.int64)))
    return "an accumulator could leave int32" if np.any(most >= 1 << 31) else None


def conv_shape(site: Site, layer: Layer, words: int = 0) -> Struct:
    """The qir_conv_bits_shape of a site; `words` where its kernel fills up windows to other than the layer's."""
    node = site.node
    values = (*layer.values, *(0,) * (5 - len(layer.values)))
    return Struct("qir_conv_bits_shape", (
        ("window", window_fields(layer.batch, layer.win)), ("bytes", layer.bytes), ("planes", layer.planes),
        ("words", words or layer.words), ("outputs", layer.outputs), ("w_planes", len(layer.values)), ("value", values),
        ("offset", layer.offset), ("step", int(node.attr("step", 1))), ("padded", int(layer.padded)),
        ("levels", int(node.attr("y_levels", 1))), ("y_bits", int(node.attr("y_bits", 0))),
        ("y_low", int(node.attr("qmin", 0))), ("y_step", int(node.attr("y_step", 1))), ("requant", requant(node)),
    ))  # fmt: skip


def finish(site: Site, layer: Layer) -> tuple[str, tuple[tuple[str, str], ...], tuple[Data, ...], Data]:
    """How results are made: as codes, numbers or packed; the template's words for it; the bias, or nothing beside
    thresholds, which are less it; multipliers or thresholds."""
    node, last = site.node, np.asarray(site.constant(3))
    if "y_levels" not in node.attrs:
        multipliers = np.ascontiguousarray(np.broadcast_to(last, (weights_of(site).shape[0],)), np.float32)
        words = (("QIR_Y", site.output.ctype), ("QIR_LAST", "float"), ("QIR_BIASED", "1"),
                 ("QIR_BIAS", "const int32_t *QIR_RESTRICT bias,"))  # fmt: skip
        return "codes", words, (Data(layer.bias, "bias"),), Data(multipliers, "multipliers")
    how = "packed" if "y_bits" in node.attrs else "numbers"
    words = (("QIR_Y", "uint8_t"), ("QIR_LAST", "int32_t"), ("QIR_BIASED", "0"), ("QIR_BIAS", ""))
    ends = np.iinfo(np.int32)
    less = np.where(last == ends.max, ends.max, (last.astype(np.int64) - layer.bias).clip(ends.min, ends.max))
    return how, words, (), Data(less.astype(np.int32), "thresholds")


def window_bits(site: Site) -> int:
    """Of one plane, whole bytes of each tap."""
    w = weights_of(site)
    return 8 * -(-int(w.shape[1]) // 8) * prod(w.shape[2:])


def pairs(site: Site, panel: int = 1) -> float:
    """Pairs of a bit of x and one of a weight, channels filled up to whole panels."""
    w = weights_of(site)
    batch, win = bit_window(site)
    channels = -(-w.shape[0] // panel) * panel
    planes = int(site.node.attr("bits")) * len(in_planes(w)[1])
    return float(batch * prod(win.output) * channels * prod(w.shape[1:]) * planes)
