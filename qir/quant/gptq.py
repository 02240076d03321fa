"""Rounding weights so that a layer's output stays: the error of each column is spread over the columns still to come.

With the Gram matrix G of a layer's inputs, columns are rounded one at a time in order of falling diag(G), and

    W[:, k:] -= (w_j - q_j) / U_jj * U_j,k:,   U^T U = (G + damping)^-1,  U upper triangular

Source: GPTQ, arXiv 2210.17323; OBC, arXiv 2208.11580.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_LEAST_DAMPING = 1e-6
"""Keeps the matrix positive definite where inputs are always zero or always equal."""
_BLOCK = 64
"""Columns rounded before their error is spread over the rest at once."""

Choose = Callable[[int, np.ndarray], np.ndarray]
"""Rounds what is wanted of a column, given its number and [M] reals."""


@dataclass(frozen=True)
class Factor:
    """A Gram matrix, ready for rounding.

    Attributes:
        gram: [K, K], with unit diagonal if nothing was ever seen.
        order: columns in falling order of their power.
        upper: U of the matrix with rows and columns in that order, [K, K].
    """

    gram: np.ndarray
    order: np.ndarray
    upper: np.ndarray

    @staticmethod
    def of(gram: np.ndarray, damping: float) -> Factor:
        """The factor of a Gram matrix; an input that was always zero counts as uncorrelated.

        Args:
            damping: added to the diagonal, as a share of its mean.
        """
        size = len(gram)
        mean = float(np.trace(gram)) / size
        if mean <= 0:
            gram, mean = np.eye(size), 1.0
        order = np.argsort(-np.diag(gram), kind="stable")
        backward = gram[np.ix_(order, order)][::-1, ::-1]
        damping = max(damping, _LEAST_DAMPING)
        while True:
            try:
                # Of G = R R^T with R upper triangular, U = R^-1 has U^T U = G^-1.
                lower = np.linalg.cholesky(backward + np.eye(size) * (damping * mean))
                return Factor(gram, order, np.linalg.inv(lower)[::-1, ::-1])
            except np.linalg.LinAlgError:  # the sums' rounding has left it indefinite
                damping *= 10


def gptq(rows: np.ndarray, factor: Factor, choose: Choose) -> np.ndarray:
    """What `choose` makes of [M, K] weights, column by column: float64 [M, K]."""
    order, upper = factor.order, factor.upper
    left = np.ascontiguousarray(rows[:, order].astype(np.float64).T)
    chosen = np.zeros(left.shape)
    for start in range(0, len(left), _BLOCK):
        stop = min(start + _BLOCK, len(left))
        errors = np.zeros((stop - start, left.shape[1]))
        for j in range(start, stop):
            chosen[j] = choose(int(order[j]), left[j])
            errors[j - start] = (left[j] - chosen[j]) / upper[j, j]
            left[j + 1 : stop] -= upper[j, j + 1 : stop, None] * errors[j - start]
        left[stop:] -= upper[start:stop, stop:].T @ errors
    placed = np.empty_like(chosen)
    placed[order] = chosen
    return placed.T


def output_error(rows: np.ndarray, found: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Squared error of each output [M] when `found` stand for the weights, both [M, K]: `dw G dw^T`."""
    off = found - rows
    return np.asarray(((off @ gram) * off).sum(axis=1))
