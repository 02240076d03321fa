"""`calibrate`: runs the samples once, keeps a histogram of every float value, notes each value's range.

The statistics stay in the context: another method asks them again and runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.errors import DataError
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.observe import Observer
from qir.ops.weighted import weighted
from qir.passes.fuse.preprocess import PIXELS
from qir.passmanager.base import Context, Pass, Promise
from qir.progress import progress
from qir.statistics import Gram, Histogram, Statistics, im2col_rows
from qir.target import Target


@dataclass(frozen=True)
class Calibrate(Pass):
    """Collects statistics (unless the context has them) and chooses ranges.

    Attributes:
        method: minmax, percentile or mse; empty for the recipe's.
        percentile: share of samples kept inside the range, in percent; 0 for the recipe's.
    """

    name: ClassVar[str] = "calibrate"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    promise: ClassVar[Promise] = Promise.ANNOTATE
    needs_data: ClassVar[bool] = True
    method: str = ""
    percentile: float = 0.0

    def run(self, graph: Graph, context: Context) -> Graph:
        statistics = context.statistics
        if statistics is None or any(name not in statistics for name in _watched(graph, context.target)):
            statistics = context.statistics = collect(graph, context)
        method = self.method or context.recipe.calibration
        options = {"p": self.percentile or context.recipe.percentile} if method == "percentile" else {}

        histograms = {name: statistics.histogram(name) for name in statistics.names(Histogram.kind)}
        ranges = {name: found.range(method, **options) for name, found in histograms.items() if found.count}
        if PIXELS in graph.metadata:
            ranges[graph.metadata[PIXELS]] = (0.0, 255.0)
        return _note(graph, "", ranges)


def collect(graph: Graph, context: Context) -> Statistics:
    """One streaming pass over the calibration data.

    Raises:
        DataError: for NaN or infinite values, naming the first tensor that has them, and for empty data.
    """
    assert context.feeds is not None
    observer = Observer(graph, lambda body: _watched(body, context.target))
    layers = _layers(graph)
    histograms: dict[str, Histogram] = {}
    grams: dict[str, Gram] = {}
    samples = 0
    for batch in progress(context.feeds, "calibrating"):
        samples += batch.valid
        for name, array in observer(batch):
            data = np.asarray(array)
            if data.ndim and data.shape[0] == batch.size != batch.valid:
                data = data[: batch.valid]
            found = Histogram.of(data, name)
            histograms[name] = histograms[name].merge(found) if name in histograms else found
            for node, shape in layers.get(name, ()):
                rows = im2col_rows(node, data, shape, samples)
                if rows is not None:
                    gram = Gram.of(rows)
                    grams[node.name] = grams[node.name].merge(gram) if node.name in grams else gram
    if not samples:
        raise DataError("the calibration data is empty", fix="Give at least one sample; 100 to 500 are usual")
    context.notes.append(f"calibrated {len(histograms)} values on {samples} samples")
    return Statistics().add(histograms).add(grams)


def _layers(graph: Graph) -> dict[str, list[tuple[Node, tuple[int, ...]]]]:
    """Data input to the layers with constant weights that read it, with their weights' shapes."""
    found: dict[str, list[tuple[Node, tuple[int, ...]]]] = {}
    for node in graph.nodes:
        slots = weighted(node, graph)
        if slots is not None:
            shape = graph.constants[node.inputs[slots.weight]].value.shape
            found.setdefault(node.inputs[0], []).append((node, shape))
    return found


def _watched(graph: Graph, target: Target) -> list[str]:
    """Float values at the operators that the target could run on codes, in execution order."""
    names: dict[str, None] = {}
    for node in graph.nodes:
        if node.op in target.integer or node.op in ("Relu", "Clip"):
            names.update((name, None) for name in (*node.inputs, *node.outputs) if name)
    own = {*graph.inputs, *(name for node in graph.nodes for name in node.outputs)}
    return [name for name in names if name in own and _is_float(graph, name)]


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
    if all(a is b for a, b in zip(nodes, graph.nodes, strict=True)) and own.items() <= graph.ranges.items():
        return graph
    return graph.with_(nodes=tuple(nodes), ranges={**graph.ranges, **own})
