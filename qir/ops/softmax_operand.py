"""What a Softmax can tell of its operand: elements far below the largest of their row are all the same to it.

With n elements a row, `exp(x - max)` of one that lies `T = log(512 n)` below the largest is at most 1 / (512 n), so all
of them together add at most 1/512 to a sum that is at least 1: half a step of 8-bit codes in [0, 1). Masks make such
elements, -inf or -1e9, which say nothing of the range that scores need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph
from qir.ir.types import TensorType


def softmax_operands(graph: Graph) -> Mapping[str, int]:
    """The float values that are read by Softmax nodes along one axis and by nothing else, with that axis."""
    found = {}
    for name, kind in graph.types.items():
        readers = graph.index.consumers(name)
        if not readers or any(node.op != "Softmax" for node in readers) or graph.index.is_output(name):
            continue
        axes = {node.attr("axis", -1) for node in readers}
        if len(axes) == 1 and isinstance(kind, TensorType) and kind.dtype == FLOAT32 and name not in graph.constants:
            found[name] = axes.pop()
    return found


def told_apart(operand: np.ndarray, axis: int) -> np.ndarray:
    """The operand with every element raised to what is told apart from the largest of its row."""
    if operand.size == 0:
        return operand
    largest = operand.max(axis=axis, keepdims=True)
    depth = np.float32(math.log(512 * operand.shape[axis]))
    return np.asarray(np.maximum(operand, largest - depth), operand.dtype)
