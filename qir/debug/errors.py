"""How far values are from their reference: sums that any number of samples stream into, and the errors they give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Error:
    """Distance of a value from its reference.

    Attributes:
        sqnr: signal to quantization noise ratio in dB, `10 log10(sum r^2 / sum (r - o)^2)`; infinite where equal.
        cosine: of the angle between the two, in [-1, 1]; 1 where both are all zero.
        max_abs: largest absolute difference.
    """

    sqnr: float
    cosine: float
    max_abs: float

    def as_json(self) -> dict[str, float | None]:
        """Plain numbers; None stands for what JSON cannot hold."""
        return {key: value if math.isfinite(value) else None for key, value in vars(self).items()}


@dataclass
class Sums:
    """What `Error` needs, summed over batches in float64."""

    signal: float = 0.0
    other: float = 0.0
    product: float = 0.0
    noise: float = 0.0
    max_abs: float = 0.0
    count: int = 0

    def add(self, reference: np.ndarray, other: np.ndarray) -> None:
        """Adds one batch of a value; NaN and infinities where the reference has none count as infinitely wrong."""
        if reference.size == 0:
            return
        r, o = np.asarray(reference, np.float64).reshape(-1), np.asarray(other, np.float64).reshape(-1)
        with np.errstate(invalid="ignore", over="ignore"):
            far = r - o
            noise = float(far @ far)
        if not math.isfinite(noise):
            same = (r == o) | (np.isnan(r) & np.isnan(o))  # equal infinities are no error
            far = np.where(same, 0.0, np.inf)
            far[np.isfinite(r) & np.isfinite(o)] = 0.0
            noise = float(far.max())
            r, o = np.nan_to_num(r, posinf=0, neginf=0), np.nan_to_num(o, posinf=0, neginf=0)
        self.signal += float(r @ r)
        self.other += float(o @ o)
        self.product += float(r @ o)
        self.noise += noise
        self.max_abs = max(self.max_abs, float(far.max()), -float(far.min()))
        self.count += r.size

    @property
    def error(self) -> Error:
        """The error over everything that was added."""
        if self.noise == 0:
            return Error(math.inf, 1.0, 0.0)
        ratio = self.signal / self.noise if math.isfinite(self.noise) else 0.0
        norms = math.sqrt(self.signal * self.other)
        cosine = min(max(self.product / norms, -1.0), 1.0) if norms > 0 else 0.0
        return Error(10 * math.log10(ratio) if ratio > 0 else -math.inf, cosine, self.max_abs)


@dataclass(frozen=True)
class LayerError:
    """How far one layer is from the float model. A layer is a value that both models have, and the nodes that make it.

    Attributes:
        value: the layer's result, by its name in the quantized model.
        node, op: of the quantized model's node that makes it.
        origin: names of the nodes of the user's model that the layer stands for.
        accumulated: of the value in the whole quantized model.
        isolated: of the value when only this layer is quantized: its operands are the float model's.
        effect: SQNR of the worst output when only this layer is quantized, in dB; None where it was not measured.
        weight: of the layer's dequantized weight; None for layers without one.
    """

    value: str
    node: str
    op: str
    origin: tuple[str, ...]
    accumulated: Error
    isolated: Error
    effect: float | None
    weight: Error | None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text; None stands for what JSON cannot hold."""
        effect = self.effect if self.effect is not None and math.isfinite(self.effect) else None
        return {
            "value": self.value, "node": self.node, "op": self.op, "origin": list(self.origin),
            "accumulated": self.accumulated.as_json(), "isolated": self.isolated.as_json(), "effect": effect,
            "weight": None if self.weight is None else self.weight.as_json(),
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A quantized model against its float model.

    Attributes:
        layers: in execution order.
        outputs: the error of each output, by name.
        samples: how many were run.
    """

    layers: tuple[LayerError, ...]
    outputs: Mapping[str, Error]
    samples: int

    @property
    def worst_output(self) -> float:
        """SQNR of the worst output in dB."""
        return min((error.sqnr for error in self.outputs.values()), default=math.inf)
