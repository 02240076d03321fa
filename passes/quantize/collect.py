"""`collect`: runs the samples once and keeps statistics of every float value that may be rounded, and of every layer.

They stay in the context: whatever asks them runs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Stage
from qir.passes.quantize.observed import observed
from qir.passmanager.base import Context, Pass, Promise


@dataclass(frozen=True)
class Collect(Pass):
    """Collects statistics, unless the context has them."""

    name: ClassVar[str] = "collect"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    promise: ClassVar[Promise] = Promise.ANNOTATE
    needs_data: ClassVar[bool] = True

    def run(self, graph: Graph, context: Context) -> Graph:
        observed(graph, context)
        return graph
