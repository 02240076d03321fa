"""Weights of few values: ternary, binary, and sums of scaled binary planes, fitted to keep a layer's output.

A channel's weight is `w = sum_p a_p b_p` with its own scales a > 0 and planes b of signs: one plane of -1, +1 is
binary, one of -1, 0, +1 ternary. With the Gram matrix G of the layer's inputs its output error is

    (w - a B) G (w - a B)^T,   least for given planes where  (B G B^T) a = B G w^T

Planes for given scales come from rounding column by column to the nearest of the values that the scales make
(qir.quant.gptq); that and the best scales take turns. Coordinate descent ends it: each weight in turn takes the value
of least error while all others stay, `dE = G_jj d^2 + 2 d (G e)_j` for a change d and the error e so far.

Sources: TWN, arXiv 1605.04711; XNOR-Net, 1603.05279; LQ-Nets, 1807.10029 (alternating fit of planes); GPTQ, 2210.17323.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from qir.quant.gptq import Factor, gptq

TERNARY = np.array([[0.0], [1.0], [-1.0]])
"""Signs [values, planes] of a weight; of two values equally near the first counts."""
_STARTS = (1.0, 0.7, 1.4)
"""Multiples of the scales to begin with: the turns end in the next best fit, which need not be the best."""
_ROUNDS = 3
"""Turns of rounding and fitting; what they gain falls by half each time."""
_SWEEPS = 4
"""Of coordinate descent."""
_TINY = float(np.finfo(np.float32).tiny)


def signs(planes: int) -> np.ndarray:
    """All signs of some binary planes, [2^planes, planes], + first."""
    return np.array(list(product((1.0, -1.0), repeat=planes)))


@dataclass(frozen=True)
class Blocks:
    """Gram matrices of one group of channels; inputs of different blocks count as uncorrelated.

    Attributes:
        parts: columns and matrix of each block.
    """

    parts: Sequence[tuple[slice, Factor]]

    def times(self, rows: np.ndarray) -> np.ndarray:
        """`rows G`, [..., K]."""
        return np.concatenate([rows[..., columns] @ factor.gram for columns, factor in self.parts], axis=-1)

    def products(self, rows: np.ndarray, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`B G B^T` [M, P, P] and `B G w^T` [M, P] of planes [M, P, K] and weights [M, K]."""
        crossed = self.times(planes)
        return crossed @ planes.transpose(0, 2, 1), (crossed @ rows[:, :, None])[..., 0]

    @staticmethod
    def plain(size: int) -> Blocks:
        """Of uncorrelated inputs of equal power: the error is that of the weights themselves."""
        return Blocks([(slice(0, size), Factor(np.eye(size), np.arange(size), np.eye(size)))])


@dataclass(frozen=True)
class Fit:
    """Channels of few values.

    Attributes:
        planes: [M, P, K] of -1, 0, +1.
        scales: [M, P].
        error: of each output, [M].
    """

    planes: np.ndarray
    scales: np.ndarray
    error: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """What the planes add up to, [M, K]."""
        return _sum(self.planes, self.scales)

    def better(self, other: Fit) -> Fit:
        """Of each channel the one of less error; this where they are equal."""
        use = other.error < self.error
        planes = np.where(use[:, None, None], other.planes, self.planes)
        return Fit(planes, np.where(use[:, None], other.scales, self.scales), np.where(use, other.error, self.error))


def fitted(rows: np.ndarray, blocks: Blocks, planes: np.ndarray) -> Fit:
    """Given planes with their best scales.

    Args:
        rows: weights [M, K].
        planes: [M, P, K].
    """
    square, aim = blocks.products(rows, planes)
    ridge = 1e-9 * np.trace(square, axis1=1, axis2=2) + _TINY  # planes may be equal, or zero
    scales = np.linalg.solve(square + ridge[:, None, None] * np.eye(planes.shape[1]), aim[..., None])[..., 0]
    return _positive(rows, blocks, planes, scales)


def _positive(rows: np.ndarray, blocks: Blocks, planes: np.ndarray, scales: np.ndarray) -> Fit:
    """The same sums with positive scales, the largest first."""
    flipped = planes * np.where(scales < 0, -1.0, 1.0)[:, :, None]
    order = np.argsort(-np.abs(scales), axis=1, kind="stable")
    planes = np.take_along_axis(flipped, order[:, :, None], axis=1)
    return measured(rows, blocks, planes, np.take_along_axis(np.abs(scales), order, axis=1))


def measured(rows: np.ndarray, blocks: Blocks, planes: np.ndarray, scales: np.ndarray) -> Fit:
    """Planes and scales with the error that they leave."""
    off = _sum(planes, scales) - rows
    return Fit(planes, scales, (blocks.times(off) * off).sum(axis=1))


def _sum(planes: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return np.asarray((scales[:, None, :] @ planes)[:, 0])


def greedy(rows: np.ndarray, count: int) -> np.ndarray:
    """Planes, each the signs of what those before leave of the weights with a scale of their mean magnitude."""
    left, found = rows.astype(np.float64), []
    for _ in range(count):
        found.append(np.where(left >= 0, 1.0, -1.0))
        left = left - np.abs(left).mean(axis=1, keepdims=True) * found[-1]
    return np.stack(found, axis=1)


def improved(rows: np.ndarray, blocks: Blocks, signs: np.ndarray, start: Fit) -> Fit:
    """No channel with more error than at the start.

    Args:
        rows: weights [M, K].
        signs: of the values that a weight may have, [L, P].
        start: with planes of such signs.
    """
    best = start
    for factor in _STARTS:
        scales = factor * start.scales
        for _ in range(_ROUNDS):
            now = fitted(rows, blocks, _rounded(rows, blocks, signs, scales))
            best, scales = best.better(now), now.scales
    for _ in range(_SWEEPS):
        now = fitted(rows, blocks, _descended(rows, blocks, signs, best))
        if not (now.error < best.error * (1 - 1e-6)).any():
            break
        best = best.better(now)
    return best


def _rounded(rows: np.ndarray, blocks: Blocks, signs: np.ndarray, scales: np.ndarray) -> np.ndarray:
    levels, each = scales @ signs.T, np.arange(len(rows))
    index = np.zeros(rows.shape, np.intp)
    for columns, factor in blocks.parts:

        def choose(column: np.ndarray, wanted: np.ndarray, first: int = columns.start) -> np.ndarray:
            nearest = np.abs(wanted[:, None] - levels).argmin(axis=1)
            index[:, first + column] = nearest
            return np.asarray(levels[each, nearest])

        gptq(rows[:, columns], factor, choose)
    return _planes(signs, index)


def _descended(rows: np.ndarray, blocks: Blocks, signs: np.ndarray, fit: Fit) -> np.ndarray:
    """One sweep of coordinate descent."""
    levels, each = fit.scales @ signs.T, np.arange(len(rows))
    planes, values = fit.planes.copy(), fit.values
    for columns, factor in blocks.parts:
        gram = factor.gram
        slope = (values[:, columns] - rows[:, columns]) @ gram
        for j in range(len(gram)):
            column = columns.start + j
            move = levels - values[:, column, None]
            best = (gram[j, j] * move**2 + 2 * move * slope[:, j, None]).argmin(axis=1)
            step = move[each, best]
            changed = np.flatnonzero(step)
            if changed.size:
                planes[changed, :, column] = signs[best[changed]]
                values[changed, column] += step[changed]
                slope[changed] += step[changed, None] * gram[j]
    return planes


def _planes(signs: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(signs[index].transpose(0, 2, 1))
