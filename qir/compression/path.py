"""From a whole network to smaller ones, family by family of channels, by the least error for the work that it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_OUTPUTS, _INPUTS = 16, 4
"""Channels that kernels on vectors compute, and read, at a time; a part of them takes as long as all."""
_AHEAD = 16
"""Counts below the present one that are looked at: where whole vectors end is a step that pays."""


def filled(inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Products of an input and an output that vectors take, their last parts filled up."""
    found: np.ndarray = np.ceil(inputs / _INPUTS) * _INPUTS * np.ceil(outputs / _OUTPUTS) * _OUTPUTS
    return found


@dataclass(frozen=True, eq=False)
class Work:
    """What layers take, of whose inputs and outputs some are channels that can go.

    Attributes:
        each: for one output channel and one input channel, [L].
        inputs, outputs: channels of a layer for each one left of a family, [L, families].
        other_inputs, other_outputs: channels of a layer that stay, [L].
    """

    each: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    other_inputs: np.ndarray
    other_outputs: np.ndarray

    def of(self, left: np.ndarray) -> float:
        """With so many channels left in each family: the mean of what counts and of what vectors take."""
        inputs, outputs = self.inputs @ left + self.other_inputs, self.outputs @ left + self.other_outputs
        return float(self.each @ (inputs * outputs + filled(inputs, outputs))) / 2


def path(work: Work, errors: Sequence[np.ndarray], allowed: Sequence[Sequence[int]], start: np.ndarray) -> np.ndarray:
    """Counts of channels left in each family, [steps, families]: from `start` down to the least that is allowed.

    Args:
        errors: of each family, by how many of its channels are gone.
        allowed: of each family, the counts that may be left, falling.
        start: the counts to begin with.
    """
    left, found = start.copy(), [start]
    while True:
        now, best, chosen = work.of(left), np.inf, None
        for family, counts in enumerate(allowed):
            gone = len(errors[family]) - 1 - left[family]
            for count in [count for count in counts if count < left[family]][:_AHEAD]:
                trial = left.copy()
                trial[family] = count
                added = errors[family][len(errors[family]) - 1 - count] - errors[family][gone]
                score = added / max(now - work.of(trial), 1e-9)
                if score < best:
                    best, chosen = score, trial
        if chosen is None:
            return np.stack(found)
        left = chosen
        found.append(left)
