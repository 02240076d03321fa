"""`equalize`: scales channels so that rounding them costs less, and weights the other way: results stay.

Channels of one value share a scale, so narrow ones beside wide ones get few codes. Where a channel comes from a layer
and goes to layers, through Relu, Add, pools and the like (qir.coupling), a factor may go into the rows of the one and
come out of the columns of the others. Factors minimise the noise of both, codes and weights (qir.quant.equalization),
with what calibration saw; groups of channels that hardly gain stay. So this is cross-layer equalization, depthwise
layers and residual sums included, and the smoothing of what LayerNorms give to matrix products. What layers read whose
weights take few values stays too: these want columns of one size.

The graph notes the factors (qir.rewrite.channel_scaling), and statistics are scaled too: nothing runs again. Behind a
Clip to [0, b] a channel grows at most until the largest element seen is b: within what calibration saw the
result is the same, beyond it the channel is clipped earlier.

Source: Nagel et al., arXiv 1906.04721, section 4.1; Xiao et al., arXiv 2211.10438 (SmoothQuant).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.coupling import Coupling
from qir.ir.graph import Graph, Node, Stage
from qir.ops.weighted import weighted
from qir.passes.quantize.clamp import bounds
from qir.passes.quantize.followed import ChannelMap, bounds_of, followed, given_ranges
from qir.passes.quantize.observed import gram_of, observed
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.equalization import RangeTerm, Term, WeightTerm, equalized
from qir.recipe import code_count
from qir.rewrite.channel_scaling import STEPS, nearest_codes, scale_channels
from qir.statistics import Histogram


@dataclass(frozen=True)
class Equalize(Pass):
    """Scales channels of values to be quantized; those of bodies of If, Loop and Scan stay, as do rounded networks."""

    name: ClassVar[str] = "equalize"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    promise: ClassVar[Promise] = Promise.LOSSY
    needs_data: ClassVar[bool] = True

    def run(self, graph: Graph, context: Context) -> Graph:
        coupling = Coupling.of(graph)
        if graph.stage is not Stage.FLOAT or not coupling.values:
            return graph
        statistics = observed(graph, context)
        terms = list(_terms(graph, coupling, context))
        if not terms:
            return graph
        lower, upper = _limits(graph, coupling, context)
        factors, gained = equalized(terms, coupling.groups, lower, upper)
        codes = nearest_codes(factors, lower, upper)
        if not codes.any():
            return graph
        result = scale_channels(graph, coupling, codes)
        changed = {name: np.exp2(codes[channels.ids] / STEPS) for name, channels in coupling.values.items()}
        maps = {name: ChannelMap(factor, np.zeros(factor.size)) for name, factor in changed.items()}
        context.statistics = followed(statistics, graph, result, maps)
        better = gained[np.unique(coupling.groups[np.flatnonzero(codes)])]
        count = sum(bool(codes[channels.ids].any()) for channels in coupling.values.values())
        context.notes.append(
            f"equalized the channels of {count} values in {better.size} groups: "
            f"the noise of rounding falls to {float(np.exp(np.log(better).mean())):.0%} on average"
        )
        return result


def _terms(graph: Graph, coupling: Coupling, context: Context) -> Iterator[Term]:
    """What rounding costs, value by value and layer by layer, each layer's noise beside the power of its results."""
    costs: dict[str, np.ndarray] = {}
    layers: dict[str, list[str]] = {}  # by value: the layers that it reaches through carriers
    weights: list[Term] = []
    for node in reversed(graph.nodes):
        if node.name in coupling.carriers:
            reached = dict.fromkeys(layer for output in node.outputs for layer in layers.get(output, ()))
            for name in node.inputs:
                layers[name] = list(dict.fromkeys((*layers.get(name, ()), *reached)))
        slots, name = weighted(node, graph), node.inputs[0] if node.inputs else ""
        if slots is None or name not in coupling.values:
            continue
        weight = graph.constants[node.inputs[slots.weight]].value
        cells = _cells(node, weight)
        ids, known = coupling.values[name].ids.reshape(cells.shape[0], -1), _power(node, weight, cells, context)
        if known is None or known[0] <= 0:
            continue
        power, variance = known
        cost = np.zeros(len(coupling.groups))
        np.add.at(cost, ids, np.square(cells).sum(axis=(1, 3)) / power)
        costs[node.name] = cost
        layers.setdefault(name, []).append(node.name)
        treatment = context.recipe.layer((node.name, *node.origin), node.op)
        if treatment.weight_width is not None and not treatment.has_few_values:
            levels = 2 ** (treatment.weight_width - 1) - 1
            weights.append(WeightTerm(
                ids, np.abs(cells).max(axis=3), variance / (12 * levels**2 * power), treatment.per_channel
            ))  # fmt: skip
    yield from weights
    for name, channels in coupling.values.items():
        maker = graph.index.producer(name)
        assert maker is not None
        bits = context.recipe.layer((maker.name, *maker.origin), maker.op).activation_bits
        assert context.statistics is not None
        found = bounds_of(name, context.statistics)
        heard = [costs[layer] for layer in layers.get(name, ()) if layer in costs]
        if found is None or not heard or bits is None:
            continue
        low, high = np.minimum(found.low, 0).astype(np.float64), np.maximum(found.high, 0).astype(np.float64)
        steps = code_count(bits) - 1
        yield RangeTerm(channels.ids, low, high, np.sum(heard, axis=0)[channels.ids] / (12 * steps**2))


