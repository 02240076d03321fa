"""Constant operands of sums and choices, no larger than what their results can show.

With codes of y = x + c in [y_low, y_high] and x in [x_low, x_high], every c below y_low - x_high gives the least code,
whatever x is, and every c above y_high - x_low the largest. So c can be raised, or lowered, to these bounds: a mask of
0 and -inf, or -1e9, then has codes that are fine enough for what else the constant holds. A choice of y = x or c shows
c in [y_low, y_high].
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qir.ir.graph import Graph, Node


def within_reach(node: Node, name: str, graph: Graph, ranges: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """A constant operand of a node, clipped to where its result's codes tell values apart.

    Args:
        ranges: of values, as calibrated.
    """
    value = graph.constants[name].value
    limits = _limits(node, name, ranges)
    return value if limits is None else np.clip(value, np.float32(limits[0]), np.float32(limits[1]))


def _limits(node: Node, name: str, ranges: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    result = ranges.get(node.outputs[0])
    if result is None:
        return None
    if node.op == "Where" and name in node.inputs[1:]:
        return result
    if node.op == "Add":
        other = ranges.get(node.inputs[1] if name == node.inputs[0] else node.inputs[0])
        return None if other is None else (result[0] - other[1], result[1] - other[0])
    return None
