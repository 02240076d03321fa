"""One layer under the lens: its error taken apart by putting the float model's parts back one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qir.debug.compare import dequantized
from qir.debug.pairing import Pairing
from qir.evaluate import Runner
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.ops.softmax_operand import softmax_operands, told_apart
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.clamp import bounds, is_absorbed
from qir.quant.error import difference
from qir.quant.scales import affine_params, decode, encode, weight_params
from qir.statistics import Histogram, value_range

_CLAMPS = ("Relu", "Clip")


@dataclass(frozen=True)
class Heavy:
    """The only weighted node of a layer, in one of the two graphs.

    Attributes:
        node: the node.
        slots: where its weight and bias are.
        weight: the weight's real values, as the judged network's node takes them.
        bias: [C], zeros where there is none.
    """

    node: Node
    slots: Weighted
    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Probe:
    """A layer with what it computes from the float model's operands.

    Noise is mean squared error against the float model's result.

    Attributes:
        pairing: of the float model and the judged network.
        layer: name of the layer's result.
        operands: the float model's arrays, by the judged network's names.
        expected: the float model's result.
    """

    pairing: Pairing
    layer: str
    operands: Mapping[str, np.ndarray]
    expected: np.ndarray

    @property
    def graph(self) -> Graph:
        return self.pairing.quant

    @cached_property
    def region(self) -> tuple[Node, ...]:
        return self.pairing.region(self.layer)

    @cached_property
    def node(self) -> Node | None:
        return self.pairing.node(self.layer)

    @cached_property
    def quant(self) -> Affine | None:
        """The codes of the layer's result."""
        kind = self.graph.types[self.layer]
        return kind.quant if isinstance(kind, TensorType) else None

    @cached_property
    def signal(self) -> float:
        """Mean square of the float model's result."""
        return _power(self._told(self.expected))

    # --- the parts -------------------------------------------------------------------------------------------------

    @cached_property
    def mine(self) -> Heavy | None:
        """The judged network's weighted node, dequantized."""
        return _heavy(self.region, self.graph)

    @cached_property
    def real(self) -> Heavy | None:
        """The float model's, its weight in the judged node's layout; None where they cannot be laid side by side."""
        mine, real = self.mine, _heavy(self.pairing.real_region(self.layer), self.pairing.real)
        if mine is None or real is None:
            return None
        weight = real.weight
        if {mine.node.op, real.node.op} <= {"Gemm", "MatMul"} and weight.ndim == 2:
            if bool(mine.node.attr("transB", 0)) != bool(real.node.attr("transB", 0)):
                weight = weight.T
        bias = real.bias
        if weight.shape != mine.weight.shape or bias.shape != mine.bias.shape:
            return None
        return Heavy(real.node, real.slots, weight, bias)

    @cached_property
    def lost_clamps(self) -> tuple[Node, ...]:
        """Relu and Clip nodes of the float model's layer that the judged network's has not."""
        have = [node.op for node in self.region]
        lost = []
        for node in self.pairing.real_region(self.layer):
            if node.op in have:
                have.remove(node.op)
            elif node.op in _CLAMPS:
                lost.append(node)
        return tuple(lost)

    @cached_property
    def forgotten_clamps(self) -> tuple[Node, ...]:
        """Those of them that nothing does the work of: the codes were made for the values before the clamp.

        Codes that fit neither the values before the clamp nor those behind it are wrong themselves.
        """
        limits = [bounds(node, self.pairing.real) for node in self.lost_clamps]
        if not limits or all(known is not None and self._absorbs(known) for known in limits):
            return ()
        if self.quant is None or self.quant.axis is not None:
            return self.lost_clamps
        if any(abs(float(self.quant.scale) / width - 1) < 0.02 for width in self._usual_steps(limits)):
            return ()  # made for the values behind the clamp, and wrong in another way
        before = Histogram.of(self._unclamped)
        scale, zero_point = affine_params(*value_range(before, "percentile", p=99.9), self.quant.storage)
        steps = float(self.quant.scale) / float(scale)
        near = abs(int(self.quant.zero_point) - int(zero_point)) <= 64
        return self.lost_clamps if 0.5 < steps < 2 and near else ()

    def _usual_steps(self, limits: Sequence[tuple[float, float] | None]) -> list[float]:
        """Scales that the usual ways of choosing a range, and the clamps themselves, give the result."""
        assert self.quant is not None
        ranges = [value_range(self.histogram, method) for method in ("mse", "minmax", "percentile")]
        ranges += [known for known in limits if known is not None and np.isfinite(known).all()]
        return [float(affine_params(*found, self.quant.storage)[0]) for found in ranges]

    def _absorbs(self, limits: tuple[float, float]) -> bool:
        return self.quant is not None and is_absorbed(limits, self.quant)

    @cached_property
    def _unclamped(self) -> np.ndarray:
        real = self.real
        if real is None:
            return self._computed(None, None)
        return self._computed(real.weight, real.bias)

    def _computed(self, weight: np.ndarray | None, bias: np.ndarray | None) -> np.ndarray:
        return _run(self.pairing, self.layer, self.operands, self.mine, weight, bias)

    # --- the results -----------------------------------------------------------------------------------------------

    def result(self, *, weight: np.ndarray | None = None, bias: np.ndarray | None = None) -> np.ndarray:
        """What the judged network's layer computes before its result is rounded, with other real parameters."""
        if not self.region:
            return self.expected  # an input: nothing but rounding
        return self._clamped(self._computed(weight, bias))

    @cached_property
    def raw(self) -> np.ndarray:
        """With its own parameters."""
        return self.result()

    @cached_property
    def mended(self) -> np.ndarray:
        """With the float model's weight and bias: what is still wrong is the structure."""
        return self.raw if self.real is None else self.result(weight=self.real.weight, bias=self.real.bias)

    def _clamped(self, value: np.ndarray) -> np.ndarray:
        for node in () if self.forgotten_clamps else self.lost_clamps:
            limits = bounds(node, self.pairing.real)
            value = value if limits is None else np.clip(value, *limits)
        return value

    def rounded(self, value: np.ndarray, quant: Affine | None = None) -> np.ndarray:
        """A value as its codes, by default those of the layer's result, give it back."""
        chosen = quant or self.quant
        return value if chosen is None else decode(encode(value, chosen), chosen)

    # --- distances, as far as what reads the result tells elements apart ----------------------------------------------

    @cached_property
    def _softmax_axis(self) -> int | None:
        return softmax_operands(self.graph).get(self.layer)

    def _told(self, value: np.ndarray) -> np.ndarray:
        return value if self._softmax_axis is None else told_apart(value, self._softmax_axis)

    def _distance(self, value: np.ndarray, other: np.ndarray) -> float:
        """Mean squared difference of two results."""
        return _power(difference(self._told(value), self._told(other)))

    # --- the noise of each part, and the least that 8 bits need ------------------------------------------------------

    def noise(self, value: np.ndarray) -> float:
        """Mean squared error against the float model's result; infinite where the shapes differ."""
        if value.shape != self.expected.shape:
            return float("inf")
        return self._distance(value, self.expected)

    @cached_property
    def structure_noise(self) -> float:
        """Of everything but parameters and rounding."""
        return self.noise(self.mended)

    @cached_property
    def weight_noise(self) -> float:
        """Of the weight alone."""
        if self.real is None:
            return 0.0
        return self.added(self.result(bias=self.real.bias))

    @cached_property
    def bias_noise(self) -> float:
        """Of the bias alone."""
        if self.real is None:
            return 0.0
        return self.added(self.result(weight=self.real.weight))

    def added(self, value: np.ndarray) -> float:
        """Mean squared difference from the layer with the float model's parameters."""
        return self._distance(value, self.mended)

    @cached_property
    def rounding_noise(self) -> float:
        """Of the result's codes alone."""
        return self.noise(self.rounded(self.expected))

    @cached_property
    def clipping_noise(self) -> float:
        """The part of it that comes from values outside of the codes' range."""
        low, high = self.range
        return self._distance(self.expected, np.clip(self.expected, low, high))

    @cached_property
    def range(self) -> tuple[float, float]:
        """The real numbers that the result's codes reach from and to."""
        if self.quant is None:
            return -np.inf, np.inf
        ends = decode(np.array([self.quant.qmin, self.quant.qmax]).reshape(2, *([1] * 0)), self.quant) \
            if self.quant.axis is None else np.array([-np.inf, np.inf])  # fmt: skip
        return float(ends[0]), float(ends[1])

    @cached_property
    def histogram(self) -> Histogram:
        """Of the float model's result."""
        return Histogram.of(self.expected)

    @cached_property
    def best_quant(self) -> Affine | None:
        """Codes of the same storage with the range of least squared error on these samples."""
        if self.quant is None or self.quant.axis is not None or not self.expected.size:
            return None
        low, high = value_range(self.histogram, "mse")
        scale, zero_point = affine_params(low, high, self.quant.storage)
        return Affine(self.quant.storage, scale, zero_point)

    @cached_property
    def least_rounding_noise(self) -> float:
        """What the result's best codes cost."""
        return 0.0 if self.best_quant is None else self.noise(self.rounded(self.expected, self.best_quant))

    @cached_property
    def best_weight(self) -> Affine | None:
        """Per-channel 8-bit codes of the float model's weight."""
        if self.real is None:
            return None
        axis = self.real.slots.channel_axis if self.mine is None else self.mine.slots.channel_axis
        weight = self.real.weight
        grouped = self.real.node.op == "ConvTranspose" and self.real.node.attr("group", 1) != 1
        per_channel = weight.ndim > 1 and not grouped and not (self.real.node.op == "MatMul" and weight.ndim != 2)
        return weight_params(weight, axis=axis % weight.ndim if per_channel else None)

    @cached_property
    def least_weight_noise(self) -> float:
        """What nearest rounding to those costs."""
        if self.real is None or self.best_weight is None:
            return 0.0
        codes = encode(self.real.weight, self.best_weight)
        return self.added(self.result(weight=decode(codes, self.best_weight), bias=self.real.bias))


