"""`recognize-layernorm`: a LayerNormalization spelled out in arithmetic becomes one operator.

    d = x - mean(x);  d / sqrt(mean(d^2) + eps)    ->  LayerNormalization(x, 1)
    LayerNormalization(x, g) * c                   ->  LayerNormalization(x, g c)
    LayerNormalization(x, g) + b                   ->  LayerNormalization(x, g, b)

if the means go over the same trailing axes, of known sizes, and keep them; inner values have no other use and no
rounding to codes; c and b vary along those axes only. The square may be Pow or Mul, the quotient a product with a
Reciprocal, and the difference may have been calculated twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node
from qir.passes.clean.facts import elements_of, shape_of
from qir.passes.fuse.products import number, plus_number
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import put, unrounded
from qir.rewrite.pattern import Match, Refused, Rule, closed_match


@dataclass(frozen=True)
class RecognizeLayerNorm(Pass):
    """Puts LayerNormalization for the arithmetic that spells it out."""

    name: ClassVar[str] = "recognize-layernorm"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _RULES)


def _centred(graph: Graph, name: str) -> tuple[str, list[Node]] | None:
    """x and the nodes where a value is x - mean(x)."""
    minus = graph.index.producer(name)
    mean = graph.index.producer(minus.inputs[1]) if minus is not None and minus.op == "Sub" else None
    if minus is None or mean is None or mean.op != "ReduceMean" or mean.inputs[0] != minus.inputs[0]:
        return None
    return minus.inputs[0], [mean, minus]


def _deviation(graph: Graph, name: str) -> tuple[str, float, list[Node]] | None:
    """x, eps and the nodes where a value is sqrt(mean((x - mean(x))^2) + eps)."""
    root = graph.index.producer(name)
    power = number(graph, root.inputs[1]) if root is not None and root.op == "Pow" else None
    if root is None or (root.op != "Sqrt" and power != 0.5):
        return None
    outer = plus_number(graph, root.inputs[0])
    mean = graph.index.producer(outer[0]) if outer is not None else None
    square = graph.index.producer(mean.inputs[0]) if mean is not None and mean.op == "ReduceMean" else None
    if outer is None or mean is None or square is None:
        return None
    by_power = square.op == "Pow" and number(graph, square.inputs[1]) == 2
    by_product = square.op == "Mul" and square.inputs[0] == square.inputs[1]
    inner = _centred(graph, square.inputs[0]) if by_power or by_product else None
    return (inner[0], outer[1], [*inner[1], square, mean, outer[2], root]) if inner else None


def _find_core(node: Node, graph: Graph) -> Match | None:
    if node.op == "Div":
        pairs = [(node.inputs[0], node.inputs[1], [])]  # type: list[tuple[str, str, list[Node]]]
    elif node.op == "Mul":
        pairs = []
        for slot in (0, 1):
            turn = graph.index.producer(node.inputs[slot])
            if turn is not None and turn.op == "Reciprocal":
                pairs.append((node.inputs[1 - slot], turn.inputs[0], [turn]))
    else:
        return None
    for top, bottom, between in pairs:
        above, below = _centred(graph, top), _deviation(graph, bottom)
        if above is not None and below is not None and above[0] == below[0]:
            return closed_match(graph, (*above[1], *below[2], *between, node), {"x": above[0]})
    return None


def _recognize(found: Match, edit: Editor) -> str | Refused:
    graph, x = found.graph, found.value("x")
    shape, means = shape_of(graph, x), [node for node in found.inner if node.op == "ReduceMean"]
    if shape is None:
        return Refused("the rank of its operand is not known")
    first = None
    for mean in means:
        axes = elements_of(graph, mean.input(1))
        if not axes or not mean.attr("keepdims", 1):
            return Refused("a mean has no constant axes or drops them")
        places = sorted(axis % len(shape) for axis in axes)
        if places != list(range(places[0], len(shape))) or first not in (None, places[0]):
            return Refused("the means do not go over the same trailing axes")
        first = places[0]
    sizes, kind = shape[first:], graph.tensor(x).dtype
    if first is None or not all(isinstance(size, int) for size in sizes):
        return Refused("the sizes of its axes are not known")
    root = next(node for node in found.inner if _is_root(graph, node))
    outer = plus_number(graph, root.inputs[0])
    if outer is None:
        return Refused("it has no epsilon")
    scale = edit.constant(f"{found.root.outputs[0]}_scale", np.ones([int(size or 0) for size in sizes], kind.numpy))
    attrs = {"axis": first - len(shape), "epsilon": outer[1]}
    return put(found, edit, "LayerNormalization", (x, scale), attrs)


def _is_root(graph: Graph, node: Node) -> bool:
    return node.op == "Sqrt" or (node.op == "Pow" and number(graph, node.inputs[1]) == 0.5)


def _find_affine(kind: str) -> Rule:
    def find(node: Node, graph: Graph) -> Match | None:
        if node.op != kind:
            return None
        for slot in (0, 1):
            norm = graph.index.producer(node.inputs[slot])
            if norm is not None and norm.op == "LayerNormalization" and node.inputs[1 - slot] in graph.constants:
                return closed_match(graph, (norm, node), {"c": node.inputs[1 - slot]})
        return None

    return Rule(f"layernorm-{kind.lower()}", find, unrounded(_scale if kind == "Mul" else _shift))


def _trailing(found: Match, norm: Node) -> np.ndarray | Refused:
    """The constant spread over the normalized axes, float64."""
    graph, value = found.graph, found.array("c")
    shape = shape_of(graph, norm.inputs[0])
    scale = graph.value(norm.inputs[1])
    if shape is None or scale is None or value.dtype.kind != "f" or len(norm.outputs) > 1:
        return Refused("its shape or scale is not known")
    axis = norm.attr("axis", -1) % len(shape)
    sizes = shape[axis:]
    if not all(isinstance(size, int) for size in sizes) or value.ndim > len(shape):
        return Refused("the constant widens the result")
    full = value.reshape((1,) * (len(shape) - value.ndim) + value.shape)
    target = [int(size or 0) for size in sizes]
    if any(length != 1 for length in full.shape[:axis]) or any(
        length not in (1, size) for length, size in zip(full.shape[axis:], target, strict=True)
    ):
        return Refused("the constant varies along other axes")
    return np.broadcast_to(full.reshape(full.shape[axis:]).astype(np.float64), target)


def _scale(found: Match, edit: Editor) -> str | Refused:
    norm, spread = found.inner[0], _trailing(found, found.inner[0])
    if isinstance(spread, Refused):
        return spread
    scale = found.graph.constants[norm.inputs[1]].value
    bias = found.graph.value(norm.inputs[2]) if norm.input(2) else None
    if norm.input(2) and bias is None:
        return Refused("its bias is not constant")
    names = [norm.inputs[0], edit.revised(norm.inputs[1], (scale * spread).astype(scale.dtype), found.inner)]
    if bias is not None:
        names.append(edit.revised(norm.inputs[2], (bias * spread).astype(scale.dtype), found.inner))
    return put(found, edit, "LayerNormalization", names, norm.attrs, main=norm)


def _shift(found: Match, edit: Editor) -> str | Refused:
    norm, spread = found.inner[0], _trailing(found, found.inner[0])
    if isinstance(spread, Refused):
        return spread
    bias = found.graph.value(norm.inputs[2]) if norm.input(2) else np.zeros(())
    if bias is None:
        return Refused("its bias is not constant")
    kind = found.graph.constants[norm.inputs[1]].value.dtype
    name = edit.constant(f"{found.root.outputs[0]}_bias", (bias + spread).astype(kind))
    return put(found, edit, "LayerNormalization", (*norm.inputs[:2], name), norm.attrs, main=norm)


_RULES = (
    Rule("layernorm", _find_core, unrounded(_recognize)),
    _find_affine("Mul"),
    _find_affine("Add"),
)
