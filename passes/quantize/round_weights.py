"""`round-weights`: chooses weight codes that keep each layer's output, not each weight.

The Gram matrix G of a layer's inputs tells how the error of one column is made good by others (qir.quant.gptq). Where a
target adds neighbouring products in 16 bits, codes are kept within its pair limit while rounding. There, and up to 6
bits, several scales are tried, and each channel takes the one that leaves the least output error `dW G dW^T`. Nearest
rounding is among the choices, so no channel gets worse by it. Weights that are zero stay zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.observed import as_rows, from_rows, gram_of, is_stale
from qir.passes.quantize.saturation import pair_partners, worst_pair
from qir.passes.quantize.weights import pair_limit, set_codes
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.gptq import Choose, Factor, gptq, output_error
from qir.quant.scales import decode, encode
from qir.rewrite.editor import Editor
from qir.statistics import Gram, fingerprints

_SHRINK = (1.0, 0.94, 0.88, 0.8)
"""Scales tried under a pair limit, as multiples of the one under which nearest rounding keeps to it."""
_FINE, _FEW = (1.0, 0.92, 1.08, 0.85, 1.16), 63
"""Scales tried for codes with at most so many steps (6 bits), as multiples of the one of least weight error."""
_POWERS = (1.0, 0.5)


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
        if context.statistics is None:
            return graph
        prints, stale = fingerprints(graph), []
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
            if is_stale(node, context, prints):
                stale.append(node.name)
                continue
            layer = context.recipe.layer((node.name, *node.origin), node.op)
            if layer.has_few_values:
                continue
            limit = pair_limit(node, quant, graph, context)
            self._round(edit, node, slots, quant, gram, limit, layer.power_of_two)
        if stale:
            context.notes.append(f"rounded to nearest, as their inputs changed since calibration: {', '.join(stale)}")
        return edit.build()

    def _round(self, edit: Editor, node: Node, slots: Weighted, quant: Affine, gram: Gram, limit: int | None,
               power_of_two: bool) -> None:  # fmt: skip
        value = edit.constants[edit.current(node).inputs[slots.weight]].value
        nearest = encode(value, quant)
        if np.array_equal(decode(nearest, quant), value):
            return  # the model came with these codes
        rows = as_rows(node, value)
        partners = pair_partners(node, value) if limit is not None else None
        base, zero = quant.scale, quant.zero_point.reshape(-1, 1)
        low, high = (np.broadcast_to(bound - zero[:, 0], (len(rows),)) for bound in (quant.qmin, quant.qmax))
        choices = [(as_rows(node, nearest).astype(np.int32) - zero, np.broadcast_to(base, (len(rows),)))]
        for trial in _POWERS if power_of_two else _trials(quant, partners is not None):
            scale = np.maximum(base * np.float32(trial), np.finfo(np.float32).tiny)
            choices.append((np.zeros(rows.shape, np.int32), np.broadcast_to(scale, (len(rows),))))
        errors = np.zeros((len(choices), len(rows)))
        grouped = (gram.groups, len(rows) // gram.groups)
        for columns, matrices in gram.blocks():
            beside = _within(partners, columns)
            factor = Factor.of(matrices, self.damping)
            part = rows[:, columns].reshape(*grouped, -1)
            for number, (codes, scale) in enumerate(choices):
                step = scale.reshape(*grouped, 1).astype(np.float64)
                if number:
                    bounds = _bounds(codes, columns, partners, (low, high, limit))
                    for bound in bounds:
                        bound[rows[:, columns].T == 0] = 0  # what was made zero stays zero
                    least, most = (bound.reshape(-1, *grouped) for bound in bounds)
                    found = gptq(part / step, factor, _rounding(least, most, limit, beside))
                    codes[:, columns] = found.reshape(len(rows), -1)
                given = codes[:, columns].reshape(part.shape)
                errors[number] += output_error(part, given * step, factor.gram).ravel()
        if partners is not None and limit is not None and worst_pair(node, nearest, partners).max(initial=0) > limit:
            errors[0] = np.inf
        best = errors.argmin(axis=0) if quant.axis is not None else np.full(len(rows), errors.sum(axis=1).argmin())
        each = np.arange(len(rows))
        best_codes = np.stack([codes for codes, _ in choices])[best, each]
        best_scale = np.stack([scale for _, scale in choices])[best, each]
        scale = best_scale if quant.axis is not None else best_scale[0]
        chosen = replace(quant, scale=np.asarray(scale, np.float32).reshape(quant.scale.shape))
        stored = (best_codes + zero).astype(np.int16).astype(quant.storage.numpy)
        set_codes(edit, node, slots.weight, chosen, from_rows(node, stored, value))


def _bounds(codes: np.ndarray, columns: slice, partners: np.ndarray | None,
            bounds: tuple[np.ndarray, np.ndarray, int | None]) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Least and largest codes [k, M] of some columns, beside those of the columns before, which are chosen."""
    size = columns.stop - columns.start
    low, high = (np.tile(np.asarray(bound, np.float64), (size, 1)) for bound in bounds[:2])
    limit = bounds[2]
    if partners is not None and limit is not None:
        for others in partners[columns].T:
            at = np.flatnonzero((others >= 0) & (others < columns.start))
            code = codes[:, others[at]].T
            high[at] = np.minimum(high[at], np.where(code > 0, limit - code, np.inf))
            low[at] = np.maximum(low[at], np.where(code < 0, -limit - code, -np.inf))
    return low, high


def _within(partners: np.ndarray | None, columns: slice) -> np.ndarray | None:
    """The partners of some columns, counted from the first of these."""
    if partners is None:
        return None
    part = partners[columns]
    return np.where((part >= columns.start) & (part < columns.stop), part - columns.start, -1)


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


def _rounding(low: np.ndarray, high: np.ndarray, limit: int | None, partners: np.ndarray | None) -> Choose:
    """The nearest codes within bounds, which those of columns beside each other narrow.

    Args:
        low, high: least and largest codes [K, groups, M]; narrowed in place.
        limit: the largest sum of two neighbouring codes of one sign; None for no limit.
        partners: [K, P] columns that a kernel multiplies beside each column, -1 for none.
    """
    groups = np.arange(low.shape[1])

    def choose(columns: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        code: np.ndarray = np.clip(np.rint(wanted), low[columns, groups], high[columns, groups])
        if partners is not None and limit is not None:
            for others in partners[columns].T:
                at = np.flatnonzero(others >= 0)
                place, given = (others[at], at), code[at]
                high[place] = np.minimum(high[place], np.where(given > 0, limit - given, np.inf))
                low[place] = np.maximum(low[place], np.where(given < 0, -limit - given, -np.inf))
        return code

    return choose
