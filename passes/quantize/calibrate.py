"""`calibrate`: runs the samples once, keeps a histogram of every float value, notes each value's range.

The statistics stay in the context: another method asks them again and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from qir.collecting import collect
from qir.errors import PassError
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.observe import Wanted
from qir.passes.fuse.preprocess import PIXELS
from qir.passes.quantize.choose_ranges import chosen_ranges
from qir.passes.quantize.clamp import bounds
from qir.passmanager.base import Context, Pass, Promise
from qir.statistics import Histogram, Statistics, fingerprints


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
        watch = AtOperators(frozenset(context.target.integer) | {"Relu", "Clip"})
        if not _describes(context.statistics, graph, watch):
            if context.feeds is None:
                raise PassError("the given statistics are of other values than this network's for this target",
                                fix="Calibrate this model for this target, or give samples")  # fmt: skip
            context.statistics = collect(
                graph, context.feeds, watch, executor=context.executor, seed=context.seed, notes=context.notes
            )
        statistics = context.statistics
        assert statistics is not None
        method = self.method or context.recipe.calibration
        options = {"p": self.percentile or context.recipe.percentile} if method == "percentile" else {}

        histograms = {name: statistics.histogram(name) for name in statistics.names(Histogram.kind)}
        plain = "mse" if method == "auto" else method
        ranges = {name: found.range(plain, **options) for name, found in histograms.items() if found.count}
        if method == "auto":
            ranges |= chosen_ranges(graph, statistics, context.target)
        if PIXELS in graph.metadata:
            ranges[graph.metadata[PIXELS]] = (0.0, 255.0)
        return _note(graph, "", ranges)


@dataclass(frozen=True)
class AtOperators:
    """Names the float values at some operators, in execution order, but for those that a clamp alone reads.

    What its clamp cuts off needs no codes, so such a value takes the range of the clamp's result.
    """

    operators: frozenset[str]

    def __call__(self, graph: Graph) -> list[str]:
        names: dict[str, None] = {}
        for node in graph.nodes:
            if node.op in self.operators:
                names.update((name, None) for name in (*node.inputs, *node.outputs) if name)
        own = {*graph.inputs, *(name for node in graph.nodes for name in node.outputs)}
        return [name for name in names if name in own and _is_float(graph, name) and _clamp(name, graph) is None]


def _clamp(name: str, graph: Graph) -> Node | None:
    """The Relu or Clip with known bounds that is a value's only reader."""
    reader = graph.index.sole_consumer(name)
    known = reader is not None and name == reader.inputs[0] and bounds(reader, graph) is not None
    return reader if known and _is_float(graph, name) else None


def _describes(statistics: Statistics | None, graph: Graph, watch: Wanted) -> bool:
    """Whether there are statistics of every value to watch, as the graph makes it now."""
    if statistics is None:
        return False
    prints = fingerprints(graph)
    entries = [(name, statistics.entries.get((Histogram.kind, name))) for name in watch(graph)]
    return all(entry is not None and entry.fingerprint == prints[name] for name, entry in entries)


def _is_float(graph: Graph, name: str) -> bool:
    kind = graph.types.get(name)
    return isinstance(kind, TensorType) and kind.dtype == FLOAT32


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
        clamp = _clamp(name, graph)
        if clamp is not None and name not in own and clamp.outputs[0] in own:
            own[name] = own[clamp.outputs[0]]
    if all(a is b for a, b in zip(nodes, graph.nodes, strict=True)) and own.items() <= graph.ranges.items():
        return graph
    return graph.with_(nodes=tuple(nodes), ranges={**graph.ranges, **own})
