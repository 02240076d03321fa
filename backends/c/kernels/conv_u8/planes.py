"""Sums of planes in panels, as kernels on vectors look them up (runtime/qir_few_avx2.h)."""

from __future__ import annotations

import numpy as np

from qir.backends.c.program import Data
from qir.quant.bitpack import pack_fields
from qir.quant.planes import FITTED

_CHANNELS = 16
"""Of a panel."""


def planes_data(chosen: np.ndarray, numbers: np.ndarray, planes: int) -> Data:
    """Panels that begin with their tables.

    Args:
        chosen: which number each weight is, int8 [panels, n], in steps of four codes of each channel.
        numbers: of each channel, int8 [channels, 2^planes].
    """
    fields = pack_fields(chosen - (1 << (planes - 1)), planes)
    return Data(np.concatenate([_tables(numbers, planes), fields], axis=1), "weights")


def _tables(numbers: np.ndarray, planes: int) -> np.ndarray:
    """What the first two planes of each channel, and the others, come to: uint8 [panels, 64 or 128].

    One look-up serves 16 bytes, so four numbers of four channels: [panel][first two, others][channel][four]. Bit p of a
    number's place is set where plane p is +, and the numbers of the two tables add up to those of all planes, modulo
    256 as the vectors do.
    """
    filled = np.zeros((-(-len(numbers) // _CHANNELS) * _CHANNELS, 16), np.int64)
    filled[: len(numbers)] = np.tile(numbers, 16 >> planes)
    parts = [filled[:, :4] - filled[:, :1], filled[:, ::4]] if planes > 2 else [filled[:, :4]]
    laid = np.stack(parts).reshape(len(parts), -1, _CHANNELS, 4).swapaxes(0, 1)
    return np.ascontiguousarray(laid.reshape(laid.shape[0], -1).astype(np.uint8))


def refuse_planes(w: np.ndarray, planes: int) -> str | None:
    """The reason why products cannot be added in 16 bits."""
    larger = planes and np.abs(w).max(initial=0) > FITTED[planes]
    return "sums of its planes are too large for products to be added in 16 bits" if larger else None
