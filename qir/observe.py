"""Watching values while a graph runs, those inside the bodies of If, Loop and Scan included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from qir.evaluate import Runner
from qir.ir.graph import Graph, Node

Wanted: TypeAlias = Callable[[Graph], Iterable[str]]


class Observer:
    """Runs a graph and yields what its values were.

    Args:
        graph: FLOAT or QUANT.
        wanted: which values of a graph to watch; asked for the graph and for each body.
        scope: prefix of the keys; the values of a body have the key `node/attribute/value`.
    """

    def __init__(self, graph: Graph, wanted: Wanted, scope: str = "") -> None:
        self._graph, self._wanted, self._scope = graph, wanted, scope
        self._names = tuple(dict.fromkeys(wanted(graph)))
        self._holders = tuple(node for node in graph.nodes if node.subgraphs)
        reads = [name for node in self._holders for name in node.reads]
        known = {*graph.inputs, *(name for node in graph.nodes for name in node.outputs)}
        self._reads = tuple(name for name in dict.fromkeys(reads) if name in known)
        self._runner = Runner(graph, (*self._names, *self._reads))
        self._bodies: dict[str, Observer] = {}

    def __call__(self, feeds: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """(key, array) of every watched value; values of a loop's body once an iteration."""
        found = self._runner(feeds)
        for name in self._names:
            yield self._scope + name, found[name]
        for node in self._holders:
            values = {name: found[name] for name in node.reads if name in found}
            values |= {n: self._graph.constants[n].value for n in node.reads if n in self._graph.constants}
            for attribute, body_feeds in _runs(node, values, self):
                yield from self.body(node, attribute)(body_feeds)

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
            self._bodies[scope] = Observer(standalone, self._wanted, scope)
        return self._bodies[scope]

    def results(self, feeds: Mapping[str, Any]) -> list[Any]:
        """The outputs alone, in order."""
        found = self._runner(feeds)
        return [found[name] for name in self._graph.outputs]


def _runs(node: Node, values: Mapping[str, Any], observer: Observer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every execution of a node's bodies: attribute and the body's inputs. Source: ONNX's If-21, Loop-21, Scan-21."""
    captured = dict(values)
    if node.op == "If":
        yield ("then_branch" if bool(np.reshape(values[node.inputs[0]], -1)[0]) else "else_branch"), captured
        return
    body = node.subgraphs.get("body")
    if body is None:
        return
    if node.op == "Loop":
        trips = int(np.reshape(values[node.inputs[0]], -1)[0]) if node.input(0) else 2**31
        going = bool(np.reshape(values[node.inputs[1]], -1)[0]) if node.input(1) else True
        state = [values[name] for name in node.inputs[2:]]
        for iteration in range(trips):
            if not going:
                return
            given = [np.array(iteration, np.int64), np.array(True), *state]
            feeds = {**captured, **dict(zip(body.inputs, given, strict=True))}
            yield "body", feeds
            results = observer.body(node, "body").results(feeds)
            going, state = bool(np.reshape(results[0], -1)[0]), results[1 : 1 + len(state)]
    elif node.op == "Scan":
        n_scan = node.attr("num_scan_inputs")
        n_state = len(node.inputs) - n_scan
        state = [values[name] for name in node.inputs[:n_state]]
        scanned = [values[name] for name in node.inputs[n_state:]]
        axes = node.attr("scan_input_axes") or (0,) * n_scan
        backward = node.attr("scan_input_directions") or (0,) * n_scan
        length = scanned[0].shape[axes[0]]
        for step in range(length):
            slices = [np.take(a, length - 1 - step if back else step, axis=axis)
                      for a, axis, back in zip(scanned, axes, backward, strict=True)]  # fmt: skip
            feeds = {**captured, **dict(zip(body.inputs, [*state, *slices], strict=True))}
            yield "body", feeds
            state = observer.body(node, "body").results(feeds)[:n_state]
