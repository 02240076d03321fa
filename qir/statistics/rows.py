"""A few of the rows of a layer's im2col matrix: what a sum over all of them, such as the Gram matrix, cannot tell.

Every row gets a number that depends on the seed and on where it comes from alone; the rows with the smallest numbers
are kept. So samples of parts of the data merge to that of all of it, in any order.

Source: bottom-k sampling, Cohen & Kaplan 2007; the numbers are those of SplitMix64, Steele et al. 2014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_ELEMENTS, _LEAST, _MOST = 1 << 16, 32, 1024
"""Elements that a sample has about, and rows at least and at most."""


@dataclass(frozen=True, eq=False)
class RowSample:
    """Rows of one layer.

    Attributes:
        rows: float32 [n, groups, K].
        keys: uint64 [n], rising.
    """

    rows: np.ndarray
    keys: np.ndarray

    @staticmethod
    def none(groups: int, size: int) -> RowSample:
        """That of no data."""
        return RowSample(np.zeros((0, groups, size), np.float32), np.zeros(0, np.uint64))

    @staticmethod
    def of(rows: np.ndarray, first: int, seed: int) -> RowSample:
        """That of rows [groups, n, K], which are those of the samples from number `first` on."""
        keys = _numbers(np.uint64(first << 32) + np.arange(rows.shape[1], dtype=np.uint64), seed)
        return _smallest(rows.transpose(1, 0, 2), keys)

    def merge(self, other: RowSample) -> RowSample:
        """That of both data sets."""
        return _smallest(np.concatenate([self.rows, other.rows]), np.concatenate([self.keys, other.keys]))

    def scaled(self, factor: float | np.ndarray) -> RowSample:
        """That of the inputs times a factor, or times factors [groups, K]."""
        return RowSample((self.rows * factor).astype(np.float32), self.keys)

    def moved(self, offset: np.ndarray) -> RowSample:
        """That of the inputs less offsets [groups, K]."""
        return RowSample((self.rows - offset).astype(np.float32), self.keys)

    def arrays(self) -> dict[str, np.ndarray]:
        """Both arrays by name, which the constructor takes."""
        return {"rows": self.rows, "keys": self.keys}


def _smallest(rows: np.ndarray, keys: np.ndarray) -> RowSample:
    limit = min(max(_ELEMENTS // max(int(np.prod(rows.shape[1:])), 1), _LEAST), _MOST)
    order = np.argsort(keys, kind="stable")[:limit]
    return RowSample(np.ascontiguousarray(rows[order], np.float32), keys[order])


def _numbers(places: np.ndarray, seed: int) -> np.ndarray:
    """SplitMix64's numbers: different places have different ones."""
    constants: Any = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
    step, first, second = (np.uint64(constant) for constant in constants)
    with np.errstate(over="ignore"):
        z = (places + np.uint64(seed % (1 << 64)) + np.uint64(1)) * step
        z = (z ^ (z >> np.uint64(30))) * first
        z = (z ^ (z >> np.uint64(27))) * second
    return np.asarray(z ^ (z >> np.uint64(31)))
