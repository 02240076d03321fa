"""qir.IntConv: uint8 activations, int8 weights; codes or reals out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_u8.blocks import (
    Blocks,
    blocks,
    depthwise_data,
    in_columns,
    panel_data,
    panel_kernel,
    panel_source,
)
from qir.backends.c.loops import window_fields
from qir.backends.c.orders import CHANNELS_LAST
from qir.backends.c.program import Data, Field, Kernel, Scratch, Struct
from qir.backends.c.requant import (
    constants_missing,
    per_channel,
    requant,
    restored_bias,
)
from qir.backends.c.site import Site
from qir.backends.c.weights import (
    TILE,
    activation_rows,
    bias_data,
    is_packed,
    is_wide,
    only_int8,
    refuse,
    row_kernel,
    rows,
    tap_kernel,
    taps,
)
from qir.ops.window import Window, window

_HERE = Path(__file__).parent
_GENERIC, _DEPTHWISE = _HERE / "conv_u8__portable.c", _HERE / "conv_u8_depthwise__portable.c"


def _parts(site: Site) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights [M, C/g, *K], bias without its zero-point term, zero point."""
    zero = int(site.node.attr("x_zero_point", 0))
    w = np.asarray(site.constant(1))
    return w, restored_bias(np.asarray(site.constant(2)), w, zero), zero


def _window(site: Site) -> Window:
    return window(site.node, site.input(0).shape[2:], site.input(1).shape[2:])


