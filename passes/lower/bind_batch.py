"""`bind-batch`: gives an open batch dimension a size, as C needs it.

Only the first axis of the inputs is bound, and only where it is open; every other open size stays and is reported by
the C backend. It runs after calibration, which is faster on whole batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import ClassVar

from qir.ir.graph import Graph, Stage
from qir.ir.types import Dim, TensorType, ValueType
from qir.onnxio.infer import infer_types
from qir.passmanager.base import Context, Pass


@dataclass(frozen=True)
class BindBatch(Pass):
    """Binds the open batch dimension.

    Attributes:
        size: samples a run.
    """

    name: ClassVar[str] = "bind-batch"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    size: int = 1

    def run(self, graph: Graph, context: Context) -> Graph:
        open_sizes = {name: graph.types[name] for name in graph.inputs if _is_open(graph.types[name])}
        if not open_sizes:
            return graph
        types = dict(graph.types)
        symbols: set[Dim] = set()
        for name, kind in open_sizes.items():
            assert isinstance(kind, TensorType)
            assert kind.shape is not None
            symbols.add(kind.shape[0])
            types[name] = replace(kind, shape=(self.size, *kind.shape[1:]))
        context.notes.append(f"the open batch dimension is {self.size}")
        return _sized(graph.with_(types=types), {}, symbols - {None}, self.size)


def _sized(graph: Graph, outer: Mapping[str, ValueType], symbols: Set[Dim], size: int) -> Graph:
    """A graph whose inputs are bound, with the size in every type that it reaches, bodies included."""
    types = {name: _bound(kind, symbols, size) for name, kind in graph.types.items()}
    nodes, seen = [], {**outer, **types}
    for node in graph.nodes:
        bodies = {key: _sized(body.with_(opsets=graph.opsets), seen, symbols, size).with_(opsets=body.opsets)
                  for key, body in node.subgraphs.items()}  # fmt: skip
        nodes.append(node.with_(attrs={**node.attrs, **bodies}) if bodies else node)
        found = infer_types(nodes[-1], seen, graph.constants, graph.opsets)
        for name, kind in zip(node.outputs, found, strict=True):
            old = types.get(name)
            if name and isinstance(kind, TensorType) and isinstance(old, TensorType) and kind.is_static:
                types[name] = seen[name] = replace(old, shape=kind.shape)
    return graph.with_(nodes=tuple(nodes), types=types)


def _is_open(kind: ValueType) -> bool:
    return isinstance(kind, TensorType) and kind.shape not in (None, ()) and not isinstance((kind.shape or ())[0], int)


def _bound(kind: ValueType, symbols: Set[Dim], size: int) -> ValueType:
    if not isinstance(kind, TensorType) or kind.shape is None or not symbols & set(kind.shape):
        return kind
    return replace(kind, shape=tuple(size if dim in symbols else dim for dim in kind.shape))
