"""Walking through a graph a few nodes at a time, with the values of some samples in hand.

A whole walk costs one inference: every node runs once, and only what later nodes read is kept. In between, a value may
be replaced, which everything behind it then sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qir.evaluate import Runner, rounded
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType, ValueType


class Walk:
    """A graph's values on some batches, up to the node that was run last.

    Args:
        graph: FLOAT or QUANT; its nodes are run in their order.
        batches: the inputs, real values.

    Attributes:
        values: those that nodes not yet run read, one array a batch; of values with codes what the codes stand for.
    """

    def __init__(self, graph: Graph, batches: Sequence[Mapping[str, Any]]) -> None:
        self._graph = graph
        self._last = _last_reads(graph)
        self._done, self._count = 0, len(batches)
        self.values = {name: [rounded(batch[name], graph.types[name]) for batch in batches]
                       for name in graph.inputs if name in self._last}  # fmt: skip

    def run(self, node: Node) -> list[np.ndarray]:
        """Runs the nodes up to this one, which was not run yet.

        Returns:
            Its first output before it is rounded to codes; `values` hold it so too.

        Raises:
            ModelError, DataError: where onnxruntime refuses the nodes.
        """
        return self._advance(self._place(node) + 1, node.outputs[0])

    def outputs(self) -> dict[str, list[Any]]:
        """Runs what is left; the graph's outputs, those that are constants left out."""
        if self._done < len(self._graph.nodes):
            self._advance(len(self._graph.nodes))
        return {name: self.values[name] for name in self._graph.outputs if name in self.values}

    def _place(self, node: Node) -> int:
        places = range(self._done, len(self._graph.nodes))
        return next(place for place in places if self._graph.nodes[place].name == node.name)

    def _advance(self, stop: int, real: str = "") -> list[Any]:
        """Runs the nodes in front of `stop`; gives the value `real` as it was before rounding."""
        if stop == self._done:
            return []
        nodes, last = self._graph.nodes[self._done : stop], self._last
        made = [name for one in nodes for name in one.outputs if name]
        given = tuple(dict.fromkeys(name for one in nodes for name in one.reads if name in self.values))
        later = [name for name in made if last.get(name, -1) >= stop]
        wanted = tuple(dict.fromkeys((*([real] if real else []), *later)))
        names = dict.fromkeys((*given, *made, *(name for node in nodes for name in node.reads)))
        types = {name: self._graph.types[name] for name in names}
        types |= {name: _real(types[name]) for name in (*given, *([real] if real else []))}
        constants = {name: self._graph.constants[name] for name in names if name in self._graph.constants}
        runner = Runner(self._graph.with_(inputs=given, outputs=wanted, nodes=nodes, types=types,
                                          constants=constants, ranges={}), optimize=True, integers=False)  # fmt: skip
        found = [runner({name: self.values[name][i] for name in given}) for i in range(self._count)]
        self.values = {name: arrays for name, arrays in self.values.items() if last[name] >= stop}
        self.values |= {name: [one[name] for one in found] for name in later}
        self._done = stop
        return [one.get(real) for one in found]

    def before(self, node: Node, name: str) -> list[np.ndarray]:
        """Runs the nodes in front of this one, which was not run yet; a value that it reads."""
        self._advance(self._place(node))
        return self.values[name]

    def go_on(self, graph: Graph) -> None:
        """Takes what is left to do from a graph with the same nodes in front; behind, values keep their names."""
        self._graph, self._last = graph, _last_reads(graph)

    def put(self, name: str, arrays: Sequence[np.ndarray]) -> None:
        """Replaces a value, real numbers, for all that follows; rounds it where it has codes."""
        if name in self.values:
            self.values[name] = [rounded(array, self._graph.types[name]) for array in arrays]


def _last_reads(graph: Graph) -> dict[str, int]:
    """The place of the last node that reads a value."""
    found = {name: place for place, node in enumerate(graph.nodes) for name in node.reads}
    return found | dict.fromkeys(graph.outputs, len(graph.nodes))


def without_codes(graph: Graph) -> Graph:
    """The same nodes on the real values behind all codes: what a graph of stage QUANT stands for."""
    nodes = tuple(
        node.with_(attrs={**node.attrs, **{key: without_codes(body) for key, body in node.subgraphs.items()}})
        if node.subgraphs else node
        for node in graph.nodes
    )  # fmt: skip
    return graph.with_(nodes=nodes, types={name: _real(kind) for name, kind in graph.types.items()})


def _real(kind: ValueType) -> ValueType:
    return TensorType(kind.dtype, kind.shape) if isinstance(kind, TensorType) else kind
