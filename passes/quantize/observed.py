"""What calibration saw: of a graph, and at the input of one layer in the layout of its weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.collecting import collect
from qir.errors import DataError, PassError
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.observe import Wanted
from qir.passes.quantize.clamp import bounds
from qir.passmanager.base import Context
from qir.statistics import Gram, Histogram, Statistics, fingerprints


def observed(graph: Graph, context: Context) -> Statistics:
    """Statistics of a graph's values and layers: those of the context where they are of this graph, else new ones.

    Raises:
        PassError: where the context's are of another graph and there are no samples.
    """
    watch = AtOperators(frozenset(context.target.integer) | {"Relu", "Clip"})
    if not _describes(context.statistics, graph, watch):
        if context.feeds is None:
            raise PassError("the given statistics are of other values than this network's for this target",
                            fix="Calibrate this model for this target, or give samples")  # fmt: skip
        context.statistics = context.collected = collect(
            graph, context.feeds, watch, executor=context.executor, seed=context.seed, notes=context.notes
        )
    assert context.statistics is not None
    context.collected = context.collected or context.statistics
    return context.statistics


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
        return [name for name in names if name in own and _is_float(graph, name) and sole_clamp(name, graph) is None]


def sole_clamp(name: str, graph: Graph) -> Node | None:
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


def gram_of(node: Node, weight: np.ndarray, context: Context) -> Gram | None:
    """The Gram matrices of a layer's inputs, one a group; None for layers that have none.

    Args:
        node: Conv, Gemm or MatMul.
        weight: its weight, of which `as_rows` makes rows as long as the matrices are wide.
    """
    if context.statistics is None or node.op not in ("Conv", "Gemm", "MatMul"):
        return None
    if node.op != "Conv" and weight.ndim != 2:
        return None
    try:
        found = context.statistics.get(Gram.kind, node.name)
    except DataError:
        return None
    assert isinstance(found, Gram)
    return found if as_rows(node, weight).shape[1] == found.size else None


def is_stale(node: Node, context: Context, prints: Mapping[str, str]) -> bool:
    """Whether a layer's input has changed since its Gram matrix was collected.

    Args:
        prints: fingerprints of the graph as it is.
    """
    assert context.statistics is not None
    return context.statistics.entries[Gram.kind, node.name].fingerprint not in ("", prints[node.inputs[0]])


def as_rows(node: Node, weight: np.ndarray) -> np.ndarray:
    """A weight as [channels, K], K in the order of the Gram matrix."""
    if node.op == "Conv":
        return weight.reshape(weight.shape[0], -1)
    return weight if node.attr("transB", 0) else weight.T


def from_rows(node: Node, rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The inverse of `as_rows`."""
    if node.op == "Conv" or node.attr("transB", 0):
        return rows.reshape(like.shape)
    return np.ascontiguousarray(rows.T)
