"""Applies rules to a graph until none fires."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from qir.errors import PassError
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.rewrite.bodies import everywhere
from qir.rewrite.editor import Editor
from qir.rewrite.pattern import Match, Refused, Rule

logger = logging.getLogger(__name__)
_MAX_ROUNDS = 200


def apply_rules(graph: Graph, rules: Sequence[Rule]) -> Graph:
    """Applies rules in execution order, bodies included, until nothing changes.

    Each round makes one new graph; matches that overlap wait for the next. A rule's result takes over the range, and in
    stage QUANT the codes, of the value it replaces. Refusals are logged with their reasons at level DEBUG.

    Raises:
        PassError: if rules keep undoing each other.
    """
    return everywhere(graph, lambda one: _apply_here(one, rules))


def _apply_here(graph: Graph, rules: Sequence[Rule]) -> Graph:
    for _ in range(_MAX_ROUNDS):
        after = _one_round(graph, rules)
        if after is graph:
            return graph
        graph = after
    raise PassError(f"the rules {', '.join(rule.name for rule in rules)} do not come to an end",
                    fix="Two of them undo each other: remove one")  # fmt: skip


def _one_round(graph: Graph, rules: Sequence[Rule]) -> Graph:
    edit = Editor(graph)
    touched: set[str] = set()
    for node in graph.nodes:
        for rule in rules:
            found = rule.find(node, graph)
            if found is None or touched & {n.name for n in found.inner}:
                continue
            result = rule.rewrite(found, edit)
            if isinstance(result, Refused):
                logger.debug("%s at %s refused: %s", rule.name, node.name, result.why)
                continue
            _put_in_place(graph, edit, found, result)
            touched.update(n.name for n in found.inner)
            touched.update(n.name for n in _users(graph, found))
            break
    return edit.build()


def _put_in_place(graph: Graph, edit: Editor, found: Match, result: str) -> None:
    old = next(name for name in found.root.outputs if name)
    if old in graph.ranges and result not in edit.ranges:
        edit.set_range(result, *graph.ranges[old])
    before, after = graph.types[old], edit.types.get(result)
    made = result == old or result not in graph.types
    if made and isinstance(before, TensorType) and before.quant is not None and isinstance(after, TensorType):
        edit.set_type(result, replace(after, quant=before.quant))
    edit.use(result, instead_of=old)
    edit.remove(*found.inner)


def _users(graph: Graph, found: Match) -> list[Node]:
    return [user for name in found.root.outputs if name for user in graph.index.consumers(name)]
