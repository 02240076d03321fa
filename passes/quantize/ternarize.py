"""`ternarize`: weights become -s, 0 or +s with a scale s for every output channel.

By the textbook `+1 if w > D, -1 if w < -D, else 0` with

    twn    D = 0.7 mean|w|, s = mean of |w| above D
    fixed  D as given, s likewise
    l2     the D and s that leave the least sum of (w - s code)^2 (qir.quant.ternary)

and by default (gram) from l2 on: codes and scales that keep the layer's output, rounded column by column, each making
good for the errors of those before (qir.quant.levels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.errors import PassError
from qir.ir.graph import Graph, Stage
from qir.passes.quantize.few_values import Few, Group, fit_ternary, with_few_values
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.ternary import optimal_ternary, ternary_codes, ternary_scale, twn_threshold
from qir.recipe import Layer


@dataclass(frozen=True)
class Ternarize(Pass):
    """Gives ternary codes to the weights of the layers for which the recipe says "t"; in front of `quantize-weights`,
    which does so by the method gram.

    Attributes:
        method: gram, l2, twn or fixed.
        delta: D of the method fixed.
    """

    name: ClassVar[str] = "ternarize"
    gives: ClassVar[Stage | None] = Stage.QUANT
    promise: ClassVar[Promise] = Promise.LOSSY
    method: str = "gram"
    delta: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in ("gram", "l2", "twn", "fixed"):
            raise PassError(f"{self.name} knows no method '{self.method}'", fix="Choose gram, l2, twn or fixed")
        if not self.delta >= 0 or (self.delta > 0) != (self.method == "fixed"):
            raise PassError(f"{self.name} has delta {self.delta} with method {self.method}",
                            fix="Give method=fixed a positive delta, and other methods none")  # fmt: skip

    def run(self, graph: Graph, context: Context) -> Graph:
        return with_few_values(graph, context, lambda layer: layer.weight_bits == "t", self._fit,
                               plain=self.method != "gram")  # fmt: skip

    def _fit(self, group: Group, layer: Layer) -> Few:
        rows = group.rows
        if self.method in ("twn", "fixed"):
            threshold = twn_threshold(rows, 0) if self.method == "twn" else np.full(len(rows), self.delta, np.float32)
            codes = ternary_codes(rows.astype(np.float32), threshold, 0)
            return Few(codes, ternary_scale(rows, codes, 0), threshold, "ternary")
        if self.method == "gram":
            return fit_ternary(group, layer)
        threshold, scale = optimal_ternary(rows, 0)
        return Few(ternary_codes(rows, threshold, 0), scale, np.zeros(len(rows)))
