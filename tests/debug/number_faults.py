"""Faults of numbers: weights, biases and the ranges of activations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.ir.graph import Graph
from qir.passes.quantize.saturation import pair_partners, worst_pair
from qir.quant.scales import decode, encode, weight_params
from tests.debug.graph_edits import (
    bounds,
    channels,
    quant_of,
    rebased,
    spanning,
    weight_of,
    with_bias,
    with_codes,
    with_constant,
    with_weight,
)
from tests.debug.kinds import (
    Random,
    everywhere,
    has_bias,
    has_codes,
    has_weight,
    is_rectified,
    is_signed,
    is_spatial,
    is_square,
    joins,
    kind,
    zero_of,
)

# Weights.


def _one(random: Random, count: int) -> int:
    return int(random.integers(count))


@kind("channel-codes-scaled", "weight-channel-scale", place=has_weight)
def _channel_codes(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    codes, rows = channels(weight.codes, weight.axis)
    channel = _one(random, len(rows))
    rows[channel] = np.rint(rows[channel] * random.uniform(0.1, 0.6))
    return with_weight(graph, weight, codes=codes)


@kind("channel-scale-wrong", "weight-channel-scale", place=has_weight)
def _channel_scale(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    scale = weight.quant.scale.copy()
    scale[_one(random, scale.size)] *= random.choice([0.25, 0.5, 2, 4])
    return with_weight(graph, weight, replace(weight.quant, scale=scale))


@kind("weight-scale-wrong", "scale-wrong", "weight-channel-scale", place=has_weight)
def _weight_scale(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    return with_weight(graph, weight, replace(weight.quant, scale=weight.quant.scale * random.choice([0.5, 2])))


@kind("normalisation-lost", "weight-channel-scale", "weight-mismatch", place=has_weight)
def _normalisation(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    factors = np.exp(random.normal(0, 0.4, weight.quant.scale.shape))
    return with_weight(graph, weight, replace(weight.quant, scale=weight.quant.scale * factors))


@kind("scales-along-wrong-axis", "wrong-axis", place=is_square)
def _wrong_axis(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    return with_constant(graph, weight.name, replace(weight.quant, axis=1 - weight.axis), weight.codes, weight.real)


@kind("scales-shifted", "weight-channel-scale", "wrong-axis", place=has_weight)
def _scales_shifted(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    scale = np.roll(weight.quant.scale, 1 + _one(random, max(1, weight.quant.scale.size - 1)))
    return with_weight(graph, weight, replace(weight.quant, scale=scale))


@kind("one-scale-for-all-channels", "per-tensor-weight", place=has_weight)
def _per_tensor(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    quant = weight_params(weight.real, weight.quant.storage)
    return with_weight(graph, weight, quant, encode(weight.real, quant))


@kind("three-bit-weights", "weight-rounding", place=has_weight)
def _three_bits(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    quant = weight_params(weight.real, weight.quant.storage, weight.axis, bits=3)
    return with_weight(graph, weight, quant, encode(weight.real, quant))


@kind("weights-rounded-twice", "rounded-twice", place=has_weight)
def _rounded_twice(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    coarse = weight_params(weight.real, weight.quant.storage, weight.axis, bits=random.choice([3, 4]))
    quant = weight_params(weight.real, weight.quant.storage, weight.axis)
    return with_weight(graph, weight, quant, encode(decode(encode(weight.real, coarse), coarse), quant))


@kind("channels-zeroed", "dead-channels", place=has_weight)
def _dead(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    codes, rows = channels(weight.codes, weight.axis)
    rows[random.choice(len(rows), 1 + _one(random, max(1, len(rows) // 4)), replace=False)] = 0
    return with_weight(graph, weight, codes=codes)


@kind("channels-exchanged", "weight-mismatch", place=has_weight)
def _exchanged(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    codes, rows = channels(weight.codes, weight.axis)
    if len(rows) < 2:
        return None
    pair = random.choice(len(rows), 2, replace=False)
    rows[pair], scale = rows[pair[::-1]], weight.quant.scale.copy()
    scale[pair] = scale[pair[::-1]]
    return with_weight(graph, weight, replace(weight.quant, scale=scale), codes)


@kind("weight-transposed", "weight-mismatch", place=is_square)
def _transposed(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    real = np.ascontiguousarray(np.swapaxes(weight.real, 0, 1))
    quant = weight_params(real, weight.quant.storage, weight.axis)
    return with_weight(graph, replace(weight, real=real), quant, encode(real, quant))


@kind("kernel-flipped", "weight-mismatch", place=is_spatial)
def _flipped(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    axes = tuple(range(2, weight.codes.ndim))
    return with_weight(graph, weight, codes=np.ascontiguousarray(np.flip(weight.codes, axes)))


@kind("channel-shifted", "weight-mismatch", place=has_weight)
def _shifted(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    codes, rows = channels(weight.codes, weight.axis)
    channel = _one(random, len(rows))
    rows[channel] = np.roll(rows[channel].reshape(-1), 1).reshape(rows[channel].shape)
    return with_weight(graph, weight, codes=codes)


@kind("weights-of-an-older-model", "weight-mismatch", place=has_weight)
def _older(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    real = weight.real + 0.5 * weight.real.std() * random.standard_normal(weight.real.shape)
    quant = weight_params(real, weight.quant.storage, weight.axis)
    return with_weight(graph, weight, quant, encode(real, quant))


@kind("weights-saturate-16-bits", "saturation-16bit", place=has_weight, fused=True)
def _saturating(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    quant = weight_params(weight.real, weight.quant.storage, weight.axis)
    codes, partners = encode(weight.real, quant), pair_partners(weight.node, weight.real)
    if partners is None or worst_pair(weight.node, codes, partners).max() <= 128:
        return None
    return with_weight(graph, weight, quant, codes)


# Biases.


@kind("bias-in-wrong-scale", "bias-scale", place=has_bias)
def _bias_scale(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    quant, x = quant_of(graph, weight.bias), quant_of(graph, weight.node.inputs[0])
    factor = random.choice([0.25, 0.5, 2, 4, 1 / float(x.scale)])
    codes = graph.constants[weight.bias].codes
    return with_constant(graph, weight.bias, replace(quant, scale=quant.scale * factor), codes,
                         graph.constants[weight.bias].value)  # fmt: skip


@kind("bias-lost", "bias-mismatch", place=has_bias)
def _bias_lost(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    return with_bias(graph, weight.bias, np.zeros_like(graph.constants[weight.bias].value))


@kind("bias-shifted", "bias-mismatch", place=has_bias)
def _bias_shifted(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    return with_bias(graph, weight.bias, np.roll(graph.constants[weight.bias].value, 1))


@kind("bias-overflows", "bias-overflow", place=has_bias)
def _bias_overflow(graph: Graph, layer: str, random: Random) -> Graph | None:
    weight = weight_of(graph, layer)
    quant, real = quant_of(graph, weight.bias), graph.constants[weight.bias].value
    scale = np.full_like(quant.scale, np.abs(real).max() / 2**31 / random.uniform(2, 10))
    fine = replace(quant, scale=scale)
    return with_constant(graph, weight.bias, fine, encode(real, fine), real)


# Ranges of activations.


def _scaled(graph: Graph, layer: str, factor: float) -> Graph:
    quant = quant_of(graph, layer)
    return with_codes(graph, layer, replace(quant, scale=quant.scale * factor))


@kind("activation-scale-too-small", "range-clipped", place=has_codes)
def _small(graph: Graph, layer: str, random: Random) -> Graph | None:
    return _scaled(graph, layer, random.choice([0.25, 0.5]))


@kind("activation-scale-too-large", "range-too-wide", place=has_codes)
def _large(graph: Graph, layer: str, random: Random) -> Graph | None:
    return _scaled(graph, layer, random.choice([8, 16]))


@kind("range-clipped-above", "range-clipped", place=has_codes)
def _clipped(graph: Graph, layer: str, random: Random) -> Graph | None:
    low, high = bounds(quant_of(graph, layer))
    return with_codes(graph, layer, spanning(quant_of(graph, layer), low, high * random.uniform(0.15, 0.5)))


@kind("range-blown-by-outlier", "range-too-wide", place=has_codes)
def _blown(graph: Graph, layer: str, random: Random) -> Graph | None:
    low, high = bounds(quant_of(graph, layer))
    return with_codes(graph, layer, spanning(quant_of(graph, layer), low, high * random.uniform(10, 40)))


def _moved(graph: Graph, layer: str, by: int) -> Graph:
    quant = quant_of(graph, layer)
    zero = np.clip(quant.zero_point + by, quant.qmin, quant.qmax)
    return with_codes(graph, layer, replace(quant, zero_point=zero))


@kind("zero-point-wrong", "zero-point-wrong", place=is_signed)
def _zero_point(graph: Graph, layer: str, random: Random) -> Graph | None:
    return _moved(graph, layer, int(random.choice([-1, 1]) * random.integers(40, 90)))


@kind("zero-point-not-at-zero", "zero-point-wrong", "missing-activation", place=is_rectified)
def _zero_moved(graph: Graph, layer: str, random: Random) -> Graph | None:
    return _moved(graph, layer, int(random.integers(64, 160)))


@kind("stuck-at-a-bound", "stuck-at-bound", place=has_codes)
def _stuck(graph: Graph, layer: str, random: Random) -> Graph | None:
    quant = quant_of(graph, layer)
    if random.random() < 0.5:
        return _scaled(graph, layer, 1 / random.uniform(100, 400))
    return _moved(graph, layer, quant.qmax - quant.qmin if zero_of(graph, layer) < 128 else quant.qmin - quant.qmax)


@kind("one-scale-for-unlike-branches", "shared-scale", place=joins, branches=True)
def _shared(graph: Graph, layer: str, random: Random) -> Graph | None:
    node = graph.index.producer(layer)
    chosen = quant_of(graph, node.inputs[int(random.integers(len(node.inputs)))])
    for name in node.inputs:
        graph = with_codes(graph, name, chosen)
    return graph


@kind("calibrated-on-other-data", "calibration-mismatch", place=everywhere)
def _other_data(graph: Graph, layer: str, random: Random) -> Graph | None:
    factor = random.choice([0.25, 0.4, 6, 10])
    types = {
        name: replace(graph.tensor(name), quant=replace(found, scale=found.scale * factor))
        for name in graph.types
        if name not in graph.constants and (found := quant_of(graph, name)) is not None
    }
    graph = graph.with_(types={**graph.types, **types}, ranges={})
    for node in graph.nodes:
        graph = rebased(graph, node)
    return graph


@kind("relu-lost", "missing-activation", place=is_rectified)
def _relu_lost(graph: Graph, layer: str, random: Random) -> Graph | None:
    _, high = bounds(quant_of(graph, layer))
    return with_codes(graph, layer, spanning(quant_of(graph, layer), -high, high))
