"""What layers should become where those in front of them change, in the order of execution.

With rows x of a layer's inputs in the network as it was and z in the changed one, its new weights and bias come as
close to `W x + b` as they can be told from z (qir.compression.surgeon): both networks are walked at once (qir.walk).
Where the samples are not at hand but their statistics are, z = x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.compression.surgeon import refitted
from qir.ir.graph import Graph, Node
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.correct_biases import add_to_bias, first_samples, may_move_bias, valid_part
from qir.passes.quantize.observed import as_rows, from_rows, gram_of, is_stale
from qir.passmanager.base import Context
from qir.rewrite.editor import Editor
from qir.statistics import fingerprints
from qir.statistics.gram import im2col_rows
from qir.walk import Walk

_SAMPLES = 256
_BYTES = 1 << 28
"""Of a layer's rows, at most."""
_MOST = 2048
"""Inputs of an output, above which layers stay."""


@dataclass(frozen=True, eq=False)
class Aim:
    """What one group of a layer's channels should be.

    Attributes:
        rows: weights to come near to, float64 [M, K].
        moments: second moments of the inputs, about their means where the bias can make good for these, [K, K].
        mean: of the inputs, [K].
        wanted: mean of the results, [M].
    """

    rows: np.ndarray
    moments: np.ndarray
    mean: np.ndarray
    wanted: np.ndarray


class Aims:
    """Goes through the layers of a network and settles one after the other.

    Args:
        before: the network as it was.
        after: the changed one, with nodes of the same names.
        kept: bool, which results of a layer are left, by its name; all of others.

    Attributes:
        graph: the changed network as it now is.
    """

    def __init__(
        self, before: Graph, after: Graph, context: Context, kept: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.graph, self._before, self._context, self._kept = after, before, context, kept or {}
        self._prints = fingerprints(before)
        self._nodes = {node.name: node for node in before.nodes}
        self._walks: tuple[Walk, Walk] | None = None
        if context.feeds is not None:
            self._batches = first_samples(before, context.feeds, _SAMPLES)
            self._walks = Walk(before, self._batches), Walk(after, self._batches)

    def of(self, node: Node) -> list[Aim] | None:
        """What a layer of the changed network should be, by group of its channels; None where nothing is known."""
        old, slots = self._nodes[node.name], weighted(node, self.graph)
        if slots is None or node.op == "ConvTranspose":
            return None
        now, was = (as_rows(one, graph.constants[one.inputs[slots.weight]].value).astype(np.float64)
                    for one, graph in ((node, self.graph), (old, self._before)))  # fmt: skip
        bias = old.input(slots.bias) if slots.bias >= 0 else ""
        added = self._before.constants[bias].value.reshape(-1) if bias in self._before.constants else np.zeros(1)
        centred = may_move_bias(node, slots, self.graph)
        if self._walks is None:
            return self._known(node, was, added, centred)
        if was.shape[1] > _MOST:
            return None
        x, z = self._rows(self._walks[0], old, was.shape[1]), self._rows(self._walks[1], node, was.shape[1])
        if x is None or z is None:
            return None
        results = np.concatenate([a @ part.T for a, part in zip(x, np.split(was, len(x)), strict=True)], axis=1) + added
        results = results[:, self._kept[node.name]] if node.name in self._kept else results
        parts = zip(np.split(now, len(z)), z, np.split(results, len(z), axis=1), strict=True)
        return [_aim(*part, centred) for part in parts]

    def current(self, node: Node) -> Node:
        """A node of the changed network as it now is."""
        return next(one for one in self.graph.nodes if one.name == node.name)

    def settle(self, node: Node, rows: np.ndarray, aims: list[Aim]) -> None:
        """Goes on with a layer that has new weights [channels, K], and a bias that makes good for the means."""
        edit, slots = Editor(self.graph), weighted(node, self.graph)
        assert slots is not None
        name = node.inputs[slots.weight]
        value = from_rows(node, rows.astype(np.float32), self.graph.constants[name].value)
        edit.replace_input(node, slots.weight, edit.revised(name, value, [node]))
        move = self.move(node, slots, rows, aims)
        if move is not None:
            add_to_bias(edit, node, slots, move)
        self.go_on(edit.build())

    def move(self, node: Node, slots: Weighted, rows: np.ndarray, aims: list[Aim]) -> np.ndarray | None:
        """What brings the means of a layer's results back; None where it can add nothing."""
        if not may_move_bias(node, slots, self.graph):
            return None
        means = [part @ one.mean for part, one in zip(np.split(rows, len(aims)), aims, strict=True)]
        bias = node.input(slots.bias)
        now = self.graph.constants[bias].value.reshape(-1) if bias else 0
        found: np.ndarray = np.concatenate([one.wanted for one in aims]) - np.concatenate(means) - now
        return found.astype(np.float32)

    def go_on(self, graph: Graph) -> None:
        """Takes what is left to do from a graph with the same nodes, or more in the place of the present one."""
        self.graph = graph
        if self._walks is not None:
            self._walks[1].go_on(graph)

    def _rows(self, walk: Walk, node: Node, inputs: int) -> np.ndarray | None:
        """[groups, n, K], of the same positions in both networks."""
        graph = self._before if self._walks is not None and walk is self._walks[0] else self.graph
        shape = graph.constants[node.inputs[1]].value.shape
        parts, first = [], 0
        arrays = walk.before(node, node.inputs[0])
        for array, batch in zip(arrays, self._batches, strict=True):
            part = im2col_rows(node, valid_part(array, batch), shape, first, self._context.seed, inputs)
            if part is None:
                return None
            most = max(1, _BYTES // (8 * part.shape[0] * inputs * len(arrays)))
            parts.append(part[:, :: -(-part.shape[1] // most)].astype(np.float64))
            first += batch.valid
        return np.concatenate(parts, axis=1)

    def _known(self, node: Node, rows: np.ndarray, added: np.ndarray, centred: bool) -> list[Aim] | None:
        gram = gram_of(node, self._before.constants[node.inputs[1]].value, self._context)
        if gram is None or not gram.rows or is_stale(node, self._context, self._prints):
            return None
        results = np.broadcast_to(added, (len(rows),)) if added.size == 1 else added
        return [
            Aim(part, matrix / gram.rows - (np.outer(mean, mean) if centred else 0), mean, part @ mean + bias)
            for part, matrix, mean, bias in zip(np.split(rows, gram.groups), gram.matrix, gram.mean,
                                                np.split(results, gram.groups), strict=True)
        ]  # fmt: skip


def _aim(rows: np.ndarray, inputs: np.ndarray, wanted: np.ndarray, centred: bool) -> Aim:
    """Of weights [M, K] that see inputs [n, K] and should give [n, M]."""
    mean, goal = inputs.mean(axis=0), wanted.mean(axis=0)
    off = (mean, goal) if centred else (np.zeros(mean.shape), np.zeros(goal.shape))
    inputs = inputs - off[0]
    return Aim(refitted(rows, inputs, wanted - off[1]), inputs.T @ inputs / len(inputs), mean, goal)


def refit(before: Graph, after: Graph, kept: Mapping[str, np.ndarray], context: Context) -> Graph:
    """The changed network with all its layers fitted to what they now see; arguments as for `Aims`."""
    aims = Aims(before, after, context, kept)
    for node in after.nodes:
        found = aims.of(node)
        if found is not None:
            aims.settle(node, np.concatenate([one.rows for one in found]), found)
    return aims.graph
