"""Watching values while a graph runs, those inside the bodies of If, Loop and Scan included."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from qir.control import CONTROL, executions
from qir.evaluate import Runner
from qir.ir.graph import Graph, Node

Wanted: TypeAlias = Callable[[Graph], Iterable[str]]


class Observer:
    """Runs a graph and yields what its values were.

    Args:
        graph: FLOAT or QUANT.
        wanted: which values of a graph to watch; asked for the graph and for each body.
        scope: prefix of the keys; the values of a body have the key `node/attribute/value`.
        optimize: let onnxruntime fuse around the watched values: faster, and equal up to float rounding.
        threads: 0 for onnxruntime's own choice.
    """

    def __init__(
        self, graph: Graph, wanted: Wanted, scope: str = "", *, optimize: bool = False, threads: int = 0
    ) -> None:
        self._graph, self._wanted, self._scope = graph, wanted, scope
        self._optimize, self._threads = optimize, threads
        self._names = tuple(dict.fromkeys(wanted(graph)))
        self._holders = tuple(node for node in graph.nodes if node.subgraphs)
        reads = [name for node in self._holders for name in node.reads]
        known = {*graph.inputs, *(name for node in graph.nodes for name in node.outputs)}
        self._reads = tuple(name for name in dict.fromkeys(reads) if name in known)
        self._runner = Runner(graph, (*self._names, *self._reads), optimize=optimize, threads=threads, arena=False)
        self._bodies: dict[str, Observer] = {}

    def __call__(self, feeds: Mapping[str, Any]) -> Generator[tuple[str, Any], None, list[Any]]:
        """(key, array) of every watched value, those of a loop's body once an iteration; returns the outputs."""
        found = self._runner(feeds)
        for name in self._names:
            yield self._scope + name, found[name]
        for node in self._holders:
            values = {name: found[name] for name in node.reads if name in found}
            values |= {n: self._graph.constants[n].value for n in node.reads if n in self._graph.constants}
            if node.op in CONTROL:
                yield from self._inside(node, values)
        return [found[name] for name in self._graph.outputs]

    def _inside(self, node: Node, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """What happens in a node's bodies, execution by execution."""
        steps = executions(node, values)
        try:
            attribute, given = next(steps)
            while True:
                results = yield from self.body(node, attribute)({**values, **given})
                attribute, given = steps.send(results)
        except StopIteration:
            return

    def body(self, node: Node, attribute: str) -> Observer:
        """The observer of a body, which takes the captured values as further inputs."""
        scope = f"{self._scope}{node.name}/{attribute}/"
        if scope not in self._bodies:
            body, outer = node.subgraphs[attribute], self._graph
            captured = tuple(name for name in body.captures if name in outer.types)
            types = {**{name: outer.types[name] for name in captured}, **body.types}
            standalone = body.with_(
                inputs=(*body.inputs, *captured), types=types, opsets=outer.opsets, stage=outer.stage
            )
            self._bodies[scope] = Observer(
                standalone, self._wanted, scope, optimize=self._optimize, threads=self._threads
            )
        return self._bodies[scope]
