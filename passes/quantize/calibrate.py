"""`calibrate`: runs the samples once, keeps a histogram of every float value, notes each value's range.

The statistics stay in the context: another method asks them again and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Stage
from qir.passes.fuse.preprocess import PIXELS
from qir.passes.quantize.choose_ranges import chosen_ranges
from qir.passes.quantize.clamp import bounds
from qir.passes.quantize.observed import observed, sole_clamp
from qir.passes.quantize.placement import place
from qir.passes.quantize.widths import Width, has_signs, widths
from qir.passmanager.base import Context, Pass, Promise
from qir.statistics import BINS, Histogram, value_range
from qir.statistics.few import few_range

_ROOM = 4.0
"""16-bit codes have two bits to spare for what calibration did not see; a clipped element costs more than those."""

_MANY = 256
"""Codes of which the ranges that layers judge are good enough."""


@dataclass(frozen=True)
class Calibrate(Pass):
    """Collects statistics (unless the context has them) and chooses ranges.

    Attributes:
        method: minmax, percentile, mse, octav, entropy, or auto, which compares them where values are read
            (passes/quantize/choose_ranges.py); empty for the recipe's.
        percentile: share of samples kept inside the range, in percent; 0 for the recipe's.
    """

    name: ClassVar[str] = "calibrate"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    promise: ClassVar[Promise] = Promise.ANNOTATE
    needs_data: ClassVar[bool] = True
    method: str = ""
    percentile: float = 0.0

    def run(self, graph: Graph, context: Context) -> Graph:
        statistics = observed(graph, context)
        method = self.method or context.recipe.calibration
        options = {"p": self.percentile or context.recipe.percentile} if method == "percentile" else {}

        seen = {name: statistics.histogram(name) for name in statistics.names(Histogram.kind)}
        histograms = {name: found for name, found in seen.items() if not found.infinite}
        if len(histograms) < len(seen):
            infinite = ", ".join(sorted(seen.keys() - histograms.keys()))
            context.notes.append(f"no codes stand for infinite numbers, so these values stay float: {infinite}")
        plain = "mse" if method == "auto" else method
        ranges = {name: value_range(found, plain, **options) for name, found in histograms.items() if found.count}
        if method == "auto":
            ranges |= chosen_ranges(graph, statistics, histograms, context.target)
            known = _widths(graph, histograms, context)
            ranges |= {name: _range(name, width, histograms[name], graph) for name, width in known.items()
                       if width.codes > BINS or width.codes < _MANY}  # fmt: skip
        if PIXELS in graph.metadata:
            ranges[graph.metadata[PIXELS]] = (0.0, 255.0)
        return _note(graph, "", ranges)


def _range(name: str, width: Width, histogram: Histogram, graph: Graph) -> tuple[float, float]:
    """That of few codes, whose every place counts, and of codes finer than the bins of histograms: clipping never pays
    there, nor could it be judged."""
    if width.codes > BINS:
        return _roomy(name, histogram, graph)
    return few_range(histogram, width.codes, signs=has_signs(width, histogram.low))


def _roomy(name: str, histogram: Histogram, graph: Graph) -> tuple[float, float]:
    """The range of a value with room for larger elements than those seen, inside of what a clamp lets through."""
    producer = graph.index.producer(name)
    limits = bounds(producer, graph) if producer is not None else None
    low, high = (_ROOM * bound for bound in value_range(histogram))
    return (low, high) if limits is None else (max(low, limits[0]), min(high, limits[1]))


def _widths(graph: Graph, histograms: Mapping[str, Histogram], context: Context) -> dict[str, Width]:
    """Those of the values that will be codes."""
    whole = {name: value_range(found) for name, found in histograms.items() if found.count}
    rough = _note(graph, "", whole)
    known = widths(rough, place(rough, context), context)
    return {name: width for name, width in known.items() if name in whole}


def _note(graph: Graph, scope: str, ranges: Mapping[str, tuple[float, float]]) -> Graph:
    """The graph with its ranges; those of a body's values have the key `node/attribute/value`."""
    nodes = []
    for node in graph.nodes:
        bodies = {key: _note(body, f"{scope}{node.name}/{key}/", ranges) for key, body in node.subgraphs.items()}
        same = all(bodies[key] is body for key, body in node.subgraphs.items())
        nodes.append(node if same else node.with_(attrs={**node.attrs, **bodies}))
    own = {name: ranges[scope + name] for name in graph.types if scope + name in ranges}
    made = [name for node in graph.nodes for name in node.outputs]
    for name in reversed((*graph.inputs, *made)):  # of two clamps in a row the second comes first
        clamp = sole_clamp(name, graph)
        if clamp is not None and name not in own and clamp.outputs[0] in own:
            own[name] = own[clamp.outputs[0]]
    if all(a is b for a, b in zip(nodes, graph.nodes, strict=True)) and own.items() <= graph.ranges.items():
        return graph
    return graph.with_(nodes=tuple(nodes), ranges={**graph.ranges, **own})
