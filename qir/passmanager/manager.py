"""Runs a pipeline: checks stages, verifies after every pass, offers one hook between passes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from qir.errors import PassError, QirError
from qir.ir.graph import Graph
from qir.passmanager.base import Context, Pass
from qir.verify import verify


@dataclass(frozen=True)
class Step:
    """One application of a pass.

    Attributes:
        number: from 1.
        applied: the pass.
        before, after: the graphs; the same object where nothing changed.
        seconds: how long it ran.
    """

    number: int
    applied: Pass
    before: Graph
    after: Graph
    seconds: float


Instrument: TypeAlias = Callable[[Step], None]
"""Called after every pass: printing, dumping, timing, drift tracking and promise checking all hang here."""


def steps(graph: Graph, passes: Iterable[Pass], context: Context) -> Iterator[Step]:
    """Applies passes one at a time, a step for each.

    Raises:
        PassError: where a pass gets a stage it does not take, lacks data, or fails; the pass is named.
        VerifyError: where a pass leaves an invalid graph.
    """
    for number, one in enumerate(passes, 1):
        if graph.stage not in one.needs:
            wanted = " or ".join(sorted(stage.value for stage in one.needs))
            raise PassError(f"pass '{one.name}' takes stage {wanted}, the graph is in stage {graph.stage.value}",
                            fix="Reorder the pipeline")  # fmt: skip
        if one.needs_data and context.feeds is None:
            raise PassError(f"pass '{one.name}' needs calibration data, none was given", fix="Pass calibration=...")
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
        yield Step(number, one, graph, after, time.perf_counter() - start)
        graph = after


def run(graph: Graph, passes: Iterable[Pass], context: Context, instruments: Iterable[Instrument] = ()) -> Graph:
    """Applies passes in order and returns the last graph. Raises as `steps` does."""
    hooks = tuple(instruments)
    for step in steps(graph, passes, context):
        for hook in hooks:
            hook(step)
        graph = step.after
    return graph
