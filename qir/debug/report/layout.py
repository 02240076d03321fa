"""Where the nodes of a graph are drawn: in layers from top to bottom, with few crossings and straight long edges.

The method is Sugiyama's: edges that span several layers get a dummy in each, the order within layers is improved by
sweeps that sort by the mean position of neighbours, and horizontal places are then the least-squares ones that keep the
order and a gap, which isotonic regression (pool adjacent violators) finds exactly for one layer at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_SWEEPS = 12
_DUMMY_WIDTH = 24.0
_STRAIGHT = 8.0
"""How much more a long edge wants to be straight than a node wants to be centred."""


@dataclass(frozen=True)
class Drawing:
    """Centres of nodes, and the bends of edges.

    Attributes:
        centres: (x, y) of each node.
        bends: for each edge the points (x, y) between its ends, from top to bottom.
        width, height: of everything; the origin is the top left corner.
    """

    centres: tuple[tuple[float, float], ...]
    bends: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    height: float


@dataclass
class _Layered:
    """A graph all of whose edges go from one layer to the next; items below `nodes` are nodes, the others dummies."""

    nodes: int
    layer: list[int]
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    chains: list[list[int]] = field(default_factory=list)


def draw(widths: Sequence[float], edges: Sequence[tuple[int, int]], *, height: float, gap: tuple[float, float]
         ) -> Drawing:  # fmt: skip
    """Places nodes.

    Args:
        widths: of the nodes, in an order in which every edge goes forward.
        edges: (from, to) by position in `widths`.
        height: of a node.
        gap: least (horizontal, vertical) space between nodes.

    Raises:
        ValueError: for an edge that goes backward.
    """
    if not widths:
        return Drawing((), tuple(() for _ in edges), 0.0, 0.0)
    graph = _layered(len(widths), edges)
    rows = _ordered(graph)
    size = [*widths, *[_DUMMY_WIDTH] * (len(graph.layer) - graph.nodes)]
    x = _placed(graph, rows, size, gap[0])
    left = min(place - width / 2 for place, width in zip(x, size, strict=True))
    right = max(place + width / 2 for place, width in zip(x, size, strict=True))
    y = [layer * (height + gap[1]) + height / 2 for layer in graph.layer]
    points = [(round(a - left, 1), round(b, 1)) for a, b in zip(x, y, strict=True)]
    bends = tuple(tuple(points[item] for item in chain[1:-1]) for chain in graph.chains)
    return Drawing(tuple(points[: graph.nodes]), bends, round(right - left, 1), max(y) + height / 2)


def _layered(count: int, edges: Sequence[tuple[int, int]]) -> _Layered:
    layer = [0] * count
    for source, sink in sorted(edges):
        if not 0 <= source < sink < count:
            raise ValueError(f"edge {source} -> {sink} does not go forward among {count} nodes")
    sinks: list[list[int]] = [[] for _ in range(count)]
    sources: list[list[int]] = [[] for _ in range(count)]
    for source, sink in edges:
        sinks[source].append(sink)
        sources[sink].append(source)
    for node in range(count):
        layer[node] = max((layer[source] + 1 for source in sources[node]), default=0)
    for node in reversed(range(count)):  # down towards its users, where that lengthens no other edge
        if sinks[node] and not sources[node]:
            layer[node] = min(layer[sink] for sink in sinks[node]) - 1
    graph = _Layered(count, layer, [[] for _ in range(count)], [[] for _ in range(count)])
    shared: dict[tuple[int, int], int] = {}
    for source, sink in edges:
        chain = [source]
        for row in range(layer[source] + 1, layer[sink]):
            if (source, row) not in shared:  # edges from one node run together until they part
                shared[source, row] = len(layer)
                layer.append(row)
                graph.above.append([])
                graph.below.append([])
            chain.append(shared[source, row])
        chain.append(sink)
        for upper, lower in pairwise(chain):
            if lower not in graph.below[upper]:
                graph.below[upper].append(lower)
                graph.above[lower].append(upper)
        graph.chains.append(chain)
    return graph


def _ordered(graph: _Layered) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(max(graph.layer) + 1)]
    for item, layer in enumerate(graph.layer):
        rows[layer].append(item)
    place = [0.0] * len(graph.layer)
    best, fewest = rows, None
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        near = graph.above if downward else graph.below
        for row in rows if downward else reversed(rows):
            row.sort(key=lambda item: _mean([place[other] for other in near[item]], place[item]))
            for i, item in enumerate(row):
                place[item] = i - (len(row) - 1) / 2
        crossings = _crossings(graph, rows)
        if fewest is None or crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
        if fewest == 0:
            break
    return best


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _crossings(graph: _Layered, rows: list[list[int]]) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        where = {item: i for i, item in enumerate(lower)}
        ends = [end for item in upper for end in sorted(where[other] for other in graph.below[item])]
        count += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return count


def _placed(graph: _Layered, rows: list[list[int]], size: list[float], gap: float) -> list[float]:
    x = [0.0] * len(graph.layer)
    for row in rows:
        _spread(row, [0.0] * len(row), [1.0] * len(row), size, gap, x)
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wishes, weights = [], []
            for item in row:
                pulls = [(x[other], _STRAIGHT if item >= graph.nodes and other >= graph.nodes else 1.0)
                         for other in (*graph.above[item], *graph.below[item])]  # fmt: skip
                total = sum(weight for _, weight in pulls)
                wishes.append(sum(place * weight for place, weight in pulls) / total if pulls else x[item])
                weights.append(total or 1.0)
            _spread(row, wishes, weights, size, gap, x)
    return x


def _spread(
    row: list[int], wishes: list[float], weights: list[float], size: list[float], gap: float, x: list[float]
) -> None:
    """Puts a row's items as near to their wishes, in the sense of least squares, as order and gaps allow."""
    shift, shifts = 0.0, []
    for i, item in enumerate(row):
        shift += (size[row[i - 1]] + size[item]) / 2 + gap if i else 0.0
        shifts.append(shift)
    blocks: list[tuple[float, float, int]] = []
    for wish, weight, offset in zip(wishes, weights, shifts, strict=True):
        block = (wish - offset, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, mass, number = blocks.pop()
            total = mass + block[1]
            block = ((mean * mass + block[0] * block[1]) / total, total, number + block[2])
        blocks.append(block)
    means = [mean for mean, _, number in blocks for _ in range(number)]
    for item, mean, offset in zip(row, means, shifts, strict=True):
        x[item] = mean + offset
