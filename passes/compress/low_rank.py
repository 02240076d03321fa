"""`low-rank`: layers become products of two smaller ones where that saves work.

    Gemm, MatMul, 1x1 Conv    K to M                ->   K to r, r to M
    i x j Conv                C to M                ->   i x j, C to r;  1 x 1, r to M      (channels)
                                                    or   i x 1, C to r;  1 x j, r to M      (space)

whichever of the last two loses less at the same work. The factors keep the layer's outputs as well as r lets them, by
the second moments of its inputs (qir.compression.low_rank). Ranks fall where the work saved costs the least noise at
the outputs, until every budget is kept; layers that would not get smaller, and grouped ones, stay. Then all layers, in
the order of execution, are fitted to what they now see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.compression.surgeon import damped
from qir.errors import PassError
from qir.ir.graph import Graph, Stage
from qir.passes.compress.changed import noise, smaller, total_macs, weight_bits, weight_bytes
from qir.passes.compress.factors import Factors, Layer, factors, layer_of, put
from qir.passes.compress.refit import Aims
from qir.passes.quantize.observed import observed
from qir.passmanager.base import Context, Pass, Promise

_DAMPING = 0.001
"""Added to the diagonal of second moments, as a share of its mean."""
_ERROR = 0.01
"""Of a layer's results, where no budget is given."""


@dataclass(frozen=True)
class LowRank(Pass):
    """Factorizes layers until all budgets are kept.

    Attributes:
        macs: multiply-accumulates that may stay: a share of them up to 1, or how many.
        bytes: of weights that may stay, in the widths of the recipe; likewise.
        error: of each layer's results that is accepted, as a share of their power; where nothing else is given 0.01,
            that is 20 dB.
        multiple: of which ranks are one, so that vectors are full.

    Raises:
        PassError: for values that make no sense.
    """

    name: ClassVar[str] = "low-rank"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT})
    promise: ClassVar[Promise] = Promise.LOSSY
    needs_data: ClassVar[bool] = True
    macs: float | None = None
    bytes: float | None = None
    error: float | None = None
    multiple: int = 4

    def __post_init__(self) -> None:
        for name in ("macs", "bytes", "error"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0):
                raise PassError(f"{name}={value} is no budget", fix="0.5 lets half of it stay")
        if self.multiple < 1:
            raise PassError(f"multiple={self.multiple} is not positive", fix="Try 4, or 1 for any rank")

    def run(self, graph: Graph, context: Context) -> Graph:
        observed(graph, context)
        known = Aims(graph, graph, replace(context, feeds=None))
        layers = list[_Choice]()
        accepted = _ERROR if self.macs is self.bytes is self.error is None else self.error
        for node in graph.nodes:
            layer, found = layer_of(node, graph), known.of(node)
            if layer is None or found is None:
                continue
            moments = damped(found[0].moments, _DAMPING)
            ways = factors(layer, found[0].rows, moments, self.multiple)
            ways = [way for way in ways if accepted is None or way.error <= accepted]
            if not ways:
                continue
            middle = ways[len(ways) // 2]
            scale = 1.0
            if context.feeds is not None and middle.error > 0:
                scale = noise(graph, put(known, layer, middle, found[0], moments), context) / middle.error
            layers.append(_Choice(layer, tuple(ways), scale))
        chosen = self._chosen(graph, layers, context)
        if not chosen:
            context.notes.append("low-rank: no layer gets smaller within the budget")
            return graph
        aims = Aims(graph, graph, context)
        for node in graph.nodes:
            found = aims.of(node)
            if found is not None and node.name in chosen:
                layer, way = chosen[node.name]
                aims.go_on(put(aims, layer, way, found[0], damped(found[0].moments, _DAMPING)))
            elif found is not None:
                aims.settle(node, np.concatenate([one.rows for one in found]), found)
        ranks = ", ".join(f"{way.rank}{' in space' if way.in_space else ''}" for _, way in chosen.values())
        what = f"{len(chosen)} layers are products of two, ranks {ranks}"
        return smaller(graph, aims.graph, context, self.name, what)

    def _chosen(self, graph: Graph, layers: Sequence[_Choice], context: Context) -> dict[str, tuple[Layer, Factors]]:
        """By node's name: the least noise for the work saved first, until the budgets are kept."""
        totals = [float(total_macs(graph)), float(weight_bytes(graph, context))]
        limits = [np.inf if budget is None else budget * total if budget <= 1 else budget
                  for budget, total in zip((self.macs, self.bytes), totals, strict=True)]  # fmt: skip
        only_error = self.macs is None and self.bytes is None
        chosen: dict[int, Factors] = {}
        while True:
            if not only_error and all(total <= limit for total, limit in zip(totals, limits, strict=True)):
                break
            best, step = np.inf, None
            for number, one in enumerate(layers):
                now = chosen.get(number)
                work, error = (one.layer.work, 0.0) if now is None else (now.work, now.error)
                for way in one.ways:
                    if way.work < work:
                        score = (way.error - error) * one.scale / (work - way.work)
                        best, step = (score, (number, way)) if score < best else (best, step)
            if step is None:
                break
            number, way = step
            layer, now = layers[number].layer, chosen.get(number)
            totals[0] += way.macs - (layer.macs if now is None else now.macs)
            width = weight_bits(layer.node, context) / 8
            totals[1] += width * (way.weights - (layer.value.size if now is None else now.weights))
            chosen[number] = way
        return {layers[number].layer.node.name: (layers[number].layer, way) for number, way in sorted(chosen.items())}


@dataclass(frozen=True, eq=False)
class _Choice:
    """A layer with what it may become.

    Attributes:
        scale: noise at the network's outputs for the layer's own.
    """

    layer: Layer
    ways: tuple[Factors, ...]
    scale: float
