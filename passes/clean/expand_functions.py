"""`expand-functions`: operators that runtimes and kernels know only as their definition are written out.

    Attention(q, k, v)   becomes   MatMul, Softmax, MatMul, ...

so that what they are made of can be folded, calibrated and run as integers. Operators that have kernels of their own
(LayerNormalization, Gelu, HardSwish, ...) stay whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qir.ir.graph import Graph, Node
from qir.onnxio.functions import function_body
from qir.onnxio.names import renamed
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import everywhere
from qir.rewrite.editor import Editor

OPERATORS = ("Attention", "CausalConvWithState", "LinearAttention", "NegativeLogLikelihoodLoss", "RotaryEmbedding",
             "SoftmaxCrossEntropyLoss")  # fmt: skip


@dataclass(frozen=True)
class ExpandFunctions(Pass):
    """Writes out the operators that have no kernels."""

    name: ClassVar[str] = "expand-functions"

    def run(self, graph: Graph, context: Context) -> Graph:
        return everywhere(graph, _expand)


def _expand(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in graph.nodes:
        body = function_body(node, graph) if node.op in OPERATORS else None
        if body is not None:
            _splice(edit, node, body)
    return edit.build()


def _splice(edit: Editor, node: Node, body: Graph) -> None:
    edit.remove(node)
    names = {name: name for name in (*node.inputs, *node.outputs)}
    for name, constant in body.constants.items():
        if name not in names:
            names[name] = edit.constant(f"{node.name}_{name}", constant.value)
    # The results keep their own types, with the codes they may have; an output nobody wants takes the first one's.
    known = {name: edit.graph.types[name or node.outputs[0]] for name in ("", *node.outputs)}
    for inner in body.nodes:
        for name in inner.outputs:
            if name and name not in names:
                names[name] = edit.fresh_value(f"{node.name}_{name}")
                edit.types[names[name]] = body.types[name]
        moved = renamed(inner, names)
        edit.node(
            inner.op,
            moved.inputs,
            moved.attrs,
            origin=(node,),
            outputs=moved.outputs,
            types=tuple(known.get(name) or body.types[name] for name in inner.outputs),
            name=f"{node.name}_{inner.op}",
        )
