"""Carrying a change into the bodies of If, Loop and Scan."""

from __future__ import annotations

from collections.abc import Callable

from qir.ir.graph import Graph, Node
from qir.rewrite.editor import free_name, rename_inputs


def map_bodies(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """The graph with every body changed by `change`, innermost first; the same object if none changed.

    While it is changed, a body also holds the types of all outer values (so that new names stay clear of them), its
    model's opsets and stage, and those captured values that are constants, so that a pass need not look outside.
    """
    nodes: list[Node] = []
    changed = False
    for node in graph.nodes:
        replaced = {}
        for key, body in node.subgraphs.items():
            dressed = _dress(body, graph)
            new = change(map_bodies(dressed, change))
            if new is not dressed:
                replaced[key] = _undress(new, body, graph)
        changed |= bool(replaced)
        nodes.append(node.with_(attrs={**node.attrs, **replaced}) if replaced else node)
    return graph.with_(nodes=tuple(nodes)) if changed else graph


def everywhere(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """Applies `change`, which brings a lone graph to rest at once, to a graph and its bodies until all rest."""
    while True:
        after = change(map_bodies(graph, change))
        if after is graph or not any(node.subgraphs for node in after.nodes):
            return after
        graph = after


def _dress(body: Graph, outer: Graph) -> Graph:
    constants = {name: outer.constants[name] for name in body.captures if name in outer.constants}
    return body.with_(types={**outer.types, **body.types}, constants={**constants, **body.constants},
                      opsets=outer.opsets, stage=outer.stage)  # fmt: skip


def _undress(new: Graph, body: Graph, outer: Graph) -> Graph:
    """Drops what was lent; lent constants with new content become the body's own, under names of their own."""
    own = {*new.inputs, *(name for node in new.nodes for name in node.outputs)}
    lent = {name for name in new.constants if name in outer.constants and name not in body.constants}
    taken = {*outer.types, *new.types}
    renamed: dict[str, str] = {}
    for name in lent:
        if new.constants[name] is not outer.constants[name]:
            renamed[name] = free_name(name, taken)
            taken.add(renamed[name])
    constants = {renamed.get(n, n): c for n, c in new.constants.items() if n not in lent or n in renamed}
    types = {renamed.get(n, n): t for n, t in new.types.items() if n in own or n in constants or n in renamed}
    nodes, outputs = new.nodes, new.outputs
    if renamed:
        nodes = tuple(rename_inputs(node, lambda name: renamed.get(name, name)) for node in nodes)
        outputs = tuple(renamed.get(name, name) for name in outputs)
    return new.with_(nodes=nodes, outputs=outputs, types=types, constants=constants, opsets=body.opsets)
