"""`quantize-weights`: rounds weights, one scale an output channel (or one a tensor), in the recipe's format.

Symmetric codes of b bits are `q = clamp(rint(w / s), -m, m)`, `m = 2^(b-1) - 1`, `s = max|w| / m`; up to 4 bits the
code -2^(b-1) is used as well. Up to 6 bits, and for scales that are powers of two, the scale is the one that leaves the
least squared error, weighted by the mean square of the inputs where they were observed (qir.quant.clipping). Asymmetric
codes are unsigned with a zero point for every scale. Storage is 4 bits wide up to 4 bits, 8 up to 8, else 16.

Weights of layers whose input is codes run as integers; with a recipe that only quantizes weights they are stored as
codes and computed in float.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.errors import PassError
from qir.ir.dtype import FLOAT32, INT4, INT8, INT16, UINT4, UINT8, UINT16, DType, of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.observed import gram_of
from qir.passes.quantize.saturation import without_saturation
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.clipping import searched, searched_power_of_two
from qir.quant.scales import encode, weight_params
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor

_ALL_CODES = 4
"""Up to so many bits the lowest code is used too, which has no positive partner."""
_SEARCHED = 6
"""Up to so many bits the scale is searched; above, clipping costs more than the finer step gains."""


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
        if slots is not None and wants_codes(node, slots, graph, context):
            if context.recipe.layer((node.name, *node.origin), node.op).has_few_values:
                raise PassError("nothing has fitted the few values that the recipe gives its weights", node=node.name,
                                fix="Put ternarize, binarize or fit-planes in front of quantize-weights")  # fmt: skip
            set_codes(edit, node, slots.weight, weight_codes(node, slots, graph, context))
    return edit.build()


def weight_codes(node: Node, slots: Weighted, graph: Graph, context: Context, bits: int | None = None) -> Affine:
    """The codes of a layer's weight in the format that the recipe gives it.

    Args:
        bits: instead of the recipe's.
    """
    weight = graph.constants[node.inputs[slots.weight]].value
    layer = context.recipe.layer((node.name, *node.origin), node.op)
    axis = scale_axis(node, slots, weight) if layer.per_channel else None
    width = bits or layer.weight_width or 8
    storage = _storage(width, layer.weight_symmetric)
    quant = weight_params(weight, storage, axis, symmetric=layer.weight_symmetric, power_of_two=layer.power_of_two,
                          bits=width)  # fmt: skip
    if layer.weight_symmetric and width <= _ALL_CODES:
        quant = replace(quant, qmin=-(1 << (width - 1)))
    if layer.power_of_two:
        quant = searched_power_of_two(weight, quant, _importance(node, weight, context))
    elif width <= _SEARCHED:
        quant = searched(weight, quant, _importance(node, weight, context))
    limit = pair_limit(node, quant, graph, context)
    if limit is None:
        return quant
    return without_saturation(node, weight, quant, limit, power_of_two=layer.power_of_two)


def pair_limit(node: Node, quant: Affine, graph: Graph, context: Context) -> int | None:
    """Largest sum of two neighbouring codes of one sign; None where no kernel adds them in 16 bits."""
    data = graph.tensor(node.inputs[0]).quant
    if quant.storage != INT8 or data is None or data.storage.bits != 8:
        return None
    return context.target.max_pair_sum


def scale_axis(node: Node, slots: Weighted, weight: np.ndarray) -> int | None:
    """The axis with a scale each; None where there can be only one scale."""
    if node.op == "ConvTranspose" and node.attr("group", 1) != 1:
        return None  # the weight's axis 1 counts channels of one group only
    if node.op == "MatMul" and weight.ndim != 2:
        return None  # a vector has no channels, a stack of matrices has more than one axis of them
    return slots.channel_axis % weight.ndim


def _storage(bits: int, symmetric: bool) -> DType:
    signed, unsigned = (INT4, UINT4) if bits <= 4 else (INT8, UINT8) if bits <= 8 else (INT16, UINT16)
    return signed if symmetric else unsigned


def _importance(node: Node, weight: np.ndarray, context: Context) -> np.ndarray | None:
    """Mean square of the input that each weight of a Conv, Gemm or MatMul multiplies, up to a factor."""
    gram = gram_of(node, weight, context)
    if gram is None or not gram.diagonal.any():
        return None
    squares = gram.diagonal
    if node.op == "Conv":
        channels = np.repeat(squares, weight.shape[0] // len(squares), axis=0)
        return channels.reshape(weight.shape)
    return np.asarray(squares[0] if node.attr("transB", 0) else squares[0][:, None])


def wants_codes(node: Node, slots: Weighted, graph: Graph, context: Context) -> bool:
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
