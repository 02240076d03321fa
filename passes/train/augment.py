"""`augment` of fine-tuning: samples made of others. The float model answers any of them, so that they need no labels.

    mirror   images, every second one flipped left to right
    shift    images, moved by up to an eighth of their height and width; what comes in is what was there, mirrored
    mix      every second sample mixed with another: `a x1 + (1 - a) x2`, a uniform in [0, 1] (Zhang et al., arXiv
             1710.09412; without labels Beyer et al., arXiv 2106.05237)

Inputs of four axes are images, channels first, or last where only the last axis has at most four places. Reals of all
inputs are mixed by the same share; inputs of other types come from the first sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qir.passes.train.samples import Lesson, Samples

AUGMENTATIONS = ("mirror", "shift", "mix")
_REACH = 8
"""One of so many pixels is how far images are moved."""
_COLOURS = 4


def lesson(samples: Samples, places: np.ndarray, ways: Sequence[str], random: np.random.Generator, *,
           features: bool) -> Lesson:  # fmt: skip
    """Samples changed in some ways, with what the teacher makes of them."""
    count = len(places)
    inputs = samples.some(places)
    images = {name for name, axis in samples.axes.items() if axis == 0 and inputs[name].ndim == 4}
    if "mirror" in ways:
        flipped = random.random(count) < 0.5
        inputs |= {name: _mirrored(inputs[name], flipped) for name in sorted(images)}
    if "shift" in ways:
        steps = random.random((count, 2)) * 2 - 1
        inputs |= {name: _shifted(inputs[name], steps) for name in sorted(images)}
    partners, shares = np.arange(count), np.ones(count, np.float32)
    if "mix" in ways:
        partners = random.permutation(count)
        shares = np.where(random.random(count) < 0.5, 1, random.random(count)).astype(np.float32)
        inputs |= {name: _mixed(inputs[name], axis, partners, shares) for name, axis in samples.axes.items()
                   if inputs[name].dtype.kind == "f"}  # fmt: skip
    labels: tuple[tuple[np.ndarray, Any], ...] = ()
    if samples.labels is not None:
        own = samples.labels[places]
        labels = ((own, shares), (own[partners], 1 - shares)) if "mix" in ways else ((own, shares),)
    return Lesson(inputs, samples.answers(inputs, features=features), labels)


def _wide(images: np.ndarray) -> tuple[int, int]:
    """The axes of height and width."""
    return (1, 2) if images.shape[3] <= _COLOURS < images.shape[1] else (2, 3)


def _mirrored(images: np.ndarray, which: np.ndarray) -> np.ndarray:
    found = images.copy()
    found[which] = np.flip(images[which], _wide(images)[1])
    return found


def _shifted(images: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Images moved by shares of how far they may be."""
    found = np.empty_like(images)
    axes = _wide(images)
    most = np.array([images.shape[axis] // _REACH for axis in axes])
    moves = np.rint(steps * most).astype(int)
    for number, move in enumerate(moves):
        one = images[number]
        for axis, by in zip(axes, move, strict=True):
            one = np.take(one, _reflected(np.arange(images.shape[axis]) + by, images.shape[axis]), axis - 1)
        found[number] = one
    return found


def _reflected(places: np.ndarray, size: int) -> np.ndarray:
    """Places beyond an edge as those as far within it."""
    inside = np.abs(places)
    found: np.ndarray = np.where(inside >= size, 2 * (size - 1) - inside, inside)
    return found


def _mixed(array: np.ndarray, axis: int, partners: np.ndarray, shares: np.ndarray) -> np.ndarray:
    form = [1] * array.ndim
    form[axis] = -1
    share = shares.reshape(form).astype(array.dtype)
    found: np.ndarray = share * array + (1 - share) * np.take(array, partners, axis)
    return found
