"""How far the outputs have moved after each pass from those of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from qir.calibration.interface import Interface
from qir.debug.errors import Sums
from qir.debug.report.data import decibels
from qir.errors import ModelError
from qir.evaluate import Runner, evaluate
from qir.ir.graph import Graph, Stage
from qir.ir.types import TensorType
from qir.ops.weighted import macs, with_ones

MOST_SAMPLES = 8
"""So many samples are run after each pass."""

MOST_MACS = 150_000_000
"""Graphs of explicit integer arithmetic run in numpy: those with more multiply-accumulates in total are left out."""


def work(graph: Graph) -> int:
    """Multiply-accumulates for one sample."""
    single = with_ones(graph)
    return sum(macs(node, single) or 0 for node in graph.nodes)


class Drift:
    """The error of the worst output against the first graph's, graph by graph.

    Args:
        graphs: all that will be asked for, in order. Where one fixes its batch, all run in batches of that size.
        samples: inputs by name, along the first graph's batch axis.

    Attributes:
        samples: how many are run; 1 where the graphs have no batch axis.
    """

    def __init__(self, graphs: Sequence[Graph], samples: Mapping[str, Any]) -> None:
        interfaces = [_interface(graph) for graph in graphs]
        axes = interfaces[0].batch_axes if interfaces else {}
        fixed = [found.fixed_batch for found in interfaces if found.fixed_batch is not None]
        rows = min((np.shape(samples[name])[axis] for name, axis in axes.items() if name in samples), default=0)
        self.samples = min(rows, max(MOST_SAMPLES, *fixed)) if fixed else min(rows, MOST_SAMPLES)
        batch = min(fixed, default=self.samples) or 1
        self.samples = max(self.samples - self.samples % batch, 1)
        self._batches = [
            {name: np.take(array, range(start, start + batch), axes[name]) if name in axes else array
             for name, array in samples.items()}
            for start in range(0, self.samples - batch + 1, batch)
        ] or [dict(samples)]  # fmt: skip
        self._reference: list[dict[str, Any]] | None = None
        self._last: tuple[Graph, tuple[float, int]] | None = None

    def after(self, number: int, graph: Graph) -> tuple[float, int] | None:
        """(SQNR of the worst output in dB, number of the step it was measured at).

        The step before answers for a graph that did not change, takes too long, or does not run. None where none ran.

        Raises:
            DataError: for samples that do not fit.
        """
        known = None if self._last is None else self._last[1]
        if self._last is not None and graph is self._last[0]:
            return known
        if graph.stage is Stage.INT and work(graph) * self.samples > MOST_MACS:
            return known
        try:
            found = self._run(graph)
        except ModelError:
            return known
        if self._reference is None:
            self._reference = found
        self._last = graph, (self._worst(found), number)
        return self._last[1]

    def _run(self, graph: Graph) -> list[dict[str, Any]]:
        if graph.stage is Stage.INT:
            return [evaluate(graph, batch) for batch in self._batches]
        runner = Runner(graph)
        return [runner(batch) for batch in self._batches]

    def _worst(self, found: list[dict[str, Any]]) -> float:
        assert self._reference is not None
        sums: dict[str, Sums] = {}
        for expected, other in zip(self._reference, found, strict=True):
            for name, value in expected.items():
                if name not in other or not isinstance(value, np.ndarray) or value.dtype.kind != "f":
                    continue
                if np.shape(other[name]) != value.shape:
                    return decibels(-math.inf)
                sums.setdefault(name, Sums()).add(value, np.asarray(other[name]))
        return decibels(min((one.error.sqnr for one in sums.values()), default=math.inf))


def _interface(graph: Graph) -> Interface:
    return Interface({name: kind for name in graph.inputs if isinstance(kind := graph.types[name], TensorType)})
