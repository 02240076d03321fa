"""Channels that belong together: those that can only be scaled by one factor in all the values that carry them.

Every value has at most one channel axis: axis 1 at convolutions, the last one at matrix products. A layer makes its
output channels afresh, as a factor goes into the rows of its weight, and ends those it reads, as a factor comes out of
the columns. What stands between carries channels from value to value: an Add joins those of its operands, Concat and
Split cut them apart, a depthwise convolution is a layer like any other. Where an operator is not known to let factors
through (a Sigmoid, a residual sum with the model's input), its channels are fixed.

That is the relation SCALING. Another, REMOVAL, tells which channels can only be taken out together: there a depthwise
convolution carries channels, every operator on single elements lets them pass, and constants are known to have some.

Source: Nagel et al., arXiv 1906.04721, section 4.1; for residual sums Fang et al., arXiv 2301.12900 (DepGraph).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.coupling.removal import REMOVAL
from qir.coupling.rules import NORMALIZATIONS, SCALING, Rule, fix_all
from qir.coupling.ties import FIXED, Channels, Ties, join, root
from qir.ir.graph import Graph

__all__ = ["FIXED", "NORMALIZATIONS", "REMOVAL", "SCALING", "Channels", "Coupling"]


@dataclass(frozen=True)
class Coupling:
    """How the channels of a graph hang together.

    Attributes:
        values: the channels of each value that has some that are free.
        groups: int [classes], numbers of the groups of classes that meet in one value; group 0 is that of FIXED alone.
        makers: names of the nodes that make their output channels afresh.
        carriers: names of the nodes that carry channels from input to output.
        operands: of REMOVAL, the channels along axes of constants, by node's name and input slot.
    """

    values: Mapping[str, Channels]
    groups: np.ndarray
    makers: frozenset[str]
    carriers: frozenset[str]
    operands: Mapping[tuple[str, int], tuple[Channels, ...]]

    @staticmethod
    def of(graph: Graph, rules: Mapping[str, Rule] = SCALING) -> Coupling:
        """That of a graph, its bodies left out: what they read is fixed."""
        ties = Ties(graph)
        for node in graph.nodes:
            rules.get(node.op, fix_all)(node, ties)
            ties.fix(*node.captures)
        ties.fix(*graph.outputs)
        numbers = ties.numbers()
        found = {name: Channels(one.axis, numbers[one.ids]) for name, one in ties.known.items()}
        free = {name: one for name, one in found.items() if one.is_free}
        meeting = list(range(int(numbers.max()) + 1))
        for one in free.values():
            some = one.ids[one.ids != FIXED]
            for other in some[1:]:
                join(meeting, int(some[0]), int(other))
        groups = np.unique([root(meeting, one) for one in range(len(meeting))], return_inverse=True)[1]
        operands = {key: tuple(Channels(one.axis, numbers[one.ids]) for one in found)
                    for key, found in ties.operands.items()}  # fmt: skip
        return Coupling(free, groups, frozenset(ties.makers), frozenset(ties.carriers), operands)
