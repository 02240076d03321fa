"""One run of a pipeline, with what it found out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from qir.debug.compare import Rounding
from qir.debug.trace import Trace
from qir.ir.graph import Graph
from qir.passmanager.base import Context
from qir.passmanager.instruments import Timer
from qir.passmanager.manager import Instrument, run
from qir.pipeline import Work
from qir.recipe import Override, Recipe
from qir.statistics import Statistics


@dataclass(frozen=True)
class Applied:
    """What a pipeline made of a model.

    Attributes:
        recipe: as the pipeline was given it; `context.recipe` may hold what passes have added.
        graph: the result.
        context: with the notes of the passes, and what was learned of the samples.
        timer: seconds of each pass.
        trace: every step, if asked for.
        rounding: the graphs before and after rounding.
    """

    recipe: Recipe
    graph: Graph
    context: Context
    timer: Timer
    trace: Trace | None
    rounding: Rounding


def apply(
    work: Work,
    *,
    recipe: Recipe | None = None,
    statistics: Statistics | None = None,
    traced: bool = False,
    instruments: Iterable[Instrument] = (),
) -> Applied:
    """Runs a pipeline in a context of its own.

    Args:
        recipe: instead of the work's.
        statistics: that another run has collected; used again where nothing else is known.
        traced: keep every step.
        instruments: called after every pass.
    """
    numbers = recipe or work.context.recipe
    context = replace(work.context, recipe=numbers, statistics=work.context.statistics or statistics,
                      notes=list(work.context.notes))  # fmt: skip
    timer, kept, rounding = Timer(), Trace.of(context, work.passes) if traced else None, Rounding()
    hooks: list[Instrument] = [timer, rounding, *([kept] if kept is not None else []), *instruments]
    graph = run(work.source, work.passes, context, hooks)
    seen = [node for one in (work.source, rounding.real, graph) if one is not None for _, node in one.walk()]
    for match in dict.fromkeys(one.match for one in numbers.overrides):
        if not any(Override(match).applies((node.name, *node.origin), node.op) for node in seen):
            context.notes.append(f"no node has a name or operator like '{match}', which an override is for")
    return Applied(numbers, graph, context, timer, kept, rounding)
