"""Samples to train on, with what the float model makes of them: computed once, and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.calibration import Feeds
from qir.errors import DataError
from qir.evaluate import Runner
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import reads_few_codes, weighted
from qir.progress import progress
from qir.rewrite.channel_offsets import moved_like
from qir.rewrite.channel_scaling import scaled_like

_FEATURE_BYTES = 1 << 29
"""What the teacher's values inside the network may take; those nearest to the outputs are kept."""
_LOOKS = 8
"""Batches by which values inside are known that are not kept."""


@dataclass(frozen=True)
class Goal:
    """A value that shall be as the teacher's.

    Attributes:
        name: in the student.
        teacher: in the teacher.
        classes: whether it holds logits, one a class.
    """

    name: str
    teacher: str
    classes: bool = False


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one step learns from.

    Attributes:
        inputs: by name.
        wanted: by goal's name.
        labels: classes int64 [n] with the share that each has, float32 [n]; none without labels.
    """

    inputs: Mapping[str, np.ndarray]
    wanted: Mapping[str, np.ndarray]
    labels: tuple[tuple[np.ndarray, np.ndarray], ...] = ()


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples and what the teacher makes of them.

    Attributes:
        inputs: by name, [n, ...] each along its own axis of samples.
        axes: that axis, of inputs that have one.
        outputs, features: the network's outputs, and values inside.
        wanted: by goal's name what the teacher gives, [n, ...]; of features where they are kept.
        powers: of each goal the mean square about its mean over the samples: errors count relative to it.
        labels: int64 [n]; None without.
        count: n.
        batch: how many samples the graph takes at once, where it fixes that.
        teacher: gives the teacher's values of other samples.
    """

    inputs: Mapping[str, np.ndarray]
    axes: Mapping[str, int]
    outputs: tuple[Goal, ...]
    features: tuple[Goal, ...]
    wanted: Mapping[str, np.ndarray]
    powers: Mapping[str, float]
    labels: np.ndarray | None
    count: int
    batch: int | None
    teacher: Runner

    def some(self, places: np.ndarray) -> dict[str, np.ndarray]:
        """The inputs of some samples."""
        return self._cut(self.inputs, places)

    def lesson(self, places: np.ndarray) -> Lesson:
        """Some samples as they are."""
        labels = () if self.labels is None else ((self.labels[places], np.ones(len(places), np.float32)),)
        return Lesson(self.some(places), {name: array[places] for name, array in self.wanted.items()}, labels)

    def answers(self, inputs: Mapping[str, np.ndarray], *, features: bool) -> dict[str, np.ndarray]:
        """What the teacher makes of other samples, by goal's name."""
        goals = (*self.outputs, *self.features) if features else self.outputs
        found = self.through(self.teacher, inputs)
        return {goal.name: found[goal.teacher] for goal in goals}

    def through(self, runner: Runner, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A graph's values of some samples, as many at a time as it takes."""
        name, axis = next(iter(self.axes.items()))
        count = inputs[name].shape[axis]
        size = self.batch or count
        parts = [runner(self._cut(inputs, np.resize(np.arange(i, min(i + size, count)), size)))
                 for i in range(0, count, size)]  # fmt: skip
        if len(parts) == 1 and size == count:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]
                if _by_sample(parts[0][name], size)}  # fmt: skip

    def _cut(self, inputs: Mapping[str, np.ndarray], places: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.take(array, places, self.axes[name]) if name in self.axes else array
                for name, array in inputs.items()}  # fmt: skip


