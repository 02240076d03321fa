"""`quantize-weights`: rounds weights to int8, symmetric, one scale an output channel (or one a tensor).

`q = clamp(rint(w / s), -127, 127)`, `s = max|w| / 127`. Weights of layers whose input is codes run as integers; with a
recipe that only quantizes weights they are stored as codes and computed in float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.dtype import FLOAT32, INT8, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.saturation import without_saturation
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.scales import encode, weight_params
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor


@dataclass(frozen=True)
class QuantizeWeights(Pass):
    """Rounds the weights of every layer that the recipe quantizes."""

    name: ClassVar[str] = "quantize-weights"
    gives: ClassVar[Stage | None] = Stage.QUANT
    promise: ClassVar[Promise] = Promise.LOSSY

    def run(self, graph: Graph, context: Context) -> Graph:
        graph = graph if graph.stage is Stage.QUANT else graph.with_(stage=Stage.QUANT)
        graph = map_bodies(graph, lambda body: _quantize_weights(body, context))
        return _quantize_weights(graph, context)


def _quantize_weights(graph: Graph, context: Context) -> Graph:
    edit = Editor(graph)
    for node in graph.nodes:
        slots = weighted(node, graph)
        if slots is None or not _wants_codes(node, slots, graph, context):
            continue
        name = node.inputs[slots.weight]
        constant = graph.constants[name]
        axis = slots.channel_axis % constant.value.ndim
        if node.op == "ConvTranspose" and node.attr("group", 1) != 1:
            per_channel = False  # the weight's axis 1 counts channels of one group only
        elif node.op == "MatMul" and constant.value.ndim != 2:
            per_channel = False  # a vector has no channels, a stack of matrices has more than one axis of them
        else:
            per_channel = context.recipe.layer((node.name, *node.origin), node.op).per_channel
        quant = weight_params(constant.value, INT8, axis if per_channel else None)
        if context.target.max_pair_sum is not None and graph.tensor(node.inputs[0]).quant is not None:
            quant = without_saturation(node, constant.value, quant, context.target.max_pair_sum)
        set_codes(edit, node, slots.weight, quant)
    return edit.build()


def _wants_codes(node: Node, slots: Weighted, graph: Graph, context: Context) -> bool:
    layer = context.recipe.layer((node.name, *node.origin), node.op)
    weight, data = graph.tensor(node.inputs[slots.weight]), graph.tensor(node.inputs[0])
    if layer.weight_bits is None or weight.dtype != FLOAT32 or weight.quant is not None:
        return False
    if data.quant is None:
        calibrated = context.statistics is not None or bool(graph.ranges)
        return layer.activation_bits is None or not calibrated
    return not isinstance(context.target.rule(node, graph), str)


def set_codes(edit: Editor, node: Node, slot: int, quant: Affine, codes: np.ndarray | None = None) -> None:
    """Rounds a node's constant operand; a constant that others use too is first duplicated from its real values.

    Args:
        codes: already rounded; by default the nearest ones.
    """
    name = edit.current(node).inputs[slot]
    value = edit.constants[name].value
    if len(edit.graph.index.consumers(name)) > 1 or edit.graph.index.is_output(name) or node.inputs.count(name) > 1:
        name = edit.constant(f"{name}_{node.name}", value)
        edit.replace_input(node, slot, name)
    edit.set_constant(name, Constant(value, encode(value, quant) if codes is None else codes))
    edit.set_type(name, TensorType(of_array(value), value.shape, quant))
