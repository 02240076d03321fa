"""`max_drop`: layers keep so much precision that answers move no more than allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from qir.applied import Applied
from qir.budget.frontier import chosen, frontier
from qir.budget.options import TRIES, Again, wider
from qir.debug.answers import Drop, Judge
from qir.debug.bisect import joined
from qir.debug.samples import batches_of
from qir.errors import RecipeError
from qir.evaluate import Runner
from qir.ir.graph import Graph
from qir.ops.weighted import weighted
from qir.passes.quantize.correct_biases import first_samples
from qir.recipe import Layer

_TOLD = 256
"""Samples on which a cost is told that nobody has set a limit to."""


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
    return _judge(real, data).drop(_outputs(quant, data))


def cost_of_few_bits(applied: Applied) -> str | None:
    """What a recipe of few bits cost in all, on some of the samples; None for others, and where nothing can be told."""
    context, quant = applied.context, applied.rounding.quant
    if not context.recipe.has_few_bits or context.feeds is None or context.teacher is None or quant is None:
        return None
    kept = Counter(_weights(context.recipe.layer((node.name, *node.origin), node.op))
                   for node in quant.nodes if weighted(node, quant) is not None)  # fmt: skip
    kinds = ", ".join(f"{kind} in {count}" for kind, count in kept.most_common())
    batches = first_samples(quant, context.feeds, _TOLD)
    runs = Runner(context.teacher), Runner(quant)
    try:
        wanted, found = (joined([run(batch) for batch in batches]) for run in runs)
    except (AttributeError, TypeError, ValueError):  # sequences, or as large as the samples are
        return None
    return f"weights are {kinds} layers; {Judge.of(context.teacher, wanted).drop(found)}"


def _weights(layer: Layer) -> str:
    """What the weights of a layer are, in words."""
    if layer.weight_planes > 1:
        return f"{layer.weight_planes} planes"
    return {1: "binary", "t": "ternary", None: "float"}.get(layer.weight_bits, f"{layer.weight_bits} bits")


def within_drop(applied: Applied, again: Again, max_drop: float) -> Applied:
    """The cheapest choice that was found whose answers move no more than allowed, with a note of what and why.

    Args:
        applied: the result of the recipe as it is.
        max_drop: the largest `Drop.most`.
    """
    real, quant, feeds = applied.rounding.real, applied.rounding.quant, applied.context.feeds
    if real is None or quant is None:
        return applied
    judge, found = _judge(real, feeds), _outputs(quant, feeds)
    drop = judge.drop(found)
    if drop.most <= max_drop:
        applied.context.notes.append(f"max_drop {max_drop:g} holds: {drop}; no layer has to be wider")
        return applied
    noise, table = judge.noise(found), wider(applied, again)
    steps = frontier(table.ways)
    tried = {0: (applied, drop)}

    def holds(count: int) -> bool:
        made = again(table.with_choice(chosen(table.ways, steps[:count])))
        graph = made.rounding.quant
        drop = judge.drop(_outputs(graph if graph is not None else real, feeds))
        tried[count] = made, drop
        return drop.most <= max_drop

    def predicted(count: int) -> float:
        share = table.noise(chosen(table.ways, steps[:count]))
        return judge.predicted({name: share * value for name, value in noise.items()})

    guess = next((count for count in range(1, len(steps)) if predicted(count) <= max_drop), len(steps))
    count = _least(len(steps), guess, holds)
    if count not in tried:
        holds(count)
    best, drop = tried[count]
    said = "holds" if drop.most <= max_drop else "is not reached"
    lines = table.reasons(chosen(table.ways, steps[:count]))
    best.context.notes.append(f"max_drop {max_drop:g} {said}: {drop}; {len(lines)} layers are wider")
    best.context.notes.extend(lines)
    return best


def _least(high: int, guess: int, holds: Callable[[int], bool]) -> int:
    """The least number in (0, high] that holds, where larger ones do too; as near as a few tries come, from a guess."""
    low = 0
    for _ in range(TRIES):
        if high - low <= 1:
            break
        count = min(max(guess, low + 1), high - 1)
        low, high = (low, count) if holds(count) else (count, high)
        guess = (low + high) // 2
    return high


def _judge(real: Graph, data: Any) -> Judge:
    return Judge.of(real, _outputs(real, data))


def _outputs(graph: Graph, data: Any) -> Any:
    run = Runner(graph)
    return joined([run(batch) for batch in batches_of(graph, data)])
