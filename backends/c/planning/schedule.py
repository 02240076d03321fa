"""The order in which nodes run: another one where that needs less memory at once.

A walk over sets of nodes that can have run (dynamic programming; after B. H. Ahn et al., Ordering Chaos: Memory-Aware
Scheduling of Irregularly Wired Neural Networks for Edge Devices, MLSys 2020). What has run says which values are
there, whatever the order was, so of all orders of a set the one with the lowest peak is kept, and of all sets of a size
the best few. A chain has one set of each size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from qir.backends.c.kernels import families
from qir.backends.c.planning.layout import ALIASES, static_type
from qir.ir.graph import Graph, Node

_KEPT = 24
"""Sets of a size."""


@dataclass(frozen=True)
class _Task:
    """A node: values by the number of what holds their bytes.

    Attributes:
        after: nodes that must have run.
        reads, writes: what holds them; donors: those of `reads` whose bytes the result may take over.
        scratch: bytes that only it needs.
        joins: numbers of the nodes that, run right after it, are computed by it.
    """

    after: int
    reads: frozenset[int]
    writes: frozenset[int]
    donors: frozenset[int]
    scratch: int
    joins: tuple[int, ...]


def scheduled(
    graph: Graph, nodes: Sequence[Node], scratch: Mapping[str, int], isas: Sequence[str]
) -> list[Node] | None:
    """The nodes in a better order; None where none was found.

    Args:
        nodes: to run, in an order that can be. The caller has the graph's inputs and outputs.
        scratch: node to the bytes that its call alone needs.
        isas: whose kernels may be used.
    """
    readers: dict[str, int] = {}
    for node in nodes:
        for name in node.reads:
            readers[name] = readers.get(name, 0) + 1
    if max(readers.values(), default=0) < 2:
        return None
    search = _Search(graph, nodes, scratch, isas)
    peak, order = search.best()
    return [nodes[i] for i in order] if peak < search.peak(range(len(nodes))) else None


_State: TypeAlias = "tuple[int, int, frozenset[int], tuple[int, ...]]"
"""Peak so far, bytes that are there, what holds them, the order."""


class _Search:
    """Peaks of orders of some nodes."""

    def __init__(
        self, graph: Graph, nodes: Sequence[Node], scratch: Mapping[str, int], isas: Sequence[str]
    ) -> None:
        holders: dict[str, int] = {}
        self.nbytes: list[int] = []

        def hold(name: str) -> None:
            holders[name] = len(self.nbytes)
            kind = static_type(graph, name)
            self.nbytes.append(0 if name in outside else kind.dtype.numpy.itemsize * prod(kind.sizes))

        outside = {*graph.inputs, *graph.outputs}
        for name in dict.fromkeys(graph.inputs):
            hold(name)
        self.first = frozenset(holders.values())
        maker: dict[str, int] = {}
        for number, node in enumerate(nodes):
            for name in node.outputs:
                if name:
                    maker[name] = number
                    if node.op in ALIASES and node.inputs[0] in holders:
                        holders[name] = holders[node.inputs[0]]
                    else:
                        hold(name)
        in_place = {op: family.in_place for family in families() for op in family.ops}
        sums = {op for family in families() for op in family.ops
                if any(variant.sums and variant.isa in (*isas, "portable") for variant in family.variants)}  # fmt: skip
        numbers = {node.name: number for number, node in enumerate(nodes)}
        self.tasks = []
        for node in nodes:
            reads = [name for name in node.reads if name in holders]
            after = sum({1 << maker[name] for name in reads if name in maker})
            writes = frozenset(holders[name] for name in node.outputs if name)
            donors = frozenset(holders[node.inputs[i]] for i in in_place.get(node.op, ())
                               if i < len(node.inputs) and node.inputs[i] in holders)  # fmt: skip
            user = graph.index.sole_consumer(node.outputs[0]) if node.op in sums else None
            joined = numbers.get(user.name) if user is not None and user.op == "qir.IntAdd" else None
            joins = () if joined is None else (joined,)
            task = _Task(after, frozenset(holders[n] for n in reads), writes, donors, scratch.get(node.name, 0), joins)
            self.tasks.append(task)
        self.users = [0] * len(self.nbytes)
        for number, task in enumerate(self.tasks):
            for holder in task.reads | task.writes:
                self.users[holder] |= 1 << number
        self.kept = frozenset(holders[name] for name in graph.outputs if name in holders)

    def _held(self, done: int, holder: int) -> bool:
        """Whether a value is still wanted when some nodes have run."""
        return holder in self.kept or bool(self.users[holder] & ~done)

    def _run(self, done: int, live: frozenset[int], number: int, joined: int | None) -> tuple[int, frozenset[int]]:
        """Bytes while a node runs, perhaps with one that it computes too, and what is there afterwards."""
        task = self.tasks[number]
        last = task if joined is None else self.tasks[joined]
        after = done | 1 << number | (0 if joined is None else 1 << joined)
        new = last.writes - live
        taken = task.reads if joined is not None else frozenset()
        grown = sum(self.nbytes[h] for h in new)
        if any(self.nbytes[h] == grown and h not in taken and not self._held(after, h) for h in last.donors & live):
            grown = 0
        held = sum(self.nbytes[h] for h in live) + grown + task.scratch
        return held, frozenset(h for h in live | new if self._held(after, h))

    def _next(self, done: int) -> list[tuple[int, int | None]]:
        """What can run: nodes, or pairs of a node and one that it computes too."""
        ready = [i for i, task in enumerate(self.tasks) if not done >> i & 1 and not task.after & ~done]
        moving = [i for i in ready if self.tasks[i].writes <= self.tasks[i].reads]
        if moving:
            return [(moving[0], None)]  # it moves no bytes
        pairs = [(i, j) for i in ready for j in self.tasks[i].joins if not self.tasks[j].after & ~(done | 1 << i)]
        return [*pairs, *((i, None) for i in ready)]

    def best(self) -> tuple[int, tuple[int, ...]]:
        """The lowest peak that was found, and its order."""
        levels: list[dict[int, _State]] = [{} for _ in range(len(self.tasks) + 1)]
        levels[0][0] = (0, 0, self.first, ())
        for level, states in enumerate(levels[:-1]):
            for done, (peak, _, live, order) in sorted(states.items(), key=lambda item: item[1][:2])[:_KEPT]:
                for number, joined in self._next(done):
                    held, left = self._run(done, live, number, joined)
                    ran = (number,) if joined is None else (number, joined)
                    after = done | sum(1 << i for i in ran)
                    found = (max(peak, held), sum(self.nbytes[h] for h in left), left, order + ran)
                    known = levels[level + len(ran)].get(after)
                    if known is None or found[:2] < known[:2]:
                        levels[level + len(ran)][after] = found
            states.clear()
        ((peak, _, _, order),) = levels[-1].values()
        return peak, order

    def peak(self, order: Sequence[int]) -> int:
        """Of one order."""
        done, live, most, place = 0, self.first, 0, 0
        while place < len(order):
            number = order[place]
            follows = order[place + 1] if place + 1 < len(order) else -1
            joined = follows if follows in self.tasks[number].joins else None
            held, live = self._run(done, live, number, joined)
            most = max(most, held)
            done |= 1 << number | (0 if joined is None else 1 << joined)
            place += 1 if joined is None else 2
        return most
