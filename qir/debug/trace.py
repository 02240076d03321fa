"""Every step of a compilation, kept: graphs share what a pass did not change, so this costs little."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np

from qir.calibration import Feeds, feeds
from qir.calibration.batches import Batch
from qir.debug import tracefile
from qir.debug.bisect import Bisection, Metric, bisect
from qir.debug.samples import batches_of
from qir.debug.watch import LayerBelow, layer_below
from qir.errors import DataError, PassError
from qir.ir.graph import Graph, Stage
from qir.ir.text import Diff, diff, summary
from qir.passmanager.base import Context, Pass, Promise
from qir.passmanager.manager import Step, steps
from qir.pipeline import as_passes, teacher
from qir.recipe import Recipe
from qir.recipe import recipe as find_recipe
from qir.statistics import Statistics
from qir.target import Target
from qir.target import target as find_target

__all__ = ["MAX_SAMPLES", "LayerBelow", "Trace", "first_samples", "layer_below"]

MAX_SAMPLES = 64
"""Calibration samples that a trace keeps."""


@dataclass(repr=False)
class Trace:
    """An instrument that keeps the steps, and what is needed to go on from any of them.

    Attributes:
        steps: in order; a step's number is its place, from 1.
        passes: the whole pipeline, passes that were not applied (yet) included.
        target, recipe, seed: as compiled for; without a target the trace cannot be resumed unless one is given.
        samples: a few calibration samples by input name; pixels where preprocessing was folded in; None without data.
        opening: notes from before the first step.
    """

    steps: list[Step] = field(default_factory=list)
    passes: tuple[Pass, ...] = ()
    target: Target | None = None
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    samples: Mapping[str, np.ndarray] | None = None
    opening: tuple[str, ...] = ()

    @staticmethod
    def of(context: Context, passes: Iterable[Pass] = ()) -> Trace:
        """An empty trace for a pipeline that is about to run in a context."""
        samples = None if context.feeds is None else first_samples(context.feeds)
        return Trace([], tuple(passes), context.target, context.recipe, context.seed, samples, tuple(context.notes))

    def __call__(self, step: Step) -> None:
        self.steps.append(step)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, which: int | str) -> Step:
        """A step by its number, from 1, or by the name of its pass (the last application).

        Raises:
            PassError: if there is no such step.
        """
        if isinstance(which, str):
            for step in reversed(self.steps):
                if step.applied.name == which:
                    return step
            applied = ", ".join(dict.fromkeys(step.applied.name for step in self.steps))
            raise PassError(f"pass '{which}' was not applied", fix=f"Applied were: {applied or 'none'}")
        if not self.steps:
            raise PassError("the trace has no steps", fix="Give it to a pipeline as an instrument")
        if not 1 <= which <= len(self.steps):
            raise PassError(f"the trace has no step {which}", fix=f"Give a number from 1 to {len(self.steps)}")
        return self.steps[which - 1]

    @property
    def source(self) -> Graph:
        """The graph before the first step.

        Raises:
            PassError: if there are no steps.
        """
        return self[1].before

    @property
    def graph(self) -> Graph:
        """The graph after the last step.

        Raises:
            PassError: if there are no steps.
        """
        return self[len(self.steps)].after

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything worth telling, in order."""
        return self.opening + tuple(note for step in self.steps for note in step.notes)

    @property
    def statistics(self) -> Statistics | None:
        """What calibration learned, as it was when it was done; None without it."""
        return next((step.statistics for step in self.steps if step.statistics is not None), None)

    def after(self, name: str) -> Graph:
        """The graph after the last application of a pass.

        Raises:
            PassError: if no such pass was applied.
        """
        return self[name].after

    def resume(
        self,
        step: Step | int | str,
        passes: str | Iterable[Pass] | None = None,
        *,
        calibration: Any = None,
        target: str | Target | None = None,
        recipe: Any = None,
    ) -> Trace:
        """A trace that shares the steps up to one and goes on from there.

        Args:
            step: the last one to keep: a step, its number (0 starts over), or the name of a pass, whose last
                application it is.
            passes: what to apply after it, as text or passes; by default those that came after it here.
            calibration: samples for passes that need data, in any form `qir.compile` takes; by default statistics are
                used again where they still hold, and otherwise the kept samples.
            target, recipe: others than this trace's.

        Raises:
            PassError: if there is no such step, or no target is known.
            QirError: as the passes do.
        """
        at = self._number(step)
        where = find_target(target) if isinstance(target, str) else target or self.target
        if where is None:
            raise PassError("the trace does not know its target", fix="Give target=")
        later = (*(done.applied for done in self.steps[at:]), *self.passes[len(self.steps) :])
        chosen = later if passes is None else as_passes(passes)
        graph = self.steps[at - 1].after if at else self.source
        kept = self.steps[:at]
        opening = self.opening + tuple(note for done in kept for note in done.notes)
        context = Context(
            where,
            self.recipe if recipe is None else find_recipe(recipe),
            _data(graph, self.samples if calibration is None else calibration),
            self.seed,
            kept[-1].statistics if kept else None,
            list(opening),
        )
        if self.source.stage is Stage.FLOAT:
            context.teacher = teacher(self.source, (one.applied for one in kept), context)
        if context.statistics is None and calibration is None and _exact_until_data(chosen):
            context.statistics = self.statistics
        samples = self.samples if calibration is None or context.feeds is None else first_samples(context.feeds)
        done = tuple(one.applied for one in kept)
        new = Trace(kept, (*done, *chosen), where, context.recipe, self.seed, samples, self.opening)
        for one in steps(graph, chosen, context, first=at + 1):
            new(one)
        return new

    def diff(self, first: Step | int | str, second: Step | int | str) -> Diff:
        """What differs between the graphs after two steps, each given as to `resume`; 0 is the model itself.

        Raises:
            PassError: if there is no such step.
        """
        graphs = [self.steps[at - 1].after if at else self.source for at in map(self._number, (first, second))]
        return diff(*graphs)

    def bisect(self, metric: Metric | None = None, limit: float = 0.99, *, samples: Any = None) -> Bisection:
        """The first pass after which a metric falls below a limit, then the layer of that pass.

        Args:
            metric: a function of the outputs by name, higher is better; by default the share of samples whose largest
                output is where the model has it, which needs no labels.
            limit: the least value that is still good.
            samples: in any form `qir.compile` takes; those that the trace keeps by default.

        Raises:
            DataError: without samples, or where the model itself is below the limit.
        """
        if samples is None and self.samples is None:
            raise DataError("the trace keeps no samples to bisect on", fix="Give samples=")
        given = batches_of(self.source, self.samples if samples is None else samples)
        # Where the first pass makes the model take pixels, the model itself cannot be run on them.
        start = 1 if self.steps and self.steps[0].applied.name == "fold-preprocess" else 0
        return bisect(self.steps[start:], given, metric, limit)

    def _number(self, step: Step | int | str) -> int:
        if not isinstance(step, Step):
            return 0 if step == 0 else self[step].number
        if step not in self.steps:
            raise PassError(f"step {step} is not of this trace", fix="Give one of its steps, a number or a pass name")
        return step.number

    def save(self, folder: str | os.PathLike[str], *, text: bool = False) -> None:
        """Writes a folder that `load` reads: what changed, every array once.

        It has an .onnx file for the first graph and for that after every step that changed something
        (`04-fold-batchnorm.onnx`); Netron and `qir opt` open each. A trace that was there is replaced; whoever reads
        finds the old one or the new one.

        Args:
            text: also write every graph in its printed form, as .txt.

        Raises:
            OutputError: where it cannot be written, or there is something else.
        """
        tracefile.write(self._kept(), folder, text=text)

    @staticmethod
    def load(folder: str | os.PathLike[str]) -> Trace:
        """Reads what `save` wrote; equal arrays of several steps are one object.

        Raises:
            DataError: if the folder is no trace, incomplete or damaged.
            ModelError: if one of its graphs is damaged.
            PassError: for passes that are not registered here.
        """
        kept = tracefile.read(folder)
        return Trace(list(kept.steps), kept.passes, kept.target, kept.recipe, kept.seed, kept.samples, kept.opening)

    def _kept(self) -> tracefile.Kept:
        planned = (*(step.applied for step in self.steps), *self.passes[len(self.steps) :])
        return tracefile.Kept(
            tuple(self.steps), planned, self.target, self.recipe, self.seed, self.samples, self.opening
        )

    def __repr__(self) -> str:
        return f"<Trace of {len(self.steps)} steps>"

    def __str__(self) -> str:
        lines = []
        for step in self.steps:
            change = summary(step.after) if step.changed else "no change"
            lines.append(f"{step.number:3}  {step.seconds:7.3f} s  {step.applied}: {change}")
        return "\n".join(lines)


