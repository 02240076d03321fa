"""The channels of a value: their bounds, and elements side by side, which a histogram of all of them cannot tell.

Scaling channels by factors maps both, so a pass that does it knows the histogram of what it made without inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qir.errors import DataError
from qir.statistics.histogram import Histogram
from qir.statistics.rows import RowSample

_PLACES = 16
"""Most places sampled from a sample's value."""


@dataclass(frozen=True, eq=False)
class ChannelBounds:
    """What is known of the channels of one value.

    Attributes:
        low, high: float32 [C], smallest and largest elements.
        sample: all channels at a few places, rows [n, 1, C].
    """

    low: np.ndarray
    high: np.ndarray
    sample: RowSample
    kind: ClassVar[str] = "channels"

    @staticmethod
    def of(array: np.ndarray, axis: int, first: int = 0, seed: int = 0) -> ChannelBounds:
        """That of a value of some samples, `first` of them before; `seed` decides which places are kept.

        Args:
            array: float32, not empty, its first axis the samples'.
            axis: the channels'.
        """
        others = tuple(i for i in range(array.ndim) if i != axis)
        low, high = array.min(axis=others), array.max(axis=others)
        places = [range(array.shape[i]) for i in others]
        total = int(np.prod([len(one) for one in places]))
        count = min(total, max(array.shape[0], 1) * _PLACES)
        chosen = np.random.default_rng((seed, first)).choice(total, count, replace=False)
        at: list[Any] = list(np.unravel_index(chosen, [len(one) for one in places]))
        at.insert(axis, slice(None))
        rows = array[tuple(at)]
        rows = rows.T if axis == 0 else rows  # numpy puts the axis of chosen places first, unless nothing is before it
        return ChannelBounds(low, high, RowSample.of(rows[None], first, seed))

    def merge(self, other: ChannelBounds) -> ChannelBounds:
        """That of both data sets: exact, associative, commutative.

        Raises:
            DataError: if they are of different numbers of channels.
        """
        if self.low.shape != other.low.shape:
            raise DataError(f"values of {self.low.size} and {other.low.size} channels differ",
                            fix="Merge only what the same model gave")  # fmt: skip
        return ChannelBounds(
            np.minimum(self.low, other.low), np.maximum(self.high, other.high), self.sample.merge(other.sample)
        )

    def scaled(self, factor: float | np.ndarray) -> ChannelBounds:
        """That of the value times a factor, or one a channel [C]."""
        ends = [(bound * factor).astype(np.float32) for bound in (self.low, self.high)]
        return ChannelBounds(np.minimum(*ends), np.maximum(*ends), self.sample.scaled(factor))

    def moved(self, offset: np.ndarray) -> ChannelBounds:
        """That of the value less an offset a channel [C]."""
        low, high = ((bound - offset).astype(np.float32) for bound in (self.low, self.high))
        return ChannelBounds(low, high, self.sample.moved(offset))

    @property
    def histogram(self) -> Histogram:
        """That of the sampled elements and of the exact bounds."""
        bounds = np.array([self.low.min(), self.high.max()], np.float32)
        return Histogram.of(np.concatenate([self.sample.rows.reshape(-1), bounds]))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `from_state` needs."""
        return {}, {"low": self.low, "high": self.high, **self.sample.arrays()}

    @staticmethod
    def from_state(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ChannelBounds:
        """The inverse of `state`."""
        return ChannelBounds(arrays["low"], arrays["high"], RowSample(arrays["rows"], arrays["keys"]))
