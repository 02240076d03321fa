"""Factors of channels under which rounding costs least.

A value whose channel c is stored times s_c, its readers dividing by s_c, is the same value; its codes and those of the
weights are not. With a range R over all channels, and the columns of a layer's weight divided by s,

    J(s) = sum over values  R(s)^2 / (12 levels^2) * sum_c g_c / s_c^2
         + sum over layers  sum_o (max_c |W_oc| / s_c)^2 / (12 levels^2) * sum_c p_c s_c^2

is the noise that rounding brings to the layers' results: g_c says what a unit of noise on channel c costs there, p_c is
the power of channel c. Classical choices are the square root of ranges by columns (Nagel et al., arXiv 1906.04721, eq.
11) and its generalisation with an exponent alpha (Xiao et al., arXiv 2211.10438); they are where the descent starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
_STEPS = 200
_RATE, _DECAY = 0.1, 0.02
"""Step of Adam on log s at the start, and at the end as a share of it."""
_POWER = 64
"""The largest channel, made smooth: a norm of this order."""
_LEAST_GAIN = 0.9
"""A group of channels is scaled only where J falls at least to this."""
_WIDEST = 2.0**8
"""No factor leaves [1/256, 256]."""


@dataclass(frozen=True, eq=False)
class RangeTerm:
    """Noise of one value's codes.

    Attributes:
        ids: int [C], the number of each channel's factor.
        low, high: [C], bounds of the channels; low <= 0 <= high.
        cost: [C], what a unit of noise costs, over 12 levels^2.
    """

    ids: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cost: np.ndarray

    def noise(self, s: np.ndarray) -> float:
        """The value's part of J; s holds all factors."""
        mine = s[self.ids]
        width = float((mine * self.high).max() - (mine * self.low).min())
        return width**2 * float((self.cost / mine**2).sum())

    def slope(self, s: np.ndarray) -> np.ndarray:
        """Its derivative by the logarithms of this value's factors, [C]."""
        mine = s[self.ids]
        high, of_high = _smooth_max(mine * self.high)
        low, of_low = _smooth_max(-mine * self.low)
        parts = self.cost / mine**2
        width = high + low
        return np.asarray(2 * width * ((of_high + of_low) * parts.sum() - width * parts))


@dataclass(frozen=True, eq=False)
class WeightTerm:
    """Noise of one layer's weight.

    Attributes:
        ids: int [G, C], the number of each input channel's factor, group by group.
        peak: [G, O, C], largest magnitude in each cell of the weight.
        power: [G, C], that of the inputs, over 12 levels^2 and the power of the results.
        per_channel: whether every output channel has a scale of its own.
    """

    ids: np.ndarray
    peak: np.ndarray
    power: np.ndarray
    per_channel: bool = True

    def noise(self, s: np.ndarray) -> float:
        """The layer's part of J; s holds all factors."""
        mine = s[self.ids]
        steps = (self.peak / mine[:, None, :]).max(axis=2)
        return float((self._squares(steps) * (self.power * mine**2).sum(axis=1)).sum())

    def slope(self, s: np.ndarray) -> np.ndarray:
        """Its derivative by the logarithms of the inputs' factors, [G, C]."""
        mine = s[self.ids]
        scaled = self.peak / mine[:, None, :]
        where = scaled.argmax(axis=2)
        steps = np.take_along_axis(scaled, where[:, :, None], axis=2)[:, :, 0]
        parts = self.power * mine**2
        found = 2 * self._squares(steps)[:, None] * parts
        if not self.per_channel:
            group, row = np.unravel_index(int(steps.argmax()), steps.shape)
            found[group, where[group, row]] -= 2 * float((self._squares(steps) * parts.sum(axis=1)).sum())
            return np.asarray(found)
        groups = np.broadcast_to(np.arange(len(where))[:, None], where.shape)
        np.subtract.at(found, (groups, where), 2 * steps**2 * parts.sum(axis=1)[:, None])
        return np.asarray(found)

    def _squares(self, steps: np.ndarray) -> np.ndarray:
        """Sum of the squared steps of each group's rows."""
        if self.per_channel:
            return np.asarray((steps**2).sum(axis=1))
        return np.full(len(steps), steps.max() ** 2 * steps.shape[1])


