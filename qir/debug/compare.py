"""Layer by layer, how far a quantized network is from its float model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.calibration.interface import Interface
from qir.debug.errors import Comparison, Error, LayerError, Sums
from qir.debug.hybrid import Hybrid
from qir.debug.pairing import Pairing, pair
from qir.errors import DataError
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import weighted
from qir.passmanager.manager import Step
from qir.quant.scales import decode

Batches = Iterable[Mapping[str, Any]]
_EFFECT_SAMPLES = 32
_EFFECT_RUNS = 256
"""How often the network is run to measure effects; large networks get fewer samples, and not all of their layers."""
_EFFECT_LAYERS = 64


@dataclass
class Rounding:
    """An instrument that keeps the last graph on either side of rounding.

    Attributes:
        real: the last FLOAT graph.
        quant: the last QUANT graph with batches and layers as `real` has them; None where nothing was rounded.
    """

    real: Graph | None = None
    quant: Graph | None = None

    def __call__(self, step: Step) -> None:
        for graph in (step.before, step.after) if step.applied.keeps_layers else (step.before,):
            if graph.stage is Stage.FLOAT:
                self.real = graph
            elif graph.stage is Stage.QUANT and (self.real is None or _sizes(graph) == _sizes(self.real)):
                self.quant = graph


def _sizes(graph: Graph) -> list[object]:
    kinds = (graph.types[name] for name in graph.inputs)
    return [kind.shape if isinstance(kind, TensorType) else None for kind in kinds]


def compare(real: Graph, quant: Graph, feeds: Mapping[str, Any] | Batches, *, effects: int = _EFFECT_SAMPLES
            ) -> Comparison:  # fmt: skip
    """Errors of every layer, accumulated and isolated, its effect on the outputs, and the errors of the outputs.

    Args:
        real: the reference, in stage FLOAT (or QUANT, to compare two quantized graphs).
        quant: what is judged; its values go by the same names.
        feeds: one batch, or an iterable of batches, which is streamed: memory does not grow with their number.
        effects: samples that each layer's effect on the outputs is measured on; 0 leaves it out. Of networks with many
            layers the 64 worst in isolation are measured, on fewer samples.

    Raises:
        DataError: for data that does not fit, or none.
        ModelError: for two models of different inputs or outputs.
    """
    return compared(Hybrid(pair(real, quant)), feeds, effects)


def compared(hybrid: Hybrid, feeds: Mapping[str, Any] | Batches, effects: int = _EFFECT_SAMPLES) -> Comparison:
    """`compare` with networks that are side by side already."""
    pairing = hybrid.pairing
    everything = frozenset(pairing.layers)
    accumulated: dict[str, Sums] = {name: Sums() for name in hybrid.tapped}
    isolated: dict[str, Sums] = {name: Sums() for name in hybrid.tapped}
    outputs: dict[str, Sums] = {}
    alone: dict[str, dict[str, Sums]] = {name: {} for name in hybrid.tapped}
    samples, runs = 0, 0
    chosen: list[str] = []
    for batch in batches(feeds):
        off, on = hybrid.layers(batch, ()), hybrid.layers(batch, everything)
        for name in hybrid.tapped:
            isolated[name].add(*off[name])
            accumulated[name].add(off[name][0], on[name][1])
        reference = hybrid.outputs(batch, ())
        _add(outputs, reference, hybrid.outputs(batch, everything))
        chosen = chosen or sorted(hybrid.tapped, key=lambda name: finite(isolated[name].error.sqnr))[:_EFFECT_LAYERS]
        if samples < effects and runs + len(chosen) <= max(_EFFECT_RUNS, len(chosen)):
            runs += len(chosen)
            few = leading(batch, max(4, effects * 32 // max(len(chosen), 32)), pairing.quant)
            mine = reference if few is batch else hybrid.outputs(few, ())
            for name in chosen:
                _add(alone[name], mine, hybrid.outputs(few, (name,)))
        samples += batch_size(batch)
    if not samples:
        raise DataError("there is no sample to compare on", fix="Give at least one")
    rows = []
    for name in hybrid.tapped:
        node = pairing.node(name)
        effect = min((sums.error.sqnr for sums in alone[name].values()), default=None)
        title, op = (name, "input") if node is None else (node.name, node.op)
        errors = accumulated[name].error, isolated[name].error, effect, weight_error(pairing, name)
        rows.append(LayerError(name, title, op, _origin(pairing, name), *errors))
    return Comparison(tuple(rows), {name: sums.error for name, sums in outputs.items()}, samples)


def batches(feeds: Mapping[str, Any] | Batches) -> Iterator[Mapping[str, Any]]:
    """The batches of what may be a single one."""
    if isinstance(feeds, Mapping):
        yield feeds
    else:
        yield from feeds


def batch_size(batch: Mapping[str, Any]) -> int:
    """How many samples a batch holds: the first size of its first array."""
    first = np.asarray(next(iter(batch.values()), np.zeros(())))
    return first.shape[0] if first.ndim else 1


def leading(batch: Mapping[str, Any], count: int, graph: Graph) -> Mapping[str, Any]:
    """The first samples of a batch, all of it where the network fixes how many it takes."""
    kinds = {name: kind for name in graph.inputs if isinstance(kind := graph.types[name], TensorType)}
    interface = Interface(kinds)
    if interface.fixed_batch is not None or not interface.batch_axes or batch_size(batch) <= count:
        return batch
    axes = interface.batch_axes
    return {name: np.take(array, range(count), axes[name]) if name in axes else array for name, array in batch.items()}


def _add(sums: dict[str, Sums], reference: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name, value in reference.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            sums.setdefault(name, Sums()).add(value, found[name])


def _origin(pairing: Pairing, layer: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for node in pairing.region(layer) for name in node.origin))


def weight_error(pairing: Pairing, layer: str) -> Error | None:
    """The error of a layer's dequantized weight; None where the layers have no single weight of equal shape."""
    mine, other = (
        only_weight(pairing.region(layer), pairing.quant),
        only_weight(pairing.real_region(layer), pairing.real),
    )
    if mine is None or other is None:
        return None
    real, found = pairing.real.constants[other].value, dequantized(pairing.quant, mine)
    if real.shape != found.shape:
        return None
    sums = Sums()
    sums.add(real, found)
    return sums.error


def only_weight(region: Iterable[Node], graph: Graph) -> str | None:
    """The name of the weight of the only node that has one."""
    names = [node.inputs[slots.weight] for node in region if (slots := weighted(node, graph)) is not None]
    return names[0] if len(names) == 1 else None


def dequantized(graph: Graph, name: str) -> np.ndarray:
    """The real values that a constant has once rounded, as the type says."""
    constant, quant = graph.constants[name], graph.tensor(name).quant
    if quant is None or constant.codes is None:
        return constant.value
    return decode(constant.codes, quant)


def finite(decibels: float) -> float:
    """SQNR for arithmetic: equal values count as 200 dB, hopeless ones as -200."""
    return min(max(decibels, -200.0), 200.0) if not math.isnan(decibels) else -200.0
