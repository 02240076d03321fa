"""Layers move their weights and biases to what makes good for changes in front of them, in the order of execution.

With rows x of a layer's inputs in the network as it was and z in the changed one, its new weights and bias come as
close to `W x + b` as they can be told from z (qir.compression.surgeon): both networks are walked at once (qir.walk).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.compression.surgeon import refitted
from qir.ir.graph import Graph, Node
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.correct_biases import add_to_bias, first_samples, may_move_bias, valid_part
from qir.passes.quantize.observed import as_rows, from_rows
from qir.passmanager.base import Context
from qir.rewrite.editor import Editor
from qir.statistics.gram import im2col_rows
from qir.walk import Walk

_SAMPLES = 256
_BYTES = 1 << 28
"""Of a layer's rows, at most."""
_MOST = 2048
"""Inputs of an output, above which layers stay."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What one group of a layer's channels sees.

    Attributes:
        inputs: z, [n, K].
        wanted: results as they were, [n, M].
    """

    inputs: np.ndarray
    wanted: np.ndarray


class Follow:
    """Walks through a network as it was and as it becomes.

    Args:
        before: the network as it was.
        after: with all nodes that share their names with those of `before`.
    """

    def __init__(self, before: Graph, after: Graph, context: Context) -> None:
        assert context.feeds is not None
        self._before, self._seed = before, context.seed
        self._nodes = {node.name: node for node in before.nodes}
        self._batches = first_samples(before, context.feeds, _SAMPLES)
        self._walks = Walk(before, self._batches), Walk(after, self._batches)

    def seen(self, node: Node, weight: np.ndarray, kept: np.ndarray | None = None) -> list[Seen] | None:
        """By group of the channels of a layer of the changed network; None where it has no rows.

        Args:
            weight: of the layer.
            kept: bool, which results of the layer as it was are left; None for all.
        """
        old = self._nodes[node.name]
        slots = weighted(old, self._before)
        assert slots is not None
        value = self._before.constants[old.inputs[slots.weight]].value.astype(np.float64)
        rows, size = as_rows(old, value), as_rows(old, value).shape[1]
        x = self._rows(self._walks[0], old, value.shape, size)
        z = self._rows(self._walks[1], node, weight.shape, size)
        if x is None or z is None or size > _MOST:
            return None
        bias = old.input(slots.bias) if slots.bias >= 0 else ""
        added = self._before.constants[bias].value.reshape(-1) if bias in self._before.constants else np.zeros(1)
        groups = np.split(rows, len(x))
        results = np.concatenate([a @ part.T for a, part in zip(x, groups, strict=True)], axis=1) + added
        results = results if kept is None else results[:, kept]
        return [Seen(a, part) for a, part in zip(z, np.split(results, len(z), axis=1), strict=True)]

    def go_on(self, graph: Graph) -> None:
        """Goes on with the changed network as it now is."""
        self._walks[1].go_on(graph)

    def _rows(self, walk: Walk, node: Node, shape: tuple[int, ...], inputs: int) -> np.ndarray | None:
        """[groups, n, K], of the same positions in both networks."""
        parts, first = [], 0
        arrays = walk.before(node, node.inputs[0])
        for array, batch in zip(arrays, self._batches, strict=True):
            part = im2col_rows(node, valid_part(array, batch), shape, first, self._seed, inputs)
            if part is None:
                return None
            most = max(1, _BYTES // (8 * part.shape[0] * inputs * len(arrays)))
            parts.append(part[:, :: -(-part.shape[1] // most)].astype(np.float64))
            first += batch.valid
        return np.concatenate(parts, axis=1)


def refit(before: Graph, after: Graph, kept: Mapping[str, np.ndarray], context: Context) -> Graph:
    """The changed network with all its layers fitted to what they now see.

    Args:
        kept: bool, which results of a layer are left, by its name; all of others.
    """
    follow, edit = Follow(before, after, context), Editor(after)
    for node in after.nodes:
        slots = weighted(node, after)
        if slots is not None and node.op != "ConvTranspose":
            found = follow.seen(node, after.constants[node.inputs[slots.weight]].value, kept.get(node.name))
            if found is not None:
                _fit(edit, node, slots, found)
                follow.go_on(edit.build())
    return edit.build()


def _fit(edit: Editor, node: Node, slots: Weighted, seen: list[Seen]) -> None:
    value = edit.constants[edit.current(node).inputs[slots.weight]].value
    centred = may_move_bias(node, slots, edit.graph)
    rows, means = [], []
    for part, one in zip(np.split(as_rows(node, value).astype(np.float64), len(seen)), seen, strict=True):
        mean, goal = one.inputs.mean(axis=0), one.wanted.mean(axis=0)
        fitted = refitted(part, one.inputs - mean, one.wanted - goal) if centred else (
            refitted(part, one.inputs, one.wanted))  # fmt: skip
        rows.append(fitted)
        means.append(goal - fitted @ mean)
    name = edit.revised(edit.current(node).inputs[slots.weight],
                        from_rows(node, np.concatenate(rows).astype(np.float32), value), [node])  # fmt: skip
    edit.replace_input(node, slots.weight, name)
    if centred:
        bias = edit.current(node).input(slots.bias)
        add_to_bias(edit, node, slots, (np.concatenate(means) - edit.constants[bias].value.reshape(-1)
                                        if bias else np.concatenate(means)).astype(np.float32))  # fmt: skip
