"""What the inputs of a layer are like, in the float network and in the one whose layers in front are rounded.

With rows x of the float network's inputs and z of the rounded one's, both less their means, a layer's weights W become

    W' = W + W D (S + r)^-1,   S = mean of z z^T,  D = mean of (x - z) z^T

which leave the least error of `W' z` beside `W x`: they make good for what rounding in front has done, as far as it can
be told from z. r is the ridge, out of a few, that does best on samples that W' does not come from. Codes C that stand
for W' leave the error `(C - W') S (C - W')^T`, and the bias moves by `W mean(x) - C mean(z)`.

Where the samples are not at hand but their statistics are, z = x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qir.compression.surgeon import refitted
from qir.ir.graph import Graph, Node
from qir.ir.types import Affine
from qir.ops.weighted import Weighted
from qir.passes.quantize.correct_biases import add_to_bias, first_samples, valid_part
from qir.passes.quantize.observed import as_rows, gram_of, is_stale
from qir.passes.quantize.weights import set_codes
from qir.passmanager.base import Context
from qir.quant.gptq import Factor
from qir.quant.levels import Blocks
from qir.rewrite.editor import Editor
from qir.statistics import fingerprints
from qir.statistics.gram import column_blocks, im2col_rows
from qir.walk import Walk, without_codes

_SAMPLES = 256
_DAMPING = 0.01
"""Added to the diagonal of S, as a share of its mean."""
_BYTES = 1 << 27
"""Of a layer's rows, at most."""


@dataclass(frozen=True)
class Inputs:
    """What one group of a layer's channels sees.

    Attributes:
        aim: weights to come near to, float64 [M, K].
        blocks: S.
        mean: of z, [K]; zeros where the means are part of S.
        wanted: mean of the outputs without their bias, [M].
    """

    aim: np.ndarray
    blocks: Blocks
    mean: np.ndarray
    wanted: np.ndarray


class Watch:
    """Follows the inputs of layers, in the order of execution, while these are rounded.

    Args:
        graph: in front of all that is going to be rounded.
    """

    def __init__(self, graph: Graph, context: Context) -> None:
        self._context, self._prints, self._edit = context, fingerprints(graph), Editor(graph)
        self._walks: tuple[Walk, Walk] | None = None
        if context.feeds is not None:
            self._batches = first_samples(graph, context.feeds, _SAMPLES)
            self._walks = Walk(without_codes(graph), self._batches), Walk(graph, self._batches)

    def round(self, node: Node, slots: Weighted, quant: Affine, codes: np.ndarray, move: np.ndarray | None) -> None:
        """Goes on with a layer that has codes.

        Args:
            move: what its bias will be corrected by; None if it cannot be.
        """
        if self._walks is None:
            return
        set_codes(self._edit, node, slots.weight, quant, codes)
        if move is not None:
            add_to_bias(self._edit, node, slots, move.astype(np.float32))
        self._walks[1].go_on(self._edit.build())

    def inputs(self, node: Node, weight: np.ndarray, centred: bool) -> list[Inputs] | None:
        """What each group of a layer's channels sees; None where nothing is known.

        Args:
            weight: of the layer.
            centred: a change of the outputs' means costs nothing.
        """
        if self._walks is None:
            return self._known(node, weight, centred)
        real, rounded = (self._rows(node, weight, walk.before(node, node.inputs[0])) for walk in self._walks)
        if real is None or rounded is None:
            return None
        parts = np.split(as_rows(node, weight).astype(np.float64), len(real))
        return [_inputs(part, x.astype(np.float64), z.astype(np.float64), centred)
                for part, x, z in zip(parts, real, rounded, strict=True)]  # fmt: skip

    def _rows(self, node: Node, weight: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray | None:
        """Rows of what the layer multiplies, [groups, n, K]."""
        parts, first = [], 0
        for array, batch in zip(arrays, self._batches, strict=True):
            part = im2col_rows(node, valid_part(array, batch), weight.shape, first, self._context.seed)
            if part is None:
                return None
            most = max(1, _BYTES // (8 * part.shape[0] * part.shape[2] * len(arrays)))
            parts.append(part[:, :: -(-part.shape[1] // most)])
            first += batch.valid
        return np.concatenate(parts, axis=1)

    def _known(self, node: Node, weight: np.ndarray, centred: bool) -> list[Inputs] | None:
        gram = gram_of(node, weight, self._context)
        if gram is None or not gram.rows or is_stale(node, self._context, self._prints):
            return None
        factors: list[list[tuple[slice, Factor]]] = [[] for _ in range(gram.groups)]
        for columns, matrices in gram.blocks():
            for found, matrix, mean in zip(factors, matrices, gram.mean[:, columns], strict=True):
                moments = matrix / gram.rows - (np.outer(mean, mean) if centred else 0)
                found.append((columns, Factor.of(moments, _DAMPING)))
        parts = np.split(as_rows(node, weight).astype(np.float64), gram.groups)
        means = gram.mean if centred else np.zeros(gram.mean.shape)
        return [Inputs(part, Blocks(found), mean, part @ mean)
                for part, found, mean in zip(parts, factors, means, strict=True)]  # fmt: skip


def _inputs(rows: np.ndarray, x: np.ndarray, z: np.ndarray, centred: bool) -> Inputs:
    """Of weights [M, K] and inputs [n, K]."""
    means = (x.mean(axis=0), z.mean(axis=0)) if centred else (np.zeros(x.shape[1]), np.zeros(x.shape[1]))
    x, z = x - means[0], z - means[1]
    blocks = [(columns, Factor.of(z[:, columns].T @ z[:, columns] / len(z), _DAMPING))
              for columns in column_blocks(x.shape[1])]  # fmt: skip
    alone = np.array_equal(x, z) or len(blocks) > 1
    return Inputs(rows if alone else refitted(rows, z, x @ rows.T), Blocks(blocks), means[1], rows @ means[0])
