"""What passes share that move and scale channels: which must stay, and what calibration would find afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.ir.graph import Graph
from qir.passmanager.base import Context
from qir.statistics import ChannelBounds, Entry, Gram, Statistic, Statistics, fingerprints


@dataclass(frozen=True, eq=False)
class ChannelMap:
    """What became of the channels of one value: (x - offset) * factor.

    Attributes:
        factor, offset: [C].
    """

    factor: np.ndarray
    offset: np.ndarray


def followed(statistics: Statistics, before: Graph, after: Graph, maps: Mapping[str, ChannelMap]) -> Statistics:
    """Statistics of the graph after a pass.

    Args:
        statistics: of the graph before it. Those that do not hold for it are kept as they are.
        maps: by value, of those that changed.
    """
    old, new = fingerprints(before), fingerprints(after)
    reads = {node.name: node.inputs[0] for node in before.nodes if node.inputs}
    entries: dict[tuple[str, str], Entry] = {}
    for (kind, key), entry in statistics.entries.items():
        value = reads.get(key, key) if kind == Gram.kind else key
        if entry.fingerprint not in ("", old.get(value)):
            entries[kind, key] = entry
            continue
        found = entry.statistic
        if value in maps:
            bounds = bounds_of(value, statistics)
            found = _mapped(found, bounds, maps[value])
        entries[kind, key] = Entry(found, new.get(value, ""))
    return Statistics(entries, statistics.dropped)


def given_ranges(graph: Graph, context: Context) -> set[str]:
    """The values whose range the graph or the recipe says: their channels must stay as they are."""
    found = set(graph.ranges)
    for node in graph.nodes:
        if context.recipe.layer((node.name, *node.origin), node.op).range is not None:
            found.update(node.outputs)
    return found


def bounds_of(name: str, statistics: Statistics) -> ChannelBounds | None:
    """What is known of the channels of a value."""
    entry = statistics.entries.get((ChannelBounds.kind, name))
    return entry.statistic if entry is not None and isinstance(entry.statistic, ChannelBounds) else None


def _mapped(found: Statistic, bounds: ChannelBounds | None, one: ChannelMap) -> Statistic:
    if isinstance(found, Gram):
        factor, offset = (_columns(part, found) for part in (one.factor, one.offset))
        return found.moved(offset).scaled(factor)
    if bounds is None:
        return found
    moved = bounds.moved(one.offset).scaled(one.factor)
    return moved if isinstance(found, ChannelBounds) else moved.histogram


def _columns(channels: np.ndarray, gram: Gram) -> np.ndarray:
    """What belongs to channels for every column of a Gram matrix, [groups, K]."""
    split = channels.reshape(gram.groups, -1)
    return np.repeat(split, gram.size // split.shape[1], axis=1)
