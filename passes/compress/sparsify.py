"""`sparsify`: makes weights zero in a pattern that kernels can skip; those that are left make good for it.

`2:4` keeps two of every four weights along the input channels, `1:4` one; `1x4` zeroes blocks of four input channels,
`16x4` blocks that sixteen output channels share, `1x1` single weights: each a share of all. What goes and what becomes
of the others follows from the second moments of the layer's inputs (qir.compression.sparsity), layer by layer in the
order of execution, with what has become of the layers in front. Zeros stay zeros when weights are rounded to codes.

Along the input channels means at one tap of the kernel. Layers whose input channels are no multiple of a block's, small
layers and depthwise ones stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.compression.sparsity import Pattern, sparsified
from qir.compression.surgeon import damped
from qir.errors import PassError
from qir.ir.graph import Graph, Node, Stage
from qir.ops.weighted import weighted
from qir.passes.compress.changed import smaller
from qir.passes.compress.refit import Aim, Aims
from qir.passes.quantize.observed import observed
from qir.passmanager.base import Context, Pass, Promise

_DAMPING = 0.01
"""Added to the diagonal of second moments, as a share of its mean."""
_LEAST = 1024
"""Layers of fewer weights stay."""


@dataclass(frozen=True)
class Sparsify(Pass):
    """Sparsifies Conv, Gemm and MatMul layers whose inputs were observed.

    Attributes:
        pattern: N:M, of M weights N stay, or RxC, blocks of R outputs by C inputs.
        share: of the blocks that become zero; that of N:M is in its name.

    Raises:
        PassError: for what is no pattern or no share.
    """

    name: ClassVar[str] = "sparsify"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT})
    promise: ClassVar[Promise] = Promise.LOSSY
    needs_data: ClassVar[bool] = True
    pattern: str = "2:4"
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise PassError(f"share={self.share} is no share", fix="0.5 makes half of all blocks zero")
        try:
            Pattern.of(self.pattern, self.share)
        except ValueError as error:
            raise PassError(f"pattern {error}", fix="Write 2:4, 1:4, or blocks like 1x4, 16x4 and 1x1") from None

    def run(self, graph: Graph, context: Context) -> Graph:
        observed(graph, context)
        pattern, aims = Pattern.of(self.pattern, self.share), Aims(graph, graph, context)
        zeros, total, layers = 0, 0, 0
        for node in graph.nodes:
            found = aims.of(node)
            if found is None:
                continue
            rows = np.concatenate([one.rows for one in found])
            if _fits(node, graph, pattern):
                rows = np.concatenate([_sparse(one, node, graph, pattern) for one in found])
                zeros, total, layers = zeros + int((rows == 0).sum()), total + rows.size, layers + 1
            aims.settle(node, rows, found)
        if not layers:
            context.notes.append(f"sparsify: no layer takes the pattern {self.pattern}")
            return graph
        what = f"{zeros / total:.0%} of the weights of {layers} layers are zero, {self.pattern}"
        return smaller(graph, aims.graph, context, self.name, what)


def _sparse(aim: Aim, node: Node, graph: Graph, pattern: Pattern) -> np.ndarray:
    """Weights of a group of channels, with zeros along the input channels at each tap."""
    taps = int(np.prod(graph.constants[node.inputs[1]].value.shape[2:]))
    along = np.arange(aim.rows.shape[1]).reshape(-1, taps).T.reshape(-1)
    moments = damped(aim.moments, _DAMPING)[np.ix_(along, along)]
    rows = np.zeros(aim.rows.shape)
    rows[:, along] = sparsified(aim.rows[:, along], moments, pattern)
    return rows


def _fits(node: Node, graph: Graph, pattern: Pattern) -> bool:
    if weighted(node, graph) is None or node.op == "ConvTranspose" or node.attr("transA", 0):
        return False
    value = graph.constants[node.inputs[1]].value
    if value.size < _LEAST or (node.op != "Conv" and value.ndim != 2):
        return False
    inputs = int(value.shape[1 if node.op == "Conv" or node.attr("transB", 0) else 0])
    return inputs % pattern.columns == 0 and inputs >= pattern.columns
