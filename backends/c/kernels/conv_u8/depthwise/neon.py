"""Depthwise convolutions on ARM's vectors, whose products take signed codes (conv_u8_depthwise_neon.h)."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import flushed, neon_stores, output_types, per_channel, weight_sums
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import bias_data
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window
from qir.backends.c.program import Data, Kernel, Scratch


def _codes(site: Site) -> np.ndarray:
    """Weights [C, taps]."""
    w = np.asarray(site.constant(1))
    return w.reshape(w.shape[0], -1)


def _accepts(site: Site, channels: int) -> str | None:
    """Depthwise on at least that many channels; on NEON two products, of weights not both -128, fit 16 bits."""
    x, w = site.input(0), site.input(1)
    if not int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1]:
        return "not one input and one output channel a group"
    if w.shape[0] < channels:
        return f"fewer than {channels} channels"
    return accepts(site) or flushed(site, np.asarray(site.constant(3)))


def _two_products(site: Site) -> str | None:
    least = _codes(site) == -128
    pairs = least[:, 1::2] & least[:, : least.shape[1] // 2 * 2 : 2]
    return "two weights side by side are -128" if pairs.any() else None


def _accepts_any(site: Site) -> str | None:
    return _accepts(site, 16) or _two_products(site)


def _accepts_3x3(site: Site) -> str | None:
    if (reason := _accepts(site, 8)) is not None:
        return reason
    win = conv_window(site)
    near = win.kernel == (3, 3) and win.dilations[1] == 1 and win.strides[1] in (1, 2)
    return _two_products(site) if near else "not three by three taps, one or two columns apart"


def _accepts_two_rows(site: Site) -> str | None:
    if (reason := _accepts(site, 8)) is not None:
        return reason
    win = conv_window(site)
    near = win.kernel == (3, 3) and win.dilations == win.strides == (1, 1) and win.output[0] > 1
    return None if near else "not two rows of three by three neighbours, one row and column apart"


def _bind(site: Site, name: str, isa: str, source: Path) -> Bound:
    codes = _codes(site)
    bias = np.asarray(site.constant(2)).astype(np.int64) + 128 * weight_sums(codes)
    weights = Data(np.ascontiguousarray(codes.T), "weights")
    scale = Data(per_channel(site.constant(3), codes.shape[0]), "multipliers")
    room = () if name.endswith("3x3") else (Scratch(8 * codes.shape[1] + codes.shape[0]),)
    function, stores = neon_stores(site, f"qir_conv_u8s8_{name}_T__{isa}", "store8", "store16")
    function, types = output_types(site, function)
    kernel = Kernel(f"qir_conv_u8s8_{name}_T__{isa}", source, function, (*types, *stores))
    args = (conv_shape(site), site.input(0).read, weights, bias_data(bias, wide=False), scale)
    return Bound(kernel, (*args, *room, site.output.write))


def _work(site: Site) -> float:
    return site.output.size * prod(site.input(1).shape[1:])


def _variant(name: str, isa: str) -> Variant:
    source = Path(__file__).parent / f"conv_u8_{name}__{isa}.c"
    accept = {"depthwise__neon": _accepts_any, "depthwise_3x3__neon": _accepts_3x3,
              "depthwise_3x3__dotprod": _accepts_two_rows}[f"{name}__{isa}"]  # fmt: skip
    return Variant(isa, source, accept, partial(_bind, name=name, isa=isa, source=source), work=_work)


ON_ARM = (_variant("depthwise_3x3", "dotprod"), _variant("depthwise_3x3", "neon"), _variant("depthwise", "neon"))
"""Order matters where the table of costs does not decide."""
