"""`eliminate-identities`: operators that change nothing go.

    y = op(x), equal to x for every x              ->  x
    Reshape(Reshape(x, a), b), Flatten(Reshape(x)) ->  the last one alone, where its target copies no dimension
    Flatten(x)                                     ->  stays a Flatten, but takes what a Reshape before it took
    LSTM(x, ..., initial state = 0)                ->  LSTM(x, ...), 0 being the default

The rules look at static shapes, at shapes with equal symbols, and at the signs of values (facts.py). An operator stays
if it rounds to other codes than its operand or if it gives a result of the graph its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.passes.clean.facts import clip_bounds, elements_of, never_negative, same_shape, shape_of
from qir.passes.clean.purity import trains
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import NAMES_A_RESULT, put, same_place, unrounded
from qir.rewrite.pattern import Match, Refused, Rule


@dataclass(frozen=True)
class EliminateIdentities(Pass):
    """Removes operators without effect and joins reshapes."""

    name: ClassVar[str] = "eliminate-identities"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _RULES)


def _view(graph: Graph, node: Node) -> bool:
    return same_shape(graph, node.inputs[0], node.outputs[0], same_count=True)


def _stretch(graph: Graph, node: Node) -> bool:
    return same_shape(graph, node.inputs[0], node.outputs[0])


def _cast(graph: Graph, node: Node) -> bool:
    before, after = graph.types[node.inputs[0]], graph.types[node.outputs[0]]
    return isinstance(before, TensorType) and isinstance(after, TensorType) and before.dtype == after.dtype


def _transpose(graph: Graph, node: Node) -> bool:
    perm = node.attr("perm")
    return perm is not None and tuple(perm) == tuple(range(len(perm)))


def _slice(graph: Graph, node: Node) -> bool:
    starts, ends, steps = (elements_of(graph, node.input(slot)) for slot in (1, 2, 4))
    if starts is None or ends is None or steps is None or any(step != 1 for step in steps):
        return False
    if same_shape(graph, node.inputs[0], node.outputs[0]):
        return True
    return not any(starts) and all(end >= np.iinfo(np.int32).max for end in ends)


def _pad(graph: Graph, node: Node) -> bool:
    pads = elements_of(graph, node.input(1))
    return pads is not None and not any(pads)


def _constant_filled(graph: Graph, name: str, number: float) -> bool:
    value = graph.value(name)
    return value is not None and value.dtype.kind in "fiu" and value.size > 0 and bool(np.all(value == number))


def _neutral(number: float, slots: tuple[int, ...]) -> Callable[[Graph, Node], str]:
    def operand(graph: Graph, node: Node) -> str:
        for slot in slots:
            other = node.inputs[1 - slot]
            if _constant_filled(graph, node.inputs[slot], number) and same_shape(graph, other, node.outputs[0]):
                return other
        return ""

    return operand


def _pool(graph: Graph, node: Node) -> bool:
    ones = (*node.attr("kernel_shape"), *(node.attr("strides") or ()))
    return all(n == 1 for n in ones) and not any(node.attr("pads") or ())


def _clip(graph: Graph, node: Node) -> bool:
    bounds = clip_bounds(graph, node)
    if bounds is None:
        return False
    return bounds[1] == np.inf and (bounds[0] == -np.inf or (bounds[0] <= 0 and never_negative(graph, node.inputs[0])))


def _only(graph: Graph, node: Node) -> bool:
    return len(node.inputs) == 1


def _split(graph: Graph, node: Node) -> bool:
    return len(node.outputs) == 1


_NO_OPS: dict[str, Callable[[Graph, Node], bool]] = {
    "Identity": lambda graph, node: True,
    "Dropout": lambda graph, node: not trains(node, graph),
    "Cast": _cast,
    "Transpose": _transpose,
    "Reshape": _view,
    "Flatten": _view,
    "Squeeze": _view,
    "Unsqueeze": _view,
    "Expand": _stretch,
    "Tile": _stretch,
    "Slice": _slice,
    "Pad": _pad,
    "Concat": _only,
    "Sum": _only,
    "Max": _only,
    "Min": _only,
    "Mean": _only,
    "Split": _split,
    "AveragePool": _pool,
    "MaxPool": _pool,
    "Relu": lambda graph, node: never_negative(graph, node.inputs[0]),
    "Abs": lambda graph, node: never_negative(graph, node.inputs[0]),
    "Clip": _clip,
}
"""Operators that may pass their first input on, with the condition."""

_NEUTRAL: dict[str, Callable[[Graph, Node], str]] = {
    "Add": _neutral(0, (0, 1)),
    "Sub": _neutral(0, (1,)),
    "Mul": _neutral(1, (0, 1)),
    "Div": _neutral(1, (1,)),
    "Pow": _neutral(1, (1,)),
}
"""Arithmetic with a constant that has no effect: the other operand, "" if it has one."""


def _find_no_op(node: Node, graph: Graph) -> Match | None:
    if node.op in _NEUTRAL:
        value = _NEUTRAL[node.op](graph, node)
    elif node.op in _NO_OPS and node.inputs and _NO_OPS[node.op](graph, node):
        value = node.inputs[0]
    else:
        return None
    return Match(graph, node, {node.name: node}, {"x": value}) if value else None


def _pass_on(found: Match, edit: Editor) -> str | Refused:
    value = found.value("x")
    why = same_place(found.graph, found.root, value)
    if why == NAMES_A_RESULT and found.root.op != "Identity":
        return put(found, edit, "Identity", (value,))
    return Refused(why) if why else value


_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def _find_views(node: Node, graph: Graph) -> Match | None:
    if node.op not in ("Reshape", "Flatten"):
        return None
    before = graph.index.producer(node.inputs[0])
    if before is None or before.op not in _VIEWS or graph.index.sole_consumer(node.inputs[0]) is None:
        return None
    return Match(graph, node, {"before": before, "after": node}, {"x": before.inputs[0]})


def _join_views(found: Match, edit: Editor) -> str | Refused:
    graph, after, x = found.graph, found.root, found.value("x")
    if after.op == "Flatten":
        return _flatten_after_view(found, edit)
    target = graph.value(after.inputs[1])
    if target is None:
        return Refused("its target is not constant")
    if not np.all(target != 0):
        before, between = shape_of(graph, x), shape_of(graph, after.inputs[0])
        if after.attr("allowzero", 0) or before is None or between is None:
            return Refused("its target has zeros")
        for axis in np.flatnonzero(target == 0):
            if axis >= len(before) or before[axis] is None or before[axis] != between[axis]:
                return Refused(f"its target copies dimension {axis}, which the first one moves")
    return put(found, edit, "Reshape", (x, after.inputs[1]), after.attrs)


def _flatten_after_view(found: Match, edit: Editor) -> str | Refused:
    graph, x = found.graph, found.value("x")
    result, source = shape_of(graph, found.root.outputs[0]), shape_of(graph, x)
    if result is None:
        return Refused("its shape is not known")
    rows, columns = result
    if isinstance(columns, int) and source and rows is not None and source[0] == rows:
        return put(found, edit, "Flatten", (x,), {"axis": 1})
    if not isinstance(columns, int) or columns == 0:
        return Refused("the number of columns is not known")
    target = edit.constant(f"{found.root.outputs[0]}_shape", np.array([-1, columns], np.int64))
    return put(found, edit, "Reshape", (x, target))


_STATES = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}


def _is_zero(graph: Graph, name: str) -> bool:
    node = graph.index.producer(name)
    if node is not None and node.op == "ConstantOfShape":
        return not np.any(node.attr("value", np.zeros(1, np.float32)))
    if node is not None and node.op in ("Expand", "Tile", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Transpose"):
        return _is_zero(graph, node.inputs[0])
    return _constant_filled(graph, name, 0)


def _find_zero_state(node: Node, graph: Graph) -> Match | None:
    slots = [slot for slot in _STATES.get(node.op, ()) if node.input(slot) and _is_zero(graph, node.input(slot))]
    return Match(graph, node, {node.name: node}, {str(slot): node.inputs[slot] for slot in slots}) if slots else None


def _drop_state(found: Match, edit: Editor) -> str | Refused:
    node = found.root
    inputs = ["" if str(slot) in found.values else name for slot, name in enumerate(node.inputs)]
    while not inputs[-1]:
        inputs.pop()
    edit.replace(node, node.with_(inputs=tuple(inputs)))
    return next(name for name in node.outputs if name)


_RULES = (
    Rule("no-op", _find_no_op, _pass_on),
    Rule("join-views", _find_views, unrounded(_join_views)),
    Rule("zero-state", _find_zero_state, _drop_state),
)
