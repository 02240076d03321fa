"""Families of channels: the classes that one layer makes, or several whose results meet, and the work they cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qir.compression.path import Work, filled
from qir.coupling import FIXED, Coupling
from qir.coupling.ties import join, root
from qir.ir.graph import Graph, Node
from qir.ops.weighted import macs, weighted


@dataclass(frozen=True, eq=False)
class Family:
    """Classes of channels that are made together.

    Attributes:
        classes: numbers of coupling's classes.
        makers: names of the layers, and of the user's nodes that they stand for.
        width: channels of a result that one class stands for (a head has many).
        power: squares of the weights that make each class, each layer's over their sum.
    """

    classes: np.ndarray
    makers: tuple[str, ...]
    width: int
    power: np.ndarray

    @property
    def count(self) -> int:
        return self.classes.size

    @property
    def channels(self) -> int:
        return self.count * self.width


def families(graph: Graph, coupling: Coupling) -> list[Family]:
    """All that hold more than one class that can go."""
    parents = list(range(len(coupling.groups)))
    makers = [node for node in graph.nodes if node.name in coupling.makers and node.outputs[0] in coupling.values]
    for node in makers:
        ids = coupling.values[node.outputs[0]].ids
        for other in ids[ids != FIXED]:
            join(parents, int(ids[ids != FIXED][0]), int(other))
    numbers = np.array([root(parents, one) for one in range(len(parents))])
    found = []
    for number in dict.fromkeys(int(numbers[coupling.values[node.outputs[0]].ids].max()) for node in makers):
        classes = np.flatnonzero(numbers == number)
        own = [node for node in makers if (numbers[coupling.values[node.outputs[0]].ids] == number).any()]
        if number == FIXED or classes.size < 2:
            continue
        counts = [np.isin(coupling.values[node.outputs[0]].ids, classes).sum() for node in own]
        names = tuple(dict.fromkeys(name for node in own for name in (node.name, *node.origin)))
        power = sum((_power(node, graph, coupling, classes) for node in own), np.zeros(classes.size))
        found.append(Family(classes, names, max(1, min(counts) // classes.size), power))
    return found


def _power(node: Node, graph: Graph, coupling: Coupling, classes: np.ndarray) -> np.ndarray:
    """Share of each class in the squares of a layer's weights."""
    value, ids = graph.constants[node.inputs[1]].value, coupling.values[node.outputs[0]].ids
    along = [one for one in coupling.operands[node.name, 1] if np.array_equal(one.ids, ids)]
    if not along:
        return np.zeros(classes.size)
    squares = np.square(np.moveaxis(value, along[-1].axis, 0).reshape(ids.size, -1), dtype=np.float64).sum(axis=1)
    found = np.array([squares[ids == one].sum() for one in classes])
    return found / max(float(squares.sum()), 1e-300)


def work_of(graph: Graph, coupling: Coupling, found: Sequence[Family], costs: Mapping[str, float]) -> Work:
    """What a graph's layers take by the channels of its families.

    Args:
        graph: with known shapes, as far as they can be.
        costs: of each layer as it is, by its name; where that of one is missing, multiplications count.
    """
    known = all(costs.get(node.name) for node in graph.nodes if weighted(node, graph) is not None)
    rows: list[tuple[float, np.ndarray, np.ndarray, int, int]] = []
    for node in graph.nodes:
        total = macs(node, graph)
        if weighted(node, graph) is None or not total:
            continue
        made = _counts(node.outputs[0], coupling, found)
        outputs = graph.tensor(node.outputs[0]).sizes[1 if "Conv" in node.op else -1]
        inputs, read = 1, np.zeros(len(found))
        if node.name not in coupling.carriers:  # not depthwise
            inputs = graph.tensor(node.inputs[0]).sizes[1 if "Conv" in node.op else -1]
            read = _counts(node.inputs[0], coupling, found)
        left = np.array([family.count for family in found])
        full = (inputs * outputs + float(filled(np.array(inputs), np.array(outputs)))) / 2
        each = costs[node.name] / full if known else total / (inputs * outputs)
        rows.append((each, read, made, inputs - int(read @ left), outputs - int(made @ left)))
    ones, read_by, made_by, others, other = (np.array(column) for column in zip(*rows, strict=True))
    return Work(ones, read_by, made_by, others, other)


def _counts(name: str, coupling: Coupling, found: Sequence[Family]) -> np.ndarray:
    """Channels of a value for each class of a family."""
    if name not in coupling.values:
        return np.zeros(len(found))
    ids = coupling.values[name].ids
    return np.array([np.isin(ids, family.classes).sum() / family.count for family in found])