def _power(value: np.ndarray) -> float:
    if not value.size:
        return 0.0
    flat = np.nan_to_num(np.asarray(value, np.float64).reshape(-1), nan=1e18, posinf=1e18, neginf=-1e18)
    return float(flat @ flat) / flat.size


def _heavy(region: tuple[Node, ...], graph: Graph) -> Heavy | None:
    found = [(node, slots) for node in region if (slots := weighted(node, graph)) is not None]
    if len(found) != 1:
        return None
    node, slots = found[0]
    weight = dequantized(graph, node.inputs[slots.weight])
    channels = weight.shape[slots.channel_axis % weight.ndim] if weight.ndim else 1
    if node.op == "ConvTranspose":
        channels *= int(node.attr("group", 1))
    bias = np.zeros(channels, np.float32)
    if slots.bias >= 0 and node.input(slots.bias):
        if node.input(slots.bias) not in graph.constants:
            return None
        given = dequantized(graph, node.input(slots.bias)).reshape(-1)
        bias = np.broadcast_to(given, bias.shape) if given.size in (1, bias.size) else given
    return Heavy(node, slots, weight, bias)


def _run(pairing: Pairing, layer: str, operands: Mapping[str, np.ndarray], heavy: Heavy | None,
         weight: np.ndarray | None, bias: np.ndarray | None) -> np.ndarray:  # fmt: skip
    """The judged network's nodes of one layer, its result not rounded."""
    graph, nodes = pairing.quant, list(pairing.region(layer))
    types = dict(graph.types)
    constants = {name: graph.constants[name] for node in nodes for name in node.reads if name in graph.constants}
    for name in (*operands, layer):
        kind = graph.tensor(name)
        types[name] = TensorType(kind.dtype, None if name == layer else kind.shape)
    if heavy is not None:
        changes = {heavy.slots.weight: weight, heavy.slots.bias: bias}
        inputs = list(heavy.node.inputs)
        for slot, value in changes.items():
            if value is None or slot < 0 or not (value.any() or heavy.node.input(slot)):
                continue
            name = f"{layer}/operand{slot}"
            inputs += [""] * (slot + 1 - len(inputs))
            inputs[slot] = name
            constants[name] = Constant(np.array(value, np.float32))
            types[name] = TensorType(graph.tensor(heavy.node.inputs[heavy.slots.weight]).dtype, value.shape)
        nodes = [node.with_(inputs=tuple(inputs)) if node.name == heavy.node.name else node for node in nodes]
    made = {name for node in nodes for name in node.outputs if name}
    reads = {name for node in nodes for name in node.reads}
    known = {name: types[name] for name in (*operands, *made, *constants, layer, *reads) if name in types}
    small = Graph("layer", tuple(operands), (layer,), tuple(nodes), known, constants, Stage.QUANT, graph.opsets,
                  functions=graph.functions)  # fmt: skip
    found: Any = Runner(small)(operands)[layer]
    return np.asarray(found)
