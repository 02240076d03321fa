"""Convolutions by the DSP instructions of Cortex-M: what conv_u8__dsp.c wants."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window, refuse_narrow
from qir.backends.c.program import Data, Kernel, Scratch
from qir.backends.c.requant import added, output_types, per_channel, summed
from qir.backends.c.site import Site
from qir.backends.c.weights import few_alone

DSP_SOURCE = Path(__file__).parent / "conv_u8__dsp.c"


def _filled(values: np.ndarray, *multiples: int) -> np.ndarray:
    """With zeros behind the last axes, up to a multiple each."""
    missing = [-size % multiple for size, multiple in zip(values.shape[-len(multiples) :], multiples, strict=True)]
    return np.pad(values, ((0, 0),) * (values.ndim - len(multiples)) + tuple((0, more) for more in missing))


def _in_pairs(codes: np.ndarray) -> Data:
    """Weights [group, channel, code] to words [group][four channels][four codes][even, odd][two channels], of bytes
    c d c d.

    Code 4 i + 2 h + p of channel 4 f + 2 j + d is byte 2 h + d of word [f][i][p][j].
    """
    full = _filled(codes.astype(np.int8), 4, 4)
    groups, channels, depth = full.shape
    apart = full.reshape(groups, channels // 4, 2, 2, depth // 4, 2, 2)
    words = apart.transpose(0, 1, 4, 6, 2, 5, 3).reshape(groups, channels // 4, depth // 4, 2, 2, 4)
    return Data(np.ascontiguousarray(words).view("<u4")[..., 0], "weights")


def _in_fours(values: np.ndarray, groups: int, role: str) -> Data:
    """[M] to [group][four channels][4], zeros beyond the last channel."""
    return Data(np.ascontiguousarray(_filled(values.reshape(groups, -1), 4)), role)


def dsp_kernel(site: Site, function: str, source: Path) -> Kernel:
    """A template `..._T__dsp` for a site's result."""
    name, types = output_types(site, function)
    bounds = (site.node.attr("qmin", 0), site.node.attr("qmax", 255))
    kind = "f32" if site.output.short == "f32" else "bytes" if bounds == (0, 255) else "clamped"
    by_fours = kind != "f32" and site.added is None
    name = name.replace("__", f"{'_clamped' * (kind == 'clamped')}{'_sum' * (site.added is not None)}__")
    return Kernel(function, source, name, (
        *types, *summed(site), ("QIR_STORE4", f"qir_dsp_store4_{kind}"), ("QIR_BY_FOURS", str(int(by_fours))),
        ("QIR_FOURS", f"qir_dsp_fours_{kind}"),
    ))  # fmt: skip


def _groups(site: Site) -> int:
    return int(site.node.attr("group", 1))


def _accepts(site: Site) -> str | None:
    return "its weights are packed" if few_alone(site) else refuse_narrow(site) or accepts(site)


def _runs(site: Site) -> tuple[int, int]:
    """Of a window: runs of codes that lie together, and codes of one."""
    taps, channels = site.input(1).shape[2:], site.input(1).shape[1]
    together = taps[-1] if _groups(site) == 1 and conv_window(site).dilations[-1] == 1 else 1
    return prod(taps) // together, together * channels


def _codes(site: Site) -> np.ndarray:
    """Weights [group, channel, code]: runs of codes, and behind the last one what of each does not go by fours."""
    w, (runs, length) = np.moveaxis(np.asarray(site.constant(1)), 1, -1), _runs(site)
    each = w.reshape(_groups(site), -1, runs, length)
    fours, rest = each[..., : length // 4 * 4], each[..., length // 4 * 4 :]
    return np.concatenate([part.reshape(*each.shape[:2], -1) for part in (fours, rest)], axis=2)


def dsp_data(site: Site, codes: np.ndarray) -> tuple[Data, ...]:
    """Weights [group, channel, code], bias and multipliers. Taps outside the input have the code of zero, so the bias
    keeps its zero-point term."""
    groups, each, _ = codes.shape
    bias, scale = np.asarray(site.constant(2)).astype(np.int32), per_channel(site.constant(3), groups * each)
    return _in_pairs(codes), _in_fours(bias, groups, "bias"), _in_fours(scale, groups, "multipliers")


def dsp_room(runs: int, length: int) -> Scratch:
    """For pairs of two windows, a run, and what of all runs does not go by fours.

    Args:
        runs: of codes that lie together, in a window.
        length: of one.
    """
    rest = runs * (length % 4)
    return Scratch(16 * -(-runs * length // 4) + (length + rest + 3 if rest else 0))


def dsp_work(outputs: int, each: int, depth: int) -> float:
    """Multiply-accumulates, those of channels that are none included; taking a code apart counts as two of them, a
    result as twelve.

    Args:
        each: channels of a group.
        depth: codes of a window.
    """
    return outputs / each * depth * (-(-each // 4) * 4 + 2) + 12 * outputs


def _bind(site: Site) -> Bound:
    data, room = dsp_data(site, _codes(site)), dsp_room(*_runs(site))
    args = (conv_shape(site), site.input(0).read, *data, *added(site), room, site.output.write)
    return Bound(dsp_kernel(site, "qir_conv_u8s8_T__dsp", DSP_SOURCE), args)


def _work(site: Site) -> float:
    w = site.input(1)
    return dsp_work(site.output.size, w.shape[0] // _groups(site), prod(w.shape[1:]))


ON_DSP = (Variant("dsp", DSP_SOURCE, _accepts, _bind, work=_work, sums=True),)
