"""`gemm-on-rows`: a product of more dimensions that has something added becomes a Gemm on rows.

    Add(MatMul(x, W), b)    ->  Reshape(Gemm(Reshape(x), W, b))     x [.., K], W [K, N], b [N], [1, N] or one number
    Reshape(f(Reshape(x)))  ->  f(x)                                of x's shape, f a function of single elements

W and b constant, the sum the only use of the product, nothing between rounded to codes, no more than one dimension of x
unknown. A sum of its own would be rounded to codes again, and be one more pass over its operand; runtimes have integer
kernels for a Gemm with a bias. It runs when nothing more is to be folded, since Reshapes stand in the way of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ops.elementwise import ELEMENTWISE
from qir.passes.clean.facts import same_shape, shape_of
from qir.passes.fuse.affine import affine_step
from qir.passes.fuse.linear import per_channel, read, with_exact_sums
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import put, unrounded
from qir.rewrite.pattern import Match, Refused, Rule, closed_match
from qir.target import Target


@dataclass(frozen=True)
class GemmOnRows(Pass):
    """Makes the products of sequences Gemms with a bias."""

    name: ClassVar[str] = "gemm-on-rows"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _rules(context.target))


def _find_sum(node: Node, graph: Graph) -> Match | None:
    step = affine_step(graph, node) if node.op in ("Add", "Sub") else None
    before = graph.index.producer(step.x) if step is not None and step.scale is None else None
    shape = shape_of(graph, before.outputs[0]) if before is not None and before.op == "MatMul" else None
    return closed_match(graph, (before, node), {}) if before is not None and shape and len(shape) > 2 else None


def _to_rows(found: Match, edit: Editor) -> str | Refused:
    graph, (before, node) = found.graph, found.inner
    step, linear, shape = affine_step(graph, node), read(graph, before), shape_of(graph, before.outputs[0])
    if step is None or step.shift is None or shape is None or isinstance(linear, Refused):
        return linear if isinstance(linear, Refused) else Refused("nothing is added")
    if 0 in shape or sum(not isinstance(size, int) for size in shape) > 1:
        return Refused("more than one dimension is unknown")
    channel = per_channel(step.shift, linear.outputs, linear.rank, linear.behind)
    if channel is None:
        return Refused("the constant is not one number a channel")
    bias = channel.astype(linear.original.dtype)
    if not np.isfinite(bias).all():
        return Refused("the folded numbers overflow")
    name, users, whole = before.name, (before, node), [size if isinstance(size, int) else -1 for size in shape]
    into = edit.constant(f"{name}_rows_shape", np.array([-1, linear.inputs], np.int64))
    back = edit.constant(f"{name}_shape", np.array(whole, np.int64))
    rows = edit.node("Reshape", (before.inputs[0], into), origin=(before,), name=f"{name}_rows")
    product = (*rows, before.inputs[1], edit.constant(f"{name}_bias", bias))
    made = edit.node("Gemm", product, origin=users, name=f"{name}_gemm")
    return put(found, edit, "Reshape", (*made, back))


def _find_function(node: Node, graph: Graph) -> Match | None:
    middle = graph.index.producer(node.inputs[0]) if node.op == "Reshape" else None
    first = graph.index.producer(middle.inputs[0]) if middle is not None and middle.op in ELEMENTWISE else None
    if middle is None or first is None or first.op != "Reshape":
        return None
    if not same_shape(graph, first.inputs[0], node.outputs[0], same_count=True):
        return None
    return closed_match(graph, (first, middle, node), {"x": first.inputs[0]})


def _of_rows(found: Match, edit: Editor) -> str | Refused:
    middle = found.inner[1]
    return put(found, edit, middle.op, (found.value("x"), *middle.inputs[1:]), middle.attrs, main=middle)


def _rules(target: Target) -> tuple[Rule, ...]:
    return (
        Rule("sum-of-rows", _find_sum, with_exact_sums(unrounded(_to_rows, constants=False), target)),
        Rule("function-of-rows", _find_function, unrounded(_of_rows)),
    )
