"""How the numbers of a value are distributed, and the range that its codes reach."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from qir.debug.report.data import Distribution
from qir.errors import DataError
from qir.ir.graph import Graph, Node
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import weighted
from qir.statistics import BINS, Histogram, Statistics

SHOWN_BINS = 96
"""At most so many bins are shown; neighbours are added up in pairs until they fit."""


def distribution(histogram: Histogram, source: str) -> Distribution:
    """The occupied part of a histogram on a grid coarse enough to draw; its counts stay exact."""
    counts, width, offset = histogram.counts, histogram.width, -(BINS // 2)
    occupied = np.flatnonzero(counts)
    first, last = (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else (BINS // 2, BINS // 2 + 1)
    factor = 1
    while -(-last // factor) - first // factor > SHOWN_BINS:
        factor *= 2
    coarse = counts.reshape(-1, factor).sum(axis=1)[first // factor : -(-last // factor)]
    return Distribution(
        start=(first // factor * factor + offset) * width, width=factor * width, counts=tuple(coarse.tolist()),
        low=histogram.low, high=histogram.high, mean=histogram.mean, deviation=math.sqrt(histogram.variance),
        source=source,
    )  # fmt: skip


def reach(quant: Affine) -> tuple[tuple[float, float], tuple[float, float] | None]:
    """The reals that codes stand for: of the widest slice, and of the narrowest where slices differ."""
    scale, zero = quant.scale.reshape(-1).astype(np.float64), quant.zero_point.reshape(-1).astype(np.float64)
    low, high = (quant.qmin - zero) * scale, (quant.qmax - zero) * scale
    span = high - low
    wide, narrow = int(span.argmax()), int(span.argmin())
    widest = float(low[wide]), float(high[wide])
    return widest, None if span[wide] == span[narrow] else (float(low[narrow]), float(high[narrow]))


def weight_distribution(node: Node, graph: Graph) -> Distribution | None:
    """Of a weighted node's weight in its real values; None for other nodes and values that no histogram holds."""
    found = weighted(node, graph)
    if found is None:
        return None
    name = node.inputs[found.weight]
    value, kind = graph.constants[name].value, graph.types[name]
    if value.dtype.kind != "f" or value.size == 0 or not np.isfinite(value).all():
        return None
    made = distribution(Histogram.of(value, name), "weights")
    return _with_reach(made, kind.quant if isinstance(kind, TensorType) else None)


def activation_distribution(node: Node, graph: Graph, statistics: Statistics | None) -> Distribution | None:
    """Of a node's first result on calibration samples; None where nothing was collected."""
    name = node.outputs[0] if node.outputs else ""
    if statistics is None or not name:
        return None
    try:
        histogram = statistics.histogram(name)
    except DataError:
        return None
    if not histogram.count:
        return None
    kind = graph.types.get(name)
    quant = kind.quant if isinstance(kind, TensorType) else None
    made = _with_reach(distribution(histogram, "calibration samples"), quant)
    return replace(made, range=graph.ranges[name]) if quant is None and name in graph.ranges else made


def _with_reach(made: Distribution, quant: Affine | None) -> Distribution:
    if quant is None:
        return made
    widest, narrowest = reach(quant)
    return replace(made, range=widest, narrowest=narrowest)
