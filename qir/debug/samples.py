"""Inputs to try a network on."""

from __future__ import annotations

from typing import Any

import numpy as np

from qir.calibration import Feeds, feeds
from qir.calibration.interface import Interface
from qir.errors import DataError
from qir.ir.dtype import BOOL, STRING
from qir.ir.graph import Graph
from qir.ir.types import TensorType

_OPEN_SIZE = 2
"""Size of a dimension that is known by name only: more than one, so that broadcasting shows."""


def sample_inputs(graph: Graph, feeds: Feeds | None = None, seed: int = 0, batch: int | None = None) -> dict[str, Any]:
    """The first batch of `feeds`, else normally distributed numbers; integers are 0 or 1, which index anything.

    Args:
        batch: at most so many samples, where the model leaves their number open.

    Raises:
        DataError: for inputs that cannot be made up: sequences, text, tensors of unknown rank.
    """
    found = _drawn(graph, seed) if feeds is None else dict(next(iter(feeds)))
    kinds = {name: kind for name in graph.inputs if isinstance(kind := graph.types[name], TensorType)}
    interface = Interface(kinds)
    if batch is not None and interface.fixed_batch is None:
        for name, axis in interface.batch_axes.items():
            found[name] = np.take(found[name], range(min(batch, found[name].shape[axis])), axis)
    return found


def batches_of(graph: Graph, data: Any) -> Feeds:
    """Data of any form `qir.compile` takes, cut into batches that fit a graph.

    Raises:
        DataError: where it does not fit.
    """
    return feeds(data, {name: graph.types[name] for name in graph.inputs})


def _drawn(graph: Graph, seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    found = {}
    for name in graph.inputs:
        kind = graph.types[name]
        if not isinstance(kind, TensorType) or kind.shape is None or kind.dtype == STRING:
            raise DataError(f"no inputs of type {kind} can be made up", tensor=name, fix="Give calibration samples")
        sizes = [dim if isinstance(dim, int) else _OPEN_SIZE for dim in kind.shape]
        if kind.dtype.is_integer or kind.dtype == BOOL:
            found[name] = random.integers(0, 2, sizes).astype(kind.dtype.numpy)
        else:
            found[name] = random.standard_normal(sizes).astype(kind.dtype.numpy)
    return found
