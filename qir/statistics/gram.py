"""The Gram matrix of a layer's inputs: `G = sum x x^T` over sampled rows of its im2col matrix, one matrix a group.

The squared error that a change dW of the weights makes at the layer's output is `tr(dW G dW^T)`, so rounding, pruning
and factorization need nothing else of the data. Source: Hassibi & Stork 1993 (optimal brain surgeon); Frantar et al.,
arXiv 2208.11580.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qir.ir.graph import Node
from qir.ops.window import window

MAX_SIZE = 2048
"""Layers with more inputs an output are left out: their matrix would not fit a bounded memory."""
_POSITIONS, _LATER_POSITIONS, _EARLY = 32, 8, 128
"""Output positions sampled from each of the first samples, from each later one, and how many samples are first."""


@dataclass(frozen=True, eq=False)
class Gram:
    """Gram matrices of one layer.

    Attributes:
        matrix: float64 [groups, K, K]; K runs over [C/g, *kernel] for a convolution.
        rows: how many im2col rows were added.
    """

    matrix: np.ndarray
    rows: int
    kind: ClassVar[str] = "gram"

    @staticmethod
    def of(rows: np.ndarray) -> Gram:
        """That of rows [groups, n, K]; each block's products in float32, their sums over blocks in float64."""
        block = np.ascontiguousarray(rows, np.float32)
        return Gram(np.matmul(block.transpose(0, 2, 1), block).astype(np.float64), rows.shape[1])

    def merge(self, other: Gram) -> Gram:
        """That of both data sets; sums are float64, equal up to rounding in any order."""
        return Gram(self.matrix + other.matrix, self.rows + other.rows)

    def scaled(self, factor: float) -> Gram:
        """That of the inputs times a factor."""
        return Gram(self.matrix * factor**2, self.rows)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `from_state` needs."""
        return {"rows": self.rows}, {"matrix": self.matrix}

    @staticmethod
    def from_state(fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Gram:
        return Gram(arrays["matrix"], int(fields["rows"]))


def im2col_rows(node: Node, x: np.ndarray, weight_shape: Sequence[int], first: int) -> np.ndarray | None:
    """Rows of a layer's im2col matrix, sampled at random: [groups, n, K], or None for layers that have no Gram.

    Args:
        node: Conv, Gemm or MatMul.
        x: its data input, the first axis being samples.
        weight_shape: of its weight.
        first: number of samples seen before; seeds the choice.
    """
    positions = _POSITIONS if first < _EARLY else _LATER_POSITIONS
    if node.op in ("Gemm", "MatMul"):
        if node.attr("transA", 0) or x.shape[-1] > MAX_SIZE:
            return None
        rows = x.reshape(-1, x.shape[-1])
        count = min(len(rows), x.shape[0] * positions)
        return rows[None, np.random.default_rng(first).choice(len(rows), count, replace=False)]
    if node.op != "Conv" or int(np.prod(weight_shape[1:])) > MAX_SIZE:
        return None
    kernel = tuple(weight_shape[2:])
    win = window(node, x.shape[2:], kernel)
    padded = np.pad(x, ((0, 0), (0, 0), *zip(win.begin, win.end, strict=True)))
    total = int(np.prod(win.output))
    count = min(total, positions)
    chosen = np.random.default_rng(first).choice(total, count, replace=False)
    places = np.unravel_index(chosen, win.output)
    taps = np.unravel_index(np.arange(int(np.prod(kernel))), kernel)
    at = tuple(place[:, None] * s + tap[None, :] * d for place, tap, s, d in
               zip(places, taps, win.strides, win.dilations, strict=True))  # fmt: skip
    whole: tuple[Any, ...] = (slice(None), slice(None))
    patches = padded[whole + at]
    group = node.attr("group", 1)
    split = patches.reshape(x.shape[0], group, x.shape[1] // group, count, len(taps[0]))
    return split.transpose(1, 0, 3, 2, 4).reshape(group, x.shape[0] * count, -1)
