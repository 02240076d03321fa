"""Signs of products of bits on 64-bit ARM (conv_bits_signs__asimd.c)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_bits.layer import accepts, conv_shape, layer_of, pairs, window_bits
from qir.backends.c.kernels.conv_bits.vectors import GROUP, MOST, panels
from qir.backends.c.program import Data, Kernel, Scratch

_SOURCE = Path(__file__).parent / "conv_bits_signs__asimd.c"
_PANEL, _STEP = 32, 2
_FAR = 1 << 29
"""Beyond what sums of bits come to: with it a channel's threshold is reached always, or never."""


def _accepts(site: Site) -> str | None:
    if (reason := accepts(site)) is not None:
        return reason
    node = site.node
    if int(node.attr("y_levels", 0)) != 2 or int(node.attr("y_bits", 0)) != 1:
        return "its results are not signs"
    if window_bits(site) > MOST:
        return f"windows of more than {MOST} bits"
    layer = layer_of(site)
    return None if layer.binary and int(node.attr("step", 1)) in (1, 2) else "not binary by binary"


def _bind(site: Site) -> Bound:
    layer = layer_of(site)
    pitch = -(-layer.outputs // GROUP) * GROUP
    base = np.full(pitch, -_FAR, np.int32)
    threshold = np.asarray(site.constant(3), np.int64).reshape(-1)
    base[: layer.outputs] = np.clip(layer.bias.astype(np.int64) - threshold, -_FAR, _FAR)
    scratch = Scratch(64 * (layer.words + 1) + 14 * pitch)
    args = (conv_shape(site, layer), site.input(0).read, Data(panels(layer, _PANEL, _STEP), "weights, in planes"),
            Data(base, "bias less thresholds"), Data(layer.outside, "sums of single taps"), scratch)  # fmt: skip
    return Bound(Kernel("qir_conv_bits_signs__asimd", _SOURCE), (*args, site.output.write))


def _work(site: Site) -> float:
    """Pixels go by fours."""
    pixels = site.output.size // site.output.shape[-1]
    return pairs(site, panel=_PANEL) * (max(pixels, 4) / pixels)


SIGNS = Variant("asimd", _SOURCE, _accepts, _bind, "conv_bits_signs__asimd", _work)
