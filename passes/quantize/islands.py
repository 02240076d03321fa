"""`drop-slow-islands`: what running on codes would slow down stays float.

An island is a set of nodes that hand codes to each other. It saves the time by which its nodes are faster on codes,
and costs the conversions where values enter and leave it; the target estimates both. Islands that cost more than they
save get an override of the recipe that leaves them in float, which adds no error, as far as that gives up next to none
of the network's multiplications and its file hardly grows: float weights take four times the room.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Node, Stage
from qir.ops.weighted import macs, weighted, with_ones
from qir.passes.quantize.clamp import CLAMPS
from qir.passes.quantize.placement import Placement, place
from qir.passmanager.base import Context, Pass, Promise
from qir.target import Costs

_NAMED = 5
"""Nodes that the note names."""


@dataclass(frozen=True)
class DropSlowIslands(Pass):
    """Leaves islands in float that are faster so. Nodes that an override of the recipe names stay as it says.

    Attributes:
        share: of the network's multiplications that this may give up, and of the bytes of its weights as codes that
            it may add.
    """

    name: ClassVar[str] = "drop-slow-islands"
    promise: ClassVar[Promise] = Promise.ANNOTATE
    share: float = 0.005

    def run(self, graph: Graph, context: Context) -> Graph:
        costs = context.target.costs
        if costs is None or graph.stage is not Stage.FLOAT:
            return graph
        single, placed = with_ones(graph), place(graph, context)
        islands = [island for nodes in _connected(single, placed)
                   if (island := _island(nodes, single, placed, costs)) is not None and island.lost > 0
                   and not any(_is_named(node, context) for node in nodes)]  # fmt: skip
        work = sum(macs(node, single) or 0 for node in graph.nodes if node in placed)
        size = sum(_weights(node, graph) for node in graph.nodes)
        left = self.share * work, self.share * size
        dropped: list[_Island] = []
        for island in sorted(islands, key=lambda one: (one.macs / one.lost, one.nodes[0].name)):
            if island.macs <= left[0] and 3 * island.weights <= left[1]:
                left = left[0] - island.macs, left[1] - 3 * island.weights
                dropped.append(island)
        for island in dropped:
            for node in island.nodes:
                context.recipe = context.recipe.with_override(glob.escape(node.name), float=True)
        if dropped:
            names = [node.name for island in dropped for node in island.nodes]
            rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            saved = sum(island.lost for island in dropped) / 1000
            context.notes.append(
                f"{len(names)} nodes stay float, as converting to codes and back would take longer than it saves, by "
                f"an estimated {saved:.1f} us: {', '.join(names[:_NAMED])}{rest}"
            )
        return graph


@dataclass(frozen=True)
class _Island:
    """Nodes on codes that convert from and to reals together.

    Attributes:
        lost: ns by which they are slower than in float.
        macs, weights: multiplications of one sample; weights.
    """

    nodes: tuple[Node, ...]
    lost: float
    macs: int
    weights: int


def _connected(graph: Graph, placed: Placement) -> Iterator[tuple[Node, ...]]:
    """The islands: nodes joined where one's result is another's operand, clamps in between being part of the first."""
    island: dict[str, int] = {}
    members: dict[int, list[Node]] = {}
    for number, node in enumerate(graph.nodes):
        if node not in placed:
            continue
        touching = {island[maker.name] for name in placed.rules[node.name].data_inputs(node)
                    if (maker := _maker(name, graph, placed)) is not None}  # fmt: skip
        island[node.name], members[number] = number, [node]
        for other in touching:
            for one in members[other]:
                island[one.name] = number
            members[number] = members.pop(other) + members[number]
    for nodes in members.values():
        yield tuple(nodes)


def _maker(name: str, graph: Graph, placed: Placement) -> Node | None:
    """The placed node that makes a value, or that makes it but for a clamp."""
    producer = graph.index.producer(name)
    if producer is not None and producer not in placed and producer.op in CLAMPS:
        producer = graph.index.producer(producer.inputs[0])
    return producer if producer in placed else None


def _island(nodes: tuple[Node, ...], graph: Graph, placed: Placement, costs: Costs) -> _Island | None:
    """What an island costs; None where shapes are not known."""
    inside = {node.name for node in nodes}
    try:
        lost = sum(costs.node(node, graph, True) - costs.node(node, graph, False) for node in nodes)
        lost += sum(costs.border(graph.tensor(name)) for name in _borders(nodes, inside, graph, placed))
    except (KeyError, TypeError, ValueError):
        return None
    work = sum(macs(node, graph) or 0 for node in nodes)
    return _Island(nodes, lost, work, sum(_weights(node, graph) for node in nodes))


def _borders(nodes: tuple[Node, ...], inside: set[str], graph: Graph, placed: Placement) -> set[str]:
    """Values that an island alone converts: those that no other island reads as codes, and results read as reals."""
    found = set()
    for node in nodes:
        for name in placed.rules[node.name].data_inputs(node):
            others = [user for user in graph.index.consumers(name) if user in placed and user.name not in inside]
            if name not in graph.constants and _maker(name, graph, placed) is None and not others:
                found.add(name)
        for name in node.outputs:
            users = [user for user in graph.index.consumers(name)
                     if not (user.op in CLAMPS and user not in placed)]  # fmt: skip
            real = graph.index.is_output(name) or any(user not in placed for user in users)
            if real and not placed.rules[node.name].float_output:
                found.add(name)
    return found


def _weights(node: Node, graph: Graph) -> int:
    slots = weighted(node, graph)
    return 0 if slots is None else int(graph.constants[node.inputs[slots.weight]].value.size)


def _is_named(node: Node, context: Context) -> bool:
    names = (node.name, *node.origin)
    return any(context.recipe.names(field, names, node.op) for field in ("weight_bits", "activation_bits"))
