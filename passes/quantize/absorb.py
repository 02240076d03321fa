"""`absorb-activations`: Relu and Clip that rounding to codes already performs are taken out.

    Conv -> Relu -> codes   becomes   Conv -> codes

where the clamp of the codes is the clamp of the activation (passes/quantize/clamp.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Stage
from qir.ir.types import TensorType
from qir.passes.quantize.clamp import bounds, is_absorbed
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor


@dataclass(frozen=True)
class AbsorbActivations(Pass):
    """Makes a Relu or Clip part of the rounding that follows it."""

    name: ClassVar[str] = "absorb-activations"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})

    def run(self, graph: Graph, context: Context) -> Graph:
        return _absorb(map_bodies(graph, _absorb))


def _absorb(graph: Graph) -> Graph:
    """Absorbs until nothing is left: of two clamps in a row, the first follows the codes once the second is gone."""
    while (after := _absorb_once(graph)) is not graph:
        graph = after
    return graph


def _absorb_once(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in graph.nodes:
        limits = bounds(node, graph)
        kind = graph.types[node.outputs[0]] if node.outputs[0] else None
        if limits is None or not isinstance(kind, TensorType) or kind.quant is None:
            continue
        source = node.inputs[0]
        producer = graph.index.producer(source)
        real = producer is not None and graph.tensor(source).quant is None
        if real and graph.index.sole_consumer(source) is node and is_absorbed(limits, kind.quant):
            assert producer is not None
            current = edit.current(producer)
            edit.remove(edit.current(node))
            origin = tuple(dict.fromkeys((*current.origin, *node.origin)))
            renamed = tuple(node.outputs[0] if name == source else name for name in current.outputs)
            edit.replace(current, current.with_(outputs=renamed, origin=origin))
    return edit.build()
