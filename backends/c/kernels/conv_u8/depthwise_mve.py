"""Depthwise convolutions on Helium (conv_u8_depthwise__mve.c)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import is_fixed, per_channel
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape
from qir.backends.c.kernels.conv_u8.dsp import refuse_dsp
from qir.backends.c.kernels.conv_u8.mve import mve_scales
from qir.backends.c.program import Data, Kernel, Scratch

_SOURCE = Path(__file__).parent / "conv_u8_depthwise__mve.c"
_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
"""Of eight channels: even ones and odd ones go apart."""


def _together(channels: int) -> int:
    """Channels that are computed at once."""
    return 16 if channels >= 16 else 8


def _codes(site: Site) -> np.ndarray:
    """Weights [channel, tap]."""
    w = np.asarray(site.constant(1))
    return w.reshape(w.shape[0], -1)


def _accepts(site: Site) -> str | None:
    x, w = site.input(0), site.input(1)
    if not int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] or w.shape[0] == 1:
        return "not one input and one output channel a group"
    return "its result is real" if site.output.short != "u8" else refuse_dsp(site) or accepts(site)


def _blocks(values: np.ndarray, together: int) -> np.ndarray:
    """[channels, ...] as [blocks, together, ...]: the last ones lap over those before, or are filled up with zeros."""
    full = np.pad(values, ((0, max(together - len(values), 0)), *((0, 0),) * (values.ndim - 1)))
    starts = [max(min(start, len(values) - together), 0) for start in range(0, len(values), together)]
    return np.stack([full[start : start + together] for start in starts])


def _bind(site: Site) -> Bound:
    codes = _codes(site)
    channels, taps = codes.shape
    together = _together(channels)
    starts, scale = (
        _blocks(values, together).reshape(-1, together // 8, 8)[..., _ORDER].reshape(-1, together // 4, 4)
        for values in (np.asarray(site.constant(2)).astype(np.int32), per_channel(site.constant(3), channels))
    )
    parts = (starts.view(np.uint32), mve_scales(site, scale))
    results = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
    args = (conv_shape(site), site.input(0).read,
            Data(np.ascontiguousarray(_blocks(codes, together).swapaxes(1, 2)), "weights"),
            Data(results, "bias and multipliers"), Scratch(8 * taps + channels), site.output.write)  # fmt: skip
    kinds = f"u8{'_by8' * (together == 8)}{'_fixed' * is_fixed(site)}"
    rounding = "FIXED" if is_fixed(site) else "REAL"
    return Bound(Kernel("qir_conv_u8s8_depthwise_T__mve", _SOURCE, f"qir_conv_u8s8_depthwise_{kinds}__mve", (
        ("QIR_ROUNDED", f"QIR_MVE_{rounding}"), ("QIR_RESULT", f"QIR_MVE_{rounding}_WORDS"),
        ("QIR_TOGETHER", str(together)), ("QIR_PIXELS", f"QIR_MVE_DEPTHWISE_{together}"),
    )), args)  # fmt: skip


def _work(site: Site) -> float:
    """Instructions, as counted for common layers: of pixels and channels that go together, of rows and their ends."""
    channels, taps = _codes(site).shape
    together = _together(channels)
    each = 34 + 10 * taps if together == 8 else 50 + 16.5 * taps
    pixels, rows = site.output.size / channels, site.output.size / channels / site.output.shape[-1]
    return float(pixels * -(-channels // together) * each + 600 * rows)


ON_MVE_DEPTHWISE = Variant("mve", _SOURCE, _accepts, _bind, work=_work, fixed=True)
