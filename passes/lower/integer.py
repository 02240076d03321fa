"""`lower-integer`: from codes as types (stage QUANT) to explicit integer arithmetic (stage INT).

Every 8-bit activation becomes uint8 (int8 codes and zero points move by 128, exactly), every 16-bit one int16. Zero
points are folded into biases, scales into multipliers `m = float32(float32(s_x * s_w) / s_y)`. Operators without an
integer form run in float between qir.Dequantize and qir.Quantize, so every network lowers; their weights stay codes,
which a qir.Dequantize of a constant decodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Node, Stage
from qir.ops.weighted import weighted
from qir.passes.lower.codes import Lowering
from qir.passes.lower.forms import FORMS
from qir.passmanager.base import Context, Pass, Promise
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import rename_inputs
from qir.target import Target


@dataclass(frozen=True)
class LowerInteger(Pass):
    """Makes the arithmetic of codes explicit."""

    name: ClassVar[str] = "lower-integer"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})
    gives: ClassVar[Stage | None] = Stage.INT
    promise: ClassVar[Promise] = Promise.LOSSY

    def run(self, graph: Graph, context: Context) -> Graph:
        graph = map_bodies(graph, lambda body: _lower(body, context.target))
        return _lower(graph, context.target)


def _lower(graph: Graph, target: Target) -> Graph:
    low = Lowering(graph, target)
    for name in graph.inputs:
        low.define(name, name)
    for node in graph.nodes:
        form = FORMS.get(node.op)
        if form is None or not form(node, low):
            _in_float(node, low)
    return low.build()


def _in_float(node: Node, low: Lowering) -> None:
    """Runs a node on real values; its quantized results are rounded afterwards."""
    slots = weighted(node, low.graph)
    if slots is not None:
        low.weight(node.inputs[slots.weight])
    real = rename_inputs(node, low.real)
    low.emit(real.with_(op="Identity", domain="") if node.op == "qir.Requantize" else real, node.outputs)
