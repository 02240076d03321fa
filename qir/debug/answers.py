"""How far a network's answers can be trusted after rounding, without labels.

Where an output holds classes, an answer is the place of its largest element. Rounding adds noise to the lead `m` that
the answer has over each other class j, so the answer moves there with the probability

    P(m, s) = 1 / (1 + exp(pi m / (sqrt(3) s))),

that noise of a logistic distribution and standard deviation s exceeds m. (Its tails are heavier than the normal
distribution's, as those of noise are whose size differs from sample to sample.) s is observed on all samples at once,
which makes the figure far steadier than counting the few answers that happen to move. Accuracy cannot drop by more than
the share of answers that move, whatever the labels are. The drop to be expected is smaller: the float model itself says
how likely both answers were right, so a move costs `p(a) - p(j)`. Leads are differences of logits; of an output that
holds probabilities, differences of their logarithms. All of this is as good as the samples: those that the network was
trained on show larger leads than new ones, and a handful shows few small ones.

Outputs without classes have no answers: there the drop is the power of the noise as a share of the signal's,
10^(-SQNR / 10).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np

from qir.ir.graph import Graph
from qir.ir.types import TensorType

_NORMAL_95 = 1.96
_SMALLEST = 1e-12
"""Probabilities below count as this: their logarithms say nothing of the answer."""
_HOPELESS = 1e30
"""Stands for noise that is no number."""


@dataclass(frozen=True)
class Drop:
    """How much worse a network is than the float model.

    Attributes:
        most: what the drop will not exceed: of outputs with classes, the upper end of the 95 % interval of the share of
            answers that move, or that share of the samples if it is larger; of outputs without classes, that of
            noise power over signal power. Of the worst output.
        expected: drop in accuracy to be expected, or mean noise power over signal power; of the worst output.
        changed: share of the samples whose answer moved, of the worst output with classes; None where there is none.
        samples: how many were run.
    """

    most: float
    expected: float
    changed: float | None
    samples: int

    def __str__(self) -> str:
        if self.changed is None:
            return (f"noise has at most {100 * self.most:.2g} % of the outputs' power (95 %, {self.samples} samples; "
                    f"{100 * self.expected:.2g} % on average; the outputs hold no classes)")  # fmt: skip
        return (f"at most {100 * self.most:.2f} % of the answers move (95 %; {100 * self.changed:.2f} % of "
                f"{self.samples} did), {100 * self.expected:.2f} points of accuracy to be expected")  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Classes:
    """An output that holds classes.

    Attributes:
        scores: [N, C] logits, or logarithms of probabilities.
        answer, second: [N, 1] places of the two largest scores.
        gap: [N, C] by how much less likely each class is than the answer.
        logarithms: of probabilities.
    """

    scores: np.ndarray
    answer: np.ndarray
    second: np.ndarray
    gap: np.ndarray
    logarithms: bool

    @staticmethod
    def of(output: np.ndarray) -> _Classes:
        flat = output.reshape(len(output), -1).astype(np.float64)
        logarithms = bool((flat >= 0).all() and (np.abs(flat.sum(axis=1) - 1) < 1e-3).all())
        scores = _scores(flat, logarithms)
        order = np.argsort(-scores, axis=1, kind="stable")
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        gap = np.take_along_axis(likely, order[:, :1], 1) - likely
        return _Classes(scores, order[:, :1], order[:, 1:2], gap, logarithms)

    def found(self, output: np.ndarray) -> np.ndarray:
        flat = output.reshape(len(output), -1).astype(np.float64)
        return _scores(np.nan_to_num(flat, nan=-_HOPELESS, posinf=_HOPELESS, neginf=-_HOPELESS), self.logarithms)

    def noise(self, output: np.ndarray) -> float:
        """Mean square of what rounding did to the lead of the answer over the second."""
        lead = self._lead(self.scores, self.second)
        return float(np.square(self._lead(self.found(output), self.second) - lead).mean())

    def moves(self, noise: float) -> tuple[np.ndarray, np.ndarray]:
        """[N] probability that noise of this power moves each answer, and [N] the accuracy that this costs."""
        if noise == 0:
            return np.zeros(len(self.scores)), np.zeros(len(self.scores))
        lead = np.take_along_axis(self.scores, self.answer, 1) - self.scores
        moved = 1 / (1 + np.exp(np.minimum(np.pi / sqrt(3 * noise) * lead, 700)))
        np.put_along_axis(moved, self.answer, 0, 1)
        total = moved.sum(axis=1)
        return np.minimum(total, 1), (moved * self.gap).sum(axis=1) / np.maximum(total, 1)

    def changed(self, output: np.ndarray) -> float:
        return float((self.found(output).argmax(axis=1) != self.answer[:, 0]).mean())

    def divergence(self, output: np.ndarray) -> float:
        """Mean Kullback-Leibler divergence of the found probabilities from the reference's, in nats."""
        mine, other = _log_softmax(self.scores), _log_softmax(self.found(output))
        return float((np.exp(mine) * (mine - other)).sum(axis=1).mean())

    def _lead(self, scores: np.ndarray, over: np.ndarray) -> np.ndarray:
        return np.asarray(np.take_along_axis(scores, self.answer, 1) - np.take_along_axis(scores, over, 1))


