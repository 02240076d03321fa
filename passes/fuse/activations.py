"""`recognize-activations`: activation functions spelled out in arithmetic become one operator.

    0.5 x (1 + erf(x / sqrt 2))                               ->  Gelu(x)
    0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))           ->  Gelu(x, approximate=tanh)
    clip(a x + b, 0, m) / m                                   ->  HardSigmoid(x, alpha=a/m, beta=b/m)
    x clip(x + 3, 0, 6) / 6,  x HardSigmoid(x, 1/6, 1/2)      ->  HardSwish(x)
    x tanh(softplus(x))                                       ->  Mish(x)
    Where(x > 0, x, a x),  Max(x, a x),  PRelu(x, a)          ->  LeakyRelu(x, alpha=a), for Max if 0 <= a <= 1
    Max(x, c), Min(x, c)                                      ->  Clip(x, c), Clip(x, , c)
    Clip(Clip(x)), Clip(Relu(x)), Relu(Clip(x))               ->  one Clip

Factors may come in any order and grouping. Inner values must have no other use and no rounding to codes. x sigmoid(x)
(SiLU) has no ONNX operator of its own and stays two nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.passes.clean.facts import clip_bounds, same_shape
from qir.passes.fuse.products import close, factors, number, plus_number
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import put, unrounded
from qir.rewrite.pattern import Finder, Match, Refused, Rule, closed_match


@dataclass(frozen=True)
class RecognizeActivations(Pass):
    """Puts Gelu, HardSwish, HardSigmoid, Mish, LeakyRelu and Clip for the arithmetic that spells them out."""

    name: ClassVar[str] = "recognize-activations"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _RULES)


def _gelu_inner(graph: Graph, name: str, x: str) -> tuple[str, list[Node]] | None:
    """The kind of Gelu and the nodes of `1 + erf(...)` or `1 + tanh(...)`."""
    outer = plus_number(graph, name)
    inner = graph.index.producer(outer[0]) if outer and close(outer[1], 1.0) else None
    if outer is None or inner is None:
        return None
    argument = factors(graph, inner.inputs[0])
    nodes = [*argument.nodes, inner, outer[2]]
    if inner.op == "Erf" and argument.terms == (x,) and close(argument.factor, math.sqrt(0.5)):
        return "none", nodes
    if inner.op == "Tanh" and close(argument.factor, math.sqrt(2 / math.pi)):
        cubic = _cubic(graph, argument.terms, x)
        return None if cubic is None else ("tanh", [*cubic, *nodes])
    return None


def _cubic(graph: Graph, terms: tuple[str, ...], x: str) -> list[Node] | None:
    """The nodes of `x + 0.044715 x^3` or of `x (1 + 0.044715 x^2)`."""
    if len(terms) == 2 and x in terms:
        outer = plus_number(graph, next(term for term in terms if term != x) if terms[0] != terms[1] else x)
        if outer is None or not close(outer[1], 1.0):
            return None
        inner = _power(graph, outer[0], x, 2)
        return None if inner is None else [*inner, outer[2]]
    add = graph.index.producer(terms[0]) if len(terms) == 1 else None
    if add is None or add.op != "Add" or x not in add.inputs:
        return None
    inner = _power(graph, add.inputs[1 - add.inputs.index(x)], x, 3)
    return None if inner is None else [*inner, add]


def _power(graph: Graph, name: str, x: str, exponent: int) -> list[Node] | None:
    """The nodes of `0.044715 x^exponent`."""
    found = factors(graph, name)
    if not close(found.factor, 0.044715):
        return None
    nodes, count = [*found.nodes], 0
    for term in found.terms:
        power = graph.index.producer(term)
        if term == x:
            count += 1
        elif power is not None and power.op == "Pow" and power.inputs[0] == x and number(graph, power.inputs[1]):
            count += round(number(graph, power.inputs[1]) or 0)
            nodes.insert(0, power)
        else:
            return None
    return nodes if count == exponent else None


def _find_gelu(node: Node, graph: Graph) -> Match | None:
    found = factors(graph, node.outputs[0]) if node.op in ("Mul", "Div") else None
    if found is None or len(found.terms) != 2 or not close(found.factor, 0.5):
        return None
    for x, other in (found.terms, found.terms[::-1]):
        inner = _gelu_inner(graph, other, x)
        if inner is not None:
            return closed_match(graph, (*inner[1], *found.nodes), {"x": x, "kind": inner[0]})
    return None


def _gelu(found: Match, edit: Editor) -> str | Refused:
    if found.graph.opsets.get("", 21) < 20:
        return Refused("the model's opset has no Gelu")
    return put(found, edit, "Gelu", (found.value("x"),), {"approximate": found.value("kind")})


def _scaled_clip(graph: Graph, name: str) -> tuple[str, float, float, float, list[Node]] | None:
    """x, a, b, m and the nodes where a value is clip(a x + b, 0, m)."""
    clip = graph.index.producer(name)
    if clip is None or clip.op != "Clip":
        return None
    bounds, inner = clip_bounds(graph, clip), plus_number(graph, clip.inputs[0])
    if bounds is None or inner is None or bounds[0] != 0 or not 0 < bounds[1] < math.inf:
        return None
    x, scale, before = inner[0], 1.0, ()  # type: tuple[str, float, tuple[Node, ...]]
    scaled = factors(graph, x, root=False)
    if len(scaled.terms) == 1:
        x, scale, before = scaled.terms[0], scaled.factor, scaled.nodes
    return x, scale, inner[1], bounds[1], [*before, inner[2], clip]


def _find_hard_swish(node: Node, graph: Graph) -> Match | None:
    found = factors(graph, node.outputs[0]) if node.op in ("Mul", "Div") else None
    if found is None or len(found.terms) != 2:
        return None
    for x, other in (found.terms, found.terms[::-1]):
        gate, clip = graph.index.producer(other), _scaled_clip(graph, other)
        nodes: list[Node] = []
        if gate is not None and gate.op == "HardSigmoid" and gate.inputs[0] == x and close(found.factor, 1.0):
            fits = close(gate.attr("alpha", 0.2), 1 / 6) and close(gate.attr("beta", 0.5), 0.5)
            nodes = [gate] if fits else []
        elif clip is not None and clip[0] == x and close(clip[1], 1.0) and close(clip[2], 3.0) and close(clip[3], 6.0):
            nodes = clip[4] if close(found.factor, 1 / 6) else []
        if nodes:
            return closed_match(graph, (*nodes, *found.nodes), {"x": x})
    return None


def _find_hard_sigmoid(node: Node, graph: Graph) -> Match | None:
    found = factors(graph, node.outputs[0]) if node.op in ("Mul", "Div") else None
    clip = _scaled_clip(graph, found.terms[0]) if found is not None and len(found.terms) == 1 else None
    if found is None or clip is None or not close(found.factor, 1 / clip[3]):
        return None
    return closed_match(graph, (*clip[4], *found.nodes), {"x": clip[0]})


def _hard_sigmoid(found: Match, edit: Editor) -> str | Refused:
    clip = next(node for node in found.inner if node.op == "Clip")
    parts = _scaled_clip(found.graph, clip.outputs[0])
    if parts is None:
        return Refused("its bounds are not 0 and a positive number")
    _, scale, shift, top, _ = parts
    return put(found, edit, "HardSigmoid", (found.value("x"),), {"alpha": scale / top, "beta": shift / top})


def _find_mish(node: Node, graph: Graph) -> Match | None:
    if node.op != "Mul":
        return None
    for slot in (0, 1):
        x, tanh = node.inputs[1 - slot], graph.index.producer(node.inputs[slot])
        soft = graph.index.producer(tanh.inputs[0]) if tanh is not None and tanh.op == "Tanh" else None
        if tanh is not None and soft is not None and soft.op == "Softplus" and soft.inputs[0] == x:
            return closed_match(graph, (soft, tanh, node), {"x": x})
    return None


def _slope(graph: Graph, name: str, x: str) -> tuple[float, list[Node]] | None:
    """a and the nodes where a value is a x."""
    found = factors(graph, name)
    return (found.factor, [*found.nodes]) if found.terms == (x,) and found.nodes else None


def _find_leaky(node: Node, graph: Graph) -> Match | None:
    if node.op == "Where":
        return _leaky_where(node, graph)
    if node.op != "Max" or len(node.inputs) != 2:
        return None
    for x, other in (node.inputs, node.inputs[::-1]):
        slope = _slope(graph, other, x)
        if slope is not None and 0 <= slope[0] <= 1:
            return closed_match(graph, (*slope[1], node), {"x": x, "scaled": other})
    return None


_GREATER = {"Greater": True, "GreaterOrEqual": True, "Less": False, "LessOrEqual": False}


def _leaky_where(node: Node, graph: Graph) -> Match | None:
    test = graph.index.producer(node.inputs[0])
    if test is None or test.op not in _GREATER:
        return None
    if number(graph, test.inputs[1]) == 0:
        x, positive = test.inputs[0], _GREATER[test.op]
    elif number(graph, test.inputs[0]) == 0:
        x, positive = test.inputs[1], not _GREATER[test.op]
    else:
        return None
    kept, scaled = node.inputs[1:3] if positive else node.inputs[2:0:-1]
    slope = _slope(graph, scaled, x) if kept == x else None
    return closed_match(graph, (test, *slope[1], node), {"x": x, "scaled": scaled}) if slope else None


def _leaky(found: Match, edit: Editor) -> str | Refused:
    x = found.value("x")
    slope = _slope(found.graph, found.value("scaled"), x)
    if slope is None or not same_shape(found.graph, x, found.root.outputs[0]):
        return Refused("its constants widen the result")
    return put(found, edit, "LeakyRelu", (x,), {"alpha": slope[0]})


def _find_prelu(node: Node, graph: Graph) -> Match | None:
    return Match(graph, node, {"prelu": node}) if node.op == "PRelu" else None


def _prelu(found: Match, edit: Editor) -> str | Refused:
    slope = found.graph.value(found.root.inputs[1])
    if slope is None or slope.dtype.kind != "f" or slope.size == 0 or np.ptp(slope.astype(np.float64)) != 0:
        return Refused("its slope is not one number")
    return put(found, edit, "LeakyRelu", (found.root.inputs[0],), {"alpha": float(slope.reshape(-1)[0])})


def _find_limit(node: Node, graph: Graph) -> Match | None:
    if node.op not in ("Max", "Min") or len(node.inputs) != 2:
        return None
    for slot in (0, 1):
        constant = graph.value(node.inputs[slot])
        if constant is not None and constant.size == 1 and node.inputs[1 - slot] not in graph.constants:
            return Match(graph, node, {"limit": node}, {"x": node.inputs[1 - slot], "limit": node.inputs[slot]})
    return None


def _limit(found: Match, edit: Editor) -> str | Refused:
    x, node = found.value("x"), found.root
    if not same_shape(found.graph, x, node.outputs[0]):
        return Refused("its constant widens the result")
    bound = found.graph.constants[found.value("limit")].value
    if bound.dtype.kind == "f" and np.isnan(bound).any():
        return Refused("the limit is not a number")
    if node.op == "Max" and bound.dtype.kind == "f" and not bound.any():
        return put(found, edit, "Relu", (x,))
    name = edit.constant(f"{node.outputs[0]}_{node.op.lower()}", bound.reshape(()))
    return put(found, edit, "Clip", (x, name) if node.op == "Max" else (x, "", name))


def _find_clips(node: Node, graph: Graph) -> Match | None:
    before = graph.index.producer(node.inputs[0]) if node.op in ("Clip", "Relu") else None
    if before is None or before.op not in ("Clip", "Relu") or (before.op == node.op == "Relu"):
        return None
    return closed_match(graph, (before, node), {"x": before.inputs[0]})


def _clips(found: Match, edit: Editor) -> str | Refused:
    graph, (before, node) = found.graph, found.inner
    first, second, kind = clip_bounds(graph, before), clip_bounds(graph, node), graph.types[found.value("x")]
    if first is None or second is None or not isinstance(kind, TensorType) or not kind.dtype.is_float:
        return Refused("its bounds are not constant")
    if first[0] > first[1] or second[0] > second[1]:
        return Refused("its bounds are crossed")
    low, high = (float(np.clip(bound, *second)) for bound in first)
    if (low, high) == (0.0, math.inf):
        return put(found, edit, "Relu", (found.value("x"),))
    bounds: Mapping[str, float] = {"min": low, "max": high}
    names = [
        "" if math.isinf(bound) else edit.constant(f"{node.outputs[0]}_{which}", np.array(bound, kind.dtype.numpy))
        for which, bound in bounds.items()
    ]
    return put(found, edit, "Clip", (found.value("x"), *names) if names[1] else (found.value("x"), names[0]))


def _whole(op: str, least_opset: int) -> Rule:
    """The rule whose match has one operand x and becomes `op(x)`."""

    def rewrite(found: Match, edit: Editor) -> str | Refused:
        if found.graph.opsets.get("", 21) < least_opset:
            return Refused(f"the model's opset has no {op}")
        return put(found, edit, op, (found.value("x"),))

    finders: Mapping[str, Finder] = {"HardSwish": _find_hard_swish, "Mish": _find_mish}
    return Rule(op.lower(), finders[op], unrounded(rewrite))


_RULES = (
    Rule("gelu", _find_gelu, unrounded(_gelu)),
    _whole("HardSwish", 14),
    Rule("hard-sigmoid", _find_hard_sigmoid, unrounded(_hard_sigmoid)),
    _whole("Mish", 18),
    Rule("leaky-relu", _find_leaky, unrounded(_leaky)),
    Rule("prelu-of-one-slope", _find_prelu, unrounded(_prelu)),
    Rule("limit", _find_limit, unrounded(_limit)),
    Rule("join-clips", _find_clips, unrounded(_clips)),
)
