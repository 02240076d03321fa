"""`absorb-biases`: moves channels towards zero so that all of a value fits a smaller range; results stay.

The channels of a value share one range. Where they lie apart, as in residual sums of linear layers, the range spans all
of them and each uses a part of its codes. Such channels are centred: what is taken from the bias of the layers that
make them goes, multiplied by their weights, into the biases of those that read them. Behind a Relu a channel that never
is zero gives up what all of its elements have in common.

A group of values is moved where their ranges shrink together.

Source: Nagel et al., arXiv 1906.04721, section 4.1.3 (there for Relu, from BatchNorm statistics).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.coupling import Coupling
from qir.ir.graph import Graph, Stage
from qir.passes.quantize.followed import ChannelMap, bounds_of, followed, given_ranges
from qir.passes.quantize.observed import observed
from qir.passmanager.base import Context, Pass, Promise
from qir.rewrite.channel_offsets import Offsets, all_offsets, movable, move_channels
from qir.rewrite.channel_scaling import factors_of
from qir.statistics import ChannelBounds

_LEAST_GAIN = 0.95
"""What the ranges of a group must shrink to, in the mean."""


@dataclass(frozen=True)
class AbsorbBiases(Pass):
    """Centres channels; before they are scaled, as the noted factors are those of centred channels."""

    name: ClassVar[str] = "absorb-biases"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    promise: ClassVar[Promise] = Promise.LOSSY
    needs_data: ClassVar[bool] = True

    def run(self, graph: Graph, context: Context) -> Graph:
        coupling = Coupling.of(graph)
        names = movable(graph, coupling)
        if graph.stage is not Stage.FLOAT or not names or factors_of(graph):
            return graph
        statistics = observed(graph, context)
        given = given_ranges(graph, context)
        bounds = {name: seen for name in coupling.values if (seen := bounds_of(name, statistics)) is not None}
        wanted = {name: centre for name in names if (centre := _centre(name, graph, bounds)) is not None}
        moves = all_offsets(graph, coupling, {name: one.values for name, one in wanted.items()})
        gains: dict[int, list[float]] = defaultdict(list)
        for name, offset in moves.items():
            group = int(coupling.groups[coupling.values[name].ids.max()])
            if name in given:
                gains[group].append(np.inf)
            elif name in bounds:
                gains[group].append(max(_width(bounds[name].moved(offset)), 1e-6) / max(_width(bounds[name]), 1e-6))
        good = {group for group, found in gains.items() if np.exp(np.log(found).mean()) <= _LEAST_GAIN}
        chosen = {name: one for name, one in wanted.items()
                  if int(coupling.groups[coupling.values[name].ids.max()]) in good and one.codes.any()}  # fmt: skip
        if not chosen:
            return graph
        result = move_channels(graph, coupling, chosen)
        moves = all_offsets(graph, coupling, {name: one.values for name, one in chosen.items()})
        context.statistics = followed(
            statistics, graph, result, {name: ChannelMap(np.ones(one.size), one) for name, one in moves.items()}
        )
        mean = np.mean([np.log(one) for group in good for one in gains[group]])
        context.notes.append(
            f"centred the channels of {len(moves)} values: ranges fall to {np.exp(mean):.0%} on average"
        )
        return result


def _centre(name: str, graph: Graph, bounds: dict[str, ChannelBounds]) -> Offsets | None:
    """What to take from a layer's result: the middle of each channel, or what a Relu's results have in common."""
    user = graph.index.sole_consumer(name)
    if user is not None and user.op == "Relu":
        found = bounds.get(user.outputs[0])
        return None if found is None else Offsets.nearest(np.maximum(found.low.astype(np.float64), 0))
    found = bounds.get(name)
    return None if found is None else Offsets.nearest((found.low.astype(np.float64) + found.high) / 2)


def _width(bounds: ChannelBounds) -> float:
    """Of the range of codes, which always holds zero."""
    return max(float(bounds.high.max()), 0.0) - min(float(bounds.low.min()), 0.0)
