"""Taking inputs out of layers so that their outputs stay: the optimal brain surgeon on blocks of columns.

With weights W [M, K] and the second moments H of a layer's inputs, taking out the columns c and moving the others to
what makes good for it best leaves, with A = H^-1, the error and the weights

    e = sum over rows of w_c [A_cc]^-1 w_c^T,     W' = W - W_c [A_cc]^-1 A_c:,     A' = A - A_:c [A_cc]^-1 A_c:

A' is the inverse for what is left. For all columns g that are gone at once, k kept: W' = W_k + W_g H_gk H_kk^-1.

Source: Hassibi & Stork 1993; for blocks Frantar et al., arXiv 2208.11580, and Kurtic et al., arXiv 2203.07259.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_RIDGES = (0.01, 0.1, 1.0)
"""Added to the diagonal of the second moments, as shares of its mean; the one counts that does best on other rows."""
_STEPS = 32
"""In how many steps all channels of a family go, at most."""


@dataclass(frozen=True, eq=False)
class Reader:
    """A layer that reads channels.

    Attributes:
        rows: its weights, float64 [M, K].
        moments: of its inputs, positive definite, [K, K].
        channels: int [K], the number of the channel that each column belongs to, -1 for others.
        power: of its results, by which errors are divided.
    """

    rows: np.ndarray
    moments: np.ndarray
    channels: np.ndarray
    power: float


def damped(moments: np.ndarray, damping: float) -> np.ndarray:
    """Moments with a share of their mean diagonal added, so that they have an inverse; the unit matrix for none."""
    size = len(moments)
    mean = float(np.trace(moments)) / max(size, 1)
    return moments + np.eye(size) * (damping * mean) if mean > 0 else np.eye(size)


def removal_order(readers: Sequence[Reader], count: int) -> tuple[np.ndarray, np.ndarray]:
    """In which order channels should go: those first without which the layers do best.

    Args:
        count: of channels.

    Returns:
        Their numbers in order [count], and the error once so many are gone [count + 1], relative to the power of the
        results and summed over the readers.
    """
    states = [_State(reader, count) for reader in readers]
    left, order = np.arange(count), []
    errors = [0.0]
    while left.size:
        scores = sum((state.scores() for state in states), np.zeros(count))
        step = left[np.argsort(scores[left], kind="stable")[: max(1, count // _STEPS)]]
        added = sum(state.remove(step) for state in states)
        shares = np.maximum(scores[step], 1e-300)
        errors += list(errors[-1] + added * np.cumsum(shares) / shares.sum())
        order.append(step)
        left = np.setdiff1d(left, step, assume_unique=True)
    return np.concatenate(order), np.array(errors)


class _State:
    """A reader while channels go, one after the other."""

    def __init__(self, reader: Reader, count: int) -> None:
        self._rows, self._inverse, self._power = reader.rows.copy(), np.linalg.inv(reader.moments), reader.power
        places = [np.flatnonzero(reader.channels == one) for one in range(count)]
        self._places = dict(enumerate(places))
        self._count = count

    def scores(self) -> np.ndarray:
        """What taking out each channel costs; 0 for those that are gone."""
        found = np.zeros(self._count)
        for size in {place.size for place in self._places.values()} - {0}:
            ones = [one for one, place in self._places.items() if place.size == size]
            at = np.stack([self._places[one] for one in ones])
            blocks = self._inverse[at[:, :, None], at[:, None, :]]
            weights = self._rows[:, at].transpose(1, 2, 0)
            found[ones] = (weights * np.linalg.solve(blocks, weights)).sum(axis=(1, 2)) / self._power
        return found

    def remove(self, channels: np.ndarray) -> float:
        """Takes channels out; the error that it adds."""
        at = np.concatenate([self._places.pop(int(one)) for one in channels])
        if not at.size:
            return 0.0
        weights, across = self._rows[:, at], self._inverse[at]
        moved = np.linalg.solve(across[:, at], across)
        error = float((weights * np.linalg.solve(across[:, at], weights.T).T).sum())
        self._rows -= weights @ moved
        self._inverse -= across.T @ moved
        return error / self._power


def without(rows: np.ndarray, moments: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Weights of the columns that are kept, moved to what makes good for the others.

    Args:
        rows: [M, K].
        moments: positive definite, [K, K].
        kept: bool [K].
    """
    cross = moments[np.ix_(kept, ~kept)] @ rows[:, ~kept].T
    found: np.ndarray = rows[:, kept] + np.linalg.solve(moments[np.ix_(kept, kept)], cross).T
    return found


def refitted(rows: np.ndarray, inputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights moved so that `inputs @ rows.T` comes closest to what is wanted; themselves where nothing does better.

    Args:
        rows: [M, K].
        inputs: [n, K].
        wanted: [n, M].
    """
    off, size = wanted - inputs @ rows.T, len(inputs) * 3 // 4
    if not off.any():
        return rows
    square, cross = inputs[:size].T @ inputs[:size], inputs[:size].T @ off[:size]
    best, least = 0.0, float(np.square(off[size:]).sum())
    for ridge in _RIDGES:
        error = float(np.square(off[size:] - inputs[size:] @ np.linalg.solve(damped(square, ridge), cross)).sum())
        best, least = (ridge, error) if error < least else (best, least)
    if not best:
        return rows
    square, cross = square + inputs[size:].T @ inputs[size:], cross + inputs[size:].T @ off[size:]
    found: np.ndarray = rows + np.linalg.solve(damped(square, best), cross).T
    return found
