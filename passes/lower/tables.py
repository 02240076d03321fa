"""`compose-lookups`: what depends on the codes of one value alone, element by element, becomes one table.

    qir.IntMul(x, qir.Lookup(x, sigmoid))                    ->  qir.Lookup(x, silu)
    qir.Lookup(qir.Lookup(x, f), g)                          ->  qir.Lookup(x, g of f)
    qir.Quantize(Abs(qir.Dequantize(x)))                     ->  qir.Lookup(x, abs)
    qir.IntMul(x, 3)                                         ->  qir.Lookup(x, three times)

x is uint8, constants are single numbers, and nothing widens x. The nodes themselves make the table, of all 256 codes,
so that results stay what they were, to the bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.evaluate import evaluate
from qir.ir.dtype import UINT8
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops.elementwise import BROADCASTING, ELEMENTWISE
from qir.passes.clean.dead_code import EliminateDeadCode
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import free_name

_CODES = np.arange(256, dtype=np.uint8)
_PLAIN = frozenset({"qir.IntAdd", "qir.IntMul"})
"""Functions that are dearer than a table also alone."""
_FUNCTIONS = ELEMENTWISE | BROADCASTING | _PLAIN | {"qir.Quantize", "qir.Dequantize", "qir.Lookup"}


@dataclass(frozen=True)
class ComposeLookups(Pass):
    """Joins functions of one value's codes into one table."""

    name: ClassVar[str] = "compose-lookups"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.INT})

    def run(self, graph: Graph, context: Context) -> Graph:
        after = _composed(map_bodies(graph, _composed))
        return graph if after is graph else EliminateDeadCode().run(after, context)


@dataclass(frozen=True)
class _Function:
    """A value as a function of another one's codes, by the nodes that make it of them."""

    source: str
    nodes: tuple[Node, ...]


def _composed(graph: Graph) -> Graph:
    found: dict[str, _Function] = {}
    nodes, constants, types = [], dict(graph.constants), dict(graph.types)
    for node in graph.nodes:
        function = _function(node, graph, found)
        if function is not None:
            (result,) = node.outputs
            found[result] = function
            if (len(function.nodes) > 1 or node.op in _PLAIN) and graph.tensor(result).dtype == UINT8:
                table = free_name(f"{result}_table", types)
                constants[table] = Constant(_table(function, result, graph))
                types[table] = TensorType(UINT8, (256,))
                origin = tuple(dict.fromkeys(name for one in function.nodes for name in one.origin))
                node = Node("qir.Lookup", (function.source, table), node.outputs, {}, node.name, "qir", origin)
        nodes.append(node)
    changed = any(after is not before for after, before in zip(nodes, graph.nodes, strict=True))
    return graph.with_(nodes=tuple(nodes), constants=constants, types=types) if changed else graph


def _function(node: Node, graph: Graph, found: dict[str, _Function]) -> _Function | None:
    """What a node gives as a function of one value's codes, if it is one."""
    if node.op not in _FUNCTIONS or len(node.outputs) != 1 or node.attr("axis") is not None:
        return None
    operands = [name for name in node.inputs if name and name not in graph.constants]
    numbers = [graph.constants[name].value for name in node.inputs if name in graph.constants]
    if node.op != "qir.Lookup" and any(value.size != 1 for value in numbers):
        return None
    sources = {found[name].source if name in found else name for name in operands}
    if len(sources) != 1:
        return None
    (source,), (result,) = sources, node.outputs
    kinds = [graph.types.get(name) for name in (source, *operands, result)]
    shapes = {kind.shape if isinstance(kind, TensorType) else None for kind in kinds}
    if len(shapes) != 1 or None in shapes or graph.tensor(source).dtype != UINT8:
        return None
    before = [one for name in operands if name in found for one in found[name].nodes]
    return _Function(source, (*dict.fromkeys(before), node))


def _table(function: _Function, result: str, graph: Graph) -> np.ndarray:
    """uint8 [256]: a result for every code of the source."""
    used = {name for node in function.nodes for name in node.inputs if name in graph.constants}
    constants = {name: _number(graph.constants[name]) for name in used}
    made = (name for node in function.nodes for name in node.outputs)
    shapes = {**dict.fromkeys(made, _CODES.shape), **{name: one.value.shape for name, one in constants.items()}}
    types = {name: TensorType(graph.tensor(name).dtype, shape) for name, shape in shapes.items()}
    types[function.source] = TensorType(UINT8, _CODES.shape)
    alone = Graph("table", (function.source,), (result,), function.nodes, types, constants, Stage.INT, graph.opsets)
    table: np.ndarray = evaluate(alone, {function.source: _CODES})[result]
    return table


def _number(constant: Constant) -> Constant:
    """A constant of one number without axes, which might broadcast; tables as they are."""
    return Constant(constant.value.reshape(())) if constant.value.size == 1 else constant
