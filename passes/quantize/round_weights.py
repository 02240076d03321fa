"""`round-weights`: chooses weight codes that keep each layer's output, not each weight.

With the Gram matrix G of a layer's inputs, columns are rounded one at a time in order of falling diag(G); the error
of each is spread over the columns still to come, `W[:, k:] -= (w_j - q_j) / U_jj * U_j,k:` with `U^T U = (G +
damping)^-1` upper triangular. Where a target adds neighbouring products in 16 bits, codes are kept within its pair
limit while rounding. There, and up to 6 bits, several scales are tried, and each channel takes the one that leaves the
least output error `dW G dW^T`. Nearest rounding is among the choices, so no channel gets worse by it.

Source: GPTQ, arXiv 2210.17323; OBC, arXiv 2208.11580.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.observed import as_rows, from_rows, gram_of
from qir.passes.quantize.saturation import pair_partners, worst_pair
from qir.passes.quantize.weights import pair_limit, set_codes
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.scales import decode, encode
from qir.rewrite.editor import Editor
from qir.statistics import Gram

_SHRINK = (1.0, 0.94, 0.88, 0.8)
"""Scales tried under a pair limit, as multiples of the one under which nearest rounding keeps to it."""
_FINE, _FEW = (1.0, 0.92, 1.08, 0.85, 1.16), 63
"""Scales tried for codes with at most so many steps (6 bits), as multiples of the one of least weight error."""
_POWERS = (1.0, 0.5)
_LEAST_DAMPING = 1e-6
"""Keeps the matrix positive definite where inputs are always zero or always equal."""
_BLOCK = 64
"""Columns rounded before their error is spread over the rest at once."""


@dataclass(frozen=True)
class RoundWeights(Pass):
    """Rounds the weights of Conv, Gemm and MatMul layers whose inputs were observed.

    Attributes:
        damping: added to the diagonal of G, as a share of its mean.
    """

    name: ClassVar[str] = "round-weights"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})
    promise: ClassVar[Promise] = Promise.LOSSY
    damping: float = 0.01

    def run(self, graph: Graph, context: Context) -> Graph:
        edit = Editor(graph)
        for node in graph.nodes:
            slots = weighted(node, graph)
            if slots is None:
                continue
            kind = graph.tensor(node.inputs[slots.weight])
            quant, gram = kind.quant, gram_of(node, graph.constants[node.inputs[slots.weight]].value, context)
            if quant is None or gram is None:
                continue
            if not _is_plain(quant, slots, len(kind.shape or ())) or _bias_has_codes(node, slots, graph):
                continue
            layer = context.recipe.layer((node.name, *node.origin), node.op)
            limit = pair_limit(node, quant, graph, context)
            self._round(edit, node, slots, quant, gram, limit, layer.power_of_two)
        return edit.build()

    def _round(self, edit: Editor, node: Node, slots: Weighted, quant: Affine, gram: Gram, limit: int | None,
               power_of_two: bool) -> None:  # fmt: skip
        value = edit.constants[edit.current(node).inputs[slots.weight]].value
        nearest = encode(value, quant)
        if np.array_equal(decode(nearest, quant), value):
            return  # the model came with these codes
        rows = as_rows(node, value)
        groups = len(gram.matrix)
        partners = pair_partners(node, value) if limit is not None else None
        trials = _POWERS if power_of_two else _trials(quant, partners is not None)
        base, zero = quant.scale, quant.zero_point.reshape(-1, 1)
        best_codes = as_rows(node, nearest).astype(np.int32) - zero
        best_scale = np.broadcast_to(base, (len(rows),)).copy()
        best_error = np.full(len(rows), np.inf)
        if limit is None or partners is None or worst_pair(node, nearest, partners).max(initial=0) <= limit:
            best_error = np.concatenate([
                output_error(part, codes, scale, matrix) for part, codes, scale, matrix in
                zip(*(np.split(array, groups) for array in (rows, best_codes, best_scale)), gram.matrix, strict=True)
            ])  # fmt: skip
        factors = [Factor.of(matrix, self.damping) for matrix in gram.matrix]
        low, high = (np.broadcast_to(bound - zero[:, 0], (len(rows),)) for bound in (quant.qmin, quant.qmax))
        for trial in trials:
            scale = np.broadcast_to(np.maximum(base * np.float32(trial), np.finfo(np.float32).tiny), (len(rows),))
            codes, error = np.zeros(rows.shape, np.int32), np.zeros(len(rows))
            for group in range(groups):
                part = slice(group * len(rows) // groups, (group + 1) * len(rows) // groups)
                bounds = (low[part], high[part], limit)
                codes[part], error[part] = gptq(rows[part], scale[part], factors[group], bounds, partners)
            better = (
                error < best_error if quant.axis is not None else np.full(len(rows), error.sum() < best_error.sum())
            )
            best_codes[better], best_scale[better], best_error[better] = codes[better], scale[better], error[better]
        scale = best_scale if quant.axis is not None else best_scale[0]
        chosen = replace(quant, scale=np.asarray(scale, np.float32).reshape(quant.scale.shape))
        stored = (best_codes + zero).astype(np.int16).astype(quant.storage.numpy)
        set_codes(edit, node, slots.weight, chosen, from_rows(node, stored, value))


def _trials(quant: Affine, paired: bool) -> tuple[float, ...]:
    """Multiples of the scale to try: the fewer the codes, the more there is to gain."""
    if quant.qmax - quant.qmin <= _FEW:
        return _FINE
    return _SHRINK if paired else (1.0,)


def _is_plain(quant: Affine, slots: Weighted, rank: int) -> bool:
    """Whether the codes have at most 8 bits, per tensor or per output channel."""
    along_channels = quant.axis is None or quant.axis % rank == slots.channel_axis % rank
    return quant.storage.bits <= 8 and along_channels and not quant.block_size


def _bias_has_codes(node: Node, slots: Weighted, graph: Graph) -> bool:
    """A bias with codes is in units of the weight's scale, which must then stay."""
    name = node.input(slots.bias) if slots.bias >= 0 else ""
    return bool(name) and graph.tensor(name).quant is not None


