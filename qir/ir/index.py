"""Who makes and who uses each value of a graph; the only place where networkx sees one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from qir.ir.graph import Graph, Node


class Index:
    """Look-ups over one frozen graph. Captures of a body count as uses by the node that holds it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers: dict[str, Node] = {name: node for node in graph.nodes for name in node.outputs if name}
        uses: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in dict.fromkeys(node.reads):
                uses.setdefault(name, []).append(node)
        self._uses = {name: tuple(nodes) for name, nodes in uses.items()}
        self._outputs = frozenset(graph.outputs)

    def producer(self, name: str) -> Node | None:
        """The node that makes a value; None for inputs, constants and captured values."""
        return self.producers.get(name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that use a value, each once, in execution order."""
        return self._uses.get(name, ())

    def is_output(self, name: str) -> bool:
        return name in self._outputs

    def sole_consumer(self, name: str) -> Node | None:
        """The only node that uses a value, None if it has several uses or is a result of the graph."""
        users = self.consumers(name)
        if len(users) != 1 or self.is_output(name) or users[0].reads.count(name) != 1:
            return None
        return users[0]

    @cached_property
    def digraph(self) -> nx.DiGraph:
        """Nodes' names, with an edge from each producer to each consumer."""
        result = nx.DiGraph()
        result.add_nodes_from(node.name for node in self.graph.nodes)
        for node in self.graph.nodes:
            makers = (self.producers[name] for name in node.reads if name in self.producers)
            result.add_edges_from((maker.name, node.name) for maker in makers)
        return result


def topological_order(nodes: list[Node]) -> list[Node]:
    """The nodes so that producers come first, otherwise in the order given.

    Raises:
        ValueError: where the nodes form a cycle.
    """
    producers = {name: position for position, node in enumerate(nodes) for name in node.outputs if name}
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(nodes)))
    for position, node in enumerate(nodes):
        graph.add_edges_from((producers[name], position) for name in node.reads if name in producers)
    try:
        return [nodes[position] for position in nx.lexicographical_topological_sort(graph)]
    except nx.NetworkXUnfeasible:
        raise ValueError("the nodes form a cycle") from None
