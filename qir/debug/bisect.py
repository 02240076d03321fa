"""Which pass broke the network, and which of its layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from qir.calibration.interface import Interface
from qir.debug.compare import Batches, batches
from qir.debug.errors import Sums
from qir.debug.hybrid import Hybrid
from qir.debug.pairing import pair
from qir.debug.samples import batches_of
from qir.errors import DataError, ModelError
from qir.evaluate import evaluate
from qir.ir.dtype import UINT8
from qir.ir.graph import Graph, Stage
from qir.ir.types import Affine, TensorType
from qir.passmanager.manager import Step
from qir.quant.scales import decode

Outputs: TypeAlias = Mapping[str, np.ndarray]
Metric: TypeAlias = Callable[[Outputs], float]
"""A figure of merit of the outputs of all samples, by name; higher is better."""


@dataclass(frozen=True)
class Bisection:
    """Where a metric first fell below its limit.

    Attributes:
        limit: what was asked for.
        values: (step, metric after it), for the first graph (step None) and every step that changed something, up to
            the one that broke it.
        step: the guilty one; None where none is.
        layers: (node, metric when only this layer is the step's, or where `together` when all layers up to it are),
            the guilty one first; empty where the step has no layers to tell apart.
        together: no single layer breaks the metric; they add up, and the first one listed crosses the limit.
    """

    limit: float
    values: tuple[tuple[Step | None, float], ...]
    step: Step | None
    layers: tuple[tuple[str, float], ...] = ()
    together: bool = False

    @property
    def layer(self) -> str | None:
        """Name of the guilty layer's node, in the graph after the step."""
        return self.layers[0][0] if self.layers else None

    def __str__(self) -> str:
        if self.step is None:
            return f"no pass takes the metric below {self.limit:.4g}; it ends at {self.values[-1][1]:.4g}"
        before, after = (value for _, value in self.values[-2:])
        text = f"pass {self.step.number} {self.step.applied} takes the metric from {before:.4g} to {after:.4g}"
        if not self.layers:
            return text
        how = "with all layers up to it" if self.together else "alone"
        return f"{text}; in it {self.layers[0][0]}, which {how} takes it to {self.layers[0][1]:.4g}"


def bisect(steps: Iterable[Step], feeds: Mapping[str, Any] | Batches, metric: Metric | None = None,
           limit: float = 0.99) -> Bisection:  # fmt: skip
    """The first step that takes a metric below a limit, then the layer of that step.

    Every graph is run, in order, until one falls below: a metric need not fall steadily. Within the step, each layer is
    judged by a network that is the one before the step but for this layer; where no layer alone is to blame, by the
    networks that take the layers over one after another.

    Args:
        steps: of a trace, or any that follow each other.
        feeds: one batch of inputs by name, or batches.
        metric: of all outputs, joined along the batch; by default the share of samples whose largest output is where
            the first graph has it, which needs no labels.
        limit: the least value that is still good.

    Raises:
        DataError: without steps or samples, or where the first graph is below the limit already.
    """
    chain, given = list(steps), list(batches(feeds))
    if not chain or not given:
        raise DataError(f"there are no {'samples' if chain else 'steps'} to bisect", fix="Give at least one")
    first = joined([_run(chain[0].before, batch) for batch in given])
    score = metric or agreement(first)
    values: list[tuple[Step | None, float]] = [(None, float(score(first)))]
    if values[0][1] < limit:
        raise DataError(f"the metric is {values[0][1]:.4g} before the first pass, below the limit {limit:.4g}",
                        fix="Give a limit that the float model meets")  # fmt: skip
    for step in chain:
        if step.after is step.before:
            continue
        value = float(score(joined([_run(step.after, batch) for batch in given])))
        values.append((step, value))
        if value < limit:
            layers, together = _layers(step, given, score, limit)
            return Bisection(limit, tuple(values), step, layers, together)
    return Bisection(limit, tuple(values), None)


def agreement(reference: Outputs) -> Metric:
    """The share of samples whose largest element lies where the reference has it, of the worst output; without axes of
    classes, the share of elements within 1 % of the largest magnitude."""

    def metric(outputs: Outputs) -> float:
        shares = []
        for name, wanted in reference.items():
            found = outputs[name]
            if wanted.shape != found.shape or wanted.dtype.kind != "f":
                continue
            if wanted.ndim >= 2 and wanted.shape[-1] > 1:
                shares.append(float((wanted.argmax(-1) == found.argmax(-1)).mean()))
            else:
                shares.append(float((np.abs(wanted - found) <= 0.01 * np.abs(wanted).max(initial=0)).mean()))
        return min(shares, default=1.0)

    return metric


def sqnr_metric(reference: Outputs) -> Metric:
    """SQNR of the worst output in dB."""

    def metric(outputs: Outputs) -> float:
        found = []
        for name, wanted in reference.items():
            if wanted.dtype.kind == "f":
                sums = Sums()
                sums.add(wanted, outputs[name])
                found.append(sums.error.sqnr)
        return min(found, default=float("inf"))

    return metric


def joined(results: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The outputs of several batches as one array each."""
    return {name: np.concatenate([np.atleast_1d(result[name]) for result in results]) for name in results[0]}


def _run(graph: Graph, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """One batch through a graph whose own batch may be smaller, as that of C is."""
    kinds = {name: kind for name in graph.inputs if isinstance(kind := graph.types[name], TensorType)}
    if Interface(kinds).fixed_batch is None:
        return evaluate(graph, batch)
    return joined([evaluate(graph, part) for part in batches_of(graph, batch)])


def _layers(step: Step, given: Sequence[Mapping[str, Any]], score: Metric, limit: float
            ) -> tuple[tuple[tuple[str, float], ...], bool]:  # fmt: skip
    if step.after.stage is Stage.INT:
        return _lowered(step, given), False
    try:
        hybrid = Hybrid(pair(step.before, step.after))
    except ModelError:
        return (), False  # the pass changed what the model takes or gives
    pairing = hybrid.pairing
    given = [part for batch in given for part in batches_of(step.after, batch)]

    def value(on: Collection[str]) -> float:
        return float(score(joined([hybrid.outputs(batch, on) for batch in given])))

    def name(layer: str) -> str:
        node = pairing.node(layer)
        return layer if node is None else node.name

    changed = _changed(hybrid, given[0])
    alone = sorted(((name(layer), value((layer,))) for layer in changed), key=lambda row: row[1])
    if not alone or alone[0][1] < limit:
        return tuple(alone), False
    taken: list[str] = []
    rows: list[tuple[str, float]] = []
    for layer in changed:
        taken.append(layer)
        rows.append((name(layer), value(taken)))
        if rows[-1][1] < limit:
            break
    return tuple(reversed(rows)), True


def _changed(hybrid: Hybrid, batch: Mapping[str, Any]) -> list[str]:
    """The layers whose results the step changes by themselves, in execution order."""
    results = hybrid.layers(batch, ())
    return [layer for layer, (before, after) in results.items()
            if before.shape != after.shape or not np.array_equal(before, after)]  # fmt: skip


_CLEAN = 60.0
"""dB from which on two ways to compute equal codes count as equal: a few codes may differ by one."""


def _lowered(step: Step, given: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, float], ...]:
    """SQNR of each value as integers make it, in dB; where it falls most behind its operands' leads."""
    before, after = step.before, step.after
    kinds = {name: kind.quant for node in after.nodes for name in node.outputs
             if name and isinstance(kind := before.types.get(name), TensorType) and kind.quant is not None}  # fmt: skip
    sums = {name: Sums() for name in kinds}
    for batch in given:
        for part in batches_of(after, batch):
            wanted, found = evaluate(before, part, tuple(kinds)), evaluate(after, part, tuple(kinds))
            for name, quant in kinds.items():
                sums[name].add(wanted[name], _real(found[name], quant))
    errors = {name: min(total.error.sqnr, _CLEAN) for name, total in sums.items()}
    rows = []
    for node in after.nodes:
        operands = min((errors[name] for name in node.inputs if name in errors), default=_CLEAN)
        rows += [(operands - errors[name], node.name, errors[name]) for name in node.outputs if name in errors]
    guilty = max(rows, key=lambda row: row[0], default=None)
    ordered = [guilty, *(row for row in rows if row is not guilty)] if guilty else []
    return tuple((name, value) for _, name, value in ordered)


def _real(codes: np.ndarray, quant: Affine) -> np.ndarray:
    """What codes of stage INT stand for: signed ones are stored shifted by 128."""
    if codes.dtype.kind == "f":
        return codes
    shift = 128 if quant.storage.kind == "int" and codes.dtype == UINT8.numpy else 0
    return decode(codes.astype(np.int32) - shift, quant)
