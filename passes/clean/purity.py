"""Which nodes give the same results whenever they are given the same operands."""

from __future__ import annotations

import numpy as np

from qir.ir.graph import Graph, Node

_RANDOM = frozenset({
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli",
})  # fmt: skip
_DOMAINS = frozenset({"", "ai.onnx.ml", "com.microsoft", "qir"})


def trains(node: Node, graph: Graph) -> bool:
    """Whether a Dropout or BatchNormalization works as in training, or may."""
    if node.op == "BatchNormalization":
        return bool(node.attr("training_mode", 0))
    if node.op != "Dropout" or not node.input(2):
        return False
    mode = graph.value(node.input(2))
    return mode is None or bool(np.any(mode))


def is_pure(node: Node, graph: Graph) -> bool:
    """True for operators without chance or hidden state, bodies included; unknown domains are not trusted."""
    if node.op in _RANDOM or node.domain not in _DOMAINS or trains(node, graph):
        return False
    return all(is_pure(inner, body) for held in node.subgraphs.values() for body, inner in held.walk())
