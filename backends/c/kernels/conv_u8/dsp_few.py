"""Weights of 1 to 4 bits by the DSP instructions of Cortex-M, as runtime/qir_few_dsp.h reads them; 3 bits lie in 4."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding import RUNTIME
from qir.backends.c.binding.requant import added, per_channel
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import few_alone, in_bytes, weight_bits
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, refuse_narrow
from qir.backends.c.kernels.conv_u8.dsp import (
    DSP_SOURCE,
    dsp_kernel,
    dsp_room,
    dsp_scales,
    filled,
    refuse_dsp,
    window_codes,
    window_runs,
)
from qir.backends.c.program import Data, Kernel, Scratch

_HEADER = RUNTIME / "qir_few_dsp.h"


@dataclass(frozen=True)
class Packing:
    """One row of the table in qir_few_dsp.h.

    Attributes:
        bits: of a field.
        pairs: of codes in a word.
        step: from the fields of one pair to those of the next, in bits.
        places: of the fields of four channels, in a half.
        shifts: powers of two by which their sums are larger.
        offset: of a field.
    """

    bits: int
    pairs: int
    step: int
    places: tuple[int, ...]
    shifts: tuple[int, ...]
    offset: int

    @property
    def depth(self) -> int:
        """Codes of a window are filled up to a multiple of it: whole words, and pairs of four codes."""
        return max(4, 2 * self.pairs)

    def words(self, codes: np.ndarray) -> Data:
        """Weights [group, channel, code] to words [group][four channels][codes of a word].

        Code 4 i + 2 h + p is of half h, and of pair 2 i + p.
        """
        full = filled(codes.astype(np.int64), 4, self.depth)
        groups, channels, depth = full.shape
        fields = (full > 0).astype(np.uint64) if self.bits == 1 else (full + self.offset).astype(np.uint64)
        split = fields.reshape(groups, channels // 4, 4, depth // 4, 2, 2).swapaxes(4, 5)
        split = split.reshape(groups, channels // 4, 4, -1, self.pairs, 2)
        channel, pair, half = np.ogrid[:4, : self.pairs, :2]
        places = (16 * half + self.step * pair + np.array(self.places)[channel]) % 32
        words = (split << places[:, None].astype(np.uint64)).sum(axis=(2, 4, 5), dtype=np.uint64)
        return Data(np.ascontiguousarray(words.astype(np.uint32)), "weights")


_PACKINGS = {
    1: Packing(1, 4, 4, (1, 2, 3, 4), (0, 1, 2, 3), 1),
    2: Packing(2, 2, 8, (0, 2, 4, 6), (0, 2, 4, 6), 2),
    4: Packing(4, 1, 0, (0, 4, 8, 12), (0, 4, 0, 4), 8),
}


def packing(site: Site) -> Packing:
    """How weights of a site that `refuse_few` lets pass are packed."""
    bits = weight_bits(site)
    return _PACKINGS[4 if bits == 3 else bits]


def refuse_few(site: Site, codes: np.ndarray) -> str | None:
    """What no kernel for packed weights takes, besides what none for DSP instructions does.

    Args:
        codes: weights [group, channel, code].
    """
    if not few_alone(site) or weight_bits(site) > 4:
        return "its weights do not have 1 to 4 bits"
    if (reason := refuse_dsp(in_bytes(site))) is not None:
        return reason
    shifts = packing(site).shifts
    most = 255 * np.abs(codes.astype(np.int64)).sum(axis=2).reshape(-1) + np.abs(np.asarray(site.constant(2), np.int64))
    scale = per_channel(site.constant(3), most.size)
    if np.any(most >= 1 << (31 - max(shifts))):
        return "its sums are too large beside others in a word"
    tiny = np.any((scale != 0) & (scale < 2.0 ** max(shifts) * np.finfo(np.float32).tiny))
    return "its multipliers are too small" if tiny else None


def few_data(site: Site, codes: np.ndarray) -> tuple[Data, ...]:
    """Weights [group, channel, code] as words; [group][four channels]: starts of sums, then dsp_scales of them."""
    groups, shifts = codes.shape[0], np.array(packing(site).shifts)
    bias = filled(np.asarray(site.constant(2)).astype(np.int64).reshape(groups, -1), 4).reshape(groups, -1, 4)
    scale = filled(per_channel(site.constant(3), codes.shape[0] * codes.shape[1]).reshape(groups, -1), 4)
    starts = (bias << shifts).astype(np.int32).view(np.uint32)
    scales = dsp_scales(site, scale.reshape(bias.shape) * (2.0**-shifts).astype(np.float32))
    return packing(site).words(codes), Data(np.concatenate([starts, scales], axis=2), "bias and multipliers")


def few_kernel(site: Site, function: str, source: Path, codes: np.ndarray) -> Kernel:
    """The template that dsp_kernel gives for int8 weights [group, channel, code], with sums of fields."""
    of, found = packing(site), dsp_kernel(site, function, source, codes)
    depth = -(-codes.shape[2] // of.depth) * of.depth
    row, step = "row" in function, 16 if depth % 16 == 0 else of.depth
    name = re.sub("_joined|_apart|_by[0-9]+", "", found.emitted).replace("u8s8", f"u8few{of.bits}", 1)
    name = name if row else name.replace("__", f"_by{step}__")
    shifts = sum(shift << 4 * channel for channel, shift in enumerate(of.shifts))
    words = {
        **dict(found.substitutions), "QIR_PRODUCTS": f"QIR_FEW_DSP_{of.bits}_{'ROW' if row else step}",
        "QIR_JOINED": f"QIR_FEW_DSP_{of.bits}_LESS", "QIR_FEW": "1", "QIR_BITS": str(of.bits),
        "QIR_STEP": str(of.depth), "QIR_OFFSET": str(of.offset), "QIR_SHIFTS": f"{shifts:#x}u",
    }  # fmt: skip
    return replace(found, name=name, substitutions=tuple(words.items()), headers=(_HEADER,))


def few_room(site: Site, runs: int, length: int) -> Scratch:
    """As dsp_room, with pairs filled up, and room for what is taken off sums."""
    depth, usual = runs * length, dsp_room(runs, length).nbytes
    made, whole = (-(-depth // size) * size for size in (4, packing(site).depth))
    return Scratch(4 * whole + max(8, usual - 4 * made))


def few_work(outputs: int, each: int, depth: int, runs: int, *, added: bool = False) -> float:
    """Instructions, as counted for common layers; arguments as dsp_work."""
    fours, filled_depth = -(-each // 4), -(-depth // 4) * 4
    pixel = fours * (3.65 * filled_depth + 36) + 1.7 * filled_depth + 45 * runs + 66
    return outputs / each * pixel + 45 * outputs * added


def _accepts(site: Site) -> str | None:
    return refuse_narrow(site) or accepts(site) or refuse_few(site, window_codes(site))


def _bind(site: Site) -> Bound:
    codes = window_codes(site)
    args = (conv_shape(site), site.input(0).read, *few_data(site, codes), *added(site),
            few_room(site, *window_runs(site)), site.output.write)  # fmt: skip
    return Bound(few_kernel(site, "qir_conv_u8s8_T__dsp", DSP_SOURCE, codes), args)


def _work(site: Site) -> float:
    w, groups = site.input(1), int(site.node.attr("group", 1))
    return few_work(site.output.size, w.shape[0] // groups, prod(w.shape[1:]), window_runs(site)[0],
                    added=site.added is not None)  # fmt: skip


ON_DSP_FEW = Variant("dsp", DSP_SOURCE, _accepts, _bind, "conv_u8_few__dsp", _work, sums=True, fixed=True)
