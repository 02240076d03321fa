"""`merge-duplicates`: equal computations are done once (common subexpression elimination).

    a = op(x, c); b = op(x, c')    ->    a = op(x, c), used for b as well

if the operator has no chance or state, attributes and operands are equal, constants among them are equal in type,
content and codes, and both results are rounded to the same codes (or to none).
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import ValueType
from qir.passes.clean.purity import is_pure
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import everywhere
from qir.rewrite.editor import Editor

_COMMUTATIVE = frozenset({"Add", "Mul", "Equal", "And", "Or", "Xor"})


@dataclass(frozen=True)
class MergeDuplicates(Pass):
    """Merges nodes that compute the same."""

    name: ClassVar[str] = "merge-duplicates"

    def run(self, graph: Graph, context: Context) -> Graph:
        return everywhere(graph, _merge)


def _merge(graph: Graph) -> Graph:
    edit = Editor(graph)
    contents = {name: _content(constant, graph.types[name]) for name, constant in _constants(graph)}
    first: dict[Hashable, Node] = {}
    for node in graph.nodes:
        if node.op == "Identity" or node.subgraphs or not node.outputs or not is_pure(node, graph):
            continue  # an Identity computes nothing: what is left of them gives results their names
        operands: list[Hashable] = [contents.get(name) or edit.resolve(name) if name else "" for name in node.inputs]
        if node.op in _COMMUTATIVE:
            operands.sort(key=repr)
        attrs = tuple((key, _attr(value)) for key, value in sorted(node.attrs.items()))
        rounding = tuple(getattr(graph.types.get(name), "quant", None) for name in node.outputs)
        kept = first.setdefault((node.op, tuple(operands), attrs, _slots(node), rounding), node)
        if kept is node:
            continue
        for old, new in zip(node.outputs, kept.outputs, strict=True):
            if old:
                edit.use(new, instead_of=old)
        edit.remove(node)
    return edit.build()


def _slots(node: Node) -> tuple[bool, ...]:
    return tuple(bool(name) for name in node.outputs)


def _constants(graph: Graph) -> list[tuple[str, Constant]]:
    read = {name for node in graph.nodes for name in node.inputs}
    return [(name, constant) for name, constant in graph.constants.items() if name in read]


def _content(constant: Constant, kind: ValueType) -> Hashable:
    return ("constant", kind, _digest(constant.value), None if constant.codes is None else _digest(constant.codes))


def _digest(array: np.ndarray) -> Hashable:
    raw = repr(array.tolist()).encode() if array.dtype.kind == "O" else np.ascontiguousarray(array).tobytes()
    return (array.dtype.str, array.shape, hashlib.sha256(raw).digest())


def _attr(value: object) -> Hashable:
    if isinstance(value, np.ndarray):
        return _digest(value)
    if isinstance(value, tuple):
        return tuple(_attr(item) for item in value)
    return (type(value).__name__, value if isinstance(value, Hashable) else repr(value))
