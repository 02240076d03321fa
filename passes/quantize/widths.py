"""How many bits each activation has, where layers of a network differ.

A value has one set of codes for all who touch it: the widest that its producer and its consumers ask for, and a power
of two as its scale where any of them asks for that. Operators that only move codes, and clamps that become part of
them, pass this on. Sums that deserve it have 16 bits of their own accord, and so do constants that are added to them;
what moves them rounds them to the bits of its result.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from qir.ir.graph import Graph, Node
from qir.passes.quantize.clamp import CLAMPS
from qir.passes.quantize.placement import Placement
from qir.passmanager.base import Context
from qir.recipe import ACTIVATION_BITS, Bits, code_count


@dataclass(frozen=True)
class Width:
    """What the recipe asks of a value's codes.

    Attributes:
        bits: 1, "t", 2, 4, 8 or 16.
        power_of_two: of the scale.
    """

    bits: Bits = 8
    power_of_two: bool = False

    @property
    def codes(self) -> int:
        """How many there are."""
        return code_count(self.bits)

    def joined(self, other: Width) -> Width:
        """What satisfies both."""
        return Width(max(self.bits, other.bits, key=ACTIVATION_BITS.index), self.power_of_two or other.power_of_two)


def widths(graph: Graph, placed: Placement, context: Context) -> dict[str, Width]:
    """The width of every value that a placed node reads or makes as codes."""
    found: dict[str, Width] = {}
    links: list[tuple[str, ...]] = []
    for node in graph.nodes:
        rule = placed.rules.get(node.name)
        if rule is not None:
            asked, touched = _asked(node, context), (*rule.data_inputs(node), *node.outputs)
            for name in touched:
                found[name] = found.get(name, asked).joined(asked)
            if rule.kind == "same":
                links.append(touched)
        if node.op in CLAMPS:
            links.append((node.inputs[0], node.outputs[0]))
    while _spread(found, links):
        links.reverse()
    for node in graph.nodes:
        if node.name in placed.fine:
            operands = placed.rules[node.name].data_inputs(node)
            for name in (*node.outputs, *(name for name in operands if name in graph.constants)):
                found[name] = found[name].joined(Width(16))
    return found


def _asked(node: Node, context: Context) -> Width:
    layer = context.recipe.layer((node.name, *node.origin), node.op)
    return Width(layer.activation_bits or 8, layer.power_of_two)


def _spread(found: dict[str, Width], links: list[tuple[str, ...]]) -> bool:
    """Gives all values of a link the width of the widest; False where nothing changed."""
    changed = False
    for names in links:
        known = [found[name] for name in names if name in found]
        joined = reduce(Width.joined, known) if known else Width()
        for name in names:
            if found.get(name, Width()) != joined:
                found[name], changed = joined, True
    return changed


def has_signs(width: Width, low: float) -> bool:
    """Whether two or three codes are signs of a scale; of a value that is never negative they start at zero instead."""
    return width.codes <= 3 and low < 0
