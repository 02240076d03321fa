"""A condition on steps: the first layer whose error passes a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qir.debug.errors import Sums
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.ir.types import TensorType
from qir.passmanager.manager import Step
from qir.rewrite.channel_offsets import moved_like
from qir.rewrite.channel_scaling import scaled_like


@dataclass(frozen=True)
class Departure:
    """A layer that left the first graph behind.

    Attributes:
        step: after which it was found.
        node, value: the node that makes the value, and its name; the first such node in execution order.
        origin: names of the user's nodes that the node stands for.
        sqnr: in dB, of the value against the first graph's of the same name.
    """

    step: Step
    node: str
    value: str
    origin: tuple[str, ...]
    sqnr: float

    def __str__(self) -> str:
        origin = "" if self.origin in ((), (self.node,)) else f" (from {', '.join(self.origin)})"
        where = f"node '{self.node}'{origin}, tensor '{self.value}'"
        return f"{where}: {self.sqnr:.1f} dB after pass {self.step}"


@dataclass
class LayerBelow:
    """Says of a step whether it is the first after which a layer's SQNR is below a limit.

    Values are compared with those of the same name in the first graph it sees, its channels moved and scaled as those
    of the graph after the step, on the samples: float tensors of one shape, accumulated from the input on.

    Attributes:
        samples: inputs by name, as the compiled graph takes them.
        limit: in dB.
        found: the layer, once there is one.
    """

    samples: Mapping[str, Any]
    limit: float
    found: Departure | None = None
    _first: Graph | None = None
    _reference: tuple[Graph, Mapping[str, Any], Mapping[str, Any]] | None = None

    def __call__(self, step: Step) -> bool:
        if self._first is None:
            # This pass changes what the inputs are, so the graphs before it and after it take other samples.
            self._first = step.after if step.applied.name == "fold-preprocess" else step.before
        if self.found is None and step.changed:
            self.found = self._departure(step)
        return self.found is not None

    def _departure(self, step: Step) -> Departure | None:
        assert self._first is not None
        samples, first = (
            _fitting(step.after, self.samples),
            scaled_like(moved_like(self._first, step.after), step.after),
        )
        if self._reference is None or self._reference[0] is not first or _shapes(samples) != self._reference[1]:
            self._reference = first, _shapes(samples), evaluate(first, samples, _floats(first))
        wanted = self._reference[2]
        shared = tuple(name for name in _floats(step.after) if name in wanted)
        values = evaluate(step.after, samples, shared)
        for node in step.after.nodes:
            for name in node.outputs:
                if name not in shared or values[name].shape != wanted[name].shape:
                    continue
                sums = Sums()
                sums.add(wanted[name], values[name])
                if sums.error.sqnr < self.limit:
                    return Departure(step, node.name, name, node.origin, sums.error.sqnr)
        return None


def layer_below(samples: Mapping[str, Any], limit: float) -> LayerBelow:
    """A condition for `qir.steps(..., until=...)`: stop where a layer's SQNR first falls below `limit` dB.

    Its `found` then says which layer and after which pass.
    """
    return LayerBelow(samples, limit)


def _floats(graph: Graph) -> tuple[str, ...]:
    """Float tensors that nodes make, in order."""
    names = (name for node in graph.nodes for name in node.outputs if name)
    return tuple(n for n in names if isinstance(kind := graph.types.get(n), TensorType) and kind.dtype.is_float)


def _fitting(graph: Graph, samples: Mapping[str, Any]) -> dict[str, Any]:
    """As many of the leading samples as the graph takes."""
    found = {}
    for name, array in samples.items():
        kind = graph.types.get(name)
        shape = kind.shape if isinstance(kind, TensorType) else None
        size = shape[0] if shape else None
        found[name] = array[:size] if isinstance(size, int) and np.ndim(array) else array
    return found


def _shapes(samples: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(array) for name, array in samples.items()}
