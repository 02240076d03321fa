"""Normalisation of the default domain's operators upwards to opset 21."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qir.errors import ModelError
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import TensorType, ValueType
from qir.onnxio.names import all_values, fresh
from qir.onnxio.opset import accepts, schema_of
from qir.onnxio.upgrade_rules import RULES, Step
from qir.onnxio.write import DEFAULT_OPSET, opset_of

_LOG = logging.getLogger(__name__)
OLDEST = 9
_OLDEST_SIMILAR = 7
"""From here on a node whose signature fits opset 9 means the same there (broadcasting changed in 7)."""
_REDEFINED = {"Scan"}  # same signature before opset 9, another meaning


def check_opset(graph: Graph) -> None:
    """Refuses models that are older than opset 9, unless all their nodes mean the same in 9.

    Raises:
        ModelError: naming the first node that is too old.
    """
    version = opset_of(graph)
    if version >= OLDEST:
        return
    for inner, node in graph.walk():
        if node.domain:
            continue
        old, new = schema_of(node.op, "", version), schema_of(node.op, "", OLDEST)
        same = old is not None and new is not None and old.since_version == new.since_version
        similar = version >= _OLDEST_SIMILAR and node.op not in _REDEFINED and accepts(node, inner.types, OLDEST)
        if not same and not similar:
            raise ModelError(
                f"the model is of opset {version}, whose {node.op} differs from opset {OLDEST}'s", node=node.name,
                fix=f"Export it again with opset {OLDEST} or later, or convert it with onnx.version_converter",
            )  # fmt: skip


def upgrade(graph: Graph) -> Graph:
    """The graph in the form of opset 21, bodies included; newer ones, and ones that cannot be raised, stay."""
    version = max(OLDEST, opset_of(graph))
    if opset_of(graph) >= DEFAULT_OPSET:
        return graph if "" in graph.opsets else graph.with_(opsets={**graph.opsets, "": DEFAULT_OPSET})
    if graph.functions:
        _LOG.info("the model keeps opset %d, as it carries functions written for it", version)
        return graph
    raised = _Upgrade(graph, version).graph(graph, {}, {})
    return graph if raised is None else raised


@functools.cache
def _steps(op: str, version: int) -> tuple[int, ...]:
    return tuple(sorted(since for name, since in RULES if name == op and since > version))


class _Upgrade:
    def __init__(self, graph: Graph, version: int) -> None:
        self.version = version
        self.opsets = {**graph.opsets, "": DEFAULT_OPSET}
        self.values = set(all_values(graph))
        self.names = {node.name for _, node in graph.walk()}

    def graph(self, graph: Graph, types: Mapping[str, ValueType], constants: Mapping[str, Constant]) -> Graph | None:
        types = {**types, **graph.types}
        constants = {**constants, **graph.constants}
        added: dict[str, Constant] = {}
        nodes: list[Node] = []
        for node in graph.nodes:
            bodies = {key: self.graph(body, types, constants) for key, body in node.subgraphs.items()}
            if any(body is None for body in bodies.values()):
                return None
            inner = node.with_(attrs={**node.attrs, **bodies}) if bodies else node
            context = _NodeContext(self, node, graph, types, constants, added)
            raised = self._raise(inner, context)
            if raised is None:
                _LOG.warning("the model keeps opset %d: %s '%s' has no equal in %d",
                             self.version, node.op, node.name, DEFAULT_OPSET)  # fmt: skip
                return None
            nodes += raised
        new_types = {name: TensorType(of_array(c.value), c.value.shape) for name, c in added.items()}
        return graph.with_(
            nodes=tuple(nodes),
            constants={**graph.constants, **added},
            types={**graph.types, **new_types},
            opsets=self.opsets,
        )

    def _raise(self, node: Node, context: _NodeContext) -> list[Node] | None:
        if node.domain:
            return [node]
        before: list[Node] = []
        after: list[Node] = []
        version = self.version
        while steps := _steps(node.op, version):
            version = steps[0]
            step: Step | None = RULES[node.op, version](node, context)
            if step is None:
                return None
            node = step.node
            before += step.before
            after = [*step.after, *after]
        return [*before, node, *after]


class _NodeContext:
    """See `upgrade_rules.Context`."""

    def __init__(
        self,
        owner: _Upgrade,
        node: Node,
        graph: Graph,
        types: Mapping[str, ValueType],
        constants: Mapping[str, Constant],
        added: dict[str, Constant],
    ) -> None:
        self.owner, self.node, self.graph = owner, node, graph
        self.types, self.constants, self.added = types, constants, added

    def constant(self, hint: str, array: np.ndarray) -> str:
        name = self.value(hint)
        self.added[name] = Constant(array)
        return name

    def value(self, hint: str) -> str:
        return fresh(f"{self.node.name}_{hint}", self.owner.values)

    def helper(self, op: str, inputs: Sequence[str], outputs: Sequence[str], **attrs: Any) -> Node:
        name = fresh(f"{self.node.name}_{op}", self.owner.names)
        return Node(op, tuple(inputs), tuple(outputs), attrs, name, origin=self.node.origin)

    def tensor(self, name: str) -> TensorType | None:
        kind = self.types.get(name)
        return kind if isinstance(kind, TensorType) else None

    def array(self, name: str) -> np.ndarray | None:
        found = self.added.get(name) or self.constants.get(name)
        return None if found is None else found.value

    def is_used(self, name: str) -> bool:
        index = self.graph.index
        return bool(name) and (index.is_output(name) or bool(index.consumers(name)))
