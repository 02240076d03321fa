"""`eliminate-dead-code`: what no result depends on goes.

    y, mask = Dropout(x); z = Relu(x); return y    ->    y, _ = Dropout(x); return y

A node stays if one of its outputs reaches a result of its graph, through bodies as well. Outputs that nobody reads are
left out where the operator allows it, and so are constants that nobody reads. The graph's own inputs always stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Node
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import everywhere

_OPTIONAL: dict[str, frozenset[int]] = {
    "Dropout": frozenset({1}),
    "MaxPool": frozenset({1}),
    "BatchNormalization": frozenset({1, 2}),
    "LayerNormalization": frozenset({1, 2}),
    "LSTM": frozenset({0, 1, 2}),
    "GRU": frozenset({0, 1}),
    "RNN": frozenset({0, 1}),
    "Unique": frozenset({1, 2, 3}),
}
"""Outputs that may be left out. Source: the ONNX operator definitions."""


@dataclass(frozen=True)
class EliminateDeadCode(Pass):
    """Removes nodes, outputs and constants that no result needs."""

    name: ClassVar[str] = "eliminate-dead-code"

    def run(self, graph: Graph, context: Context) -> Graph:
        return everywhere(graph, _trim)


def _trim(graph: Graph) -> Graph:
    live = {*graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if live.isdisjoint(filter(None, node.outputs)):
            continue
        live.update(node.reads)
        kept.append(_without_idle_outputs(node, live))
    kept.reverse()
    constants = {name: constant for name, constant in graph.constants.items() if name in live}
    same = len(kept) == len(graph.nodes) and all(a is b for a, b in zip(kept, graph.nodes, strict=True))
    if same and len(constants) == len(graph.constants):
        return graph
    used = live | {*graph.inputs} | {name for node in kept for name in node.outputs}
    return graph.with_(
        nodes=tuple(kept),
        constants=constants,
        types={name: kind for name, kind in graph.types.items() if name in used},
        ranges={name: limits for name, limits in graph.ranges.items() if name in used},
    )


def _without_idle_outputs(node: Node, live: set[str]) -> Node:
    optional = _OPTIONAL.get(node.op, frozenset())
    outputs = ["" if slot in optional and name not in live else name for slot, name in enumerate(node.outputs)]
    while outputs and not outputs[-1] and len(outputs) > 1:
        outputs.pop()
    return node if tuple(outputs) == node.outputs else node.with_(outputs=tuple(outputs))
