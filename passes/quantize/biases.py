"""`quantize-biases`: rounds the biases of integer layers to int32 with scale s_x * s_w.

Where a bias would leave int32 because s_x * s_w is tiny, the channel's weight scale is raised and its weight rounded
again (qir.quant.scales.bias_params). Beside 16-bit codes a bias stays real: in units of s_x * s_w it can need more than
32 bits, and targets that run such layers as integers accumulate wider.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.ir.dtype import INT32
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.weights import set_codes
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.channels import along
from qir.quant.scales import bias_params
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor


@dataclass(frozen=True)
class QuantizeBiases(Pass):
    """Rounds the bias of every layer whose input and weight are codes."""

    name: ClassVar[str] = "quantize-biases"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})
    promise: ClassVar[Promise] = Promise.LOSSY

    def run(self, graph: Graph, context: Context) -> Graph:
        return _quantize_biases(map_bodies(graph, _quantize_biases))


def _quantize_biases(graph: Graph) -> Graph:
    edit = Editor(graph)
    for node in graph.nodes:
        slots = weighted(node, graph)
        if slots is None or slots.bias < 0 or node.input(slots.bias) not in graph.constants:
            continue
        data, weight = graph.tensor(node.inputs[0]).quant, graph.tensor(node.inputs[slots.weight]).quant
        if data is None or weight is None or max(data.storage.bits, weight.storage.bits) > 8:
            continue
        if graph.tensor(node.inputs[slots.bias]).quant is not None:
            continue
        _round(edit, node, slots, data, weight)
    return edit.build()


def _round(edit: Editor, node: Node, slots: Weighted, data: Affine, weight: Affine) -> None:
    bias = edit.constants[edit.current(node).inputs[slots.bias]].value
    largest = 255 * np.abs(_codes(edit, node, slots, weight)).sum(axis=_others(edit, node, slots, weight))
    if (largest >= 2**31 - 1).any():
        return  # the products alone can overflow: the layer runs in float, its bias stays real
    if bias.size == 1 != weight.scale.size:
        bias = np.full(weight.scale.shape, bias.reshape(-1)[0])
        edit.replace_input(node, slots.bias, edit.constant(f"{node.inputs[slots.bias]}_{node.name}", bias))
    codes, scale, weight_scale = bias_params(bias.reshape(-1), data.scale, weight.scale, headroom=largest)
    if not np.array_equal(weight_scale, weight.scale):
        set_codes(edit, node, slots.weight, replace(weight, scale=weight_scale))
    axis = None if np.ndim(scale) == 0 else bias.ndim - 1
    set_codes(
        edit, node, slots.bias, Affine(INT32, scale, np.zeros_like(scale, np.int32), axis), codes.reshape(bias.shape)
    )


def _codes(edit: Editor, node: Node, slots: Weighted, weight: Affine) -> np.ndarray:
    """Weight codes less their zero points."""
    codes = edit.constants[edit.current(node).inputs[slots.weight]].codes
    assert codes is not None  # the weight's type has codes
    zero = along(weight.zero_point, weight.axis, codes.shape, weight.block_size)
    return np.asarray(codes.astype(np.int64) - zero)


def _others(edit: Editor, node: Node, slots: Weighted, weight: Affine) -> tuple[int, ...]:
    """The axes that one accumulator sums over, at most: all but the channel's."""
    rank = edit.constants[edit.current(node).inputs[slots.weight]].value.ndim
    return tuple(axis for axis in range(rank) if weight.axis is None or axis != weight.axis % rank)
