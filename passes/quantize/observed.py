"""What calibration saw at the input of one layer, in the layout of its weight."""

from __future__ import annotations

import numpy as np

from qir.errors import DataError
from qir.ir.graph import Node
from qir.passmanager.base import Context
from qir.statistics import Gram


def gram_of(node: Node, weight: np.ndarray, context: Context) -> Gram | None:
    """The Gram matrices of a layer's inputs, one a group; None for layers that have none.

    Args:
        node: Conv, Gemm or MatMul.
        weight: its weight, of which `as_rows` makes rows as long as the matrices are wide.
    """
    if context.statistics is None or node.op not in ("Conv", "Gemm", "MatMul"):
        return None
    if node.op != "Conv" and weight.ndim != 2:
        return None
    try:
        found = context.statistics.get(Gram.kind, node.name)
    except DataError:
        return None
    assert isinstance(found, Gram)
    return found if as_rows(node, weight).shape[1] == found.size else None


def as_rows(node: Node, weight: np.ndarray) -> np.ndarray:
    """A weight as [channels, K], K in the order of the Gram matrix."""
    if node.op == "Conv":
        return weight.reshape(weight.shape[0], -1)
    return weight if node.attr("transB", 0) else weight.T


def from_rows(node: Node, rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The inverse of `as_rows`."""
    if node.op == "Conv" or node.attr("transB", 0):
        return rows.reshape(like.shape)
    return np.ascontiguousarray(rows.T)
