"""`protect-weights`: layers that few bits would spoil keep 8, where that costs few bytes.

The noise that rounding adds at a layer's output, `tr(dW G dW^T) / tr(W G W^T)`, adds up over the layers of a network.
8 bits take nearly all of it away for `8 - b` bits a weight, so layers are taken in order of falling noise a bit while
the weights that would be few bits wide grow by no more than a share. These are mostly first layers, depthwise ones and
heads: few weights, each of which matters. A layer whose bits an override names keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from qir.ir.graph import Graph, Node, Stage
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.observed import as_rows, gram_of
from qir.passes.quantize.weights import set_codes, weight_codes
from qir.passmanager.base import Context, Pass, Promise
from qir.quant.scales import decode
from qir.rewrite.editor import Editor

_FEW, _SAFE = 6, 8
"""Layers of up to so many bits are looked at; so many are given to the chosen ones."""
_NAMED = 5
"""Layers that the note names."""


@dataclass(frozen=True)
class ProtectWeights(Pass):
    """Gives layers of 2 to 6-bit weights 8 bits.

    Attributes:
        share: by how much the bits of all such weights may grow.
    """

    name: ClassVar[str] = "protect-weights"
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.QUANT})
    promise: ClassVar[Promise] = Promise.LOSSY
    share: float = 0.1

    def run(self, graph: Graph, context: Context) -> Graph:
        found = [layer for node in graph.nodes if (layer := _candidate(node, graph, context)) is not None]
        left = self.share * sum(layer.bits * layer.count for layer in found)
        edit = Editor(graph)
        chosen = []
        for layer in sorted(found, key=lambda one: -one.noise / one.growth):
            if layer.growth <= left:
                left -= layer.growth
                chosen.append(layer.node.name)
                quant = weight_codes(layer.node, layer.slots, graph, context, _SAFE)
                set_codes(edit, layer.node, layer.slots.weight, quant)
        if chosen:
            rest = f" and {len(chosen) - _NAMED} more" if len(chosen) > _NAMED else ""
            told = f"weights stay 8 bits wide in {len(chosen)} of {len(found)} layers"
            context.notes.append(f"{told}, those that fewer would spoil most: {', '.join(chosen[:_NAMED])}{rest}")
        return edit.build()


@dataclass(frozen=True)
class _Layer:
    """A layer of few bits.

    Attributes:
        bits, count: of and how many weights.
        noise: of its output, relative to its power.
    """

    node: Node
    slots: Weighted
    bits: int
    count: int
    noise: float

    @property
    def growth(self) -> int:
        """Bits that 8-bit weights add."""
        return (_SAFE - self.bits) * self.count


def _candidate(node: Node, graph: Graph, context: Context) -> _Layer | None:
    slots = weighted(node, graph)
    names = (node.name, *node.origin)
    layer = context.recipe.layer(names, node.op)
    bits = layer.weight_width
    if slots is None or bits is None or bits > _FEW or layer.has_few_values:
        return None
    if context.recipe.names("weight_bits", names, node.op):
        return None
    name = node.inputs[slots.weight]
    value, quant, codes = graph.constants[name].value, graph.tensor(name).quant, graph.constants[name].codes
    if quant is None or codes is None or not value.any():
        return None
    off = decode(codes, quant) - value
    return _Layer(node, slots, bits, value.size, _power(node, off, context) / _power(node, value, context))


def _power(node: Node, weight: np.ndarray, context: Context) -> float:
    """`tr(W G W^T)`, or `tr(W W^T)` where the inputs were not observed."""
    gram = gram_of(node, weight, context)
    if gram is None:
        return float(np.square(weight, dtype=np.float64).sum())
    parts = np.split(as_rows(node, weight).astype(np.float64), gram.groups)
    power = sum(
        float(((part[:, columns] @ matrix) * part[:, columns]).sum())
        for columns, matrices in gram.blocks()
        for part, matrix in zip(parts, matrices, strict=True)
    )
    return max(power, float(np.finfo(np.float32).tiny))
