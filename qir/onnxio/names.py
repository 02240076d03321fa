"""Names in a graph: new ones, and values that change theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qir.ir.graph import Graph, Node


def fresh(name: str, taken: set[str]) -> str:
    """`name`, with a number behind it if it is taken; the result is taken from now on."""
    candidate, number = name, 0
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def all_graphs(graph: Graph) -> Iterator[Graph]:
    """The graph and its bodies, outer ones first."""
    yield graph
    for node in graph.nodes:
        for body in node.subgraphs.values():
            yield from all_graphs(body)


def all_values(graph: Graph) -> Iterator[str]:
    """Names of values of the graph and its bodies; those of several bodies come several times."""
    for inner in all_graphs(graph):
        yield from {*inner.types, *inner.outputs}


def with_bodies(node: Node, bodies: Mapping[str, Graph]) -> Node:
    """The node with these bodies; itself where they are the ones that it has."""
    if all(bodies[key] is body for key, body in node.subgraphs.items()):
        return node
    return node.with_(attrs={**node.attrs, **bodies})


def renamed(node: Node, names: Mapping[str, str]) -> Node:
    """The node with its operands, results and captures renamed; names that a body defines itself stay."""
    return with_bodies(
        node.with_(
            inputs=tuple(names.get(name, name) for name in node.inputs),
            outputs=tuple(names.get(name, name) for name in node.outputs),
        ),
        {key: _renamed_body(body, names) for key, body in node.subgraphs.items()},
    )


def _renamed_body(body: Graph, names: Mapping[str, str]) -> Graph:
    seen = {name: names[name] for name in body.captures if name in names}
    if not seen:
        return body
    return body.with_(
        nodes=tuple(renamed(node, seen) for node in body.nodes),
        outputs=tuple(seen.get(name, name) for name in body.outputs),
    )
