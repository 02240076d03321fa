"""Depthwise convolutions of three by three taps that keep their sums in registers (conv_u8_depthwise_3x3__avx2.c)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import per_channel
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import conv_shape, conv_window
from qir.backends.c.kernels.conv_u8.depthwise.vectors import accepts_codes
from qir.backends.c.program import Data, Kernel

_SOURCE = Path(__file__).parent / "conv_u8_depthwise_3x3__avx2.c"
_FUNCTION = "qir_conv_u8s8_depthwise_3x3_T__avx2"
_CHANNELS = 16
"""That go together."""
_JOINING = {1: 0, 2: 1}
"""By the distance of windows, products that could be done while codes are joined that no other window shares."""


def _accepts(site: Site) -> str | None:
    if (reason := accepts_codes(site)) is not None:
        return reason
    win = conv_window(site)
    if win.kernel != (3, 3) or win.dilations != (1, 1) or win.strides not in ((1, 1), (2, 2)):
        return "not three by three neighbouring taps, one or two pixels apart"
    return f"fewer than {_CHANNELS} channels" if site.output.shape[1] < _CHANNELS else None


def _work(site: Site) -> float:
    """Multiply-accumulates, those of rows and channels that are computed twice included, and of a column to begin."""
    (high, across), channels = conv_window(site).output, site.output.shape[1]
    together = -(-channels // _CHANNELS) * _CHANNELS
    taps = 9 + _JOINING[conv_window(site).strides[0]]
    return site.output.shape[0] * 2 * -(-high // 2) * (across + 1) * together * taps


def _bind(site: Site) -> Bound:
    w = np.asarray(site.constant(1)).reshape(site.output.shape[1], -1)
    data = (Data(np.ascontiguousarray(w.T), "weights"), Data(np.asarray(site.constant(2)).astype(np.int32), "bias"),
            Data(per_channel(site.constant(3), w.shape[0]), "multipliers"))  # fmt: skip
    step = conv_window(site).strides[0]
    kernel = Kernel(_FUNCTION, _SOURCE, _FUNCTION.replace("_T", f"_by{step}_u8"), (("QIR_STEP", str(step)),))
    return Bound(kernel, (conv_shape(site), site.input(0).read, *data, site.output.write))


DEPTHWISE_3X3 = Variant("avx2", _SOURCE, _accepts, _bind, work=_work)
