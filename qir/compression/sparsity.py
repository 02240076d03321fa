"""Which weights become zero, in patterns that kernels can skip, so that the layer's output stays.

With the second moments H of a layer's inputs, U^T U = H^-1 with U upper triangular, columns are gone through in order.
Of the weights still to come those go that cost least, w_j^2 / U_jj^2, as far as the pattern lets them, and the error of
each is spread over the columns behind it:

    W[:, j:] -= (w_j - q_j) / U_jj * U_j,j:

Then the weights that are left take the least squares on their columns: w = H_kk^-1 (H w0)_k for each row.

Source: SparseGPT, arXiv 2301.00774; OBC, arXiv 2208.11580.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

_MOST = 1e10
"""Multiplications that the least squares may take."""
_AT_ONCE = 64
"""Columns, about, whose error is spread over the rest at once."""


@dataclass(frozen=True)
class Pattern:
    """Where zeros may be: of every `columns` inputs side by side `kept` stay in each row, or blocks of `rows` outputs
    by `columns` inputs are zero as a whole, a share of all blocks.

    Attributes:
        rows, columns: of a block.
        kept: of the columns, in N:M patterns; 0 in blocks.
        share: of the blocks that become zero.
    """

    rows: int
    columns: int
    kept: int
    share: float

    @staticmethod
    def of(text: str, share: float) -> Pattern:
        """From `2:4` or `16x4`.

        Raises:
            ValueError: for other text.
        """
        found = re.fullmatch(r"(\d+)([:x])(\d+)", text)
        a, b = (int(found[1]), int(found[3])) if found else (0, 0)
        if found is None or not 0 < a or not 0 < b or (found[2] == ":" and a >= b):
            raise ValueError(f"'{text}' is no pattern")
        return Pattern(1, b, a, 1 - a / b) if found[2] == ":" else Pattern(a, b, 0, share)

    def keeps(self, costs: np.ndarray) -> np.ndarray:
        """Which weights stay.

        Args:
            costs: of making each zero, [M, n * columns].
        """
        if self.kept:
            groups = costs.reshape(len(costs), -1, self.columns)
            least = np.sort(groups, axis=2)[:, :, self.columns - self.kept, None]
            kept = groups >= least
            kept &= np.cumsum(kept, axis=2) <= self.kept  # of equals the first
            return kept.reshape(costs.shape)
        blocks = np.add.reduceat(costs, np.arange(0, len(costs), self.rows), axis=0)
        blocks = blocks.reshape(len(blocks), -1, self.columns).sum(axis=2)
        order = np.argsort(blocks, axis=None, kind="stable")
        kept = np.ones(blocks.size, bool)
        kept[order[: round(self.share * blocks.size)]] = False
        each = np.repeat(kept.reshape(blocks.shape), self.columns, axis=1)
        return np.repeat(each, self.rows, axis=0)[: len(costs)]


def sparsified(rows: np.ndarray, moments: np.ndarray, pattern: Pattern) -> np.ndarray:
    """Weights with zeros where a pattern wants them, float64 [M, K].

    Args:
        rows: [M, K], K a multiple of the pattern's columns.
        moments: of the inputs, positive definite, [K, K].
    """
    backward = np.linalg.cholesky(moments[::-1, ::-1])
    upper = np.linalg.inv(backward)[::-1, ::-1]  # of H = R R^T with R upper triangular, U = R^-1
    power = np.square(np.diag(upper))
    left, found = rows.astype(np.float64).copy(), np.zeros(rows.shape)
    window = pattern.columns if pattern.kept else rows.shape[1]
    step = window * max(1, _AT_ONCE // window)
    kept = np.zeros(rows.shape, bool)
    for start in range(0, rows.shape[1], step):
        stop = min(start + step, rows.shape[1])
        errors = np.zeros((len(rows), stop - start))
        for j in range(start, stop):
            if j % window == 0:
                ahead = slice(j, j + window)
                kept[:, ahead] = pattern.keeps(np.square(left[:, ahead]) / power[ahead])
            found[:, j] = np.where(kept[:, j], left[:, j], 0)
            errors[:, j - start] = (left[:, j] - found[:, j]) / upper[j, j]
            left[:, j + 1 : stop] -= errors[:, j - start, None] * upper[j, j + 1 : stop]
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    return _least_squares(rows, moments, kept, found)


def _least_squares(rows: np.ndarray, moments: np.ndarray, kept: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The best weights where they are kept; what was found where that would take too long."""
    masks, which = np.unique(kept, axis=0, return_inverse=True)
    if float((masks.sum(axis=1, dtype=np.float64) ** 3).sum()) / 3 > _MOST:
        return found
    aim, best = moments @ rows.T, np.zeros(found.shape)
    for number, mask in enumerate(masks):
        same = np.flatnonzero(which.reshape(-1) == number)
        best[np.ix_(same, mask)] = np.linalg.solve(moments[np.ix_(mask, mask)], aim[np.ix_(mask, same)]).T
    return best
