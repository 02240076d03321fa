"""What most rules share: keeping off quantized values, and putting one node in the place of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qir.ir.graph import AttrValue, Graph, Node
from qir.ir.types import TensorType
from qir.rewrite.editor import Editor
from qir.rewrite.pattern import Match, Refused, Rewrite

NAMES_A_RESULT = "it gives a result of the graph its name"


def is_quantized(graph: Graph, name: str) -> bool:
    """Whether a value is rounded to codes."""
    kind = graph.types.get(name)
    return isinstance(kind, TensorType) and kind.quant is not None


def unrounded(rewrite: Rewrite, *, constants: bool = True) -> Rewrite:
    """A rewrite that refuses where a rounding would be lost: at quantized inner values and quantized constants.

    Args:
        constants: False where the rewrite itself looks after the codes of constants.
    """

    def guarded(found: Match, edit: Editor) -> str | Refused:
        graph = found.graph
        for node in found.inner:
            inner = () if node is found.root else node.outputs
            operands = [name for name in node.inputs if constants and name in graph.constants]
            for name in (*inner, *operands):
                if is_quantized(graph, name):
                    return Refused(f"{name} is quantized")
        return rewrite(found, edit)

    return guarded


def put(
    found: Match,
    edit: Editor,
    op: str,
    inputs: Sequence[str],
    attrs: Mapping[str, AttrValue] | None = None,
    *,
    main: Node | None = None,
) -> str:
    """One node in the place of a match: the root's first output and its type, the origins of all.

    Args:
        main: the node whose name it takes; the root by default.
    """
    old = found.root.outputs[0]
    main = main or found.root
    edit.remove(*found.inner)
    edit.node(op, inputs, attrs, origin=found.inner, outputs=(old,), types=(found.graph.types[old],), name=main.name)
    return old


def same_place(graph: Graph, node: Node, value: str) -> str:
    """Why `value`, an operand of a node, cannot take the place of the node's first output; "" if it can."""
    result = node.outputs[0]
    if any(graph.index.consumers(name) or graph.index.is_output(name) for name in node.outputs[1:] if name):
        return "another of its outputs is used"
    before, after = graph.types.get(result), graph.types.get(value)
    if is_quantized(graph, result) and getattr(before, "quant", None) != getattr(after, "quant", None):
        return "it rounds to other codes"
    if graph.index.is_output(result) and (graph.index.producer(value) is None or graph.index.is_output(value)):
        return NAMES_A_RESULT
    return ""
