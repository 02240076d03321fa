"""qir.IntGemm: rows of codes of 8 or 16 bits times weights of 2 to 16; codes or reals out.

On vectors many rows are a convolution with one tap: conv_u8's kernels compute them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import only_bytes
from qir.backends.c.binding.orders import ROWS
from qir.backends.c.binding.requant import added, constants_missing, per_channel, requant
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.tiles import PANEL
from qir.backends.c.binding.weights import (
    activation_rows,
    bias_data,
    is_wide,
    plane_count,
    refuse,
    row_kernel,
    rows,
    unpacking,
    weight_bits,
)
from qir.backends.c.binding.x86 import PROVEN, TEMPLATES, X86
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
from qir.backends.c.kernels.conv_u8.contract import pixel_window
from qir.backends.c.kernels.conv_u8.dsp import DSP_SOURCE, dsp_data, dsp_kernel, dsp_room, dsp_work, refuse_dsp
from qir.backends.c.kernels.conv_u8.dsp_few import few_data, few_kernel, few_room, few_work, refuse_few
from qir.backends.c.kernels.conv_u8.mve import MVE_SOURCE, mve_data, mve_kernel, mve_refuses, mve_room, mve_row_work
from qir.backends.c.kernels.conv_u8.panels import panel_kernel, panel_variant
from qir.backends.c.kernels.conv_u8.portable import on_bytes_or_packed
from qir.backends.c.kernels.conv_u8.sparse import refuse_dense, skipping, sparse_data
from qir.backends.c.program import Data, Field, Scratch, Struct
from qir.ops.window import Window

_HERE = Path(__file__).parent
_SOURCE, _ROW = _HERE / "gemm_u8__portable.c", _HERE / "gemm_u8_row__x86.c"
_DSP_ROW, _FEW_ROW = _HERE / "gemm_u8_row__dsp.c", _HERE / "gemm_u8_few_row__dsp.c"
_NEAR, _READING = 2**20, 4
"""Bytes of weights that the first two caches hold, and products that take as long as reading a byte from elsewhere."""
_FUNCTION = "qir_gemm_u8s8_T__portable"


def _weights(site: Site) -> np.ndarray:
    """[K, N] as [N, K], with K in the order in which x is stored."""
    w, rows = np.asarray(site.constant(1)), site.input(0).rows
    return np.ascontiguousarray((w if rows is None else w[rows]).T)


def accepts(site: Site) -> str | None:
    """What variants on vectors need: codes and weights of bytes at most, besides."""
    return only_bytes(site) or _accepts(site)


def _accepts(site: Site) -> str | None:
    """What every variant needs: constant weights, accumulators that hold every sum."""
    return constants_missing(site) or refuse(site, _weights(site), np.asarray(site.constant(2)))


def _rows(site: Site) -> int:
    return site.output.size // site.input(1).shape[1]


def gemm_shape(site: Site) -> Struct:
    """The qir_gemm_u8_shape of a site."""
    depth, columns = site.input(1).shape
    sizes = (("rows", _rows(site)), ("depth", depth), ("columns", columns))
    return Struct("qir_gemm_u8_shape", (*sizes, ("requant", requant(site.node))))


def _bind(site: Site) -> Bound:
    w, bias = _weights(site), np.asarray(site.constant(2))
    wide = is_wide(site, w, bias)
    data = (rows(site, w), bias_data(bias, wide),
            Data(per_channel(site.constant(3), w.shape[0]), "multipliers"))  # fmt: skip
    args = (gemm_shape(site), site.input(0).read, *data, Scratch(2 * w.shape[1] * activation_rows(site)))
    return Bound(row_kernel(site, _FUNCTION, _SOURCE, wide), (*args, site.output.write))


def _blocks(site: Site, isa: str, few: bool = False, dense: bool = False) -> Blocks:
    rows, one, none = (_rows(site),), (1,), (0,)
    return blocks(1, Window(one, one, one, none, none, none, rows, rows), 1, site.input(1).shape[0], isa=isa,
                  few=few, dense=dense)  # fmt: skip


def _cut(site: Site, isa: str, few: bool) -> Blocks:
    """With what depends on the weights, which may be stored in few bits."""
    b, w = _blocks(site, isa, few, not few), _weights(site)
    return packed(b, w, weight_bits(site), plane_count(site)) if few else repeating(b, w)


def _data(site: Site, b: Blocks) -> tuple[Data, ...]:
    return panel_data(_weights(site), np.asarray(site.constant(2)), site.constant(3), b)


def _conv_shape(site: Site, window: Field) -> Struct:
    """The qir_conv_u8_shape of a site as a convolution of one tap."""
    depth, columns = site.input(1).shape
    return Struct("qir_conv_u8_shape", (
        ("window", window), ("groups", 1), ("in_channels", depth), ("out_channels", columns),
        ("x_zero_point", 0), ("requant", requant(site.added or site.node)),
    ))  # fmt: skip


def _row_room(site: Site, isa: str) -> Scratch:
    return Scratch(4 // TEMPLATES[isa].codes * (site.input(1).shape[0] + 3))


def _bind_panels(site: Site, isa: str, few: bool) -> Bound:
    b = _cut(site, isa, few)
    data = _data(site, b)
    shape = _conv_shape(site, b.window_field)
    args = (shape, b.struct, site.input(0).read, *data, *added(site), b.scratch, site.output.write)
    return Bound(panel_kernel(site, "qir_conv_u8s8_T", isa, weights=data[:1], bits=b.bits, planes=b.planes,
                              woven=b.woven), args)  # fmt: skip


def _bind_row(site: Site, isa: str, few: bool) -> Bound:
    """Codes beyond the depth are zeros, so that one bit serves for weights there too."""
    b, bits, planes = _blocks(site, isa), weight_bits(site) if few else 8, plane_count(site) if few else 0
    data = _data(site, replace(b, bits=bits, planes=planes))
    args = (gemm_shape(site), site.input(0).read, *data, _row_room(site, isa), site.output.write)
    return Bound(panel_kernel(site, "qir_gemm_u8s8_row_T", isa, _ROW, bits=bits, planes=planes), args)


def _work(site: Site) -> float:
    return site.output.size * site.input(1).shape[0]


def _unpacking(site: Site) -> float:
    return unpacking(site, _rows(site))


def _row_work(site: Site, _: str, few: bool) -> float:
    """Of weights that no near cache holds, one byte is read while _READING products could be made: that is what int8
    takes, so that packed ones count as many times less, down to what their products take."""
    macs, size = _work(site), site.input(1).size
    return macs if not few or size <= _NEAR else macs * max(1 / _READING, weight_bits(site) / 8)


def _panel_work(site: Site, isa: str, few: bool) -> float:
    return _cut(site, isa, few).work(site.input(1).shape[1])


def _accepts_rows(site: Site, isa: str, few: bool) -> str | None:
    return accepts(site) or refuse_sums(site, _weights(site), _cut(site, isa, few))


def _on_rows(isa: str, few: bool = False) -> Variant:
    return panel_variant(isa, few, _accepts_rows, _bind_row, _row_work, _ROW, "gemm_u8_row")


def _accepts_panels(site: Site, isa: str, few: bool) -> str | None:
    if (reason := accepts(site) or refuse_vectors(site, isa, site.input(1).shape[0])) is not None:
        return reason
    w, b = _weights(site), _cut(site, isa, few)
    return refuse_packed(b, w) or refuse_sums(site, w, b)


def _on_panels(isa: str, few: bool = False) -> Variant:
    return panel_variant(isa, few, _accepts_panels, _bind_panels, _panel_work, sums=True)


def _accepts_dsp(site: Site, few: bool) -> str | None:
    return accepts(site) or (refuse_few(site, _weights(site)[None]) if few else refuse_dsp(site))


def _accepts_dsp_row(site: Site, few: bool) -> str | None:
    return "two rows are computed at once" if _rows(site) > 1 else _accepts_dsp(site, few)


def _bind_dsp(site: Site, few: bool) -> Bound:
    """A convolution of one tap."""
    codes, shape = _weights(site)[None], _conv_shape(site, pixel_window(_rows(site)))
    kernel, data = (few_kernel, few_data) if few else (dsp_kernel, dsp_data)
    room = few_room(site, 1, codes.shape[2]) if few else dsp_room(1, codes.shape[2])
    args = (shape, site.input(0).read, *data(site, codes), *added(site), room, site.output.write)
    return Bound(kernel(site, "qir_conv_u8s8_T__dsp", DSP_SOURCE, codes), args)


def _bind_dsp_row(site: Site, few: bool) -> Bound:
    codes = _weights(site)[None]
    kernel, data, source = (few_kernel, few_data, _FEW_ROW) if few else (dsp_kernel, dsp_data, _DSP_ROW)
    args = (gemm_shape(site), site.input(0).read, *data(site, codes), site.output.write)
    return Bound(kernel(site, "qir_gemm_u8s8_row_T__dsp", source, codes), args)


def _dsp_work(site: Site, few: bool) -> float:
    depth, columns = site.input(1).shape
    outputs = site.output.size + site.output.size % (2 * columns)
    return (few_work if few else dsp_work)(outputs, columns, depth, 1, added=site.added is not None)


def _dsp_row_work(site: Site, few: bool) -> float:
    """Instructions, as counted."""
    depth, columns = site.input(1).shape
    fours, whole = -(-columns // 4), -(-depth // 4) * 4
    return 4 * depth + fours * (6 * whole + 90) if few else fours * (4.5 * whole + 70)


def _on_dsp(few: bool) -> tuple[Variant, ...]:
    """One row alone, and any number."""
    row, any_number = _FEW_ROW if few else _DSP_ROW, "conv_u8_few__dsp" if few else DSP_SOURCE.stem
    return (
        Variant("dsp", row, partial(_accepts_dsp_row, few=few), partial(_bind_dsp_row, few=few),
                work=partial(_dsp_row_work, few=few), fixed=True),
        Variant("dsp", DSP_SOURCE, partial(_accepts_dsp, few=few), partial(_bind_dsp, few=few), any_number,
                partial(_dsp_work, few=few), sums=True, fixed=True),
    )  # fmt: skip


def _accepts_mve(site: Site) -> str | None:
    return accepts(site) or mve_refuses(site, _weights(site))


def _bind_mve(site: Site) -> Bound:
    """A convolution of one tap."""
    shape, data = _conv_shape(site, pixel_window(_rows(site))), mve_data(site, _weights(site))
    depth, columns = site.input(1).shape
    kernel, room = mve_kernel(site, columns, depth, runs=True), mve_room(site, depth)
    return Bound(kernel, (shape, site.input(0).read, *data, *added(site), room, site.output.write))


def _mve_work(site: Site) -> float:
    depth, columns = site.input(1).shape
    return mve_row_work(site, columns, depth)


def _accepts_sparse(site: Site, isa: str, _: bool) -> str | None:
    return accepts(site) or refuse_dense(_weights(site), _blocks(site, isa))


def _sparse_parts(site: Site, isa: str) -> tuple[Blocks, tuple[Data, ...]]:
    w = _weights(site)
    b = skipping(_blocks(site, isa), w)
    weights, *steps = sparse_data(w, b)
    return b, (weights, *_data(site, b)[1:], *steps)


def _bind_sparse(site: Site, isa: str, _: bool) -> Bound:
    b, data = _sparse_parts(site, isa)
    shape = _conv_shape(site, b.window_field)
    args = (shape, b.struct, site.input(0).read, *data, *added(site), b.scratch, site.output.write)
    return Bound(panel_kernel(site, "qir_conv_u8s8_T", isa, sparse=True), args)


def _bind_sparse_row(site: Site, isa: str, _: bool) -> Bound:
    data = _sparse_parts(site, isa)[1]
    args = (gemm_shape(site), site.input(0).read, *data, _row_room(site, isa), site.output.write)
    return Bound(panel_kernel(site, "qir_gemm_u8s8_row_T", isa, _ROW, sparse=True), args)


def _sparse_work(site: Site, isa: str, _: bool) -> float:
    return skipping(_blocks(site, isa), _weights(site)).sparse_work(site.input(1).shape[1])


def _sparse_row_work(site: Site, isa: str, _: bool) -> float:
    b = skipping(_blocks(site, isa), _weights(site))
    return _rows(site) * sum(b.taken) * PANEL * b.depth


def _on_sparse(isa: str) -> tuple[Variant, Variant]:
    """Many rows, and one by one."""
    panels = panel_variant(isa, False, _accepts_sparse, _bind_sparse, _sparse_work, title="conv_u8_sparse", sums=True)
    rows = panel_variant(isa, False, _accepts_sparse, _bind_sparse_row, _sparse_row_work, _ROW, "gemm_u8_sparse_row")
    return replace(panels, compact=True), replace(rows, compact=True)


FAMILY = Family(
    "gemm_u8",
    ("qir.IntGemm",),
    ROWS,
    (
        *on_bytes_or_packed(_SOURCE, _accepts, _bind, _work, _unpacking),
        *_on_dsp(few=False),
        *_on_dsp(few=True),
        Variant("mve", MVE_SOURCE, _accepts_mve, _bind_mve, work=_mve_work, sums=True, fixed=True),
        *(_on_rows(isa) for isa in X86),
        *(_on_rows(isa, few=True) for isa in PACKED if isa in TEMPLATES),
        *(_on_panels(isa) for isa in (*X86, *PROVEN, *ARM)),
        *(_on_panels(isa, few=True) for isa in PACKED),
        *(variant for isa in X86 for variant in _on_sparse(isa)),
    ),
    permuted_rows=True,
)
