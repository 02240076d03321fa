"""Depthwise convolutions on vectors: what conv_u8_depthwise.h wants, and which channels and rows go together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import only_bytes
from qir.backends.c.binding.loops import three
from qir.backends.c.binding.requant import per_channel
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import TILE, is_packed
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts_any, conv_shape, conv_window
from qir.backends.c.program import Data, Kernel, Scratch, Struct
from qir.ops.window import Window

_HERE = Path(__file__).parent
_SOURCE = _HERE / "conv_u8_depthwise__vectors.c"
_STRIP_BYTES = 16384
"""Of joined codes: so that they stay beside the processor with the rows they come from."""


@dataclass(frozen=True)
class Isa:
    """What an instruction set gives the kernel.

    Attributes:
        attribute: of its functions.
        vector: C type.
        width: channels of a block, which is also the bytes of a vector.
        depth: rows that are joined, the codes of one multiply-accumulate.
        dot: sum += products.
        parts: vectors whose parts (see conv_u8_depthwise_<parts>.h) it takes, joining aside.
        joined, weights: suffixes of the functions that join codes and weights.
    """

    attribute: str
    vector: str
    width: int
    depth: int
    dot: str
    parts: str
    joined: str
    weights: str


ISAS = {
    "avx512vnni": Isa("QIR_AVX512VNNI", "__m512i", 64, 4, "QIR_DOT4", "avx512", "avx512_join", "avx512_join"),
    "avxvnni": Isa("QIR_AVXVNNI", "__m256i", 32, 4, "QIR_DOT4_AVX", "avx2", "avxvnni_join", "avxvnni_join"),
    "avx2": Isa("QIR_AVX2", "__m256i", 32, 2, "QIR_DOT2", "avx2", "avx2_join", "avx2_join_weights"),
}
_PARTS = ("bounds", "widen", "load", "steps", "words", "store")
"""Functions and types of an instruction set's header."""
_OWN = ("four", "work", "sums", "pack", "tile", "ahead", "open", "strip", "pair", "single", "spread", "under", "lines")
"""Functions and types of the template, which a network may hold for several instruction sets."""