def first_samples(data: Feeds, limit: int = MAX_SAMPLES) -> dict[str, np.ndarray]:
    """The leading samples by input name, at most `limit`; the first batch alone where there is no batch axis."""
    axes, taken, count = data.interface.batch_axes, list[Batch](), 0
    for batch in data:
        if taken and not data.interface.joins:
            break
        taken.append(batch)
        count += batch.valid
        if not axes or count >= limit:
            break
    found = {}
    for name in taken[0]:
        parts = [np.asarray(batch[name]) for batch in taken]
        if name not in axes:
            found[name] = parts[0]
            continue
        valid = [np.take(part, range(batch.valid), axes[name]) for part, batch in zip(parts, taken, strict=True)]
        joined = np.concatenate(valid, axes[name])
        found[name] = np.take(joined, range(min(limit, joined.shape[axes[name]])), axes[name])
    return found


def _data(graph: Graph, data: Any) -> Feeds | None:
    if data is None:
        return None
    if isinstance(data, Mapping):
        data = {name: data[name] for name in graph.inputs if name in data}
    return feeds(data, {name: graph.types[name] for name in graph.inputs})


def _exact_until_data(passes: Iterable[Pass]) -> bool:
    """Whether values keep their numbers up to the first pass that asks for statistics."""
    return all(one.promise is not Promise.LOSSY for one in takewhile(lambda one: not one.needs_data, passes))