def _smooth_max(values: np.ndarray) -> tuple[float, np.ndarray]:
    """A norm of values >= 0 that is close to the largest, and its derivatives by their logarithms."""
    top = float(values.max())
    if top <= 0:
        return 0.0, np.zeros_like(values)
    powers = (values / top) ** _POWER
    total = float(powers.sum())
    norm = float(top * total ** (1 / _POWER))
    return norm, norm * powers / total


Term: TypeAlias = RangeTerm | WeightTerm


def equalized(
    terms: Sequence[Term], groups: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Factors with a small J, from the best alpha down the slope.

    Args:
        terms: of J. All ids in a term that are not 0 belong to one group.
        groups: int [n], the group of each factor; groups are judged, and left alone, one by one. Factor 0 is always 1.
        lower, upper: [n], bounds on the factors, with 1 between them.

    Returns:
        The factors, float64 [n], and J of each group relative to that of factors of 1.
    """
    lower, upper = np.maximum(lower, 1 / _WIDEST), np.minimum(upper, _WIDEST)
    lower[0] = upper[0] = 1.0
    home = [int(groups[term.ids.max()]) for term in terms]
    count = int(groups.max()) + 1

    def judged(s: np.ndarray) -> np.ndarray:
        return np.bincount(home, [term.noise(s) for term in terms], count)

    best = np.ones(len(groups))
    plain = least = judged(best)

    def keep(s: np.ndarray) -> None:
        nonlocal best, least
        found = judged(s)
        better = found < least
        best, least = np.where(better[groups], s, best), np.where(better, found, least)

    ranges, columns = _peaks(terms, len(groups))
    for alpha in ALPHAS:
        logs = alpha * np.log(columns) - (1 - alpha) * np.log(ranges)
        means = np.bincount(groups, logs, count) / np.maximum(np.bincount(groups, minlength=count), 1)
        keep(np.clip(np.exp(logs - means[groups]), lower, upper))

    logs, mean, square = np.log(best), np.zeros(len(groups)), np.zeros(len(groups))
    scale = 1 / np.maximum(plain, np.finfo(np.float64).tiny)
    for step in range(1, _STEPS + 1):
        s, slope = np.exp(logs), np.zeros(len(groups))
        for term, where in zip(terms, home, strict=True):
            np.add.at(slope, term.ids, term.slope(s) * scale[where])
        mean, square = 0.9 * mean + 0.1 * slope, 0.99 * square + 0.01 * slope**2
        rate = _RATE * _DECAY ** (step / _STEPS)
        move = rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-12)
        logs = np.clip(logs - move, np.log(lower), np.log(upper))
        if step % 10 == 0:
            keep(np.exp(logs))
    gained = np.where(plain > 0, least / np.maximum(plain, np.finfo(np.float64).tiny), 1.0)
    gained[~(gained <= _LEAST_GAIN)] = 1.0
    return np.where(gained[groups] < 1, best, 1.0), gained


def _peaks(terms: Sequence[Term], count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each factor the largest share of a range that its channels fill, and of a weight's row."""
    ranges, columns = np.full(count, 1e-3), np.full(count, 1e-3)
    for term in terms:
        if isinstance(term, RangeTerm):
            size = np.maximum(term.high, -term.low)
            np.maximum.at(ranges, term.ids, size / max(float(size.max()), np.finfo(np.float32).tiny))
        else:
            rows = np.maximum(term.peak.max(axis=2, keepdims=True), np.finfo(np.float32).tiny)
            np.maximum.at(columns, term.ids, (term.peak / rows).max(axis=1))
    return ranges, columns
