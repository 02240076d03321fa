"""`prune`: takes whole channels out of the network, through everything that they touch.

Channels that can only go together (qir.coupling.REMOVAL: those joined by residual sums, depthwise layers, gates, heads
of an attention) make a class; classes that one layer makes, a family. What a class costs is what the layers that read
it lose once their other weights have made good for it as well as they can (qir.compression.surgeon), by the second
moments of their inputs. Families shrink in turns, by the least error for the work that it saves, to counts of channels
that kernels like, until every budget is kept (qir.compression.path). Then all layers, in the order of execution, are
fitted to what they now see.

What reaches the model's outputs, or an operator that is not known to let channels go, stays.

    %y: [N,16,H,W] = Conv(%x, %w: [16,8,3,3], %b: [16])   ->   %y: [N,12,H,W] = Conv(%x, %w: [12,8,3,3], %b: [12])
    %z: [N,32,H,W] = Conv(%y, %v: [32,16,1,1])                 %z: [N,32,H,W] = Conv(%y, %v': [32,12,1,1])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

import numpy as np

from qir.compression.path import path
from qir.coupling import REMOVAL, Coupling
from qir.errors import PassError
from qir.ir.graph import Graph, Stage
from qir.ops.weighted import with_ones
from qir.passes.compress.changed import noise, smaller, total_macs, weight_bytes
from qir.passes.compress.families import Family, families, work_of
from qir.passes.compress.readers import errors_of, updated
from qir.passes.compress.refit import refit
from qir.passes.compress.work import work
from qir.passes.quantize.observed import observed
from qir.passmanager.base import Context, Pass, Promise
from qir.rewrite.channel_removal import remove_channels

METHODS = ("obs", "magnitude", "random")
_LEAST = 0.25
"""Share of a family that stays whatever the budget."""


@dataclass(frozen=True)
class PruneChannels(Pass):
    """Prunes channels until all budgets are kept; of several the tightest counts.

    Attributes:
        channels: share of the channels that go.
        macs: multiply-accumulates that may stay: a share of them up to 1, or how many.
        bytes: of weights that may stay, in the widths of the recipe; likewise.
        ms: milliseconds that the network may take, where the target has estimates of them.
        time: share of the time that may stay, by the estimates of the target: of C, of the kernels that it would get.
        layers: `glob:share`, the share of the channels made by layers of that name that goes, no more and no less;
            later ones win.
        method: obs, by what the layers that read a channel lose, as calibration tells; magnitude, by the weights that
            make it, or random: for comparison, and without samples. These fit nothing afterwards.
        multiple: of which the channels left of a layer are one, so that vectors are full; half of it where there are
            fewer than two of them.

    Raises:
        PassError: for values that make no sense, and for `obs` without calibration.
    """

    name: ClassVar[str] = "prune"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT})
    promise: ClassVar[Promise] = Promise.LOSSY
    keeps_layers: ClassVar[bool] = False
    channels: float = 0.0
    macs: float | None = None
    bytes: float | None = None
    ms: float | None = None
    time: float | None = None
    layers: tuple[str, ...] = ()
    method: str = "obs"
    multiple: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.channels < 1:
            raise PassError(f"channels={self.channels} is no share", fix="0.3 takes 30 % of the channels out")
        for name in ("macs", "bytes", "ms"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0):
                raise PassError(f"{name}={value} is no budget", fix="Give what may stay: a share up to 1, or how much")
        if self.time is not None and not 0 < self.time <= 1:
            raise PassError(f"time={self.time} is no share", fix="0.5 makes it twice as fast")
        if self.method not in METHODS:
            raise PassError(f"method '{self.method}' is unknown", fix=f"Choose {', '.join(METHODS)}")
        if self.multiple < 1:
            raise PassError(f"multiple={self.multiple} is not positive", fix="Try 8, or 1 for any count")
        for entry in self.layers:
            _share(entry)

    def run(self, graph: Graph, context: Context) -> Graph:
        if self.method == "obs" and context.feeds is None and context.statistics is None:
            raise PassError("pass 'prune' needs calibration data, none was given",
                            fix="Pass calibration=..., or prune{method=magnitude}")  # fmt: skip
        coupling = Coupling.of(graph, REMOVAL)
        found = families(graph, coupling)
        if not found:
            context.notes.append("prune: no channels can go: all reach the outputs or operators that hold them")
            return graph
        if self.method == "obs":
            observed(graph, context)
        orders, errors = zip(*(self._order(family, graph, coupling, context) for family in found), strict=True)
        if self.method == "obs" and context.feeds is not None:
            errors = [self._scaled(*one, graph, coupling, context) for one in zip(found, orders, errors, strict=True)]
        start, free = self._start(found)
        allowed = [self._counts(family) if open_ else [] for family, open_ in zip(found, free, strict=True)]
        each = work(graph, context)
        steps = path(work_of(with_ones(graph), coupling, found, each), errors, allowed, start)

        def gone_at(counts: np.ndarray) -> np.ndarray:
            gone = np.zeros(len(coupling.groups), bool)
            for family, order, left in zip(found, orders, counts, strict=True):
                gone[family.classes[order[: family.count - left]]] = True
            return gone

        keeps = self._budgets(graph, coupling, found, each, context)
        gone = gone_at(_first(steps, allowed, lambda counts: keeps(gone_at(counts))))
        if not keeps(gone):
            context.notes.append(f"prune: budgets are missed, as {_LEAST:.1%} of each layer's channels stay")
        return self._without(graph, coupling, gone, found, context) if gone.any() else graph

    def _without(self, graph: Graph, coupling: Coupling, gone: np.ndarray, found: Sequence[Family],
                 context: Context) -> Graph:  # fmt: skip
        after = remove_channels(graph, coupling, gone)
        if self.method == "obs":
            after = updated(graph, after, coupling, gone, context)
            if context.feeds is not None:
                kept = {node.name: ~gone[coupling.values[node.outputs[0]].ids] for node in graph.nodes
                        if node.outputs and node.outputs[0] in coupling.values}  # fmt: skip
                after = refit(graph, after, kept, context)
        channels = sum(family.channels for family in found)
        out = sum(int(gone[family.classes].sum()) * family.width for family in found)
        return smaller(graph, after, context, self.name, f"{out} of {channels} channels are gone, by {self.method}")

    def _order(self, family: Family, graph: Graph, coupling: Coupling,
               context: Context) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        if self.method == "obs":
            return errors_of(family, graph, coupling, context)
        random = np.random.default_rng((context.seed, int(family.classes[0])))
        costs = family.power if self.method == "magnitude" else np.ones(family.count)
        order = np.argsort(costs, kind="stable") if self.method == "magnitude" else random.permutation(family.count)
        return order, np.concatenate([[0.0], np.cumsum(costs[order]) / max(costs.sum(), 1e-300)])

    def _scaled(self, family: Family, order: np.ndarray, errors: np.ndarray, graph: Graph, coupling: Coupling,
                context: Context) -> np.ndarray:  # fmt: skip
        """Errors as noise at the outputs: in proportion to what half of the family makes of these."""
        gone = np.zeros(len(coupling.groups), bool)
        gone[family.classes[order[: family.count // 2]]] = True
        half = updated(graph, remove_channels(graph, coupling, gone), coupling, gone, context)
        error = errors[family.count // 2]
        return errors * (noise(graph, half, context) / error) if 0 < error < np.inf else errors

    def _counts(self, family: Family) -> list[int]:
        """How many classes of a family may be left, falling."""
        least = max(1, int(np.ceil(_LEAST * family.count)))
        multiple = self.multiple if family.channels >= 2 * self.multiple else max(1, self.multiple // 2)
        return [left for left in range(family.count - 1, least - 1, -1) if left * family.width % multiple == 0]

    def _start(self, found: Sequence[Family]) -> tuple[np.ndarray, list[bool]]:
        """Classes left in each family as `layers` says, and whether it says nothing."""
        left, free = [], []
        for family in found:
            shares = [share for glob, share in map(_share, self.layers)
                      if any(fnmatchcase(name, glob) for name in family.makers)]  # fmt: skip
            counts = np.array([family.count, *self._counts(family)])
            wanted = family.count * (1 - shares[-1]) if shares else family.count
            left.append(int(counts[np.abs(counts - wanted).argmin()]))
            free.append(not shares)
        return np.array(left), free

    def _budgets(self, graph: Graph, coupling: Coupling, found: Sequence[Family], each: Mapping[str, float],
                 context: Context) -> Callable[[np.ndarray], bool]:  # fmt: skip
        """Whether the network without some classes keeps the budgets."""
        costs, limits = context.target.costs, list[tuple[float, Callable[[Graph], float]]]()
        if self.ms is not None and costs is None:
            raise PassError(f"target {context.target.name} has no estimates of milliseconds",
                            fix="Give time=, the share of it that may stay")  # fmt: skip
        whole = sum(each.values())
        if self.time is not None and not each:
            raise PassError(f"target {context.target.name} has no estimates of this network",
                            fix="Give macs= instead of time=")  # fmt: skip
        measures: tuple[tuple[float | None, Callable[[Graph], float]], ...] = (
            (self.macs, total_macs), (self.bytes, lambda one: weight_bytes(one, context)),
        )  # fmt: skip
        for budget, measure in measures:
            if budget is not None:
                limits.append((budget * measure(graph) if budget <= 1 else budget, measure))
        if self.ms is not None and costs is not None:
            limits.append((1e6 * self.ms, lambda one: sum(work(one, context).values())))
        if self.time is not None:
            limits.append((self.time * whole, lambda one: sum(work(one, context).values())))
        most = (1 - self.channels) * sum(family.channels for family in found)

        def keeps(gone: np.ndarray) -> bool:
            if sum(int((~gone[family.classes]).sum()) * family.width for family in found) > most:
                return False
            after = remove_channels(graph, coupling, gone) if limits else graph
            return all(measure(after) <= limit for limit, measure in limits)

        return keeps


def _first(
    steps: np.ndarray, allowed: Sequence[Sequence[int]], keeps: Callable[[np.ndarray], bool]
) -> np.ndarray:
    """The first counts on a path that keep the budgets, with what the last step took too much given back."""
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if keeps(steps[middle]) else (middle + 1, high)
    found: np.ndarray = steps[low]
    for family in map(int, np.flatnonzero(steps[low] != steps[max(low - 1, 0)])):
        for count in (count for count in allowed[family] if found[family] < count < steps[low - 1][family]):
            trial = found.copy()
            trial[family] = count
            if keeps(trial):
                return trial
    return found


def _share(entry: str) -> tuple[str, float]:
    glob, colon, share = str(entry).rpartition(":")
    try:
        value = float(share)
    except ValueError:
        value = -1.0
    if not colon or not 0 <= value < 1:
        raise PassError(f"layers has '{entry}'", fix="Write glob:share, such as layers=[/stem/*:0,Conv_3:0.5]")
    return glob, value
