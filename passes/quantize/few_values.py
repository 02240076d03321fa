"""Weights that take a few values a channel, not steps of one size: sums of planes, ternary and binary.

The codes are int8 with a scale a channel. They keep the layer's output as well as few values can: what is known of its
inputs (few_inputs.py) weighs their errors, and the bias makes good for the mean (`correct-biases`); where nothing is
known all weights count alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qir.ir.dtype import INT8
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine, Rounding
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.correct_biases import may_move_bias
from qir.passes.quantize.few_inputs import Inputs, Watch
from qir.passes.quantize.weights import pair_limit, scale_axis, set_codes, wants_codes
from qir.passmanager.base import Context
from qir.quant.binary import binary_codes, binary_scale
from qir.quant.channels import per_channel, rows
from qir.quant.levels import TERNARY, Blocks, fitted, greedy, improved, measured, signs
from qir.quant.planes import FITTED, LARGEST, integer_scales
from qir.quant.ternary import optimal_ternary, ternary_codes
from qir.recipe import Layer
from qir.rewrite.bodies import map_bodies
from qir.rewrite.editor import Editor


@dataclass(frozen=True)
class Group:
    """Channels of a layer that read the same inputs.

    Attributes:
        rows: their weights, float64 [M, K].
        blocks: what the inputs are like.
        largest: code that kernels take.
        power_of_two: of the scales.
    """

    rows: np.ndarray
    blocks: Blocks
    largest: int = LARGEST
    power_of_two: bool = False


@dataclass(frozen=True)
class Few:
    """What stands for the weights of some channels.

    Attributes:
        codes: [M, K].
        scale: [M].
        threshold: [M], where the rounding compares with one.
        rounding: that gives a weight its code, but where others made good for it.
    """

    codes: np.ndarray
    scale: np.ndarray
    threshold: np.ndarray
    rounding: Rounding = "nearest"


def _kept(group: Group, allowed: np.ndarray, planes: np.ndarray, scales: np.ndarray) -> Few:
    """Codes that keep the outputs of a group.

    Args:
        allowed: signs of the values that a weight may have, [L, P].
        planes, scales: to begin with, [M, P, K] and [M, P].
    """
    rows, blocks, planes = group.rows, group.blocks, planes.astype(np.float64)
    nearest = measured(rows, blocks, planes, scales.astype(np.float64))
    best = improved(rows, blocks, allowed, nearest.better(fitted(rows, blocks, planes)))
    square, aim = blocks.products(rows, best.planes)
    largest = min(group.largest, FITTED[allowed.shape[1]])
    multipliers, scale = integer_scales(square, aim, best.scales, largest, power_of_two=group.power_of_two)
    return Few((multipliers[:, None] @ best.planes)[:, 0], scale, np.zeros(len(scale)))


FitGroup = Callable[[Group, Layer], Few]


def fit_ternary(group: Group, layer: Layer) -> Few:
    """Ternary codes, from those nearest to the weights on."""
    threshold, scale = optimal_ternary(group.rows, 0)
    return _kept(group, TERNARY, ternary_codes(group.rows, threshold, 0)[:, None], scale[:, None])


def fit_binary(group: Group, layer: Layer) -> Few:
    """Binary codes, from the signs of the weights on."""
    found = _kept(group, signs(1), binary_codes(group.rows)[:, None], binary_scale(group.rows, 0)[:, None])
    return replace(found, rounding="binary")


def fit_planes(group: Group, count: int) -> Few:
    """Sums of binary planes, from those nearest to the weights on: greedy, then rounding and least squares in turns."""
    plain = Blocks.plain(group.rows.shape[1])
    start = improved(group.rows, plain, signs(count), fitted(group.rows, plain, greedy(group.rows, count)))
    return _kept(group, signs(count), start.planes, start.scales)


def fit_few(group: Group, layer: Layer) -> Few:
    """What the recipe asks for."""
    if layer.weight_bits == "t":
        return fit_ternary(group, layer)
    return fit_binary(group, layer) if layer.weight_planes == 1 else fit_planes(group, layer.weight_planes)


def with_few_values(
    graph: Graph, context: Context, chosen: Callable[[Layer], bool], fit: FitGroup, *, plain: bool = False
) -> Graph:
    """The graph with codes for the weights of the layers whose treatment is chosen.

    Args:
        plain: take nothing of the inputs as known, and leave biases alone.
    """
    graph = graph if graph.stage is Stage.QUANT else graph.with_(stage=Stage.QUANT)
    unseen = replace(context, feeds=None, statistics=None)
    graph = map_bodies(graph, lambda body: _with_few_values(body, unseen, chosen, fit))
    return _with_few_values(graph, unseen if plain else context, chosen, fit)


def _with_few_values(graph: Graph, context: Context, chosen: Callable[[Layer], bool], fit: FitGroup) -> Graph:
    edit, watch = Editor(graph), None
    for node in graph.nodes:
        slots, layer = weighted(node, graph), context.recipe.layer((node.name, *node.origin), node.op)
        if slots is not None and chosen(layer) and wants_codes(node, slots, graph, context):
            watch = watch or Watch(graph, context)
            _give(edit, node, slots, layer, context, watch, fit)
    return edit.build()


def _give(
    edit: Editor, node: Node, slots: Weighted, layer: Layer, context: Context, watch: Watch, fit: FitGroup
) -> None:
    """Gives a layer's weight its codes."""
    value = edit.constants[node.inputs[slots.weight]].value
    axis = scale_axis(node, slots, value) if layer.per_channel else None
    limit = pair_limit(node, Affine(INT8, np.ones(()), np.zeros(())), edit.graph, context)
    centred = may_move_bias(node, slots, edit.graph)
    seen = watch.inputs(node, value, centred) if axis is not None else None
    matrix = rows(value.astype(np.float64), axis)
    known = seen or [Inputs(matrix, Blocks.plain(matrix.shape[1]), np.zeros(matrix.shape[1]), np.zeros(len(matrix)))]
    largest = LARGEST if limit is None else limit // 2
    parts = [fit(Group(one.aim, one.blocks, largest, layer.power_of_two), layer) for one in known]
    codes, scale, threshold = (np.concatenate([getattr(part, name) for part in parts])
                               for name in ("codes", "scale", "threshold"))  # fmt: skip
    most = int(np.abs(codes).max())
    quant = Affine(INT8, per_channel(scale, axis), per_channel(np.zeros(scale.shape), axis), axis, 0, -most, most,
                   parts[0].rounding, per_channel(threshold, axis))  # fmt: skip
    codes = _restored(codes.astype(np.int8), value.shape, axis)
    set_codes(edit, node, slots.weight, quant, codes)
    if seen is not None:
        found = [part.codes @ one.mean * part.scale for part, one in zip(parts, seen, strict=True)]
        move = np.concatenate([one.wanted for one in seen]) - np.concatenate(found)
        watch.round(node, slots, quant, codes, move if centred else None)


def _restored(codes: np.ndarray, shape: tuple[int, ...], axis: int | None) -> np.ndarray:
    """The inverse of qir.quant.channels.rows."""
    if axis is None:
        return codes.reshape(shape)
    moved = codes.reshape(shape[axis], *(size for place, size in enumerate(shape) if place != axis))
    return np.ascontiguousarray(np.moveaxis(moved, 0, axis))
