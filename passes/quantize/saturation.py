"""Weight scales under which sums of two products cannot leave 16 bits.

x86 without VNNI multiplies uint8 by int8 with `vpmaddubsw`, which adds neighbouring products in saturating 16 bits:
`255 * (w_1 + w_2)` must stay in [-32768, 32767], so two neighbouring codes of one sign may sum to 128 at most. Full-range
int8 weights break that, and results then differ between processors. Instead of giving up a bit everywhere, each channel's
scale is raised just as far as its own worst pair needs. Which weights are neighbours depends on the kernel's layout: pairs
along the channels and pairs along the flattened kernel are both kept within the limit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.ir.graph import Node
from qir.ir.types import Affine
from qir.quant.scales import encode

_ROUNDS = 20


def without_saturation(node: Node, weight: np.ndarray, quant: Affine, limit: int) -> Affine:
    """The codes with scales raised where needed; unchanged for depthwise convolutions, whose kernels widen first.

    Args:
        weight: of a Conv [M, C/g, *K], Gemm or MatMul [K, N] or [N, K].
        quant: symmetric int8, per channel or per tensor.
        limit: largest sum of two neighbouring codes of one sign.
    """
    if node.op not in ("Conv", "Gemm", "MatMul") or (node.op == "Conv" and weight.shape[1] == 1 < node.attr("group", 1)):
        return quant
    for _ in range(_ROUNDS):
        excess = worst_pair(node, encode(weight, quant)) / limit
        factor = np.maximum(excess if quant.axis is not None else excess.max(), 1.0)
        if (factor == 1).all():
            return quant
        quant = replace(quant, scale=np.asarray(quant.scale * np.where(factor > 1, factor * 1.001, 1), np.float32))
    return quant


def worst_pair(node: Node, codes: np.ndarray) -> np.ndarray:
    """Largest absolute sum of two codes of one sign that a kernel multiplies side by side, int64 [channels].

    Kernels take the reduced axis four at a time: elements 2i and 2i + 1 meet, in the order [C, *K] (im2col), [*K, C]
    (channels last), or [C] padded to an even number in each tap.
    """
    if node.op != "Conv":
        orders = [codes if node.attr("transB", 0) else codes.swapaxes(-1, -2)]
    else:
        last = np.moveaxis(codes, 1, -1)
        orders = [codes.reshape(codes.shape[0], -1), last.reshape(codes.shape[0], -1), last]
    channels = orders[0].shape[-2] if node.op != "Conv" else codes.shape[0]
    worst = np.zeros(channels, np.int64)
    for order in orders:
        even = np.pad(order.astype(np.int64), [(0, 0)] * (order.ndim - 1) + [(0, order.shape[-1] % 2)])
        for signed in (np.maximum(even, 0), np.maximum(-even, 0)):
            pairs = signed[..., 0::2] + signed[..., 1::2]
            worst = np.maximum(worst, np.moveaxis(pairs, -2 if node.op != "Conv" else 0, 0).reshape(channels, -1).max(1, initial=0))
    return worst
