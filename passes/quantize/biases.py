"""`quantize-biases`: rounds the biases of integer layers to int32 with scale s_x * s_w.

Where a bias would leave int32 because s_x * s_w is tiny, the channel's weight scale is raised and its weight rounded
again (qir.quant.scales.bias_params). Beside 16-bit codes the bias takes a coarser scale of its own there: targets that
run such layers as integers accumulate in 64 bits and round its real values, and onnxruntime, which runs them in float,
would let a real bias saturate in units of s_x * s_w. Beside an input of at most 16 codes that unit is too coarse for a
bias, which stays real.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.ir.dtype import INT32
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine
from qir.ops.weighted import Weighted, reads_few_codes, weighted
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
        if data is None or weight is None or graph.tensor(node.inputs[slots.bias]).quant is not None:
            continue
        if reads_few_codes(node, graph):
            continue
        _round(edit, node, slots, data, weight)
    return edit.build()


def _round(edit: Editor, node: Node, slots: Weighted, data: Affine, weight: Affine) -> None:
    bias = edit.constants[edit.current(node).inputs[slots.bias]].value
    wide = max(data.storage.bits, weight.storage.bits) > 8
    largest = 255 * np.abs(_codes(edit, node, slots, weight)).sum(axis=_others(edit, node, slots, weight))
    if not wide and (largest >= 2**31 - 1).any():
        return  # the products alone can overflow: the layer runs in float, its bias stays real
    if bias.size == 1 != weight.scale.size:
        bias = np.full(weight.scale.shape, bias.reshape(-1)[0])
        edit.replace_input(node, slots.bias, edit.constant(f"{node.inputs[slots.bias]}_{node.name}", bias))
    if wide:
        _round_wide(edit, node, slots.bias, bias, np.asarray(data.scale * weight.scale))
        return
    codes, scale, weight_scale = bias_params(bias.reshape(-1), data.scale, weight.scale, headroom=largest)
    if not np.array_equal(weight_scale, weight.scale):
        set_codes(edit, node, slots.weight, replace(weight, scale=weight_scale))
    axis = None if np.ndim(scale) == 0 else bias.ndim - 1
    set_codes(
        edit, node, slots.bias, Affine(INT32, scale, np.zeros_like(scale, np.int32), axis), codes.reshape(bias.shape)
    )


def _round_wide(edit: Editor, node: Node, slot: int, bias: np.ndarray, scale: np.ndarray) -> None:
    largest = np.abs(bias.reshape(-1).astype(np.float64))
    smallest = 1.0001 * (largest if scale.ndim else largest.max(initial=0)) / (2**31 - 1)
    scale = np.maximum(np.maximum(scale, smallest), np.finfo(np.float32).tiny).astype(np.float32)
    axis = bias.ndim - 1 if scale.ndim else None
    set_codes(edit, node, slot, Affine(INT32, scale, np.zeros(scale.shape, np.int32), axis))


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
