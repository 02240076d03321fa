"""Rounding weights so that a layer's output stays: the error of each column is spread over the columns still to come.

With the Gram matrix G of a layer's inputs, columns are rounded one at a time in order of falling diag(G), and

    W[:, k:] -= (w_j - q_j) / U_jj * U_j,k:,   U^T U = (G + damping)^-1,  U upper triangular

Source: GPTQ, arXiv 2210.17323; OBC, arXiv 2208.11580.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_LEAST_DAMPING = 1e-6
"""Keeps the matrix positive definite where inputs are always zero or always equal."""
_BLOCK = 64
"""Columns rounded before their error is spread over the rest at once."""

Choose = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Rounds what is wanted of a column: its number [...], and [..., M] reals."""


@dataclass(frozen=True)
class Factor:
    """A Gram matrix, or a stack of them, ready for rounding.

    Attributes:
        gram: [..., K, K], with unit diagonal if nothing was ever seen.
        order: columns in falling order of their power, [..., K].
        upper: U of the matrix with rows and columns in that order, [..., K, K].
    """

    gram: np.ndarray
    order: np.ndarray
    upper: np.ndarray

    @staticmethod
    def of(gram: np.ndarray, damping: float) -> Factor:
        """The factor of Gram matrices [..., K, K]; an input that was always zero counts as uncorrelated.

        Args:
            damping: added to the diagonal, as a share of its mean.
        """
        size = gram.shape[-1]
        mean = np.trace(gram, axis1=-2, axis2=-1)[..., None, None] / size
        if (mean <= 0).any():
            gram, mean = np.where(mean <= 0, np.eye(size), gram), np.where(mean <= 0, 1.0, mean)
        order = np.argsort(-np.diagonal(gram, axis1=-2, axis2=-1), axis=-1, kind="stable")
        ordered = np.take_along_axis(np.take_along_axis(gram, order[..., None], -2), order[..., None, :], -1)
        damping = max(damping, _LEAST_DAMPING)
        while True:
            try:
                # Of G = R R^T with R upper triangular, U = R^-1 has U^T U = G^-1.
                lower = np.linalg.cholesky(ordered[..., ::-1, ::-1] + np.eye(size) * (damping * mean))
                return Factor(gram, order, np.ascontiguousarray(np.linalg.inv(lower)[..., ::-1, ::-1]))
            except np.linalg.LinAlgError:  # the sums' rounding has left it indefinite
                if gram.ndim > 2:  # others need not suffer for it
                    return _stacked([Factor.of(one, damping) for one in gram])
                damping *= 10


def _stacked(factors: Sequence[Factor]) -> Factor:
    return Factor(*(np.stack([getattr(one, name) for one in factors]) for name in ("gram", "order", "upper")))


def gptq(rows: np.ndarray, factor: Factor, choose: Choose) -> np.ndarray:
    """What `choose` makes of weights, column by column, of all matrices of a stack at once.

    Args:
        rows: weights [..., M, K].

    Returns:
        float64 [..., M, K].
    """
    order, upper = factor.order, factor.upper
    left = np.take_along_axis(rows.astype(np.float64), order[..., None, :], -1)
    left = np.ascontiguousarray(left.swapaxes(-1, -2))
    chosen = np.zeros(left.shape)
    size = left.shape[-2]
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        errors = np.zeros((*left.shape[:-2], stop - start, left.shape[-1]))
        for j in range(start, stop):
            chosen[..., j, :] = choose(order[..., j], left[..., j, :])
            error = (left[..., j, :] - chosen[..., j, :]) / upper[..., j, j, None]
            left[..., j + 1 : stop, :] -= upper[..., j, j + 1 : stop, None] * error[..., None, :]
            errors[..., j - start, :] = error
        left[..., stop:, :] -= upper[..., start:stop, stop:].swapaxes(-1, -2) @ errors
    placed = np.empty_like(chosen)
    np.put_along_axis(placed, order[..., None], chosen, -2)
    return placed.swapaxes(-1, -2)


def output_error(rows: np.ndarray, found: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Squared error of each output [..., M] when `found` stand for the weights, both [..., M, K]: `dw G dw^T`."""
    off = found - rows
    return np.asarray(((off @ gram) * off).sum(axis=-1))
