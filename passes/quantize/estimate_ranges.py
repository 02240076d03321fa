"""`estimate-ranges`: ranges without data, from what the model's BatchNorms learnt of their own results.

Behind a BatchNormalization, channel c has the mean beta_c and the standard deviation |gamma_c|. Those of the values
behind it follow in closed form: through Relu and Clip as of a clipped normal variable, through sums as of independent
ones, through layers by their weights. A value's range is that of its widest channel, a number of deviations about the
mean. Where no BatchNorm stands before a value, as at the model's input, nothing is said and it stays real.

The pass runs before BatchNorms are folded; what they said stays in `context.moments`.

Source: Nagel et al., arXiv 1906.04721, section 4.2 and appendix C.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import weighted
from qir.passes.fuse.preprocess import PIXELS
from qir.passes.quantize.clamp import bounds
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.gaussian import clipped_moments
from qir.statistics import Moments

_SAME = ("Identity", "Dropout", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool")
"""Operators whose channels are bounded as those of their input; an average keeps their mean too."""
_RESHAPES = ("Flatten", "Reshape", "Squeeze")


@dataclass(frozen=True)
class EstimateRanges(Pass):
    """Notes ranges that follow from BatchNorm statistics, for models without calibration data.

    Attributes:
        deviations: how many standard deviations about the mean a channel may use.
    """

    name: ClassVar[str] = "estimate-ranges"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT})
    promise: ClassVar[Promise] = Promise.ANNOTATE
    deviations: float = 6.0

    def run(self, graph: Graph, context: Context) -> Graph:
        found: dict[str, Moments] = {}
        for node in graph.nodes:
            moments = _result(node, graph, found, self.deviations)
            if moments is not None and all(np.isfinite(part).all() for part in vars(moments).values()):
                found[node.outputs[0]] = moments
        if not found:
            return graph
        context.moments = found
        ranges = {name: moments.range for name, moments in found.items()}
        if PIXELS in graph.metadata:
            ranges[graph.metadata[PIXELS]] = (0.0, 255.0)
        context.notes.append(
            f"ranges from BatchNorm statistics: {len(found)} values, {self.deviations:g} deviations; "
            "rougher than calibrated ones: check the result on samples, or give some as calibration"
        )
        return graph.with_(ranges={**ranges, **graph.ranges})


def _result(node: Node, graph: Graph, known: Mapping[str, Moments], deviations: float) -> Moments | None:
    if node.op == "BatchNormalization":
        return _normalized(node, graph, deviations)
    x = known.get(node.input(0))
    if node.op == "Add" and node.inputs[0] != node.inputs[1]:
        return _sum(x, known.get(node.inputs[1]))
    if node.op == "Concat":
        return _joined([known.get(name) for name in node.inputs]) if node.attr("axis") == 1 else None
    if x is None:
        return None
    limits = bounds(node, graph)
    if limits is not None:
        mean, std = clipped_moments(x.mean, x.std, *limits)
        return Moments(mean, std, np.clip(x.low, *limits), np.clip(x.high, *limits))
    if node.op in _SAME:
        return x
    if node.op in _RESHAPES:
        return _flattened(node, graph, x)
    return _layer(node, graph, x)


def _normalized(node: Node, graph: Graph, deviations: float) -> Moments | None:
    gamma, beta = graph.value(node.inputs[1]), graph.value(node.inputs[2])
    if gamma is None or beta is None or node.attr("training_mode", 0):
        return None
    return Moments.normal(beta.astype(np.float64), np.abs(gamma.astype(np.float64)), deviations)


def _sum(x: Moments | None, y: Moments | None) -> Moments | None:
    if x is None or y is None or x.mean.shape != y.mean.shape:
        return None
    return Moments(x.mean + y.mean, np.hypot(x.std, y.std),
                   x.mean + y.mean - np.hypot(x.mean - x.low, y.mean - y.low),
                   x.mean + y.mean + np.hypot(x.high - x.mean, y.high - y.mean))  # fmt: skip


def _joined(parts: list[Moments | None]) -> Moments | None:
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    columns = zip(*((part.mean, part.std, part.low, part.high) for part in known), strict=True)
    return Moments(*(np.concatenate(column) for column in columns))


def _flattened(node: Node, graph: Graph, x: Moments) -> Moments | None:
    """[N, C, H, W] as [N, C*H*W]: every channel as often as it has positions."""
    before, after = graph.types[node.inputs[0]], graph.types[node.outputs[0]]
    if not isinstance(before, TensorType) or not isinstance(after, TensorType):
        return None
    old, new = before.shape or (), after.shape or ()
    if len(old) < 2 or len(new) != 2 or old[0] != new[0] or not all(isinstance(dim, int) for dim in (*old[1:], new[1])):
        return None
    size = int(np.prod([dim for dim in old[1:] if isinstance(dim, int)]))
    return x[np.repeat(np.arange(len(x.mean)), size // len(x.mean))] if size == new[1] else None


def _layer(node: Node, graph: Graph, x: Moments) -> Moments | None:
    """Behind a layer: channels independent, positions of one channel alike or independent, whichever varies more."""
    slots = weighted(node, graph)
    if slots is None or node.op == "ConvTranspose" or node.attr("transA", 0) or node.attr("alpha", 1.0) != 1.0:
        return None
    weight = graph.constants[node.inputs[slots.weight]].value.astype(np.float64)
    bias = graph.value(node.input(slots.bias)) if slots.bias >= 0 and node.input(slots.bias) else np.zeros(1)
    if bias is None or (node.op != "Conv" and weight.ndim != 2) or node.attr("beta", 1.0) != 1.0:
        return None
    cells = weight.reshape(*weight.shape[:2], -1)
    if node.op != "Conv":
        cells = (weight if node.attr("transB", 0) else weight.T)[:, :, None]
    groups = int(node.attr("group", 1))
    if cells.shape[1] * groups != len(x.mean) or bias.size not in (1, len(cells)):
        return None
    inputs = channels_read(len(cells), cells.shape[1], groups)
    sums = cells.sum(axis=2)
    mean = (sums * x.mean[inputs]).sum(axis=1) + bias.reshape(-1)
    gain = np.sqrt(np.maximum(sums**2, (cells**2).sum(axis=2)))
    above, below = (x.high - x.mean)[inputs], (x.mean - x.low)[inputs]

    def joint(parts: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(np.square(gain * parts).sum(axis=1)))

    return Moments(mean, joint(x.std[inputs]), mean - joint(np.where(sums < 0, above, below)),
                   mean + joint(np.where(sums < 0, below, above)))  # fmt: skip


def channels_read(outputs: int, per_group: int, groups: int) -> np.ndarray:
    """The input channels [M, C/g] that each output channel of a layer reads."""
    group = np.arange(outputs) * groups // outputs
    return group[:, None] * per_group + np.arange(per_group)
