"""`fit-planes`: weights become sums of a few binary planes, `w = s * sum_p m_p b_p` with b in {-1, +1}.

Each output channel has a scale s and positive integers m, so its weight is an int8 code of which there are 2^k at most
(qir.quant.planes). Planes and scales are first those of the weights themselves: greedy, then rounding to the nearest
value and least squares in turns; from there on they keep the layer's output (qir.quant.levels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.errors import PassError
from qir.ir.graph import Graph, Stage
from qir.passes.quantize.few_values import Few, Group, fit_planes, with_few_values
from qir.passmanager.base import Context, Pass, Promise
from qir.recipe import PLANES, Layer


@dataclass(frozen=True)
class FitPlanes(Pass):
    """Gives planes to the weights of the layers for which the recipe says 1 bit; in front of `quantize-weights`, which
    gives each as many as the recipe says.

    Attributes:
        k: planes of every such layer, 2 to 4; 0 for as many as the recipe gives it.
    """

    name: ClassVar[str] = "fit-planes"
    gives: ClassVar[Stage | None] = Stage.QUANT
    promise: ClassVar[Promise] = Promise.LOSSY
    k: int = 0

    def __post_init__(self) -> None:
        if self.k not in PLANES:
            raise PassError(f"{self.name} cannot fit {self.k} planes", fix="Choose 2, 3, 4, or 0 for the recipe's")

    def run(self, graph: Graph, context: Context) -> Graph:
        least = 1 if self.k else 2
        return with_few_values(graph, context, lambda layer: layer.weight_planes >= least, self._fit)

    def _fit(self, group: Group, layer: Layer) -> Few:
        return fit_planes(group, self.k or layer.planes)
