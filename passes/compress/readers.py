"""Layers that read channels: what they lose without some, and what makes good for it, by what calibration saw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qir.compression.surgeon import Reader, damped, removal_order, without
from qir.coupling import Coupling
from qir.ir.graph import Graph, Node
from qir.ops.weighted import Weighted, weighted
from qir.passes.compress.families import Family
from qir.passes.quantize.correct_biases import add_to_bias, may_move_bias
from qir.passes.quantize.observed import as_rows, from_rows, gram_of
from qir.passmanager.base import Context
from qir.rewrite.editor import Editor
from qir.statistics import Gram

_DAMPING = 0.01
"""Added to the diagonal of second moments, as a share of its mean."""


def errors_of(family: Family, graph: Graph, coupling: Coupling, context: Context) -> tuple[np.ndarray, np.ndarray]:
    """In which order the classes of a family should go, and the error once so many are gone; infinite where a layer
    that reads them was not observed."""
    places = np.full(len(coupling.groups), -1)
    places[family.classes] = np.arange(family.count)
    readers = []
    for node, slots in _layers(graph, coupling):
        ids = coupling.values[node.inputs[0]].ids
        if not np.isin(ids, family.classes).any():
            continue
        gram = gram_of(node, graph.constants[node.inputs[slots.weight]].value, context)
        if gram is None or not gram.rows:
            return np.arange(family.count), np.concatenate([[0.0], np.full(family.count, np.inf)])
        for rows, moments, columns in _groups(node, slots, graph, ids, gram):
            power = float(((rows @ moments) * rows).sum())
            readers.append(Reader(rows, damped(moments, _DAMPING), places[columns], power if power > 0 else 1.0))
    return removal_order(readers, family.count)


def updated(graph: Graph, after: Graph, coupling: Coupling, gone: np.ndarray, context: Context) -> Graph:
    """A graph without channels, with weights and biases that make good for those that layers read.

    Args:
        graph, after: before and after the channels were taken out.
    """
    edit = Editor(after)
    for node, slots in _layers(graph, coupling):
        ids, value = coupling.values[node.inputs[0]].ids, graph.constants[node.inputs[slots.weight]].value
        gram = gram_of(node, value, context)
        if gram is None or not gram.rows or not gone[ids].any():
            continue
        rows, moves = [], []
        for (part, moments, columns), mean in zip(_groups(node, slots, graph, ids, gram), gram.mean, strict=True):
            kept = ~gone[columns]
            rows.append(without(part, damped(moments, _DAMPING), kept))
            moves.append(part @ mean - rows[-1] @ mean[kept])
        left = np.full(len(value) if node.op == "Conv" else len(as_rows(node, value)), True)
        if node.outputs[0] in coupling.values:
            left = ~gone[coupling.values[node.outputs[0]].ids]
        cut = after.constants[edit.current(node).inputs[slots.weight]].value
        fitted = from_rows(node, np.concatenate(rows)[left].astype(np.float32), cut)
        edit.replace_input(node, slots.weight, edit.revised(edit.current(node).inputs[slots.weight], fitted, [node]))
        if may_move_bias(node, slots, graph):
            add_to_bias(edit, node, slots, np.concatenate(moves)[left].astype(np.float32))
    return edit.build()


def _layers(graph: Graph, coupling: Coupling) -> Iterator[tuple[Node, Weighted]]:
    """Those that end channels: not depthwise ones."""
    for node in graph.nodes:
        slots = weighted(node, graph)
        if slots is not None and node.name not in coupling.carriers and node.inputs[0] in coupling.values:
            yield node, slots


def _groups(node: Node, slots: Weighted, graph: Graph, ids: np.ndarray,
            gram: Gram) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """Weights, second moments and classes of the columns, of each group of a layer's channels.

    The moments are about the means where the bias can make good for these.
    """
    rows = as_rows(node, graph.constants[node.inputs[slots.weight]].value.astype(np.float64))
    classes = np.repeat(ids.reshape(gram.groups, -1), gram.size // (ids.size // gram.groups), axis=1)
    centred = may_move_bias(node, slots, graph)
    for part, matrix, mean, columns in zip(np.split(rows, gram.groups), gram.matrix, gram.mean, classes, strict=True):
        yield part, matrix / gram.rows - (np.outer(mean, mean) if centred else 0), columns
