"""Dimension symbols, and sizes that are computed from them: exporters write `17*batch` or `past + 1` as a dimension."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache

from qir.ir.graph import Graph
from qir.ir.types import TensorType

_OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., int]] = {"Max": max, "Min": min}


def symbols(graph: Graph) -> tuple[str, ...]:
    """The symbols that stand for themselves, sorted: those of inputs, and others that are not computed from these."""
    ones = dict.fromkeys(_dims(graph, graph.inputs), 1)
    rest = {dim for dim in _dims(graph, graph.types) if size(dim, ones) is None}
    return tuple(sorted({*ones, *rest}))


def size(dim: str, sizes: Mapping[str, int]) -> int | None:
    """What a dimension is for these sizes of symbols; None where it depends on others, or is no arithmetic of them."""
    if dim in sizes:
        return sizes[dim]
    tree = _parsed(dim)
    try:
        return None if tree is None else _value(tree, sizes)
    except (LookupError, ZeroDivisionError):
        return None


def _dims(graph: Graph, names: tuple[str, ...] | Mapping[str, object]) -> set[str]:
    kinds = [graph.types.get(name) for name in names]
    return {dim for kind in kinds if isinstance(kind, TensorType) for dim in kind.shape or () if isinstance(dim, str)}


@lru_cache(maxsize=1024)
def _parsed(dim: str) -> ast.expr | None:
    try:
        return ast.parse(dim.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(tree: ast.expr, sizes: Mapping[str, int]) -> int:
    match tree:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name):
            return sizes[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, sizes)
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATIONS[type(op)](_value(left, sizes), _value(right, sizes))
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as args, keywords=[]):
            return _FUNCTIONS[name](*(_value(arg, sizes) for arg in args))
    raise LookupError(ast.dump(tree))
