"""Ranges by what they do to the layers that read a value, not to the value.

For each value a few ranges are compared: those of every method, and the observed one narrowed. A layer with a stored
weight judges a range on the rows that calibration kept of its input: the error of `W (Q(x) - x)` about its mean, as the
mean is made good by `correct-biases`, beside the power of `W x`. Clipping one large element of a row moves every output
of the layer, which a mean over elements does not show, and inputs that the weights hardly use weigh little. Other
readers judge by the error of the value itself, that of clipped elements weighing more: rounding errors cancel in what
follows, clipping errors have one sign. What each reader says adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from qir.collecting import gram_of
from qir.errors import DataError
from qir.ir.dtype import DType
from qir.ir.graph import Graph, Node
from qir.ops.weighted import weighted
from qir.passes.quantize.clamp import CLAMPS
from qir.passes.quantize.observed import as_rows
from qir.quant.scales import affine_params
from qir.statistics import BINS, Histogram, Statistics, value_range
from qir.target import Target

Range = tuple[float, float]
_NARROWED = (0.9, 0.8, 0.7, 0.6, 0.5)
_PERCENTILES = (99.9, 99.99, 99.999)
_CLIPPED = 16.0
"""Weight of clipped elements in a value's own error; of 1, 4, 16 and 64 the best on a transformer and residual nets."""
_Judge = Callable[[Range], float]
"""Error that a range of a value's codes brings to one reader, relative to its power."""


def chosen_ranges(
    graph: Graph, statistics: Statistics, histograms: Mapping[str, Histogram], target: Target
) -> dict[str, Range]:
    """The best range of every value of the graph itself (not of its bodies) that has a histogram.

    Args:
        statistics: of the graph's values and layers.
        histograms: those of the values that may be codes.
        target: where it will run; decides how values are rounded and which operators only move codes.
    """
    found = {}
    for name, histogram in histograms.items():
        if name in graph.types and histogram.count:
            judges = list(_judges(name, graph, statistics, target)) or [
                partial(_own_error, histogram, target.activation)
            ]
            ranges = _candidates(histogram)
            errors = [sum(judge(one) for judge in judges) for one in ranges]
            found[name] = ranges[int(np.argmin(errors))]
    return found


def _candidates(histogram: Histogram) -> list[Range]:
    low, high = value_range(histogram)
    named = [value_range(histogram, method) for method in ("mse", "octav", "entropy")]
    shares = [value_range(histogram, "percentile", p=p) for p in _PERCENTILES]
    narrowed = [(low * factor, high * factor) for factor in _NARROWED]
    return list(dict.fromkeys([(low, high), *named, *shares, *narrowed]))


def _judges(name: str, graph: Graph, statistics: Statistics, target: Target) -> Iterator[_Judge]:
    """One for each reader of a value; what only moves or clamps it is looked through."""
    own = partial(_own_error, statistics.histogram(name), target.activation)
    if graph.index.is_output(name):
        yield own
    for node in graph.index.consumers(name):
        rule = target.rule(node, graph)
        moves = node.op in CLAMPS or (not isinstance(rule, str) and rule.kind == "same")
        if moves and name == node.inputs[0]:
            for output in filter(None, node.outputs):
                if (Histogram.kind, output) in statistics.entries:
                    yield from _judges(output, graph, statistics, target)
            continue
        layer = _layer_error(node, name, graph, statistics, target.activation)
        yield own if layer is None else layer


def _layer_error(node: Node, name: str, graph: Graph, statistics: Statistics, storage: DType) -> _Judge | None:
    slots = weighted(node, graph)
    if slots is None or name != node.inputs[0]:
        return None
    try:
        rows = gram_of(statistics, node.name).sample.rows.transpose(1, 0, 2)
    except DataError:
        return None
    weight = as_rows(node, graph.constants[node.inputs[slots.weight]].value)
    if rows.shape[1] < 2 or weight.shape[1] != rows.shape[2]:
        return None
    columns = weight.reshape(len(rows), -1, weight.shape[1]).transpose(0, 2, 1).astype(np.float32)
    power = _spread(rows @ columns)
    if power <= 0:
        return None
    return lambda found: _spread(_off(rows, found, storage) @ columns) / power


def _spread(outputs: np.ndarray) -> float:
    """Squares about the mean over rows, summed; outputs are [groups, rows, channels]."""
    return float(np.square(outputs - outputs.mean(axis=1, keepdims=True)).sum(dtype=np.float64))


def _own_error(histogram: Histogram, storage: DType, found: Range) -> float:
    centre = (np.arange(BINS) - BINS // 2 + 0.5) * histogram.width
    counts = histogram.counts.astype(np.float64)
    counts[BINS // 2] -= histogram.zeros
    power = histogram.variance * histogram.count
    weights = np.where((centre < found[0]) | (centre > found[1]), _CLIPPED, 1.0) * counts
    return float((weights * np.square(_off(centre, found, storage))).sum()) / power if power > 0 else 0.0


def _off(values: np.ndarray, found: Range, storage: DType) -> np.ndarray:
    """What rounding to codes of a range adds to values."""
    scale, zero = affine_params(*found, storage)
    codes = np.rint(values / scale) + zero
    return np.asarray((np.clip(codes, storage.min, storage.max) - zero) * scale - values, values.dtype)
