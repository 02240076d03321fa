"""Sparse weights in panels: the steps that are not zero for all channels of a panel, and their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.backends.c.binding.tiles import PANEL
from qir.backends.c.kernels.conv_u8.blocks import Blocks, panels
from qir.backends.c.program import Data

_DENSE = 0.9
"""Share of steps from which on taking all of them is as well."""


def skipping(b: Blocks, w: np.ndarray) -> Blocks:
    """With the steps that sparse weights leave, one of each panel at least."""
    return replace(b, taken=tuple(int(count) for count in _taken(w, b).sum(axis=1)))


def _taken(w: np.ndarray, b: Blocks) -> np.ndarray:
    """Which steps of each panel are not all zeros: bool [panels, steps]."""
    found: np.ndarray = (panels(w, b).reshape(-1, b.segments * b.steps, PANEL * b.depth) != 0).any(axis=2)
    found[found.sum(axis=1) == 0, 0] = True
    return found


def refuse_dense(w: np.ndarray, b: Blocks) -> str | None:
    """The reason why weights are not worth a list of the steps that they take."""
    taken = _taken(w, b)
    if taken.shape[1] > np.iinfo(np.uint16).max:
        return "its windows have more steps than 16 bits can number"
    if b.groups > 1 and taken.mean() * panels(w, b).size > w.size:
        return "panels of its groups would take more bytes than its weights"
    return "its weights have no blocks of zeros for 16 channels" if taken.mean() > _DENSE else None


def sparse_data(w: np.ndarray, b: Blocks) -> tuple[Data, ...]:
    """Weights of the steps taken, how many there are before each panel, their numbers."""
    taken = _taken(w, b)
    kept = panels(w, b).reshape(*taken.shape, -1)[taken]
    first = np.concatenate([[0], np.cumsum(taken.sum(axis=1))]).astype(np.int32)
    return Data(kept, "weights"), Data(first, "steps"), Data(np.nonzero(taken)[1].astype(np.uint16), "steps")
