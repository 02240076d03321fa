"""Which channels share a factor: what is known while the nodes of a graph are gone through."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Node
from qir.ir.types import Shape, TensorType

FIXED = 0
"""The class of channels that no factor may change."""


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of one value.

    Attributes:
        axis: where they run, counted from the front.
        ids: int [C], the class of each channel; those of one class share their factor.
    """

    axis: int
    ids: np.ndarray

    @property
    def is_free(self) -> bool:
        """Whether any channel has a factor of its own."""
        return bool((self.ids != FIXED).any())


@dataclass
class Ties:
    """Channels of the values met so far, and the union-find forest of their classes.

    Attributes:
        graph: whose nodes are gone through.
        known: channels by value; the ids are those of the forest.
        operands: channels along axes of constants, by node and input slot.
        makers, carriers: names of nodes; see `Coupling`.
    """

    graph: Graph
    known: dict[str, Channels] = field(default_factory=dict)
    operands: dict[tuple[str, int], tuple[Channels, ...]] = field(default_factory=dict)
    makers: set[str] = field(default_factory=set)
    carriers: set[str] = field(default_factory=set)
    _parent: list[int] = field(default_factory=lambda: [FIXED])

    def __post_init__(self) -> None:
        self._reads = Counter(name for node in self.graph.nodes for name in node.reads)

    def own(self, name: str) -> np.ndarray | None:
        """A float constant that one node alone reads, once."""
        value = self.graph.value(name) if name else None
        return value if value is not None and self._reads[name] == 1 and value.dtype == np.float32 else None

    def shape(self, name: str) -> Shape | None:
        kind = self.graph.types.get(name)
        return kind.shape if isinstance(kind, TensorType) and kind.dtype == FLOAT32 else None

    def new(self, node: Node, axis: int) -> None:
        """A node makes the channels of its first output afresh."""
        shape = self.shape(node.outputs[0])
        if shape is None or not isinstance(shape[axis], int):
            return
        first, count = len(self._parent), int(shape[axis] or 0)
        self._parent += range(first, first + count)
        self.known[node.outputs[0]] = Channels(axis % len(shape), np.arange(first, first + count))
        self.makers.add(node.name)

    def read(self, name: str, axis: int) -> None:
        """A layer reads a value with its channels along an axis."""
        shape = self.shape(name)
        if shape is None or (name in self.known and self.known[name].axis != axis % len(shape)):
            self.fix(name)

    def fix(self, *names: str) -> None:
        for name in names:
            for one in self.known[name].ids if name in self.known else ():
                join(self._parent, int(one), FIXED)

    def carry(self, node: Node, channels: Channels, output: str | None = None) -> None:
        """A node's result has channels of its inputs."""
        self.known[output or node.outputs[0]] = channels
        self.carriers.add(node.name)

    def mark(self, node: Node, slot: int, axis: int, ids: np.ndarray) -> None:
        """A constant that a node reads has channels along an axis."""
        self.operands[node.name, slot] = (*self.operands.get((node.name, slot), ()), Channels(axis, ids))

    def tie(self, a: np.ndarray, b: np.ndarray) -> None:
        for one, other in zip(a, b, strict=True):
            join(self._parent, int(one), int(other))

    def alike(self, ids: np.ndarray) -> None:
        """Ties the rows of a matrix of classes."""
        for row in ids[1:]:
            self.tie(ids[0], row)

    def is_fixed(self, name: str) -> bool:
        return name not in self.known or all(root(self._parent, int(one)) == FIXED for one in self.known[name].ids)

    def numbers(self) -> np.ndarray:
        """The class of every id; FIXED is that of id 0."""
        roots = np.array([root(self._parent, one) for one in range(len(self._parent))])
        return np.unique(roots, return_inverse=True)[1]  # the fixed class has the smallest root


def root(parents: list[int], one: int) -> int:
    """The number that stands for all that were joined with one."""
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one


def join(parents: list[int], one: int, other: int) -> None:
    """The smaller number becomes the root."""
    low, high = sorted((root(parents, one), root(parents, other)))
    parents[high] = low
