"""Depthwise convolutions on Helium (conv_u8_depthwise__mve.c)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import per_channel, weight_sums
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import is_packed
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape
from qir.backends.c.program import Data, Kernel, Scalar, Scratch

_SOURCE = Path(__file__).parent / "conv_u8_depthwise__mve.c"
_WIDTH = 16
_ORDER = np.arange(_WIDTH).reshape(4, 4).T[[0, 2, 1, 3]].reshape(-1)
"""Channels 0 4 8 12, 2 6 10 14, 1 5 9 13, 3 7 11 15."""


def _codes(site: Site) -> np.ndarray:
    """Weights [channel, tap]."""
    w = np.asarray(site.constant(1))
    return w.reshape(w.shape[0], -1)


def _run(codes: np.ndarray) -> int:
    """Taps whose products with codes of -128 to 127, added up in any order, fit 16 bits; 0 where one does not."""
    for run in range(codes.shape[1], 0, -1):
        full = np.pad(np.abs(codes.astype(np.int64)), ((0, 0), (0, -codes.shape[1] % run)))
        if 128 * full.reshape(codes.shape[0], -1, run).sum(axis=2).max() < 1 << 15:
            return run
    return 0


def _accepts(site: Site) -> str | None:
    x, w = site.input(0), site.input(1)
    if not int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] or w.shape[0] == 1:
        return "not one input and one output channel a group"
    if site.output.short != "u8" or is_packed(site):
        return "its result is real, or its weights are packed"
    return accepts(site)


def _blocks(values: np.ndarray) -> np.ndarray:
    """[channels, ...] by sixteen channels: the last ones lap over those before, or are filled up with zeros."""
    full = np.pad(values, ((0, max(_WIDTH - len(values), 0)), *((0, 0),) * (values.ndim - 1)))
    starts = [max(min(start, len(values) - _WIDTH), 0) for start in range(0, len(values), _WIDTH)]
    return np.stack([full[start : start + _WIDTH] for start in starts])


def _bind(site: Site) -> Bound:
    codes = _codes(site)
    channels, taps = codes.shape
    bias = (np.asarray(site.constant(2)).astype(np.int64) + 128 * weight_sums(codes)).astype(np.int32)
    data = (Data(np.ascontiguousarray(_blocks(codes).swapaxes(1, 2)), "weights"),
            Data(_blocks(bias)[:, _ORDER], "bias"),
            Data(_blocks(per_channel(site.constant(3), channels))[:, _ORDER], "multipliers"))  # fmt: skip
    args = (conv_shape(site), Scalar(_run(codes)), site.input(0).read, *data, Scratch(8 * taps + channels),
            site.output.write)  # fmt: skip
    return Bound(Kernel("qir_conv_u8s8_depthwise_u8__mve", _SOURCE), args)


def _work(site: Site) -> float:
    """Multiply-accumulates, those of lanes without a channel included."""
    channels, taps = _codes(site).shape
    return float(site.output.size / channels * taps * (-(-channels // _WIDTH) * _WIDTH))


ON_MVE_DEPTHWISE = Variant("mve", _SOURCE, _accepts, _bind, work=_work)
