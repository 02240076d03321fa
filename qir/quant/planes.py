"""Sums of binary planes as int8 codes: `code = sum_p m_p b_p`, b in {-1, +1}, m positive integers, `w = code * scale`.

The scales of planes fitted to weights (qir.quant.levels) are reals a_p; in units of the one scale that an int8 weight
has they become multipliers m_p = rint(a_p / scale). So a layer of planes is an ordinary int8 layer, with one
accumulator, whose channels hold at most 2^P codes, and is stored in P bits a weight beside the codes of each channel.
"""

from __future__ import annotations

from functools import cache

import numpy as np

MOST = 4
"""Planes; more hold no less than 8-bit codes would."""
LARGEST = 127
"""The largest code."""
FITTED = (1, 1, 21, 21, 32)
"""The largest code that is fitted to weights, by planes: rounding multipliers to that adds less than 2 % to the error
of two and three planes, 7 % to that of four; and six products, or four, with codes of 8 bits fit the 16 bits in which
kernels add: 6 * 255 * 21 = 32130, 4 * 255 * 32 = 32640."""


def integer_scales(
    square: np.ndarray, aim: np.ndarray, scales: np.ndarray, largest: int, *, power_of_two: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and the scale that they share, near to given scales of planes.

    For every sum T of the multipliers up to `largest`, m_p = max(1, rint(a_p T / sum_q a_q)) with the scale
    s = m b / (m A m) that leaves the least error `s^2 m A m - 2 s m b` is tried; the best counts.

    Args:
        square: A = B G B^T of each channel's planes B, [M, P, P].
        aim: b = B G w^T, [M, P].
        scales: a > 0, [M, P].
        largest: what the multipliers may add up to.
        power_of_two: the scale is the power of two nearest to the best one.

    Returns:
        multipliers, int64 [M, P], and scale, float64 [M], positive.
    """
    tiny = float(np.finfo(np.float32).tiny)
    share = scales / np.maximum(scales.sum(axis=1, keepdims=True), tiny)
    best, factor, least = np.ones(scales.shape, np.int64), np.full(len(scales), tiny), np.full(len(scales), np.inf)
    for total in range(scales.shape[1], largest + 1) if scales.shape[1] > 1 else (1,):
        tried = np.maximum(np.rint(share * total), 1)
        power = np.einsum("mp,mpq,mq->m", tried, square, tried)
        reach = (tried * aim).sum(axis=1)
        step = np.where(power > 0, reach / np.maximum(power, tiny), tiny)
        if power_of_two:
            step = np.exp2(np.rint(np.log2(np.maximum(step, tiny))))
        error = step**2 * power - 2 * step * reach
        use = (tried.sum(axis=1) <= largest) & (step >= tiny) & (error < least)
        best[use], factor[use], least[use] = tried[use], step[use], error[use]
    return best, factor


def plane_codes(codes: np.ndarray, most: int = MOST) -> tuple[np.ndarray, np.ndarray] | None:
    """The fewest planes that codes are an exact sum of, or None where none are.

    Args:
        codes: integers [C, ...], one set of multipliers a channel.
        most: planes, at most 4.

    Returns:
        multipliers, int64 [planes, C], falling along the planes, and bits, bool [planes, C, ...], True for +:
        `codes = sum_p multipliers[p] * where(bits[p], 1, -1)`.
    """
    channels = codes.reshape(len(codes), -1).astype(np.int64)
    sets = [np.unique(np.abs(channel)) for channel in channels]
    if codes.size == 0 or max(int(one[-1]) for one in sets) > LARGEST:
        return None
    for planes in range(1, most + 1):
        if any(len(one) > 1 << (planes - 1) for one in sets):
            continue
        found = [_multipliers(tuple(one.tolist()), planes) for one in sets]
        multipliers = [one for one in found if one is not None]
        if len(multipliers) == len(found):
            return np.array(multipliers).T, _bits(channels, np.array(multipliers)).reshape(planes, *codes.shape)
    return None


@cache
def _multipliers(magnitudes: tuple[int, ...], planes: int) -> tuple[int, ...] | None:
    """The multipliers of least sum that make codes of all these magnitudes, largest first."""
    odd = {magnitude % 2 for magnitude in magnitudes}  # every sum of the same multipliers is as odd as any other
    if len(magnitudes) > 1 << (planes - 1) or len(odd) > 1:
        return None
    wanted = _as_set(np.array([magnitudes]))
    for total in range(max(magnitudes), LARGEST + 1, 2):
        parts, made = _sums(planes, total)
        fits = ((made & wanted) == wanted).all(axis=1)
        if fits.any():
            return tuple(parts[fits.argmax()].tolist())
    return None


@cache
def _sums(planes: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """All multipliers that add up to a total, [n, planes] falling, and the magnitudes of their sums as sets."""
    parts = _partitions(planes, total, total)
    found = np.array(parts, np.int64).reshape(-1, planes)
    return found, _as_set(np.abs(found @ _all_signs(planes).T))


def _partitions(count: int, total: int, largest: int) -> list[tuple[int, ...]]:
    """Falling positive integers up to `largest` that add up to a total."""
    if count == 1:
        return [(total,)] if 0 < total <= largest else []
    return [(first, *rest) for first in range(min(largest, total - count + 1), 0, -1)
            for rest in _partitions(count - 1, total - first, first)]  # fmt: skip


def _as_set(magnitudes: np.ndarray) -> np.ndarray:
    """Rows of numbers in [0, 128) as 128 bits each, [n, 2] uint64."""
    bits = np.uint64(1) << (magnitudes % 64).astype(np.uint64)
    halves = [np.where(magnitudes // 64 == half, bits, np.uint64(0)) for half in (0, 1)]
    return np.stack([np.bitwise_or.reduce(half, axis=1) for half in halves], axis=1)


def _all_signs(planes: int) -> np.ndarray:
    return np.array(np.meshgrid(*[(1, -1)] * planes, indexing="ij")).reshape(planes, -1).T


def _bits(channels: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """Signs of each code's planes, [planes, C, K]."""
    signs = _all_signs(multipliers.shape[1])
    sums = multipliers @ signs.T
    index = (channels[:, :, None] == sums[:, None, :]).argmax(axis=2)
    return np.asarray(signs[index].transpose(2, 0, 1) > 0)
