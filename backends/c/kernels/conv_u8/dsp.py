"""Convolutions by the DSP instructions of Cortex-M: what conv_u8__dsp.c wants."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import added, is_fixed, output_types, per_channel, summed
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import few_alone
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window, refuse_narrow
from qir.backends.c.program import Data, Kernel, Scratch

_DEEP = 64
"""Codes of a window from which on rounding takes so little of the time that one way of it does for all layers: each way
is code of its own."""
DSP_SOURCE = Path(__file__).parent / "conv_u8__dsp.c"


def filled(values: np.ndarray, *multiples: int) -> np.ndarray:
    """With zeros behind the last axes, up to a multiple each."""
    missing = [-size % multiple for size, multiple in zip(values.shape[-len(multiples) :], multiples, strict=True)]
    return np.pad(values, ((0, 0),) * (values.ndim - len(multiples)) + tuple((0, more) for more in missing))


def _ends(site: Site, codes: np.ndarray) -> np.ndarray:
    """The least and the largest sums with weights [..., code]: int64 [2, channels]."""
    w = codes.reshape(-1, codes.shape[-1]).astype(np.int64)
    ends: np.ndarray = 255 * np.stack([np.minimum(w, 0), np.maximum(w, 0)]).sum(axis=2)
    return ends + np.asarray(site.constant(2), np.int64)


def _joins(site: Site, codes: np.ndarray) -> bool:
    """Whether a word can hold c + 256 d of two channels.

    c + 256 d must fit 16 bits and sums with d 24 bits, and the multipliers of d must be normal numbers divided by 256.

    Args:
        codes: weights [group, channel, code].
    """
    groups, each, _ = codes.shape
    first, second = (filled(codes.astype(np.int64), 2, 1)[:, i::2] for i in (0, 1))
    ends = filled(_ends(site, codes).reshape(2, groups, each), 2)[..., 1::2]
    scale = per_channel(site.constant(3), groups * each)
    return bool(
        np.all(np.abs(256 * second + first) < 1 << 15)
        and np.all(np.abs(ends) < 1 << 23)
        and np.all((scale == 0) | (scale >= 256 * np.finfo(np.float32).tiny))
    )


def _in_pairs(codes: np.ndarray, joined: bool) -> Data:
    """Weights [group, channel, code] to words [group][four channels][four codes][even, odd][two channels], of bytes
    c d c d.

    Code 4 i + 2 h + p of channel 4 f + 2 j + d is byte 2 h + d of word [f][i][p][j]. Joined halves are c + 256 d: where
    c is negative, their upper byte is d - 1.
    """
    full = filled(codes.astype(np.int8), 4, 4)
    groups, channels, depth = full.shape
    if joined:
        full[:, 1::2] -= full[:, ::2] < 0
    apart = full.reshape(groups, channels // 4, 2, 2, depth // 4, 2, 2)
    words = apart.transpose(0, 1, 4, 6, 2, 5, 3).reshape(groups, channels // 4, depth // 4, 2, 2, 4)
    return Data(np.ascontiguousarray(words).view("<u4")[..., 0], "weights")


def dsp_scales(site: Site, scale: np.ndarray) -> np.ndarray:
    """Multipliers [..., channels] as words: as they are, or by integers alone pairs of g and r + 1 of qir_scaled."""
    bits = np.ascontiguousarray(scale).view(np.uint32)
    if not is_fixed(site):
        return bits
    shift = np.minimum(125 - (bits >> 23).astype(np.int64), 32).astype(np.uint32)
    pairs = np.stack([(bits << 7 | 1 << 30) & 0x7FFFFFFF, shift], axis=-1)
    return pairs.reshape(*bits.shape[:-1], -1)


def _results(site: Site, groups: int, joined: bool) -> Data:
    """[group][four channels]: [4] starts of sums, then dsp_scales of them; zeros beyond the last channel.

    Of the second of two channels that are joined, sums are 256 times as large, and start with the first one's besides.
    """
    bias = filled(np.asarray(site.constant(2)).astype(np.int64).reshape(groups, -1), 4).reshape(groups, -1, 4)
    scale = per_channel(site.constant(3), np.asarray(site.constant(2)).size)
    scale = filled(scale.reshape(groups, -1), 4).reshape(bias.shape)
    if joined:
        bias[..., 1::2] = 256 * bias[..., 1::2] + bias[..., ::2]
        scale = scale * np.array([1, 2**-8, 1, 2**-8], np.float32)
    starts = bias.astype(np.int32).view(np.uint32)
    return Data(np.concatenate([starts, dsp_scales(site, scale)], axis=2), "bias and multipliers")


def narrow(site: Site, codes: np.ndarray) -> bool:
    """Whether sums with weights [..., code] fit 16 bits once they are scaled."""
    scale = per_channel(site.constant(3), codes.size // codes.shape[-1]).astype(np.float64)
    return bool(np.all(np.abs(_ends(site, codes) * scale) < (1 << 15) - 1))


def refuse_dsp(site: Site) -> str | None:
    """What no kernel for DSP instructions takes."""
    if few_alone(site):
        return "its weights are packed"
    if is_fixed(site) and site.output.short != "u8":
        return "its result is real"
    large = is_fixed(site) and np.any(np.asarray(site.constant(3), np.float32) >= 0.25)
    return "its multipliers are large" if large else None


def dsp_kernel(site: Site, function: str, source: Path, codes: np.ndarray) -> Kernel:
    """A template `..._T__dsp` for a site's result and weights [group, channel, code]."""
    name, types = output_types(site, function)
    joined, deep = _joins(site, codes), codes.shape[2] >= _DEEP
    step = 16 if joined and -(-codes.shape[2] // 4) * 4 % 16 == 0 else 4
    by_fours = site.output.short == "u8" and site.added is None
    small = by_fours and not deep and narrow(site, codes)
    clamped = by_fours and (site.node.attr("qmin", 0), site.node.attr("qmax", 255)) != (0, 255)
    rounding, store = ("FIXED", "fixed") if is_fixed(site) else ("REAL", site.output.short)
    alone, rest = "gemm" in function, not by_fours or codes.shape[1] % 4 > 0
    kinds = (("_apart", not joined), ("_each", by_fours and not alone and not small),
             (f"_by{step}", not alone), ("_clamped", clamped and not alone),
             ("_rest", by_fours and rest and not alone), ("_sum", site.added is not None))  # fmt: skip
    name = name.replace("__", "".join(kind for kind, taken in kinds if taken) + "__")
    pairing = "JOINED" if joined else "APART"
    *sums, (summing, _) = summed(site)
    codes_of = "qir_fixed_sum_codes" if is_fixed(site) else "qir_dsp_sum_codes"
    return Kernel(function, source, name, (
        *types, *sums, (summing, codes_of), ("QIR_STORE4", f"qir_dsp_store4_{store}"),
        ("QIR_RESULT", f"QIR_DSP_{rounding}_WORDS"), ("QIR_PRODUCTS", f"QIR_DSP_{pairing}_{step}"),
        ("QIR_JOINED", f"QIR_DSP_{pairing}_SUMS"), ("QIR_BY_FOURS", str(int(by_fours))),
        ("QIR_SCALES", f"QIR_DSP_{rounding}_SCALES"), ("QIR_ROUNDED", f"QIR_DSP_{rounding}_EIGHT"),
        ("QIR_CODES", f"QIR_DSP_{'PAIRS' if small else 'EACH'}_EIGHT"),
        ("QIR_CLAMP", "QIR_DSP_CLAMP_TWO" if clamped else '""'), ("QIR_ONE", f"qir_dsp_one_{pairing.lower()}"),
        ("QIR_ARE_JOINED", str(int(joined))), ("QIR_REST", str(int(rest))), ("QIR_FEW", "0"),
    ))  # fmt: skip


def _groups(site: Site) -> int:
    return int(site.node.attr("group", 1))


def _accepts(site: Site) -> str | None:
    return refuse_dsp(site) or refuse_narrow(site) or accepts(site)


def window_runs(site: Site) -> tuple[int, int]:
    """Of a window: runs of codes that lie together, and codes of one."""
    taps, channels = site.input(1).shape[2:], site.input(1).shape[1]
    together = taps[-1] if _groups(site) == 1 and conv_window(site).dilations[-1] == 1 else 1
    return prod(taps) // together, together * channels


def window_codes(site: Site) -> np.ndarray:
    """Weights [group, channel, code]: runs of codes, and behind the last one what of each does not go by fours."""
    w, (runs, length) = np.moveaxis(np.asarray(site.constant(1)), 1, -1), window_runs(site)
    each = w.reshape(_groups(site), -1, runs, length)
    fours, rest = each[..., : length // 4 * 4], each[..., length // 4 * 4 :]
    return np.concatenate([part.reshape(*each.shape[:2], -1) for part in (fours, rest)], axis=2)


def dsp_data(site: Site, codes: np.ndarray) -> tuple[Data, ...]:
    """Weights [group, channel, code], and what makes results. Taps outside the input have the code of zero, so the bias
    keeps its zero-point term."""
    joined = _joins(site, codes)
    return _in_pairs(codes, joined), _results(site, codes.shape[0], joined)


def dsp_room(runs: int, length: int) -> Scratch:
    """For pairs of two windows, a run, and what of all runs does not go by fours, also of two windows.

    Args:
        runs: of codes that lie together, in a window.
        length: of one.
    """
    rest = runs * (length % 4)
    return Scratch(16 * -(-runs * length // 4) + (max(length, rest + 3) + rest + 3 if rest else 0))


def dsp_work(outputs: int, each: int, depth: int, runs: int, *, added: bool = False) -> float:
    """Instructions, as counted for common layers: of pixels and four channels, of windows, of sums.

    Args:
        each: channels of a group.
        depth: codes of a window.
        runs: of codes that lie together, in a window.
        added: other codes are.
    """
    fours, filled_depth = -(-each // 4), -(-depth // 4) * 4
    pixel = fours * (3.15 * filled_depth + 31) + 1.2 * filled_depth + 45 * runs + 60
    return outputs / each * pixel + 45 * outputs * added


def _bind(site: Site) -> Bound:
    codes = window_codes(site)
    args = (conv_shape(site), site.input(0).read, *dsp_data(site, codes), *added(site), dsp_room(*window_runs(site)),
            site.output.write)  # fmt: skip
    return Bound(dsp_kernel(site, "qir_conv_u8s8_T__dsp", DSP_SOURCE, codes), args)


def _work(site: Site) -> float:
    w = site.input(1)
    return dsp_work(site.output.size, w.shape[0] // _groups(site), prod(w.shape[1:]), window_runs(site)[0],
                    added=site.added is not None)  # fmt: skip


ON_DSP = (Variant("dsp", DSP_SOURCE, _accepts, _bind, work=_work, sums=True, fixed=True),)
