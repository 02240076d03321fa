"""`fuse-matmul-add`: a constant added behind a linear operator becomes its bias.

    Add(MatMul(x, W), b)            ->  Gemm(x, W, b)           x and W of two dimensions, b [N], [1, N] or one number
    Add(Gemm(x, W, c), b)           ->  Gemm(x, W, c + b)
    Add(Conv(x, W, c), b)           ->  Conv(x, W, c + b)       b one number a channel; ConvTranspose likewise
    Gemm(x, W, c, alpha, beta)      ->  Gemm(x, alpha W, beta c)
    Gemm(x, W, c, transA)           ->  Gemm(Transpose(x), W, c)

W and c constant, the sum the only use of the product, nothing between rounded to codes. A MatMul of more dimensions has
no bias to take: it waits for `gemm-on-rows`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.passes.fuse.affine import affine_step, fold_behind
from qir.passes.fuse.linear import LINEAR, read, with_exact_sums
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import is_quantized, put, unrounded
from qir.rewrite.pattern import Match, Refused, Rule, closed_match
from qir.target import Target


@dataclass(frozen=True)
class FuseMatMulAdd(Pass):
    """Makes sums biases and gives every Gemm its plain form."""

    name: ClassVar[str] = "fuse-matmul-add"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _rules(context.target))


def _find_sum(node: Node, graph: Graph) -> Match | None:
    step = affine_step(graph, node) if node.op in ("Add", "Sub") else None
    before = graph.index.producer(step.x) if step is not None and step.scale is None else None
    if before is None or before.op not in LINEAR:
        return None
    return closed_match(graph, (before, node), {})


def _find_factors(node: Node, graph: Graph) -> Match | None:
    plain = node.attr("alpha", 1.0) == 1 and (node.attr("beta", 1.0) == 1 or not node.input(2))
    return None if node.op != "Gemm" or plain else Match(graph, node, {"gemm": node})


def _fold_factors(found: Match, edit: Editor) -> str | Refused:
    linear = read(found.graph, found.root)
    if isinstance(linear, Refused):
        return linear
    return linear.write(found, edit, found.root.inputs[0]) if linear.fits else Refused("the folded numbers overflow")


def _find_transposed(node: Node, graph: Graph) -> Match | None:
    return Match(graph, node, {"gemm": node}) if node.op == "Gemm" and node.attr("transA", 0) else None


def _transpose_apart(found: Match, edit: Editor) -> str | Refused:
    node, graph = found.root, found.graph
    x, kind = node.inputs[0], graph.types.get(node.inputs[0])
    if is_quantized(graph, x) or not isinstance(kind, TensorType):
        return Refused("its operand is quantized")
    shape = None if kind.shape is None else kind.shape[::-1]
    after = TensorType(kind.dtype, shape)
    moved = edit.node("Transpose", (x,), {"perm": (1, 0)}, types=(after,), name=f"{node.name}_transA")
    attrs = {key: value for key, value in node.attrs.items() if key != "transA"}
    return put(found, edit, "Gemm", (*moved, *node.inputs[1:]), attrs)


def _rules(target: Target) -> tuple[Rule, ...]:
    return (
        Rule("sum-to-bias", _find_sum, with_exact_sums(unrounded(fold_behind, constants=False), target)),
        Rule("gemm-factors", _find_factors, unrounded(_fold_factors)),
        Rule("gemm-transpose", _find_transposed, _transpose_apart),
    )
