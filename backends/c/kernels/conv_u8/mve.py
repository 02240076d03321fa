"""Convolutions on Helium, the vectors of Cortex-M55: what conv_u8__mve.c wants."""

from __future__ import annotations

from enum import Enum
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import (
    added,
    flushed,
    is_fixed,
    output_types,
    per_channel,
    summed,
    weight_sums,
)
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import few_alone, in_bytes, weight_bits
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window, refuse_narrow
from qir.backends.c.kernels.conv_u8.dsp import dsp_scales, filled, refuse_dsp, window_runs
from qir.backends.c.program import Data, Kernel, Scratch

MVE_SOURCE = Path(__file__).parent / "conv_u8__mve.c"


def _bits(site: Site) -> int:
    """Of a weight as it is stored; three lie in four."""
    bits = weight_bits(site) if few_alone(site) else 8
    return 4 if bits == 3 else bits


def _larger(site: Site) -> int:
    """How many times sums are too large."""
    return {8: 1, 4: 16, 2: 64, 1: 64}[_bits(site)]


def mve_room(site: Site, depth: int) -> Scratch:
    """For codes of a window."""
    return Scratch(-(-depth // 32) * 32 if _bits(site) == 1 else depth)


def mve_refuses(site: Site, rows: np.ndarray) -> str | None:
    """What no kernel on Helium takes.

    Args:
        rows: weights [channel, code].
    """
    bits = _bits(site)
    if bits == 5:
        return "its weights have 5 bits"
    scale, larger = np.asarray(site.constant(3)), _larger(site)
    if (reason := refuse_dsp(in_bytes(site)) or flushed(site, scale * np.float32(1 / larger))) is not None or bits == 8:
        return reason
    bias = np.abs(np.asarray(site.constant(2), np.int64) + 128 * weight_sums(rows))
    if np.any((bias + 128 * np.abs(rows.astype(np.int64)).sum(axis=1)) * larger >= 1 << 31):
        return "its sums are too large in the upper bits of bytes"
    tiny = np.any((scale != 0) & (scale < larger * np.finfo(np.float32).tiny))
    return "its multipliers are too small" if tiny else None


def mve_scales(site: Site, scale: np.ndarray) -> np.ndarray:
    """Multipliers [..., 4] as words: as they are, or by integers alone g and -(r + 1) of qir_scaled, [..., 8]."""
    words = dsp_scales(site, scale)
    if not is_fixed(site):
        return words
    pairs = words.reshape(*scale.shape, 2)
    return np.concatenate([pairs[..., 0], -pairs[..., 1].view(np.int32)], axis=-1, dtype=np.uint32, casting="unsafe")


def mve_data(site: Site, rows: np.ndarray, groups: int = 1) -> tuple[Data, ...]:
    """Weights [channel, code] as the kernel has them, and [group][four channels] bias and mve_scales, for activations
    less 128."""
    larger = _larger(site)
    bias = larger * (np.asarray(site.constant(2)).astype(np.int64) + 128 * weight_sums(rows))
    scale = per_channel(site.constant(3), rows.shape[0]) * np.float32(1 / larger)
    starts, scales = (filled(values.reshape(groups, -1), 4).reshape(groups, -1, 4)
                      for values in (bias.astype(np.int32).view(np.uint32), scale))  # fmt: skip
    results = np.concatenate([starts, mve_scales(site, scales)], axis=2)
    return Data(_stored(rows, groups, _bits(site)), "weights"), Data(results, "bias and multipliers")


def _stored(rows: np.ndarray, groups: int, bits: int) -> np.ndarray:
    """Weights [channel, code] as rows of int8: QIR_MVE_WEIGHTS_<bits> of conv_u8_mve_rows.h."""
    if bits == 8:
        return np.ascontiguousarray(rows)
    full = filled(rows.reshape(groups, -1, rows.shape[1]), 4, 32 if bits == 1 else 1)
    fours = full.reshape(-1, 4, full.shape[2])
    if bits == 1:
        apart = (fours < 0).reshape(len(fours), 4, -1, 2, 16).transpose(0, 3, 1, 2, 4)
        fields: np.ndarray = apart.reshape(len(fours), 8, -1).astype(np.uint8)
    else:
        fields = fours.reshape(-1, 8 // bits, full.shape[2]).astype(np.uint8) & ((1 << bits) - 1)
    places = bits * np.arange(8 // bits, dtype=np.uint8)[:, None]
    stored: np.ndarray = np.bitwise_or.reduce(fields << places, axis=1).view(np.int8)
    return stored


def _by_fours(site: Site) -> bool:
    """Whether the kernel gives codes of four channels at once."""
    return site.output.short == "u8" and site.added is None


class _Way(Enum):
    """How the kernel takes codes of windows: signed and put together; where they are, where few channels take them, and
    made signed as often; of short ones pixel after pixel, with weights of four channels in vectors."""

    TOGETHER = ""
    DIRECT = "_direct"
    SHORT = "_short"


def _way(site: Site, each: int, depth: int, in_place: bool) -> _Way:
    """Arguments as of mve_kernel."""
    if not (_by_fours(site) and in_place and each % 4 == 0):
        return _Way.TOGETHER
    vectors, pixels = -(-depth // 16), site.output.size // site.output.shape[1]
    bounded = int(site.node.attr("y_zero_point", 0)) <= int(site.node.attr("qmax", 255))
    if vectors == 1 and pixels >= 4 and bounded and not is_fixed(site) and _bits(site) == 8:
        return _Way.SHORT
    if _bits(site) == 1:
        return _Way.TOGETHER
    return _Way.DIRECT if each // 4 * vectors <= 14 + 4 * vectors else _Way.TOGETHER


def _in_runs(site: Site) -> bool:
    win = conv_window(site)
    return int(site.node.attr("group", 1)) == window_runs(site)[0] == 1 and not any((*win.begin, *win.end))


def mve_kernel(site: Site, each: int, depth: int, runs: bool) -> Kernel:
    """The kernel for a site's result.

    Args:
        each: channels of a group.
        depth: codes of a window.
        runs: these lie together, all of them inside the input.
    """
    name, types = output_types(site, "qir_conv_u8s8_T__mve")
    by_fours = _by_fours(site)
    rounding, kind = ("FIXED", "fixed") if is_fixed(site) else ("REAL", "real")
    way, bits = _way(site, each, depth, runs), _bits(site)
    in_place = way != _Way.TOGETHER
    taken, windows = ("UNSIGNED", "AS_THEY_ARE") if in_place else ("SIGNED", "ONE_BY_ONE")
    types = (*types, *summed(site), ("QIR_STORE4", f"qir_mve_store4_{kind if is_fixed(site) else site.output.short}"),
             ("QIR_ROUNDED", f"QIR_MVE_{rounding}"), ("QIR_CODED", f"qir_mve_{kind}"),
             ("QIR_SUM_OF", f"qir_mve_{kind}_sum"), ("QIR_RESULT", f"QIR_MVE_{rounding}_WORDS"),
             ("QIR_IN_PLACE", str(int(in_place))), ("QIR_TAKEN", f"QIR_MVE_{taken}"),
             ("QIR_KEPT", f"QIR_MVE_KEPT_{taken}"), ("QIR_WINDOWS", f"QIR_MVE_{windows}"),
             ("QIR_CODES", f"QIR_MVE{'_SHORT' * (way == _Way.SHORT)}_CODES"),
             ("QIR_WEIGHTS", f"QIR_MVE_WEIGHTS_{bits}"), ("QIR_FOUR", f"qir_mve_sums_{bits}"),
             ("QIR_BITS", str(bits)), ("QIR_BY_FOURS", str(int(by_fours))))  # fmt: skip
    ending = f"{way.value}{'_sum' * (site.added is not None)}__"
    name = name.replace("u8s8", "u8s8" if bits == 8 else f"u8few{bits}", 1).replace("__", ending)
    return Kernel("qir_conv_u8s8_T__mve", MVE_SOURCE, name, types)


def _accepts(site: Site) -> str | None:
    return accepts(site) or refuse_narrow(site) or mve_refuses(site, _rows(site))


def _rows(site: Site) -> np.ndarray:
    """Weights [channel, code]."""
    w = np.moveaxis(np.asarray(site.constant(1)), 1, -1)
    return w.reshape(len(w), -1)


def _bind(site: Site) -> Bound:
    groups, rows = int(site.node.attr("group", 1)), _rows(site)
    room = mve_room(site, rows.shape[1])
    args = (conv_shape(site), site.input(0).read, *mve_data(site, rows, groups), *added(site), room, site.output.write)
    return Bound(mve_kernel(site, len(rows) // groups, rows.shape[1], _in_runs(site)), args)


def _work_of(site: Site, each: int, depth: int, runs: int, *, in_place: bool) -> float:
    """Instructions, as counted for common layers.

    Args:
        each: channels of a group.
        depth: codes of a window.
        runs: of codes that lie together, in a window.
        in_place: as `runs` of mve_kernel.
    """
    outputs, by_fours, way = site.output.size, _by_fours(site), _way(site, each, depth, in_place)
    if way == _Way.SHORT:
        return outputs / 4 * 20 + each * 8
    direct = way == _Way.DIRECT
    bits = _bits(site)
    each_vector, vectors = {8: 10, 4: 12, 2: 13, 1: 14.5}[bits], -(-depth // 32) * 2 if bits == 1 else -(-depth // 16)
    by_rows, rest = 20 + runs * (8 + 4 * -(-depth // runs // 16)), each % 4
    window = 12 if direct else by_rows if by_fours and rest == 0 else 90 + by_rows
    alone = 60 + rest * (40 + 10 * vectors) if rest else 0
    return outputs / each * (each // 4 * (22 + each_vector * vectors) + alone + window) + 20 * outputs * (not by_fours)


def _work(site: Site) -> float:
    """Windows that reach beyond the input are put together by C."""
    w = site.input(1)
    each, depth = w.shape[0] // int(site.node.attr("group", 1)), prod(w.shape[1:])
    win = conv_window(site)
    inside = [sum(0 <= pixel * stride - begin <= room - (taps - 1) * dilation - 1 for pixel in range(size))
              for size, stride, begin, room, taps, dilation in zip(
                  win.output, win.strides, win.begin, win.input, win.kernel, win.dilations, strict=True)]  # fmt: skip
    edges = site.output.shape[0] * (prod(win.output) - prod(inside))
    work = _work_of(site, each, depth, window_runs(site)[0], in_place=_in_runs(site))
    return float(work + 200 * edges)


ON_MVE = Variant("mve", MVE_SOURCE, _accepts, _bind, work=_work, sums=True, fixed=True)


def mve_row_work(site: Site, columns: int, depth: int) -> float:
    """Of rows times a matrix."""
    return _work_of(site, columns, depth, 1, in_place=True)
