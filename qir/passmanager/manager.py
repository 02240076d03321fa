"""Runs a pipeline: checks stages, verifies after every pass, offers one hook between passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qir.errors import PassError, QirError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.ir.text import Diff, diff, summary
from qir.passmanager.base import Context, Pass
from qir.statistics import Statistics
from qir.verify import verify


@dataclass(frozen=True, repr=False)
class Step:
    """One application of a pass.

    Attributes:
        number: from 1.
        applied: the pass.
        before, after: the graphs; the same object where nothing changed.
        seconds: how long it ran.
        notes: what the pass found worth telling.
        statistics: what calibration has learned by now; None before it.
    """

    number: int
    applied: Pass
    before: Graph
    after: Graph
    seconds: float
    notes: tuple[str, ...] = ()
    statistics: Statistics | None = None

    @property
    def graph(self) -> Graph:
        """The graph after the step."""
        return self.after

    @property
    def changed(self) -> bool:
        """Whether the pass did anything."""
        return self.after is not self.before

    def diff(self) -> Diff:
        """What the pass changed, each node with the names of the user's nodes that it stands for."""
        return diff(self.before, self.after)

    def evaluate(self, inputs: Mapping[str, Any], taps: Sequence[str] = ()) -> dict[str, Any]:
        """Runs the graph after the step.

        Args:
            inputs: real values by name.
            taps: values to return beside the outputs; codes come dequantized, except in stage INT.

        Raises:
            DataError: for missing or unfitting inputs.
        """
        return evaluate(self.after, inputs, taps)

    def __str__(self) -> str:
        return f"{self.number} {self.applied}"

    def __repr__(self) -> str:
        return f"<Step {self}: {summary(self.after) if self.changed else 'no change'}>"


Instrument: TypeAlias = Callable[[Step], None]
"""Called after every pass: printing, dumping, timing, drift tracking and promise checking all hang here."""


def steps(graph: Graph, passes: Iterable[Pass], context: Context, *, first: int = 1) -> Iterator[Step]:
    """Applies passes one at a time, a step for each.

    Args:
        first: number of the first step.

    Raises:
        PassError: where a pass gets a stage it does not take, lacks data, or fails; the pass is named.
        VerifyError: where a pass leaves an invalid graph.
    """
    for number, one in enumerate(passes, first):
        if graph.stage not in one.needs:
            wanted = " or ".join(sorted(stage.value for stage in one.needs))
            raise PassError(f"pass '{one.name}' takes stage {wanted}, the graph is in stage {graph.stage.value}",
                            fix="Reorder the pipeline")  # fmt: skip
        if one.needs_data and context.feeds is None and context.statistics is None:
            raise PassError(f"pass '{one.name}' needs calibration data, none was given", fix="Pass calibration=...")
        told = len(context.notes)
        start = time.perf_counter()
        try:
            after = one.run(graph, context)
        except (QirError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise PassError(
                f"pass '{one.name}' failed: {type(error).__name__}: {error}",
                fix="This is a mistake in the pass: please report it with the model",
            ) from error
        if one.gives is not None and after.stage is not one.gives:
            raise PassError(f"pass '{one.name}' gave stage {after.stage.value} instead of {one.gives.value}",
                            fix="Mend the pass")  # fmt: skip
        if after is not graph:
            verify(after, after=f"pass '{one.name}'")
        seconds = time.perf_counter() - start
        yield Step(number, one, graph, after, seconds, tuple(context.notes[told:]), context.statistics)
        graph = after


def run(graph: Graph, passes: Iterable[Pass], context: Context, instruments: Iterable[Instrument] = ()) -> Graph:
    """Applies passes in order and returns the last graph. Raises as `steps` does."""
    for step in observed(steps(graph, passes, context), instruments):
        graph = step.after
    return graph


def observed(walk: Iterable[Step], instruments: Iterable[Instrument]) -> Iterator[Step]:
    """The same steps, each shown to every instrument first."""
    hooks = tuple(instruments)
    for step in walk:
        for hook in hooks:
            hook(step)
        yield step
