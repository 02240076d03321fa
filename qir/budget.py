"""Mixed precision under a budget: which layers stay float so that a network's answers change no more than allowed.

No labels are needed. An answer is the place of the largest output; where it changes from a to b, the float model itself
says how likely a and b were right, so `mean(p(a) - p(b))` is the drop in accuracy to be expected. Answers change mostly
where both are about as likely, and overconfident models make the figure too large, not too small. Layers are ranked by
the noise that each alone brings to the outputs for the work it saves; every choice is measured jointly, in one graph
that holds both networks.
"""

from __future__ import annotations

import glob
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.debug.bisect import agreement, joined
from qir.debug.compare import batch_size, batches, compared, finite
from qir.debug.hybrid import Hybrid
from qir.debug.pairing import Pairing, pair
from qir.debug.report import with_ones
from qir.debug.samples import batches_of
from qir.errors import RecipeError
from qir.evaluate import Runner
from qir.ir.graph import Graph
from qir.ops.weighted import macs
from qir.recipe import Recipe

ROUNDS = 4
"""Compilations that are tried: neighbours of a float layer may change with it, so each choice is compiled again."""
_SAMPLES = 256
_OVERHEAD = 0.02
"""Share of all work that a layer without multiplications counts as: a border between codes and reals costs too."""


@dataclass(frozen=True)
class Drop:
    """How far a network's answers are from the float model's.

    Attributes:
        expected: drop in accuracy to be expected, as a share, of the worst output.
        changed: share of the samples whose answer changes; the drop cannot be more.
        samples: how many were run.
    """

    expected: float
    changed: float
    samples: int

    def __str__(self) -> str:
        return (f"{100 * self.expected:.2f} points expected on {self.samples} samples, "
                f"{100 * self.changed:.2f} % of the answers change")  # fmt: skip


def check_drop(max_drop: float | None, has_data: bool) -> None:
    """Refuses what is no drop.

    Raises:
        RecipeError: for numbers outside of [0, 1), and without calibration data to measure on.
    """
    if max_drop is None:
        return
    if isinstance(max_drop, bool) or not isinstance(max_drop, (int, float)) or not 0 <= max_drop < 1:
        raise RecipeError(f"max_drop is {max_drop!r}", fix="Give a share of answers, such as 0.005 for half a per cent")
    if not has_data:
        raise RecipeError("max_drop needs samples to measure the drop on", fix="Give calibration=")


def measured(real: Graph, quant: Graph, data: Any) -> Drop:
    """The drop of a quantized network over all samples.

    Args:
        data: samples as for calibration.

    Raises:
        DataError: for data that does not fit.
    """
    given = list(batches_of(quant, data))
    both = Runner(real), Runner(quant)
    reference, found = ([run(batch) for batch in given] for run in both)
    first, second = joined(reference), joined(found)
    return Drop(expected_drop(first, second), 1 - agreement(first)(second), sum(map(batch_size, given)))


def expected_drop(reference: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float:
    """`mean(p(a) - p(b))` over the samples, a and b the answers of both networks, of the worst output, in [0, 1].

    p is the reference's output where it holds probabilities, else its softmax. Outputs without classes count the share
    of elements that are off by more than 1 % of the largest magnitude.

    Args:
        reference, found: [N, ..., classes] by output name.
    """
    drops = [0.0]
    for name, wanted in reference.items():
        other = found[name]
        if wanted.dtype.kind != "f" or wanted.shape != other.shape or not wanted.size:
            continue
        if wanted.ndim < 2 or wanted.shape[-1] < 2:
            drops.append(1 - agreement({name: wanted})({name: other}))
            continue
        likely = _probabilities(wanted.astype(np.float64))
        answers = [likely.argmax(-1)[..., None], np.nan_to_num(other, nan=-np.inf).argmax(-1)[..., None]]
        first, second = (np.take_along_axis(likely, answer, -1) for answer in answers)
        drops.append(float((first - second).mean()))
    return max(drops)


def _probabilities(output: np.ndarray) -> np.ndarray:
    sums = output.sum(axis=-1)
    if (output >= 0).all() and (np.abs(sums - 1) < 1e-3).all():
        return output
    shifted = np.exp(output - output.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def tightened(recipe: Recipe, real: Graph, quant: Graph, data: Any, max_drop: float) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with layers of a quantized network put back to float until the drop is small enough, and which.

    Layers are taken in order of the noise each alone brings to the outputs, divided by its share of the work; then each
    that turns out not to be needed goes back to codes. Empty where the network has no layer left to put back.
    """
    few = _leading(list(batches_of(quant, data)))
    hybrid = Hybrid(pair(real, quant))
    reference = joined([hybrid.outputs(batch, ()) for batch in few])

    def drop(real_ones: Collection[str]) -> float:
        on = frozenset(hybrid.pairing.layers) - set(real_ones)
        return expected_drop(reference, joined([hybrid.outputs(batch, on) for batch in few]))

    chosen: list[str] = []
    for layer in _ranked(hybrid, few):
        if drop(chosen) <= max_drop and chosen:
            break
        chosen.append(layer)
    for layer in chosen[:-1]:
        rest = [one for one in chosen if one != layer]
        if drop(rest) <= max_drop:
            chosen = rest
    names = tuple(dict.fromkeys(name for layer in chosen for name in _nodes(hybrid.pairing, layer)))
    for name in names:
        recipe = recipe.with_override(glob.escape(name), float=True)
    return recipe, names


def _leading(given: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    few: list[Mapping[str, Any]] = []
    for batch in batches(given):
        if sum(map(batch_size, few)) >= _SAMPLES:
            break
        few.append(batch)
    return few


def _ranked(hybrid: Hybrid, few: Sequence[Mapping[str, Any]]) -> list[str]:
    """Layers that rounding changes, the noisiest for their work first."""
    pairing = hybrid.pairing
    rows = {row.value: row for row in compared(hybrid, few).layers}
    single = with_ones(pairing.quant)
    work = {name: sum(macs(node, single) or 0 for node in pairing.region(name)) for name in rows}
    total = max(sum(work.values()), 1)
    noise = {name: 10 ** (-finite(row.effect if row.effect is not None else np.inf) / 10) for name, row in rows.items()}
    worth = {name: noise[name] / (work[name] / total + _OVERHEAD) for name in rows if rows[name].isolated.max_abs > 0}
    return sorted(worth, key=lambda name: -worth[name])


def _nodes(pairing: Pairing, layer: str) -> list[str]:
    """Names that an override puts to float with a layer; an input is rounded for the sake of its readers."""
    node = pairing.node(layer)
    readers = pairing.quant.index.consumers(layer) if node is None else ()
    return [reader.name for reader in readers] if node is None else [node.name]
