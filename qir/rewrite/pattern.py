"""Patterns over a graph, written as the expression they match.

    matmul = op("MatMul", any_value("x"), constant("w"), label="matmul")
    rule = Rule("matmul-add", op("Add", matmul, constant("b"), commutes=True), rewrite)

A pattern is rooted at its last operator. Inner operators must have no other use. A match names its nodes by label and
its values by the names given; `rewrite(match, edit)` returns the value that replaces the root's first output, or
`Refused` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from qir.errors import PassError
from qir.ir.graph import Graph, Node
from qir.rewrite.editor import Editor


@dataclass(frozen=True)
class Value:
    """Matches one operand; `constant` demands that it is known at compile time, `absent` also an omitted one."""

    name: str
    constant: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Op:
    """Matches a node by operator and operands.

    Attributes:
        ops: accepted operators.
        operands: patterns of the leading inputs; further inputs are free.
        label: the name of the node in the match; distinct within a pattern.
        commutes: two operands in either order.
    """

    ops: tuple[str, ...]
    operands: tuple[Pattern, ...]
    label: str
    commutes: bool = False


Pattern: TypeAlias = Value | Op


def any_value(name: str, *, optional: bool = False) -> Value:
    """Any operand, kept under `name`; equal names must meet equal values."""
    return Value(name, optional=optional)


def constant(name: str) -> Value:
    """An operand that is a constant."""
    return Value(name, constant=True)


def op(kind: str | tuple[str, ...], *operands: Pattern, label: str = "", commutes: bool = False) -> Op:
    """A node of one of the given operators."""
    kinds = (kind,) if isinstance(kind, str) else kind
    return Op(kinds, operands, label or kinds[0].lower(), commutes)


@dataclass(frozen=True)
class Match:
    """What a pattern met: nodes by label, value names by pattern name."""

    graph: Graph
    root: Node
    nodes: dict[str, Node] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, label: str) -> Node:
        return self.nodes[label]

    def value(self, name: str) -> str:
        """The value that an operand pattern met."""
        return self.values[name]

    def array(self, name: str) -> np.ndarray:
        """The content of a matched constant."""
        return self.graph.constants[self.values[name]].value

    def scalar(self, name: str) -> float | None:
        """The number in a matched one-element constant, None if it has more elements or is not constant."""
        array = self.graph.value(self.values[name])
        if array is None or array.size != 1 or array.dtype.kind not in "fiu":
            return None
        return float(array.reshape(-1)[0])

    @property
    def inner(self) -> tuple[Node, ...]:
        """The matched nodes, root last."""
        rest = [node for node in self.nodes.values() if node is not self.root]
        return (*rest, self.root)


@dataclass(frozen=True)
class Refused:
    """A rule matched but must not be applied; `why` is for the reader of a trace."""

    why: str


Rewrite: TypeAlias = Callable[[Match, Editor], "str | Refused"]


Finder: TypeAlias = Callable[[Node, Graph], "Match | None"]
"""Looks for a match rooted at a node, where an expression cannot say what is sought."""


@dataclass(frozen=True)
class Rule:
    """A pattern and what to put in its place.

    Attributes:
        name: for messages.
        pattern: an expression with distinct labels, or a function that finds matches.
        rewrite: makes the edit, or refuses before it has edited anything.
    """

    name: str
    pattern: Op | Finder
    rewrite: Rewrite

    def __post_init__(self) -> None:
        if isinstance(self.pattern, Op):
            labels = _labels(self.pattern)
            twice = sorted({label for label in labels if labels.count(label) > 1})
            if twice:
                raise PassError(f"rule '{self.name}' uses the label {twice[0]} twice", fix="Give each op a label")

    def find(self, node: Node, graph: Graph) -> Match | None:
        """The match rooted at a node."""
        return match(self.pattern, node, graph) if isinstance(self.pattern, Op) else self.pattern(node, graph)


def _labels(pattern: Op) -> list[str]:
    inner = [label for operand in pattern.operands if isinstance(operand, Op) for label in _labels(operand)]
    return [pattern.label, *inner]


def match(pattern: Op, node: Node, graph: Graph) -> Match | None:
    """Matches a pattern rooted at `node`; orders of commuting operands are tried until all fits."""
    return next(_match_op(pattern, node, Match(graph, node)), None)


def closed_match(graph: Graph, nodes: Iterable[Node], values: Mapping[str, str]) -> Match | None:
    """A match of nodes that a finder gathered, root last; None if one of their inner values is used elsewhere."""
    unique = list(dict.fromkeys(nodes))
    root, inner = unique[-1], {*unique}
    for node in unique[:-1]:
        for name in filter(None, node.outputs):
            if graph.index.is_output(name) or {*graph.index.consumers(name)} - inner:
                return None
    return Match(graph, root, {node.name: node for node in unique}, dict(values))


def _match_op(pattern: Op, node: Node, found: Match) -> Iterator[Match]:
    if node.op not in pattern.ops:
        return
    orders = [pattern.operands]
    if pattern.commutes:
        orders.append(pattern.operands[1::-1] + pattern.operands[2:])
    for operands in orders:
        for fits in _match_operands(operands, node, 0, found):
            yield replace(fits, nodes={**fits.nodes, pattern.label: node})


def _match_operands(operands: tuple[Pattern, ...], node: Node, slot: int, found: Match) -> Iterator[Match]:
    if slot == len(operands):
        yield found
        return
    for fits in _match_operand(operands[slot], node.input(slot), found):
        yield from _match_operands(operands, node, slot + 1, fits)


def _match_operand(pattern: Pattern, name: str, found: Match) -> Iterator[Match]:
    graph = found.graph
    if isinstance(pattern, Op):
        producer = graph.index.producer(name) if name else None
        if producer is not None and graph.index.sole_consumer(name) is not None and len(producer.outputs) == 1:
            yield from _match_op(pattern, producer, found)
        return
    if (not name and not pattern.optional) or (pattern.constant and name not in graph.constants):
        return
    if found.values.get(pattern.name, name) == name:
        yield replace(found, values={**found.values, pattern.name: name})
