"""Layers as products of two smaller ones, nearest in what they make of their inputs, not in their weights.

With second moments H = L L^T of a layer's inputs, the product A B of rank r with the least error
tr((W - A B) H (W - A B)^T) comes of the singular values of W L = P S Q^T: A = P_r S_r, B = Q_r^T L^-1. So the values
between have unit power each, which suits a common scale. Source: whitened SVD, as in DRONE (Chen et al., NeurIPS 2021)
and SVD-LLM (arXiv 2403.07378).

A convolution of height i and width j is likewise one of i x 1 and one of 1 x j. There the singular values are those of
the weights as [M j, C i] with the moments of columns of height i, and A is fitted to all of H afterwards.
Source: Jaderberg et al., arXiv 1405.3866.
"""

from __future__ import annotations

import numpy as np


def product(rows: np.ndarray, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A [M, R], B [R, K] for the first r of R ranks each, and the error of each rank 0..R, as a share of the power.

    Args:
        rows: W [M, K].
        moments: positive definite, [K, K].
    """
    lower = np.linalg.cholesky(moments)
    left, values, right = np.linalg.svd(rows @ lower, full_matrices=False)
    power = np.square(values)
    errors = np.append(np.cumsum(power[::-1])[::-1], 0.0) / max(float(power.sum()), 1e-300)
    return left * values, np.linalg.solve(lower.T, right.T).T, errors


def separated(weight: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """B [R, C, i] for the first r of R ranks each.

    Args:
        weight: [M, C, i, j].
        moments: positive definite, [C i j, C i j].
    """
    outputs, channels, high, wide = weight.shape
    rows = weight.transpose(0, 3, 1, 2).reshape(outputs * wide, channels * high)
    each = moments.reshape(channels * high, wide, channels * high, wide)
    return product(rows, np.einsum("ajbj->ab", each) / wide)[1].reshape(-1, channels, high)


def completed(rows: np.ndarray, moments: np.ndarray, first: np.ndarray, wide: int) -> tuple[np.ndarray, float]:
    """A [M, r, j] that goes best with B [r, C, i], and the error as a share of the power.

    Args:
        rows: W [M, C i j].
        moments: positive definite, [C i j, C i j].
        wide: j.
    """
    between = first.reshape(len(first), -1)  # what B makes of each of the j columns: [r j, C i j]
    spread = np.einsum("rk,jl->rjkl", between, np.eye(wide)).reshape(len(first) * wide, -1)
    across = spread @ moments
    found = np.linalg.solve(across @ spread.T, across @ rows.T).T
    off = rows - found @ spread
    power = float(((rows @ moments) * rows).sum())
    return found.reshape(len(rows), len(first), wide), float(((off @ moments) * off).sum()) / max(power, 1e-300)
