"""`fold-affine`: arithmetic with constants becomes part of weights and biases, or shrinks to one Mul and one Add.

    s (W x + b) + t                          ->  (s W) x + (s b + t)
    W (s x + t) + b                          ->  (W s) x + (b + W t)
    ((x * a) + b) * c - d ...                ->  x * s + t

s and t come from Mul, Div, Add and Sub with a scalar or a constant a channel, on values without another use and without
rounding to codes; the codes of a weight in front of them stay (linear.py). Before a Conv that pads, t would have to
reach into the padding: there the scale alone is folded, x * s + t becoming (x + t/s) * s first; the Add stays.
Everything is calculated in float64 and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node
from qir.passes.clean.facts import same_shape
from qir.passes.fuse.linear import LINEAR, Linear, feature_count, per_channel, read, with_exact_sums
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import is_quantized, unrounded
from qir.rewrite.pattern import Match, Refused, Rule, closed_match
from qir.target import Target

_ARITHMETIC = ("Mul", "Div", "Add", "Sub")


@dataclass(frozen=True)
class FoldAffine(Pass):
    """Folds Mul, Div, Add and Sub by constants."""

    name: ClassVar[str] = "fold-affine"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _rules(context.target))


@dataclass(frozen=True)
class Step:
    """`y = x * scale + shift`; None where it is no part of the step."""

    x: str
    scale: np.ndarray | None
    shift: np.ndarray | None


def affine_step(graph: Graph, node: Node) -> Step | None:
    """What a node does to its operand that is not constant, float64; None if it is no step of this kind."""
    if node.op not in _ARITHMETIC:
        return None
    known = [slot for slot in (0, 1) if node.inputs[slot] in graph.constants]
    if len(known) != 1:
        return None
    array, x = graph.constants[node.inputs[known[0]]].value, node.inputs[1 - known[0]]
    if array.dtype.kind != "f" or is_quantized(graph, node.inputs[known[0]]):
        return None
    c = array.astype(np.float64)
    if node.op == "Mul":
        return Step(x, c, None)
    if node.op == "Add":
        return Step(x, None, c)
    if node.op == "Sub":
        return Step(x, None, -c) if known == [1] else Step(x, np.full((1,) * c.ndim, -1.0), c)
    return Step(x, 1 / c, None) if known == [1] and np.all(c) else None


def _find_behind(node: Node, graph: Graph) -> Match | None:
    step = affine_step(graph, node)
    before = graph.index.producer(step.x) if step else None
    if before is None or before.op not in LINEAR:
        return None
    return closed_match(graph, (before, node), {})


def fold_behind(found: Match, edit: Editor) -> str | Refused:
    """Rewrite of [linear, arithmetic] to the linear node alone."""
    before, node = found.inner
    step, linear = affine_step(found.graph, node), read(found.graph, before)
    if step is None or isinstance(linear, Refused):
        return linear if isinstance(linear, Refused) else Refused("the constant divides by zero")
    if before.op == "MatMul" and step.shift is not None and linear.rank != 2:
        return Refused("a MatMul of this rank has no bias")
    folded = linear
    for array, how in ((step.scale, Linear.scaled), (step.shift, Linear.shifted)):
        if array is not None:
            channel = per_channel(array, linear.outputs, linear.rank, linear.behind)
            if channel is None:
                return Refused("the constant is not one number a channel")
            folded = how(folded, channel)
    return folded.write(found, edit, before.inputs[0]) if folded.fits else Refused("the folded numbers overflow")


def _find_before(node: Node, graph: Graph) -> Match | None:
    maker = graph.index.producer(node.inputs[0]) if node.op in LINEAR else None
    if maker is None or affine_step(graph, maker) is None:
        return None
    return closed_match(graph, (maker, node), {})


def _channels(step_array: np.ndarray, graph: Graph, x: str, linear: Linear) -> np.ndarray | Refused:
    rank = linear.rank if linear.node.op != "Gemm" else 2
    if feature_count(graph, x, rank, linear.behind) != linear.inputs:
        return Refused("the operand's channels are not known to be those that are summed")
    channel = per_channel(step_array, linear.inputs, rank, linear.behind)
    return Refused("the constant is not one number a channel") if channel is None else channel


def _fold_before(found: Match, edit: Editor) -> str | Refused:
    graph, (maker, node) = found.graph, found.inner
    step, linear = affine_step(graph, maker), read(graph, node)
    if step is None or isinstance(linear, Refused):
        return linear if isinstance(linear, Refused) else Refused("the constant divides by zero")
    if node.attr("transA", 0) or node.inputs[0] == node.inputs[1]:
        return Refused("the operand is transposed")
    if step.shift is not None and linear.pads:
        return Refused("the operator pads with zeros, which the constant would have moved")
    if step.shift is not None and node.op == "MatMul" and linear.rank != 2:
        return Refused("a MatMul of this rank has no bias")
    folded = linear
    for array, how in ((step.shift, Linear.of_shifted), (step.scale, Linear.of_scaled)):
        if array is not None:
            channel = _channels(array, graph, step.x, linear)
            if isinstance(channel, Refused):
                return channel
            folded = how(folded, channel)
    return folded.write(found, edit, step.x) if folded.fits else Refused("the folded numbers overflow")


def _find_scaled_before_padding(node: Node, graph: Graph) -> Match | None:
    """Conv(x * s + t) with padding."""
    add = graph.index.producer(node.inputs[0]) if node.op == "Conv" else None
    shift = affine_step(graph, add) if add is not None else None
    mul = graph.index.producer(shift.x) if shift is not None and shift.scale is None else None
    if add is None or mul is None or affine_step(graph, mul) is None:
        return None
    return closed_match(graph, (mul, add, node), {})


def _fold_scale_before_padding(found: Match, edit: Editor) -> str | Refused:
    graph, (mul, add, node) = found.graph, found.inner
    first, second, linear = affine_step(graph, mul), affine_step(graph, add), read(graph, node)
    if isinstance(linear, Refused) or first is None or second is None or first.scale is None or first.shift is not None:
        return linear if isinstance(linear, Refused) else Refused("no scale stands before the sum")
    s, t = _channels(first.scale, graph, first.x, linear), second.shift
    if isinstance(s, Refused) or t is None or not linear.pads or not np.all(first.scale):
        return s if isinstance(s, Refused) else Refused("the scale has zeros")
    folded, moved = linear.of_scaled(s), (t / first.scale).astype(linear.original.dtype)
    if not folded.fits or not np.isfinite(moved).all() or moved.size > max(t.size, first.scale.size):
        return Refused("the folded numbers overflow")
    constant = edit.constant(f"{add.name}_shift", moved)
    edit.remove(add)
    kind = graph.types[add.outputs[0]]
    hint = edit.fresh_value(f"{add.outputs[0]}_unscaled")
    x = edit.node("Add", (first.x, constant), origin=(mul, add), outputs=(hint,), types=(kind,))[0]
    return folded.write(found, edit, x)


def _find_chain(node: Node, graph: Graph) -> Match | None:
    """The longest chain of steps that ends here and goes no further."""
    if affine_step(graph, node) is None:
        return None
    users = graph.index.consumers(node.outputs[0])
    if len(users) == 1 and affine_step(graph, users[0]) is not None and not graph.index.is_output(node.outputs[0]):
        return None
    chain: list[Node] = []
    current: Node | None = node
    while current is not None and (step := affine_step(graph, current)) is not None:
        if chain and (graph.index.sole_consumer(current.outputs[0]) is None or is_quantized(graph, current.outputs[0])):
            break
        chain.append(current)
        current = graph.index.producer(step.x)
    return closed_match(graph, chain[::-1], {}) if len(chain) > 1 else None


def _join_chain(found: Match, edit: Editor) -> str | Refused:
    graph, chain = found.graph, found.inner
    steps = [step for step in (affine_step(graph, node) for node in chain) if step is not None]
    scale, shift = np.ones(()), np.zeros(())
    for step in steps:
        s = np.ones(()) if step.scale is None else step.scale
        t = np.zeros(()) if step.shift is None else step.shift
        scale, shift = scale * s, shift * s + t
    parts = [(op, array) for op, array, idle in (("Mul", scale, 1), ("Add", shift, 0)) if np.any(array != idle)]
    largest = max(array.size for step in steps for array in (step.scale, step.shift) if array is not None)
    kind = graph.constants[next(n for n in chain[0].inputs if n in graph.constants)].value.dtype
    if not 0 < len(parts) < len(chain):
        return Refused("the chain is as short as it can be")
    if any(array.size > largest or not np.isfinite(array.astype(kind)).all() for _, array in parts):
        return Refused("the joined constants are larger or overflow")
    if len(parts) == 1 and parts[0][1].size < largest and not same_shape(graph, steps[0].x, found.root.outputs[0]):
        return Refused("the result's shape comes from a constant that would go")
    value, root = steps[0].x, found.root
    edit.remove(*chain)
    for operator, array in parts:
        last = array is parts[-1][1]
        constant = edit.constant(f"{root.outputs[0]}_{'scale' if operator == 'Mul' else 'shift'}", array.astype(kind))
        outputs = root.outputs if last else (edit.fresh_value(f"{root.outputs[0]}_scaled"),)
        types = (graph.types[root.outputs[0]],) if last else None
        value = edit.node(operator, (value, constant), origin=chain, outputs=outputs, types=types)[0]
    return value


def _rules(target: Target) -> tuple[Rule, ...]:
    return (
        Rule("affine-behind", _find_behind, with_exact_sums(unrounded(fold_behind, constants=False), target)),
        Rule("affine-before", _find_before, unrounded(_fold_before)),
        Rule("scale-before-padding", _find_scaled_before_padding, unrounded(_fold_scale_before_padding)),
        Rule("affine-chain", _find_chain, unrounded(_join_chain)),
    )