def taught(student: Graph, teacher: Graph, feeds: Feeds, labels: np.ndarray | None, *, features: bool,
           keeps: bool = True) -> Samples:  # fmt: skip
    """The samples of some data, with the teacher's values.

    Args:
        features: also of values inside the network.
        keeps: these for every sample, of as many values as fit half a gibibyte; else only what they are like.

    Raises:
        DataError: for samples of different shapes, and labels that do not fit them.
        ModelError: where no output has the samples along its first axis.
    """
    if teacher.stage is Stage.FLOAT:
        teacher = scaled_like(moved_like(teacher, student), student)
    outputs = tuple(_output(ours, theirs, student, teacher)
                    for ours, theirs in zip(student.outputs, teacher.outputs, strict=True)
                    if _is_real(student, ours))  # fmt: skip
    inner = _features(student, teacher) if features else ()
    runner = Runner(teacher, dict.fromkeys(goal.teacher for goal in (*outputs, *inner)), optimize=True, integers=False,
                    threads=1)  # fmt: skip
    axes = feeds.interface.batch_axes
    inputs: dict[str, list[np.ndarray]] = {}
    wanted: dict[str, list[np.ndarray]] = {}
    for number, batch in enumerate(progress(feeds, "teacher", _length(feeds))):
        found = runner(batch)
        for name, array in batch.items():
            if name in axes:
                inputs.setdefault(name, []).append(np.take(array, range(batch.valid), axes[name]))
            elif not number:
                inputs[name] = [array]
        kept = [goal for goal in outputs if _by_sample(found[goal.teacher], batch.size)]
        if not number:
            each = {goal: found[goal.teacher].nbytes / batch.size for goal in inner
                    if _by_sample(found[goal.teacher], batch.size)}  # fmt: skip
            inner = _nearest_outputs(each, feeds.n_samples) if keeps else tuple(each)
        for goal in (*kept, *(inner if keeps or number < _LOOKS else ())):
            wanted.setdefault(goal.name, []).append(found[goal.teacher][: batch.valid])
    outputs = tuple(goal for goal in outputs if goal.name in wanted)
    if not outputs:
        raise DataError("no output holds one result a sample", fix="Leave finetune out")
    try:
        joined = {name: np.concatenate(parts, axes.get(name, 0)) for name, parts in inputs.items()}
        goals = {name: np.concatenate(parts) for name, parts in wanted.items()}
    except ValueError as error:
        raise DataError("fine-tuning takes samples of one shape", fix="Cut or fill them to one size") from error
    powers = {name: max(float(array.var(axis=0).mean()), 1e-12) for name, array in goals.items()}
    held = {name: array for name, array in goals.items() if keeps or name in {goal.name for goal in outputs}}
    count = len(goals[outputs[0].name])
    return Samples(joined, axes, outputs, inner, held, powers, _checked(labels, count, outputs, goals), count,
                   feeds.interface.fixed_batch, runner)  # fmt: skip


def _length(feeds: Feeds) -> int | None:
    return None if feeds.n_samples is None else len(feeds)


def _by_sample(array: Any, size: int) -> bool:
    return isinstance(array, np.ndarray) and array.ndim > 0 and len(array) == size


def _nearest_outputs(each: Mapping[Goal, float], count: int | None) -> tuple[Goal, ...]:
    """The last values that fit."""
    kept: list[Goal] = []
    room = _FEATURE_BYTES / (count or 1024)
    for goal in reversed(list(each)):
        if each[goal] <= room:
            room -= each[goal]
            kept.append(goal)
    return tuple(reversed(kept))


def _is_real(graph: Graph, name: str) -> bool:
    kind = graph.types[name]
    return isinstance(kind, TensorType) and kind.dtype == FLOAT32


def _output(ours: str, theirs: str, student: Graph, teacher: Graph) -> Goal:
    """An output; of one that holds probabilities the logits in front of the Softmax."""
    makers = [graph.index.producer(name) for graph, name in ((student, ours), (teacher, theirs))]
    if all(maker is not None and maker.op in ("Softmax", "LogSoftmax") for maker in makers):
        ours, theirs = (maker.inputs[0] for maker in makers if maker is not None)
        return Goal(ours, theirs, True)
    return Goal(ours, theirs, _are_classes(student, ours))


def _are_classes(graph: Graph, name: str) -> bool:
    """Whether an output ranks classes: one axis beside the samples', and no input of the same size that it restores."""
    shape = graph.tensor(name).shape or ()
    if len(shape) < 2 or sorted(map(str, shape[1:]))[:-1] != ["1"] * (len(shape) - 2) or shape[1:] == (1,):
        return False
    sizes = [kind.shape[1:] for one in graph.inputs
             if isinstance(kind := graph.types[one], TensorType) and kind.shape]  # fmt: skip
    return shape[1:] not in sizes


def _features(student: Graph, teacher: Graph) -> tuple[Goal, ...]:
    """What layers read, where both graphs have it under one name and in one shape; a few codes cannot be as reals."""
    names = [node.inputs[0] for node in student.nodes
             if weighted(node, student) is not None and not reads_few_codes(node, student)]  # fmt: skip
    made = [name for name in dict.fromkeys(names) if student.index.producer(name) is not None]
    return tuple(Goal(name, name) for name in made
                 if teacher.index.producer(name) is not None and _is_real(student, name) and _is_real(teacher, name)
                 and (student.tensor(name).shape or ())[1:] == (teacher.tensor(name).shape or ())[1:])  # fmt: skip


def _checked(labels: np.ndarray | None, count: int, outputs: Sequence[Goal], goals: Mapping[str, np.ndarray]
             ) -> np.ndarray | None:  # fmt: skip
    if labels is None:
        return None
    classes = next((goals[goal.name] for goal in outputs if goal.classes), None)
    if classes is None:
        raise DataError("labels were given, but no output ranks classes", fix="Leave the labels out")
    most = int(np.prod(classes.shape[1:]))
    given = np.asarray(labels).reshape(-1)
    if given.dtype.kind not in "iu" or len(given) != count or given.min() < 0 or given.max() >= most:
        raise DataError(f"{len(given)} labels of type {given.dtype} do not fit {count} samples and {most} classes",
                        fix=f"Give one whole number from 0 to {most - 1} a sample, in their order")  # fmt: skip
    return given.astype(np.int64)
