"""An order in which nodes can run; the only place of the IR where networkx sees any."""

from __future__ import annotations

import networkx as nx

from qir.ir.graph import Node


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
