"""What is known of a value's channels without data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean, standard deviation and likely bounds of a value's channels (its axis 1).

    Attributes:
        mean, std: float64 [C].
        low, high: float64 [C], where hardly any element lies outside.
    """

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @staticmethod
    def normal(mean: np.ndarray, std: np.ndarray, deviations: float) -> Moments:
        """Those of a normal variable, bounded at a number of deviations from its mean."""
        return Moments(mean, std, mean - deviations * std, mean + deviations * std)

    def __getitem__(self, index: np.ndarray) -> Moments:
        """The channels of an index."""
        return Moments(self.mean[index], self.std[index], self.low[index], self.high[index])

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest bound of all channels."""
        return float(self.low.min()), float(self.high.max())
