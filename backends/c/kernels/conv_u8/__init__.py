"""qir.IntConv: activations of 8 or 16 bits, weights of 2 to 16; codes or reals out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.requant import added, per_channel
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import (
    activation_rows,
    bias_data,
    is_wide,
    plane_count,
    row_kernel,
    rows,
    tap_kernel,
    taps,
    unpacking,
    weight_bits,
)
from qir.backends.c.binding.x86 import PROVEN, X86
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_u8.blocks import (
    ARM,
    PACKED,
    Blocks,
    blocks,
    packed,
    panel_data,
    refuse_packed,
    refuse_sums,
    refuse_vectors,
    repeating,
)
from qir.backends.c.kernels.conv_u8.contract import accepts, accepts_any, conv_parts, conv_shape, conv_window
from qir.backends.c.kernels.conv_u8.depthwise.avx2 import DEPTHWISE_3X3
from qir.backends.c.kernels.conv_u8.depthwise.dsp import ON_DSP_DEPTHWISE
from qir.backends.c.kernels.conv_u8.depthwise.mve import ON_MVE_DEPTHWISE
from qir.backends.c.kernels.conv_u8.depthwise.neon import ON_ARM
from qir.backends.c.kernels.conv_u8.depthwise.vectors import accepts_depthwise, on_vectors
from qir.backends.c.kernels.conv_u8.dsp import ON_DSP
from qir.backends.c.kernels.conv_u8.dsp_few import ON_DSP_FEW
from qir.backends.c.kernels.conv_u8.mve import ON_MVE
from qir.backends.c.kernels.conv_u8.panels import panel_kernel, panel_variant
from qir.backends.c.kernels.conv_u8.portable import on_bytes_or_packed
from qir.backends.c.kernels.conv_u8.sparse import refuse_dense, skipping, sparse_data
from qir.backends.c.kernels.conv_u8.winograd import WINOGRAD
from qir.backends.c.program import Data, Scratch

_HERE = Path(__file__).parent
_GENERIC, _DEPTHWISE = _HERE / "conv_u8__portable.c", _HERE / "depthwise" / "conv_u8_depthwise__portable.c"


def _macs(site: Site) -> float:
    w = site.input(1)
    return site.output.size * (w.size / w.shape[0])


def _rows_work(site: Site) -> float:
    """Of the portable kernel: gathering a code of a window counts as sixteen multiply-accumulates."""
    channels, groups = site.output.shape[1], int(site.node.attr("group", 1))
    return _macs(site) * (1 + 16 * groups / channels)


def _unpacking(site: Site) -> float:
    return unpacking(site, site.output.size // site.output.shape[1])


def _unpacking_taps(site: Site) -> float:
    """For every sixteen channels the taps of a pixel are found again: 0.1 to 0.2 times the instructions of int8."""
    return 0.15 if site.output.shape[1] > 16 else 0


def _bind(site: Site) -> Bound:
    w, bias, _ = conv_parts(site)
    wide, codes = is_wide(site, w, bias), np.moveaxis(w, 1, -1).reshape(w.shape[0], -1)
    data = (rows(site, codes), bias_data(bias, wide), Data(per_channel(site.constant(3), w.shape[0]), "multipliers"))
    gathered = Scratch(2 * codes.shape[1] * activation_rows(site))
    kernel = row_kernel(site, "qir_conv_u8s8_T__portable", _GENERIC, wide)
    return Bound(kernel, (conv_shape(site), site.input(0).read, *data, *added(site), gathered, site.output.write))


def _bind_depthwise(site: Site) -> Bound:
    w, bias, _ = conv_parts(site)
    wide, codes = is_wide(site, w, bias), w.reshape(w.shape[0], -1)
    data = (taps(site, codes), bias_data(bias, wide), Data(per_channel(site.constant(3), w.shape[0]), "multipliers"))
    kernel = tap_kernel(site, "qir_conv_u8s8_depthwise_T__portable", _DEPTHWISE, wide)
    return Bound(kernel, (conv_shape(site), site.input(0).read, *data, site.output.write))


def _blocks(site: Site, isa: str, few: bool = False, dense: bool = False) -> Blocks:
    x, w = site.input(0), site.input(1)
    return blocks(x.shape[0], conv_window(site), int(site.node.attr("group", 1)), w.shape[1], isa=isa,
                  few=few, dense=dense)  # fmt: skip


def _cut(site: Site, isa: str, few: bool) -> Blocks:
    """With what depends on the weights, which may be stored in few bits."""
    b, w = _blocks(site, isa, few, not few), np.asarray(site.constant(1))
    return packed(b, w, weight_bits(site), plane_count(site)) if few else repeating(b, w)


def _panel_work(site: Site, isa: str, few: bool) -> float:
    return _cut(site, isa, few).work(site.input(1).shape[0] // int(site.node.attr("group", 1)))


def _bind_panels(site: Site, isa: str, few: bool) -> Bound:
    """Codes less their zero point want a bias that holds no term of that."""
    w, bias, _ = conv_parts(site)
    b = _cut(site, isa, few)
    data = panel_data(w, bias if b.restored else np.asarray(site.constant(2)), site.constant(3), b)
    args = (conv_shape(site, b.window_field), b.struct, site.input(0).read, *data, *added(site), b.scratch,
            site.output.write)  # fmt: skip
    return Bound(panel_kernel(site, "qir_conv_u8s8_T", isa, weights=data[:1], bits=b.bits, planes=b.planes,
                              woven=b.woven), args)  # fmt: skip


def _accepts_panels(site: Site, isa: str, few: bool) -> str | None:
    reason = accepts(site) or refuse_vectors(site, isa, site.input(1).shape[1])
    if reason is not None:
        return reason
    w, b = np.asarray(site.constant(1)), _cut(site, isa, few)
    return refuse_packed(b, w) or refuse_sums(site, w, b)


def _on_panels(isa: str, few: bool = False) -> Variant:
    return panel_variant(isa, few, _accepts_panels, _bind_panels, _panel_work, sums=True)


def _sparse_blocks(site: Site, isa: str) -> Blocks:
    return skipping(_blocks(site, isa), np.asarray(site.constant(1)))


def _accepts_sparse(site: Site, isa: str, _: bool) -> str | None:
    return accepts(site) or refuse_dense(np.asarray(site.constant(1)), _blocks(site, isa))


def _sparse_work(site: Site, isa: str, _: bool) -> float:
    return _sparse_blocks(site, isa).sparse_work(site.input(1).shape[0] // int(site.node.attr("group", 1)))


def _bind_sparse(site: Site, isa: str, _: bool) -> Bound:
    w, bias = conv_parts(site)[:2]
    b = _sparse_blocks(site, isa)
    weights, *steps = sparse_data(w, b)
    rest = panel_data(w, bias if b.restored else np.asarray(site.constant(2)), site.constant(3), b)[1:]
    args = (conv_shape(site, b.window_field), b.struct, site.input(0).read, weights, *rest, *steps, *added(site),
            b.scratch, site.output.write)  # fmt: skip
    return Bound(panel_kernel(site, "qir_conv_u8s8_T", isa, sparse=True), args)


def _on_sparse(isa: str) -> Variant:
    found = panel_variant(isa, False, _accepts_sparse, _bind_sparse, _sparse_work, title="conv_u8_sparse", sums=True)
    return replace(found, compact=True)


FAMILY = Family(
    "conv_u8",
    ("qir.IntConv",),
    CHANNELS_LAST,
    (
        *on_bytes_or_packed(_DEPTHWISE, accepts_depthwise, _bind_depthwise, _macs, _unpacking_taps),
        *on_bytes_or_packed(_GENERIC, accepts_any, _bind, _rows_work, _unpacking, sums=True),
        *WINOGRAD,
        DEPTHWISE_3X3,
        *(variant(isa) for isa in X86 for variant in (on_vectors, _on_panels)),
        *ON_ARM,
        *ON_DSP,
        ON_DSP_FEW,
        ON_DSP_DEPTHWISE,
        *ON_MVE_DEPTHWISE,
        ON_MVE,
        *(_on_panels(isa) for isa in (*PROVEN, *ARM)),
        *(_on_panels(isa, few=True) for isa in PACKED),
        *(_on_sparse(isa) for isa in X86),
    ),
)
