"""Relu and Clip as clamps of codes.

Rounding to codes clamps to [qmin, qmax]. A Clip to [a, b] before it changes nothing exactly where the bounds lie
outside the codes: `rint(a / scale) + zero_point <= qmin` and `rint(b / scale) + zero_point >= qmax`. Codes by compares
lose nothing where the clamp leaves either side of their thresholds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import Affine

CLAMPS = ("Relu", "Clip")


def bounds(node: Node, graph: Graph) -> tuple[float, float] | None:
    """The real bounds of a Relu or Clip; None for other nodes and for bounds not known at compile time."""
    if node.op == "Relu":
        return 0.0, float("inf")
    if node.op != "Clip":
        return None
    found = []
    for slot, default in ((1, float("-inf")), (2, float("inf"))):
        name = node.input(slot)
        value = graph.value(name) if name else np.array(default)
        if value is None:
            return None
        found.append(float(value.reshape(-1)[0]))
    return found[0], found[1]


def fit(limits: tuple[float, float], quant: Affine) -> Affine | None:
    """The codes, their scale lowered by a few units in the last place if need be, under which a clamp is absorbed.

    A clamp at exactly half a step, such as [-1, 1] on 255 steps, is the codes' own or not by the rounding of the scale.
    """
    for _ in range(4):
        if is_absorbed(limits, quant):
            return quant
        if not (quant.scale > np.finfo(np.float32).tiny).all():
            return None
        quant = replace(quant, scale=np.nextafter(quant.scale, np.float32(0)))
    return None


def is_absorbed(limits: tuple[float, float], quant: Affine) -> bool:
    """Whether rounding to these per-tensor codes does all that a clamp to real bounds does."""
    if quant.axis is not None:
        return False
    if quant.rounding != "nearest":
        threshold = float(quant.threshold)
        if quant.rounding == "binary":
            return limits[0] < threshold <= limits[1]
        return limits[0] < -threshold and threshold < limits[1]
    with np.errstate(over="ignore"):  # a bound that many steps away is as good as none
        low, high = np.rint(np.asarray(limits, np.float32) / np.float32(quant.scale)) + int(quant.zero_point)
    return bool(low <= quant.qmin and high >= quant.qmax)