def conv_shape(site: Site, win: Field | None = None) -> Struct:
    """The qir_conv_u8_shape of a site; `win` where the kernel sees other axes than the site has."""
    x, w, node = site.input(0), site.input(1), site.node
    groups = int(node.attr("group", 1))
    return Struct("qir_conv_u8_shape", (
        ("window", win or window_fields(x.shape[0], _window(site))), ("groups", groups),
        ("in_channels", w.shape[1]), ("out_channels", w.shape[0] // groups),
        ("x_zero_point", int(node.attr("x_zero_point", 0))), ("requant", requant(node)),
    ))  # fmt: skip


def _accepts(site: Site) -> str | None:
    """What every variant needs: constant weights, 1 to 3 spatial axes, accumulators that hold every sum."""
    if (reason := constants_missing(site)) is not None:
        return reason
    if not 3 <= site.input(0).rank <= 5:
        return f"{site.input(0).rank - 2} spatial axes, 1 to 3 are supported"
    w, bias, _ = _parts(site)
    return refuse(site, w, bias)


def accepts(site: Site) -> str | None:
    """What variants on vectors need: codes and weights in bytes, besides."""
    return only_int8(site) or _accepts(site)


def _depthwise(site: Site) -> str | None:
    x, w = site.input(0), site.input(1)
    if not (int(site.node.attr("group", 1)) == w.shape[0] == x.shape[1] and w.shape[1] == 1 and w.shape[0] > 1):
        return "not one input and one output channel a group"
    return None


def _accepts_depthwise(site: Site) -> str | None:
    if is_packed(site) and 16 * prod(site.input(1).shape[2:]) > TILE:
        return "too many taps to unpack at once"
    return _depthwise(site) or _accepts(site)


def _macs(site: Site) -> float:
    w = site.input(1)
    return site.output.size * (w.size / w.shape[0])


def _rows_work(site: Site) -> float:
    """Of the portable kernel: what gathering a window for each group costs counts as multiply-accumulates."""
    w = site.input(1)
    gathering = 2 * site.output.size // w.shape[0] * int(site.node.attr("group", 1)) * w.size // w.shape[0]
    return _macs(site) + 8 * gathering


def _is_wide(site: Site) -> bool:
    w, bias, _ = _parts(site)
    return is_wide(site, w, bias)


def _bound(site: Site, kernel: Kernel, weights: Data, *scratch: Scratch) -> Bound:
    w, bias, _ = _parts(site)
    multipliers = Data(per_channel(site.constant(3), w.shape[0]), "multipliers")
    data = (weights, bias_data(bias, _is_wide(site)), multipliers)
    return Bound(kernel, (conv_shape(site), site.input(0).read, *data, *scratch, site.output.write))


def _bind(site: Site) -> Bound:
    w = _parts(site)[0]
    codes = np.moveaxis(w, 1, -1).reshape(w.shape[0], -1)
    gathered = Scratch(2 * codes.shape[1] * activation_rows(site))
    kernel = row_kernel(site, "qir_conv_u8s8_T__portable", _GENERIC, _is_wide(site))
    return _bound(site, kernel, rows(site, codes), gathered)


def _bind_depthwise(site: Site) -> Bound:
    w = _parts(site)[0]
    kernel = tap_kernel(site, "qir_conv_u8s8_depthwise_T__portable", _DEPTHWISE, _is_wide(site))
    return _bound(site, kernel, taps(site, w.reshape(w.shape[0], -1)))


def _blocks(site: Site, isa: str) -> Blocks:
    x, w = site.input(0), site.input(1)
    return blocks(x.shape[0], _window(site), int(site.node.attr("group", 1)), w.shape[1], isa=isa)


def _panel_work(site: Site, isa: str) -> float:
    return _blocks(site, isa).work(site.input(1).shape[0] // int(site.node.attr("group", 1)))


def _bind_panels(site: Site, isa: str) -> Bound:
    """vpmaddwd is given codes less their zero point, so its bias holds no term of that."""
    w, bias, _ = _parts(site)
    b = _blocks(site, isa)
    data = panel_data(w, bias if isa == "avx2" else np.asarray(site.constant(2)), site.constant(3), b)
    args = (conv_shape(site, b.window_field), b.struct, site.input(0).read, *data, b.scratch, site.output.write)
    return Bound(panel_kernel(site, "qir_conv_u8s8_T", isa), args)


def _on_panels(isa: str) -> Variant:
    source = panel_source(isa)
    return Variant(isa, source, accepts, partial(_bind_panels, isa=isa), work=partial(_panel_work, isa=isa))


def _accepts_codes(site: Site) -> str | None:
    """What depthwise kernels on vectors need."""
    real = None if site.output.dtype.name == "uint8" else "its result is real"
    return only_int8(site) or _accepts_depthwise(site) or real


_DEPTHWISE_STEPS = {"avx512vnni": (32, 4, np.int8), "avx2": (16, 2, np.int16)}
"""Channels of a block, taps of a step, type of the weights."""


def _depthwise_blocks(site: Site, isa: str) -> Blocks:
    x, width = site.input(0), _DEPTHWISE_STEPS[isa][0]
    b = blocks(x.shape[0], _window(site), x.shape[1], 1, isa="bytes", beyond=x.shape[1] < width)
    return replace(b, by_columns=in_columns(b) and (isa == "avx512vnni" or x.shape[1] >= width))


def _depthwise_work(site: Site, isa: str) -> float:
    channels, width = site.output.shape[1], _DEPTHWISE_STEPS[isa][0]
    return _macs(site) * (-(-channels // width) * width / channels)


def _bind_depthwise_on(site: Site, isa: str) -> Bound:
    b, (width, depth, dtype) = _depthwise_blocks(site, isa), _DEPTHWISE_STEPS[isa]
    data = depthwise_data(_parts(site)[0], np.asarray(site.constant(2)), site.constant(3), width=width, depth=depth,
                          dtype=dtype, by_columns=b.by_columns)  # fmt: skip
    args = (conv_shape(site, b.window_field), b.struct, site.input(0).read, *data, b.scratch, site.output.write)
    return Bound(Kernel(f"qir_conv_u8s8_depthwise_u8__{isa}", _HERE / f"conv_u8_depthwise__{isa}.c"), args)


def _depthwise_on(isa: str) -> Variant:
    source = _HERE / f"conv_u8_depthwise__{isa}.c"
    return Variant(isa, source, _accepts_codes, partial(_bind_depthwise_on, isa=isa),
                   work=partial(_depthwise_work, isa=isa))  # fmt: skip


FAMILY = Family(
    "conv_u8",
    ("qir.IntConv",),
    CHANNELS_LAST,
    (
        Variant("portable", _DEPTHWISE, _accepts_depthwise, _bind_depthwise, work=_macs),
        Variant("portable", _GENERIC, _accepts, _bind, work=_rows_work),
        *(variant(isa) for isa in ("avx512vnni", "avx2") for variant in (_depthwise_on, _on_panels)),
    ),
)
