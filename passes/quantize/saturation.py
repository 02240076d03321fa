"""Weight scales under which sums of two products cannot leave 16 bits.

x86 without VNNI multiplies uint8 by int8 with `vpmaddubsw`, which adds neighbouring products in saturating 16 bits:
`255 * (w_1 + w_2)` must stay in [-32768, 32767], so two neighbouring codes of one sign may sum to 128 at most. Full
range int8 weights break that, and results then differ between processors. Instead of giving up a bit everywhere, each
channel's scale is raised just as far as its own worst pair needs. Which weights are neighbours depends on the
kernel's layout: pairs along the channels and pairs along the flattened kernel are both kept within the limit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.ir.graph import Node
from qir.ir.types import Affine
from qir.quant.scales import encode

_ROUNDS = 20


def without_saturation(
    node: Node, weight: np.ndarray, quant: Affine, limit: int, *, power_of_two: bool = False
) -> Affine:
    """The codes with scales raised where needed; unchanged where no kernel adds pairs in 16 bits (`pair_partners`).

    Args:
        weight: of a Conv [M, C/g, *K], Gemm or MatMul [K, N] or [N, K].
        quant: symmetric int8, per channel or per tensor.
        limit: largest sum of two neighbouring codes of one sign.
        power_of_two: raise scales by factors of two.
    """
    partners = pair_partners(node, weight)
    if partners is None:
        return quant
    for _ in range(_ROUNDS):
        excess = worst_pair(node, encode(weight, quant), partners) / limit
        factor = np.maximum(excess if quant.axis is not None else excess.max(), 1.0)
        if (factor == 1).all():
            return quant
        raised = np.where(factor > 1, 2.0 if power_of_two else factor * 1.001, 1)
        quant = replace(quant, scale=np.asarray(quant.scale * raised, np.float32))
    return quant


def worst_pair(node: Node, codes: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Largest absolute sum of two codes of one sign that a kernel multiplies side by side, int64 [channels]."""
    rows = _rows(node, codes)
    worst = np.zeros(len(rows), np.int64)
    for column in partners.T:
        mine, other = rows[:, column >= 0].astype(np.int64), rows[:, column[column >= 0]].astype(np.int64)
        sums = np.where((mine > 0) == (other > 0), np.abs(mine + other), np.maximum(np.abs(mine), np.abs(other)))
        worst = np.maximum(worst, sums.max(axis=1, initial=0))
    return worst


def _rows(node: Node, weight: np.ndarray) -> np.ndarray:
    """The weight as [channels, K]; a stack of matrices counts each matrix's channels."""
    if node.op == "Conv":
        return weight.reshape(weight.shape[0], -1)
    if node.attr("transB", 0) or weight.ndim == 1:
        return weight.reshape(-1, weight.shape[-1])
    return np.swapaxes(weight, -1, -2).reshape(-1, weight.shape[-2])


def pair_partners(node: Node, weight: np.ndarray) -> np.ndarray | None:
    """For each column of [channels, K] the columns that kernels multiply beside it, int [K, 1 or 3], -1 for none.

    None for operators that no such kernel runs: depthwise convolutions are widened to 16 bits first.

    Kernels take the reduced axis four at a time: elements 2i and 2i + 1 meet, in the order [C, *K] (im2col), [*K, C]
    (channels last), or [C] padded to an even number in each tap.
    """
    if node.op not in ("Conv", "Gemm", "MatMul") or (
        node.op == "Conv" and weight.shape[1] == 1 < node.attr("group", 1)
    ):
        return None
    if node.op != "Conv":
        size = _rows(node, weight).shape[1]
        return _neighbours(np.arange(size), size)[:, None]
    size = int(np.prod(weight.shape[1:]))
    columns = np.arange(size).reshape(weight.shape[1], -1)
    last = columns.T
    taps = np.pad(last, ((0, 0), (0, last.shape[1] % 2)), constant_values=-1)
    orders = (columns.reshape(-1), last.reshape(-1), taps.reshape(-1))
    return np.stack([_neighbours(order, size) for order in orders], axis=1)


def _neighbours(order: np.ndarray, size: int) -> np.ndarray:
    even = np.pad(order, (0, order.size % 2), constant_values=-1)
    partner = np.full(size, -1)
    for mine, other in ((even[0::2], even[1::2]), (even[1::2], even[0::2])):
        partner[mine[mine >= 0]] = other[mine >= 0]
    return partner
