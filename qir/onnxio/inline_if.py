"""If nodes whose condition is known at compile time, replaced by the branch that is taken."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator

from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import UNKNOWN, TensorType, ValueType
from qir.onnxio.names import all_values, fresh, renamed, with_bodies
from qir.onnxio.read import constant_types
from qir.onnxio.write import DEFAULT_OPSET, model_proto

_LOG = logging.getLogger(__name__)
_MOST_NODES = 256
_MOST_ELEMENTS = 1 << 16


def inline_ifs(graph: Graph) -> Graph:
    """The graph without the If nodes whose condition follows from constants and static shapes, nested ones too.

    Values and nodes of an inlined branch keep their names unless those are taken.
    """
    return _Inliner(graph).graph(graph, None)


@dataclass(frozen=True)
class _Scope:
    """What a body can see."""

    graph: Graph
    outer: _Scope | None

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        return {name: node for node in self.graph.nodes for name in node.outputs if name}

    def constant(self, name: str) -> Constant | None:
        found = self.graph.constants.get(name)
        return found or (self.outer.constant(name) if self.outer else None)

    def kind(self, name: str) -> ValueType | None:
        return self.graph.types.get(name) or (self.outer.kind(name) if self.outer else None)

    def producer(self, name: str) -> Node | None:
        if name in self.graph.inputs:
            return None
        return self.producers.get(name) or (self.outer.producer(name) if self.outer else None)


class _Inliner:
    def __init__(self, graph: Graph) -> None:
        self.uses = Counter(all_values(graph))
        self.names = Counter(node.name for _, node in graph.walk())
        self.values = set(self.uses)
        self.taken = set(self.names)

    def graph(self, graph: Graph, outer: _Scope | None) -> Graph:
        scope = _Scope(graph, outer)
        nodes: list[Node] = []
        types, constants = dict(graph.types), dict(graph.constants)
        for node in graph.nodes:
            taken = self._branch(node, scope)
            if taken is not None:
                body = self.graph(taken, scope)
                inner, more_types, more_constants = self._placed(node, body)
                nodes += inner
                types.update(more_types)
                constants.update(more_constants)
                continue
            nodes.append(with_bodies(node, {key: self.graph(body, scope) for key, body in node.subgraphs.items()}))
        if len(nodes) == len(graph.nodes) and all(a is b for a, b in zip(nodes, graph.nodes, strict=True)):
            return graph
        return graph.with_(nodes=tuple(nodes), types=types, constants=constants)

    def _branch(self, node: Node, scope: _Scope) -> Graph | None:
        if node.op != "If":
            return None
        condition = _evaluate(node.input(0), scope)
        if condition is None or condition.size != 1:
            return None
        chosen = node.attr("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch")
        return chosen if isinstance(chosen, Graph) else None

    def _placed(self, node: Node, body: Graph) -> tuple[list[Node], dict[str, ValueType], dict[str, Constant]]:
        """A branch's content under names that fit where the If stood."""
        own = {*body.constants, *(name for inner in body.nodes for name in inner.outputs if name)}
        names: dict[str, str] = {}
        copies: list[tuple[str, str]] = []
        for result, name in zip(node.outputs, body.outputs, strict=True):
            if not result:
                continue
            if name in own and name not in names:
                names[name] = result
            else:
                copies.append((name, result))
        for name in sorted(own - names.keys()):
            names[name] = fresh(name, self.values) if self.uses[name] > 1 else name
        nodes = [
            renamed(inner, names).with_(
                name=fresh(inner.name, self.taken) if self.names[inner.name] > 1 else inner.name
            )
            for inner in body.nodes
        ]
        nodes += [
            Node("Identity", (names.get(name, name),), (result,), {}, fresh(f"{node.name}_{result}", self.taken),
                 origin=node.origin)
            for name, result in copies
        ]  # fmt: skip
        types = {names[name]: kind for name, kind in body.types.items() if name in own}
        return nodes, types, {names[name]: constant for name, constant in body.constants.items()}


def _evaluate(name: str, scope: _Scope) -> np.ndarray | None:
    """A value that follows from constants and static shapes; None where it does not, or only with much work."""
    found = scope.constant(name)
    if found is not None:
        return found.value
    chain: dict[str, Node] = {}
    leaves: dict[str, Constant] = {}
    if not _gather(name, scope, chain, leaves):
        return None
    opsets = {"": DEFAULT_OPSET, **scope.graph.opsets}
    types = {**constant_types(leaves), name: scope.kind(name) or UNKNOWN}
    part = Graph("condition", (), (name,), tuple(chain.values()), types, leaves, opsets=opsets)
    try:
        results: Any = ReferenceEvaluator(model_proto(part, opsets)).run(None, {})
        return np.asarray(results[0])
    except Exception as error:  # the evaluator raises whatever an operator's code raises
        _LOG.debug("the condition %s is not evaluated: %s", name, error)
        return None


def _gather(name: str, scope: _Scope, chain: dict[str, Node], leaves: dict[str, Constant]) -> bool:
    """Collects the nodes behind a value, producers first; False where one is not known at compile time."""
    if name in leaves or any(name in node.outputs for node in chain.values()):
        return True
    constant = scope.constant(name)
    if constant is not None:
        leaves[name] = constant
        return constant.value.size <= _MOST_ELEMENTS
    node = scope.producer(name)
    if node is None or node.subgraphs or node.domain or len(chain) >= _MOST_NODES or node.op.startswith("Random"):
        return False
    static = _static_shape(node, scope)
    if static is not None:
        leaves[name] = Constant(static)
        return True
    if not all(_gather(item, scope, chain, leaves) for item in node.reads):
        return False
    chain[node.name] = node
    return True


def _static_shape(node: Node, scope: _Scope) -> np.ndarray | None:
    """What Shape and Size give of a value whose type says it all."""
    if node.op not in ("Shape", "Size"):
        return None
    kind = scope.kind(node.input(0))
    if not isinstance(kind, TensorType) or not kind.is_static:
        return None
    if node.op == "Size":
        return np.array(int(np.prod(kind.sizes)), np.int64)
    return np.array(kind.sizes[node.attr("start", 0) : node.attr("end")], np.int64)
