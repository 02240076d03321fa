"""What a network would take of the target: its estimate, of the network on codes that nobody has chosen yet."""

from __future__ import annotations

from dataclasses import replace

from qir.errors import QirError
from qir.ir.graph import Graph, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import with_ones
from qir.passes.quantize.clamp import bounds
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline

_ON_CODES = (
    "quantize,quantize-weights,quantize-biases,absorb-activations,bind-batch,fold-constants,eliminate-dead-code,"
    "lower-integer,compose-lookups"
)


def work(graph: Graph, context: Context) -> dict[str, float]:
    """Of each node by its name, by the target's estimates in their own unit; empty where it has none of the network."""
    target = context.target
    if target.costs is not None:
        single, costs = with_ones(graph), target.costs
        return {node.name: costs.node(node, single, True) for node in single.nodes}
    if target.work is None:
        return {}
    alone = Context(target, context.recipe)
    try:
        return dict(target.work(run(_with_ranges(graph), parse_pipeline(_ON_CODES), alone)))
    except QirError:  # a node that C does not have, a size that is not known: compiling will tell
        return {}


def _with_ranges(graph: Graph) -> Graph:
    """With some range for every real value; behind clamps none that they cut off, so that they become part of codes."""
    ranges = {}
    for name, kind in graph.types.items():
        if name not in graph.constants and isinstance(kind, TensorType) and kind.dtype.is_float:
            maker = graph.index.producer(name)
            low, high = (bounds(maker, graph) if maker is not None else None) or (-1.0, 1.0)
            ranges[name] = (max(low, -1.0), min(high, 6.0))
    return replace(graph, stage=Stage.FLOAT, ranges=ranges)
