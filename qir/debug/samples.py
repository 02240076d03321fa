"""Inputs to try a network on."""

from __future__ import annotations

from typing import Any

import numpy as np

from qir.calibration import Feeds
from qir.errors import DataError
from qir.ir.dtype import BOOL, STRING
from qir.ir.graph import Graph
from qir.ir.types import TensorType

_OPEN_SIZE = 2
"""Size of a dimension that is known by name only: more than one, so that broadcasting shows."""


def sample_inputs(graph: Graph, feeds: Feeds | None = None, seed: int = 0) -> dict[str, Any]:
    """The first batch of `feeds`, else normally distributed numbers; integers are 0 or 1, which index anything.

    Raises:
        DataError: for inputs that cannot be made up: sequences, text, tensors of unknown rank.
    """
    if feeds is not None:
        return dict(next(iter(feeds)))
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
