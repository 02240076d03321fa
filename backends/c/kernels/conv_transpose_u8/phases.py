"""Transposed convolutions on vectors: for each residue of output positions an ordinary convolution.

Along an axis with stride s, dilation d and `pad` cut off before, output o = f + s q reads input i through tap t where

    i s + t d - pad = o,    that is    i = q + (f + pad - t d) / s.

So outputs of one residue f use the taps for which f + pad - t d is a multiple of s, each at a constant distance from q:
a convolution of stride 1 over x, whose results lie s apart in y. From one of these taps to the next t grows by
s / gcd(s, d), and i falls by d / gcd(s, d): taken from the last to the first they are the convolution's kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import gcd, prod

import numpy as np

from qir.backends.c.binding.integer_types import only_bytes
from qir.backends.c.binding.requant import requant, weight_sums
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import weight_bits
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.blocks import (
    Blocks,
    blocks,
    packed,
    panel_data,
    refuse_vectors,
)
from qir.backends.c.kernels.conv_u8.panels import panel_kernel, panel_variant
from qir.backends.c.program import Arg, Data, Struct
from qir.ops.window import TransposedWindow, Window, transposed_window


def conv_weights(site: Site) -> np.ndarray:
    """[C, M/g, *K] as the weights [M, C/g, *K] of a convolution."""
    w, groups = np.asarray(site.constant(1)), int(site.node.attr("group", 1))
    split = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    return split.swapaxes(1, 2).reshape(groups * w.shape[1], w.shape[0] // groups, *w.shape[2:])


@dataclass(frozen=True)
class Phase:
    """The convolution of one residue.

    Attributes:
        window: over x.
        taps: along each axis, of the transposed kernel; none where nothing but the bias reaches the outputs.
        first: position of the first output along each axis.
    """

    window: Window
    taps: tuple[tuple[int, ...], ...]
    first: tuple[int, ...]


def phases(win: TransposedWindow) -> Iterator[Phase]:
    """Every residue that has outputs."""
    for first in product(*(range(min(stride, out)) for stride, out in zip(win.strides, win.output, strict=True))):
        rows = [_along(win, axis, start) for axis, start in enumerate(first)]
        taps = tuple(row[0] for row in rows)
        kernel, dilations, begin, end, output = zip(*(row[1:] for row in rows), strict=True)
        ones = (1,) * len(first)
        yield Phase(Window(kernel, ones, dilations, begin, end, end, win.input, output), taps, first)


def _along(win: TransposedWindow, axis: int, first: int) -> tuple[tuple[int, ...], int, int, int, int, int]:
    """Taps of one residue along one axis, then kernel, dilation, pads and size of its convolution."""
    stride, dilation, size = win.strides[axis], win.dilations[axis], win.input[axis]
    start, count = first + win.begin[axis], -(-(win.output[axis] - first) // stride)
    taps = tuple(t for t in reversed(range(win.kernel[axis])) if (start - t * dilation) % stride == 0)
    kernel, apart = max(len(taps), 1), dilation // gcd(stride, dilation)
    begin = -((start - taps[0] * dilation) // stride) if taps else 0
    return taps, kernel, apart, begin, count - 1 + (kernel - 1) * apart + 1 - size - begin, count


def _weights(w: np.ndarray, phase: Phase) -> np.ndarray:
    """The taps of [M, C/g, *K] that a phase has, zeros where it has none."""
    if not all(phase.taps):
        return np.zeros((*w.shape[:2], *phase.window.kernel), w.dtype)
    chosen: np.ndarray = w[np.ix_(range(w.shape[0]), range(w.shape[1]), *phase.taps)]
    return chosen


def _cut(site: Site, win: TransposedWindow, phase: Phase, w: np.ndarray, isa: str, few: bool) -> Blocks:
    """How a phase is cut up: its results are `strides` apart in y. Of one bit there is no zero for a tap it lacks.
    All phases have their windows woven, or none has."""
    sizes = win.output
    apart = [prod(sizes), *(s * prod(sizes[axis + 1 :]) for axis, s in enumerate(win.strides))]
    groups = int(site.node.attr("group", 1))
    b = blocks(site.input(0).shape[0], phase.window, groups, w.shape[1], isa=isa, apart=tuple(apart), few=few,
               dense=not few and w.shape[1] % 8 == 0)  # fmt: skip
    return packed(b, w, max(weight_bits(site), 2)) if few else b


def _call(
    site: Site, win: TransposedWindow, phase: Phase, w: np.ndarray, isa: str, few: bool
) -> tuple[Arg, ...]:
    """Arguments of the convolution's kernel: see conv_u8."""
    node, groups, b = site.node, int(site.node.attr("group", 1)), _cut(site, win, phase, w, isa, few)
    own, zero, bias = _weights(w, phase), int(node.attr("x_zero_point", 0)), np.asarray(site.constant(2), np.int64)
    data = panel_data(own, bias if b.restored else bias - zero * weight_sums(own), site.constant(3), b)
    shape = Struct("qir_conv_u8_shape", (
        ("window", b.window_field), ("groups", groups), ("in_channels", w.shape[1]),
        ("out_channels", w.shape[0] // groups), ("x_zero_point", zero), ("requant", requant(node)),
    ))  # fmt: skip
    skip = w.shape[0] * sum(f * prod(win.output[axis + 1 :]) for axis, f in enumerate(phase.first))
    return (shape, b.struct, site.input(0).read, *data, b.scratch, replace(site.output.write, skip=skip))


def _phases(site: Site) -> tuple[TransposedWindow, np.ndarray, tuple[Phase, ...]]:
    w = conv_weights(site)
    win = transposed_window(site.node, site.input(0).shape[2:], w.shape[2:])
    return win, w, tuple(phases(win))


def _bind(site: Site, isa: str, few: bool) -> Bound:
    win, w, every = _phases(site)
    pieces = tuple(_call(site, win, phase, w, isa, few) for phase in every)
    codes = [arg for args in pieces for arg in args if isinstance(arg, Data) and arg.role == "weights"]
    kernel = panel_kernel(site, "qir_conv_u8s8_T", isa, weights=codes, bits=max(weight_bits(site), 2) if few else 8,
                          woven=_cut(site, win, every[0], w, isa, few).woven)  # fmt: skip
    return Bound(kernel, pieces[0], pieces)


def _work(site: Site, isa: str, few: bool) -> float:
    win, w, every = _phases(site)
    outputs = w.shape[0] // int(site.node.attr("group", 1))
    return sum(_cut(site, win, phase, w, isa, few).work(outputs) for phase in every)


def on_panels(isa: str, accepts: Callable[[Site], str | None], few: bool = False) -> Variant:
    """The variant of an instruction set; `accepts`: what every variant needs."""

    def accepts_here(site: Site, *_: object) -> str | None:
        channels = site.input(1).shape[0] // int(site.node.attr("group", 1))
        return only_bytes(site) or accepts(site) or refuse_vectors(site, isa, channels)

    return panel_variant(isa, few, accepts_here, _bind, _work)
