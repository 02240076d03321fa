"""`quantize-weights`: rounds weights, one scale an output channel (or one a tensor), in the recipe's format.

Symmetric codes of b bits are `q = clamp(rint(w / s), -m, m)`, `m = 2^(b-1) - 1`, `s = max|w| / m`; up to 4 bits the
code -2^(b-1) is used as well. Up to 6 bits, and for scales that are powers of two, the scale is the one that leaves the
least squared error, weighted by the mean square of the inputs where they were observed (qir.quant.clipping). Asymmetric
codes are unsigned with a zero point for every scale. Storage is 4 bits wide up to 4 bits, 8 up to 8, else 16.

Ternary and binary weights and planes take a few values a channel instead (few_values.py).

Weights of layers whose input is codes run as integers; with a recipe that only quantizes weights they are stored as
codes and computed in float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Stage
from qir.ops.weighted import weighted
from qir.passes.quantize.few_values import fit_few, with_few_values
from qir.passes.quantize.weights import set_codes, wants_codes, weight_codes
from qir.passmanager.base import Context, Pass, Promise
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor


@dataclass(frozen=True)
class QuantizeWeights(Pass):
    """Rounds the weights of every layer that the recipe quantizes."""

    name: ClassVar[str] = "quantize-weights"
    gives: ClassVar[Stage | None] = Stage.QUANT
    promise: ClassVar[Promise] = Promise.LOSSY

    def run(self, graph: Graph, context: Context) -> Graph:
        graph = with_few_values(graph, context, lambda layer: layer.has_few_values, fit_few)
        graph = map_bodies(graph, lambda body: _quantize_weights(body, context))
        return _quantize_weights(graph, context)


def _quantize_weights(graph: Graph, context: Context) -> Graph:
    edit = Editor(graph)
    for node in graph.nodes:
        slots = weighted(node, graph)
        if slots is not None and wants_codes(node, slots, graph, context):
            set_codes(edit, node, slots.weight, weight_codes(node, slots, graph, context))
    return edit.build()
