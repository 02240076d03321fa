"""Which sums deserve more than 8 bits.

    y = x + f(x),  z = y + g(y),  ...

A chain of sums rounds what it carries once a sum, to codes whose steps are as large as the whole range asks for, and
nothing takes the noise away again: six sums in a row have six times that of one. So a sum is kept finer where nobody is
slowed down by it: where who reads it adds it to something again, normalizes it, averages it, or runs in float. What
only moves codes may read it too, and rounds its result to 8 bits on the way to a layer. A layer that reads the sum as
it is wants 8 bits, and a convolution adds what is joined to its result itself, so sums of images stay as they are.

Targets whose integer operators take 16 bits give such a sum codes of 16 bits (passes/quantize/widths.py), and such a
mean too; on others a sum is no code at all (passes/quantize/placement.py), but a mean of reals would read four times
the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from qir.ir.graph import Graph, Node
from qir.passes.quantize.clamp import CLAMPS
from qir.passmanager.base import Context
from qir.target import IntegerRule

SUMS = ("Add", "Sub")
MEANS = ("ReduceMean", "GlobalAveragePool")
_JOINING = ("Conv", "ConvTranspose")
"""Layers whose kernels add what is joined to their results."""


def fine_sums(graph: Graph, rules: Mapping[str, IntegerRule], context: Context) -> frozenset[str]:
    """Names of the nodes on codes whose results deserve more than 8 bits.

    Args:
        rules: of the nodes on codes, by name.
    """
    found: set[str] = set()
    ops = (*SUMS, *MEANS) if 16 in context.target.activation_bits else SUMS
    for node in reversed(graph.nodes):
        if node.op in ops and node.name in rules and _is_free(node, context):
            makers = [graph.index.producer(name) for name in node.inputs]
            joined = any(maker is not None and maker.op in _JOINING for maker in makers)
            if not joined and _gains(node, graph, rules, found):
                found.add(node.name)
    return frozenset(found)


def _is_free(node: Node, context: Context) -> bool:
    """Whether the recipe leaves the sum's bits to us: 8, and nobody has said so of it."""
    names = (node.name, *node.origin)
    layer = context.recipe.layer(names, node.op)
    return layer.activation_bits == 8 and not context.recipe.names("activation_bits", names, node.op)


def _gains(node: Node, graph: Graph, rules: Mapping[str, IntegerRule], found: set[str]) -> bool:
    """Whether some reader makes use of finer codes, and none is slowed down by them, nor a caller surprised."""
    if graph.index.is_output(node.outputs[0]):
        return False
    gains = False
    for user in graph.index.consumers(node.outputs[0]):
        rule = rules.get(user.name)
        if rule is None:
            if user.op in CLAMPS:
                return False
            gains = True
        elif rule.takes_16_bits or user.name in found:
            gains = True
        elif rule.kind != "same":
            return False
    return gains