@dataclass(frozen=True)
class Plan:
    """How a depthwise convolution goes over its input: the fields of qir_conv_u8_depthwise, and its window."""

    window: tuple[tuple[int, ...], ...]
    isa: Isa
    channels: int
    pair: bool
    apart: bool
    copied: bool
    flat: bool
    columns: int
    width: int

    @property
    def groups(self) -> int:
        """Of rows that are joined."""
        return -(-(self.window[2][0] * self.window[2][1] + self.pair) // self.isa.depth)

    @property
    def next(self) -> int:
        """Groups from those under an output to those under the next one."""
        return (self.window[2][2] if self.apart else self.window[3][2]) * self.groups

    def across(self, outputs: int) -> int:
        """Input columns under neighbouring outputs."""
        return (outputs - 1) * self.window[3][2] + (self.window[2][2] - 1) * self.window[4][2] + 1

    @property
    def struct(self) -> Struct:
        """The qir_conv_u8_depthwise."""
        return Struct("qir_conv_u8_depthwise", (
            ("pair", int(self.pair)), ("apart", int(self.apart)), ("copied", int(self.copied)),
            ("flat", int(self.flat)), ("columns", self.columns), ("width", self.width),
        ))  # fmt: skip

    @property
    def scratch(self) -> Scratch:
        """Joined weights and codes, two vectors of padding, rows and their copies."""
        width, taps = self.isa.width, self.window[2][2]
        weights = taps * self.groups * (1 + self.pair)
        joined = (self.columns + 2) * self.next + taps * self.groups
        rows = self.window[2][0] * self.window[2][1] + self.pair
        copies = rows * self.across(self.columns) * self.channels + width if self.copied else 0
        return Scratch(4 * width * (weights + joined + 1) + 2 * width + 16 * self.groups * self.isa.depth + copies)


def plan(win: Window, channels: int, isa: Isa) -> Plan:
    """Two rows go together where the one below the other shares its input; pixels of few channels do."""
    window = (three(win.input, 1), three(win.output, 1), three(win.kernel, 1), three(win.strides, 1),
              three(win.dilations, 1), three(win.begin, 0))  # fmt: skip
    _, out, kernel, stride, dilation, _ = window
    pair = kernel[0] == 1 and kernel[1] > 1 and out[1] > 1 and stride[1] == dilation[1] == 1
    few = channels < isa.width
    flat = few and stride[2] == 1 and 2 * channels <= isa.width
    apart = flat or (kernel[2] > 1 and dilation[2] > 1)
    width = isa.width if not few else isa.width // channels * channels if flat else channels
    found = Plan(window, isa, channels, pair, apart, few, flat, out[2], width)
    column = 4 * isa.width * found.groups * (kernel[2] if apart else stride[2])
    columns = max(8, _STRIP_BYTES // column) * (width // channels if flat else 1)
    pieces = -(-out[2] // columns)
    return Plan(window, isa, channels, pair, apart, few, flat, -(-out[2] // pieces), width)


def block_starts(channels: int, width: int) -> list[int]:
    """First channels of blocks: the last one laps over the one before where they are no multiple."""
    return [max(min(start, channels - width), 0) for start in range(0, channels, width)]


def joined_order(values: np.ndarray, width: int, role: str) -> Data:
    """[channels] to [block][4][width / 4]: vector v of four holds every fourth four channels of sixteen."""
    order = np.arange(width).reshape(-1, 4, 4).swapaxes(0, 1).reshape(-1)
    return Data(np.stack([values[start + order] for start in block_starts(values.size, width)]), role)


def accepts_depthwise(site: Site) -> str | None:
    """What the portable kernel needs."""
    if is_packed(site) and 16 * prod(site.input(1).shape[2:]) > TILE:
        return "too many taps to unpack at once"
    return accepts_windows(site)


def accepts_windows(site: Site) -> str | None:
    """What every depthwise kernel needs."""
    x, w = site.input(0), site.input(1)
    if not (int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] and w.shape[1] == 1 and w.shape[0] > 1):
        return "not one input and one output channel a group"
    return accepts_any(site)


def largest_sums(site: Site) -> np.ndarray:
    """[M] the greatest magnitude of any accumulator."""
    w, bias = np.asarray(site.constant(1), np.int64), np.asarray(site.constant(2), np.int64)
    sums: np.ndarray = np.abs(bias) + 255 * np.abs(w).reshape(w.shape[0], -1).sum(axis=1)
    return sums


def accepts_codes(site: Site) -> str | None:
    """What kernels need whose rounded results go through int32."""
    if (reason := only_bytes(site) or accepts_windows(site)) is not None:
        return reason
    if site.output.dtype.name != "uint8":
        return "its result is real"
    sums = largest_sums(site)
    steps = sums * per_channel(site.constant(3), sums.size).astype(np.float64)
    return "a rounded result could leave int32" if np.any(steps > (1 << 31) - 256) else None


def _plan(site: Site, isa: str) -> Plan:
    return plan(conv_window(site), site.input(0).shape[1], ISAS[isa])


def _work(site: Site, isa: str) -> float:
    """Multiply-accumulates, those of lanes without a channel included."""
    used, channels = _plan(site, isa), site.output.shape[1]
    lanes = used.isa.width / used.width if used.copied else -(-channels // used.width) * used.width / channels
    return site.output.size * prod(site.input(1).shape[2:]) * lanes


def _bind(site: Site, isa: str) -> Bound:
    used = _plan(site, isa)
    clamped = (site.node.attr("qmin", 0), site.node.attr("qmax", 255)) != (0, 255)
    w = np.asarray(site.constant(1)).reshape(used.channels, -1)
    bias = np.asarray(site.constant(2)).astype(np.int32)
    scale = per_channel(site.constant(3), used.channels)
    if used.copied:
        times, empty = used.width // used.channels, used.isa.width - used.width
        w, bias, scale = np.tile(w, (times, 1)), np.tile(bias, times), np.tile(scale, times)
        w, bias, scale = np.pad(w, ((0, empty), (0, 0))), np.pad(bias, (0, empty)), np.pad(scale, (0, empty))
    data = (Data(np.ascontiguousarray(w.T), "weights"), joined_order(bias, used.isa.width, "bias"),
            joined_order(scale, used.isa.width, "multipliers"))  # fmt: skip
    args = (conv_shape(site, (site.input(0).shape[0], *used.window)), used.struct, site.input(0).read, *data,
            used.scratch, site.output.write)  # fmt: skip
    return Bound(_kernel(isa, used, clamped), args)


def _kernel(name: str, used: Plan, clamped: bool) -> Kernel:
    """The template for an instruction set and a window.

    Args:
        clamped: not all codes are results.
    """
    isa, taps = ISAS[name], used.window[2][2]
    kind = f"{taps}x{used.groups}_by{used.next}{'_pair' * used.pair}{'_clamped' * clamped}"
    function = f"qir_conv_u8s8_depthwise_u8_{kind}__{name}"
    numbers = {"WIDTH": isa.width, "DEPTH": isa.depth, "TAKEN": 1 + used.pair, "GROUPS": used.groups, "TAPS": taps,
               "NEXT": used.next}  # fmt: skip
    given = {part.upper(): f"qir_depthwise_{isa.parts}_{part}" for part in _PARTS}
    own = {part.upper(): f"qir_depthwise_{name}_{kind}_{part}" for part in _OWN}
    texts = {
        "KERNEL": function, "ISA": isa.attribute, "V": isa.vector, "DOT": isa.dot,
        "BYTES": f"qir_depthwise_{isa.parts}_{'clamped' if clamped else 'bytes'}",
        "JOIN": f"qir_depthwise_{isa.joined}", "JOIN_WEIGHTS": f"qir_depthwise_{isa.weights}",
        **given, **own, **{name: str(number) for name, number in numbers.items()},
    }  # fmt: skip
    header = _HERE / f"conv_u8_depthwise_{isa.parts}.h"
    substitutions = tuple((f"QIR_{name}", text) for name, text in texts.items())
    return Kernel(function, _SOURCE, substitutions=substitutions, headers=(header,))


def on_vectors(isa: str) -> Variant:
    """The depthwise kernel of an instruction set."""
    return Variant(isa, _SOURCE, accepts_codes, partial(_bind, isa=isa), f"conv_u8_depthwise__{isa}",
                   partial(_work, isa=isa))  # fmt: skip
