"""Integer forms of operators on rows: Softmax and LayerNormalization."""

from __future__ import annotations

import numpy as np

from qir.ir.dtype import UINT8
from qir.ir.graph import Node
from qir.ops.integer_rows import exponentials
from qir.passes.lower.codes import Lowering
from qir.quant.fixedpoint import fixed_row


def softmax(node: Node, low: Lowering) -> bool:
    """exp(x - max) depends on the difference of two codes alone: a table of its 256 values."""
    x, y, shape = low.stored(node.inputs[0]), low.rounded(node.outputs[0]), low.graph.tensor(node.inputs[0]).shape
    if x is None or x.storage != UINT8 or shape is None or (y is None and low.quant(node.outputs[0]) is not None):
        return False
    attrs = {"axis": node.attr("axis", -1) % len(shape),
             "multiplier": float(np.float32(1) / y.scale) if y is not None else 1.0,
             **(y.attrs if y is not None else {})}  # fmt: skip
    table = low.constant(f"{node.name}_exponentials", exponentials(x.scale))
    low.integer(node, "qir.IntSoftmax", (low.codes(node.inputs[0]), table), attrs)
    return True


def layernorm(node: Node, low: Lowering) -> bool:
    """With x = (q - z) s the mean takes z away, and s cancels but for epsilon: of n codes q

    (x - mean) / sqrt(var + eps) = (n q - sum q) / sqrt(n sum q^2 - (sum q)^2 + eps n^2 / s^2)
    """
    x, y, shape = low.stored(node.inputs[0]), low.rounded(node.outputs[0]), low.graph.tensor(node.inputs[0]).shape
    if x is None or y is None or not shape or any(node.outputs[1:]):
        return False
    size = shape[-1]
    if not isinstance(size, int) or not 0 < size < 1 << 15 or node.attr("axis", -1) % len(shape) != len(shape) - 1:
        return False
    parameters = [low.graph.constants.get(name) for name in node.inputs[1:] if name]
    if any(one is None or one.value.size not in (1, size) for one in parameters):
        return False
    epsilon = np.float32(node.attr("epsilon", 1e-5) * size**2 / np.float64(x.scale) ** 2)
    if not 0 < epsilon < np.inf:
        return False
    rows = [np.broadcast_to(one.value.reshape(-1), (size,)) for one in parameters if one is not None]
    bias = rows[1] if len(rows) > 1 else np.zeros(size, np.float32)
    scale, bias = ((row / y.scale).astype(np.float32) for row in (rows[0], bias))
    if low.target.requantization == "fixed" and fixed_row(scale, bias) is None:
        return False
    names = (low.codes(node.inputs[0]), low.constant(f"{node.name}_scale", scale),
             low.constant(f"{node.name}_bias", bias))  # fmt: skip
    low.integer(node, "qir.IntLayerNorm", names, {"epsilon": float(epsilon), **y.attrs})
    return True