@dataclass(frozen=True, eq=False)
class _Reals:
    """An output without classes: `values` [N, ...] and the mean `power` of a sample about its mean over the samples."""

    values: np.ndarray
    power: float

    @staticmethod
    def of(output: np.ndarray) -> _Reals:
        flat = output.reshape(len(output), -1).astype(np.float64)
        power = float(np.square(flat - flat.mean(axis=0)).sum(axis=1).mean())
        return _Reals(flat, power or float(np.square(flat).sum(axis=1).mean()) or 1.0)

    def lost(self, output: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.square(output.reshape(len(output), -1) - self.values).sum(axis=1) / self.power
        return np.asarray(np.nan_to_num(squares, nan=_HOPELESS, posinf=_HOPELESS))

    def noise(self, output: np.ndarray) -> float:
        return float(self.lost(output).mean())


@dataclass(frozen=True, eq=False)
class Judge:
    """The float model's outputs on some samples, to hold those of quantized ones against.

    Attributes:
        outputs: what is judged, by name.
    """

    outputs: Mapping[str, _Classes | _Reals]

    @staticmethod
    def of(graph: Graph, reference: Mapping[str, np.ndarray]) -> Judge:
        """Of the outputs that hold reals.

        Args:
            graph: the float model.
            reference: its outputs, [N, ...] each.
        """
        judged = {name: value for name, value in reference.items() if value.dtype.kind == "f" and value.size}
        return Judge({name: _Classes.of(value) if _is_classes(graph, name, value) else _Reals.of(value)
                      for name, value in judged.items()})  # fmt: skip

    def noise(self, found: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Power of the noise that matters to each output: of the answer's lead, or as a share of the signal's."""
        return {name: output.noise(found[name]) for name, output in self.outputs.items()}

    def predicted(self, noise: Mapping[str, float]) -> float:
        """`Drop.most` of a network with noise of this power, of the worst output."""
        return max((_upper(output.moves(noise[name])[0]) if isinstance(output, _Classes) else noise[name]
                    for name, output in self.outputs.items()), default=0.0)  # fmt: skip

    def drop(self, found: Mapping[str, np.ndarray]) -> Drop:
        """The drop of a network with these outputs."""
        most, expected, changed, samples = 0.0, 0.0, [], 0
        for name, output in self.outputs.items():
            if isinstance(output, _Classes):
                moved, cost = output.moves(output.noise(found[name]))
                changed.append(output.changed(found[name]))
                most = max(most, changed[-1])
            else:
                moved = cost = output.lost(found[name])
            most, expected, samples = max(most, _upper(moved)), max(expected, float(cost.mean())), len(moved)
        return Drop(most, expected, max(changed, default=None), samples)

    def divergence(self, found: Mapping[str, np.ndarray]) -> float | None:
        """Mean KL divergence in nats of the worst output with classes; None where there is none."""
        return max((output.divergence(found[name]) for name, output in self.outputs.items()
                    if isinstance(output, _Classes)), default=None)  # fmt: skip


def _is_classes(graph: Graph, name: str, output: np.ndarray) -> bool:
    """Whether an output ranks classes: one axis beside the samples', and no input of the same size that it restores."""
    if output.ndim < 2 or sorted(output.shape[1:])[:-1] != [1] * (output.ndim - 2) or output.shape[1:] == (1,):
        return False
    sizes = [kind.shape[1:] for one in graph.inputs
             if isinstance(kind := graph.types[one], TensorType) and kind.shape]  # fmt: skip
    known = [prod(dim for dim in size if isinstance(dim, int)) for size in sizes if None not in size]
    return prod(output.shape[1:]) > 1 and prod(output.shape[1:]) not in known


def _scores(values: np.ndarray, logarithms: bool) -> np.ndarray:
    return np.log(np.maximum(values, _SMALLEST)) if logarithms else values


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _upper(values: np.ndarray) -> float:
    """The upper end of the 95 % interval of a mean, by the normal distribution."""
    mean, count = float(values.mean()), len(values)
    return mean + _NORMAL_95 * float(values.std(ddof=1)) / sqrt(count) if count > 1 else mean
