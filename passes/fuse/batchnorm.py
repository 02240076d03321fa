"""`fold-batchnorm`: BatchNormalization becomes part of the linear operator before or behind it.

    y = s (W x + b) + t  ->  y = (s W) x + (s b + t),    s = gamma / sqrt(var + eps), t = beta - s mean
    y = W (s x + t) + b  ->  y = (W s) x + (b + W t)

Behind a Conv, ConvTranspose, Gemm or (of two dimensions) MatMul always; before a Conv where it pads nothing or all t
are zero, since the padding would have to be -t/s; before a Gemm or MatMul, also through a Flatten. In between, no other
use and no rounding to codes. The numbers are calculated in float64 and rounded once; the codes of a weight in front of
it stay (linear.py). A BatchNormalization that meets none of these stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node
from qir.passes.fuse.linear import LINEAR, Linear, read, with_exact_sums
from qir.passmanager.base import Context, Pass
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import is_quantized, unrounded
from qir.rewrite.pattern import Match, Refused, Rule, closed_match
from qir.target import Target


@dataclass(frozen=True)
class FoldBatchNorm(Pass):
    """Folds BatchNormalization into weights and biases."""

    name: ClassVar[str] = "fold-batchnorm"

    def run(self, graph: Graph, context: Context) -> Graph:
        return apply_rules(graph, _rules(context.target))


def scale_and_shift(graph: Graph, node: Node) -> tuple[np.ndarray, np.ndarray] | Refused:
    """s and t of `y = s x + t`, float64 [C], of a BatchNormalization."""
    if node.attr("training_mode", 0):
        return Refused("it is in training mode")
    arrays = [graph.value(name) for name in node.inputs[1:5]]
    if any(array is None for array in arrays) or any(is_quantized(graph, name) for name in node.inputs[1:5]):
        return Refused("its parameters are not real constants")
    gamma, beta, mean, variance = (array.astype(np.float64) for array in arrays if array is not None)
    s = gamma / np.sqrt(variance + float(node.attr("epsilon", 1e-5)))
    return s, beta - s * mean


def _find_behind(node: Node, graph: Graph) -> Match | None:
    before = graph.index.producer(node.inputs[0]) if node.op == "BatchNormalization" else None
    if before is None or before.op not in LINEAR:
        return None
    return closed_match(graph, (before, node), {})


def _fold_behind(found: Match, edit: Editor) -> str | Refused:
    before, norm = found.inner
    why = _other_outputs(found.graph, norm)
    numbers, linear = scale_and_shift(found.graph, norm), read(found.graph, before)
    if why or isinstance(numbers, Refused) or isinstance(linear, Refused):
        return why or next(one for one in (numbers, linear) if isinstance(one, Refused))
    if before.op == "MatMul" and linear.rank != 2:
        return Refused("the channels of the BatchNormalization are not those of the MatMul")
    s, t = numbers
    if s.size != linear.outputs:
        return Refused("the numbers of channels differ")
    return _write(linear.scaled(s).shifted(t), found, edit, before.inputs[0])


def _write(linear: Linear, found: Match, edit: Editor, x: str) -> str | Refused:
    return linear.write(found, edit, x) if linear.fits else Refused("the folded numbers overflow")


def _other_outputs(graph: Graph, norm: Node) -> Refused | None:
    used = any(graph.index.consumers(name) or graph.index.is_output(name) for name in norm.outputs[1:] if name)
    return Refused("its statistics are used") if used else None


def _find_before(node: Node, graph: Graph) -> Match | None:
    if node.op not in ("Conv", "Gemm", "MatMul"):
        return None
    chain = [node]
    maker = graph.index.producer(node.inputs[0])
    if maker is not None and maker.op == "Flatten" and node.op != "Conv" and maker.attr("axis", 1) == 1:
        chain.append(maker)
        maker = graph.index.producer(maker.inputs[0])
    if maker is None or maker.op != "BatchNormalization":
        return None
    return closed_match(graph, (maker, *chain[::-1]), {})


def _fold_before(found: Match, edit: Editor) -> str | Refused:
    graph, norm, after = found.graph, found.inner[0], found.root
    numbers, linear = scale_and_shift(graph, norm), read(graph, after)
    if isinstance(numbers, Refused) or isinstance(linear, Refused):
        return next(one for one in (numbers, linear) if isinstance(one, Refused))
    s, t = numbers
    if linear.pads and np.any(t):
        return Refused("the operator pads with zeros, which the BatchNormalization would have moved")
    if after.attr("transA", 0) or (after.op == "MatMul" and (linear.rank != 2 or after.inputs[1] == after.inputs[0])):
        return Refused("the channels of the BatchNormalization are not those that are summed")
    if linear.inputs % s.size or (len(found.inner) == 2 and linear.inputs != s.size):
        return Refused("the numbers of channels differ")
    x = norm.inputs[0]
    s, t = (np.repeat(numbers, linear.inputs // s.size) for numbers in (s, t))
    folded = (linear.of_shifted(t) if np.any(t) else linear).of_scaled(s)
    if not folded.fits:
        return Refused("the folded numbers overflow")
    if len(found.inner) == 3:
        x = _flatten_again(found, edit)
    return folded.write(found, edit, x)


def _flatten_again(found: Match, edit: Editor) -> str:
    norm, flatten, _ = found.inner
    edit.remove(flatten)
    kind = found.graph.types[flatten.outputs[0]]
    hint = edit.fresh_value(f"{flatten.outputs[0]}_input")
    return edit.node("Flatten", (norm.inputs[0],), flatten.attrs, origin=(flatten,), outputs=(hint,), types=(kind,))[0]


def _rules(target: Target) -> tuple[Rule, ...]:
    behind = with_exact_sums(unrounded(_fold_behind, constants=False), target)
    return (
        Rule("batchnorm-behind", _find_behind, behind),
        Rule("batchnorm-before", _find_before, unrounded(_fold_before)),
    )