@dataclass(frozen=True)
class Factor:
    """What rounding needs of a Gram matrix: the matrix [K, K], the order of columns, and U in that order."""

    gram: np.ndarray
    order: np.ndarray
    upper: np.ndarray

    @staticmethod
    def of(gram: np.ndarray, damping: float) -> Factor:
        """The factor of a Gram matrix; an input that was always zero counts as uncorrelated."""
        size = len(gram)
        mean = float(np.trace(gram)) / size
        if mean <= 0:
            gram, mean = np.eye(size), 1.0
        order = np.argsort(-np.diag(gram), kind="stable")
        damped = gram[np.ix_(order, order)] + np.eye(size) * (max(damping, _LEAST_DAMPING) * mean)
        return Factor(gram, order, np.linalg.cholesky(np.linalg.inv(damped)).T)


def gptq(
    rows: np.ndarray,
    scale: np.ndarray,
    factor: Factor,
    bounds: tuple[np.ndarray, np.ndarray, int | None],
    partners: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of [M, K] weights, less their zero points, and each row's output error.

    Args:
        scale: [M].
        bounds: least and largest such code [M], and the largest sum of two neighbouring codes of one sign (None for no
            limit).
        partners: [K, P] columns that a kernel multiplies beside each column, -1 for none.
    """
    qmin, qmax, limit = bounds
    count, size = rows.shape
    gram, order, upper = factor.gram, factor.order, factor.upper
    left = np.ascontiguousarray((rows[:, order].astype(np.float64) / scale[:, None].astype(np.float64)).T)
    codes = np.zeros((size, count))
    low, high = (np.tile(np.asarray(bound, np.float64), (size, 1)) for bound in (qmin, qmax))
    beside: list[list[int]] = [[]] * size if partners is None else _reordered(partners, order)
    reach = 0 if limit is None else limit
    for start in range(0, size, _BLOCK):
        stop = min(start + _BLOCK, size)
        errors = np.zeros((stop - start, count))
        for j in range(start, stop):
            code = np.clip(np.rint(left[j]), low[j], high[j])
            codes[j] = code
            for other in beside[j]:
                if other > j:
                    high[other] = np.minimum(high[other], np.where(code > 0, reach - code, qmax))
                    low[other] = np.maximum(low[other], np.where(code < 0, -reach - code, qmin))
            errors[j - start] = (left[j] - code) / upper[j, j]
            left[j + 1 : stop] -= upper[j, j + 1 : stop, None] * errors[j - start]
        left[stop:] -= upper[start:stop, stop:].T @ errors
    placed = np.empty_like(codes)
    placed[order] = codes
    return placed.T.astype(np.int32), output_error(rows, placed.T, scale, gram)


def output_error(rows: np.ndarray, codes: np.ndarray, scale: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """Squared error of each output [M] when codes [M, K] stand for the weights [M, K]: `dw G dw^T`."""
    off = codes * scale[:, None].astype(np.float64) - rows
    return np.asarray(((off @ gram) * off).sum(axis=1))


def _reordered(partners: np.ndarray, order: np.ndarray) -> list[list[int]]:
    """Partners as positions in another order of the columns, without doubles."""
    position = np.empty(order.size, np.int64)
    position[order] = np.arange(order.size)
    return [sorted({int(position[p]) for p in partners[column] if p >= 0}) for column in order]