def _cells(node: Node, weight: np.ndarray) -> np.ndarray:
    """A layer's weight as float64 [groups, outputs, inputs, kernel]."""
    groups = int(node.attr("group", 1))
    wide = weight.astype(np.float64)
    if node.op == "Conv":
        return wide.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    if node.op == "ConvTranspose":
        return wide.reshape(groups, len(weight) // groups, weight.shape[1], -1).swapaxes(1, 2)
    return (wide if node.attr("transB", 0) else wide.T)[None, :, :, None]


def _power(node: Node, weight: np.ndarray, cells: np.ndarray, context: Context) -> tuple[float, np.ndarray] | None:
    """The variance of a layer's results, summed over its channels, and that of its inputs [groups, inputs], summed over
    the kernel; None where calibration did not see them."""
    assert context.statistics is not None
    groups, _, inputs, taps = cells.shape
    gram = gram_of(node, weight, context)
    if gram is not None and gram.rows:
        results = gram.sample.rows.transpose(1, 0, 2) @ cells.reshape(groups, -1, inputs * taps).transpose(0, 2, 1)
        variance = np.maximum(gram.diagonal / gram.rows - gram.mean**2, 0)
        return float(results.var(axis=1).sum()), variance.reshape(groups, inputs, taps).sum(axis=2)
    found = bounds_of(node.inputs[0], context.statistics)
    if found is None:
        return None
    variance = found.sample.rows[:, 0].var(axis=0, dtype=np.float64).reshape(groups, inputs)
    return float((np.square(cells).sum(axis=3) * variance[:, None]).sum()), variance * taps


def _reads_few_values(node: Node, graph: Graph, context: Context) -> bool:
    """Whether a layer's weights have few values: no factor makes those better."""
    layer = context.recipe.layer((node.name, *node.origin), node.op)
    return layer.has_few_values and weighted(node, graph) is not None


def _limits(graph: Graph, coupling: Coupling, context: Context) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest factor of each class."""
    assert context.statistics is not None
    count = len(coupling.groups)
    lower, upper = np.zeros(count), np.full(count, np.inf)
    given = given_ranges(graph, context)
    for node in graph.nodes:
        if _reads_few_values(node, graph, context) and node.inputs[0] in coupling.values:
            lower[coupling.values[node.inputs[0]].ids] = upper[coupling.values[node.inputs[0]].ids] = 1
        for name in node.outputs:
            if name not in coupling.values:
                continue
            ids, limits = coupling.values[name].ids, bounds(node, graph)
            found = bounds_of(name, context.statistics)
            unseen = found is None and (Histogram.kind, name) in context.statistics.entries
            if unseen or name in given:
                lower[ids] = upper[ids] = 1
            elif limits is not None and limits[1] < np.inf:
                if found is None:
                    room = np.ones(ids.size)
                else:
                    room = limits[1] / np.clip(found.high, 1e-6 * limits[1], limits[1])
                lower[ids] = 1
                np.minimum.at(upper, ids, room)
    return np.minimum(lower, 1), np.maximum(upper, lower)
