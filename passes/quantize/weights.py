"""The format of a layer's weight, and giving a constant its codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.ir.dtype import FLOAT32, INT4, INT8, INT16, UINT4, UINT8, UINT16, DType, of_array
from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import Weighted
from qir.passes.quantize.observed import gram_of
from qir.passes.quantize.saturation import without_saturation
from qir.passmanager.base import Context
from qir.quant.clipping import searched, searched_power_of_two
from qir.quant.scales import encode, weight_params
from qir.rewrite.editor import Editor

_ALL_CODES = 4
"""Up to so many bits the lowest code is used too, which has no positive partner."""
_SEARCHED = 6
"""Up to so many bits the scale is searched; above, clipping costs more than the finer step gains."""


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
