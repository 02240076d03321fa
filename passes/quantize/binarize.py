"""`binarize`: weights become -s or +s with a scale s for every output channel.

    xnor  +1 if w >= 0 else -1, s = mean|w| (qir.quant.binary): also the least sum of (w - s code)^2, so l2 is the same

and by default (gram) from there on: codes and scales that keep the layer's output, rounded column by column, each
making good for the errors of those before (qir.quant.levels).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.errors import PassError
from qir.ir.graph import Graph, Stage
from qir.passes.quantize.few_values import Few, Group, fit_binary, with_few_values
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.binary import binary_codes, binary_scale
from qir.recipe import Layer


@dataclass(frozen=True)
class Binarize(Pass):
    """Gives binary codes to the weights of the layers for which the recipe says 1 bit; in front of `quantize-weights`,
    which does so by the method gram.

    Attributes:
        method: gram, l2 or xnor.
    """

    name: ClassVar[str] = "binarize"
    gives: ClassVar[Stage | None] = Stage.QUANT
    promise: ClassVar[Promise] = Promise.LOSSY
    method: str = "gram"

    def __post_init__(self) -> None:
        if self.method not in ("gram", "l2", "xnor"):
            raise PassError(f"{self.name} knows no method '{self.method}'", fix="Choose gram, l2 or xnor")

    def run(self, graph: Graph, context: Context) -> Graph:
        return with_few_values(graph, context, lambda layer: layer.weight_planes == 1, self._fit,
                               plain=self.method != "gram")  # fmt: skip

    def _fit(self, group: Group, layer: Layer) -> Few:
        if self.method == "gram":
            return fit_binary(group, layer)
        return Few(binary_codes(group.rows), binary_scale(group.rows, 0), np.zeros(len(group.rows)), "binary")
