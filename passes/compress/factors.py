"""The two layers that one becomes: what they cost, what they lose, and how they stand in the graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qir.compression.low_rank import completed, product, separated
from qir.compression.path import filled
from qir.ir.graph import Graph, Node
from qir.ops.weighted import Weighted, macs, weighted, with_ones
from qir.ops.window import Window, window
from qir.passes.compress.refit import Aim, Aims
from qir.passes.quantize.correct_biases import add_to_bias
from qir.rewrite.editor import Editor

_RANKS = 16
"""How many are looked at, at most."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer that may become two.

    Attributes:
        window: of a convolution with known sizes over two axes; None of others.
        positions: at which it is computed for one sample.
    """

    node: Node
    slots: Weighted
    value: np.ndarray
    window: Window | None
    positions: int

    @property
    def work(self) -> float:
        """Mean of the multiplications and of what vectors take."""
        return _work(self.positions, self._inputs, self._outputs)

    @property
    def macs(self) -> int:
        return self.positions * self.value.size

    @property
    def _outputs(self) -> int:
        return int(self.value.shape[0 if self.node.op == "Conv" or self.node.attr("transB", 0) else 1])

    @property
    def _inputs(self) -> int:
        return self.value.size // self._outputs

    def ways(self, rank: int) -> Iterator[tuple[bool, int, int, float]]:
        """Whether a way is along space, its multiplications, weights and work."""
        k, m = self._inputs, self._outputs
        yield False, self.positions * rank * (k + m), rank * (k + m), (
            _work(self.positions, k, rank) + _work(self.positions, rank, m))  # fmt: skip
        if self.window is not None and min(self.window.kernel) > 1:
            high, wide = self.window.kernel
            along, across = self.value.shape[1] * high, rank * wide
            first = self.window.output[0] * self.window.input[1]
            yield True, rank * (first * along + self.positions * wide * m), rank * (along + wide * m), (
                _work(first, along, rank) + _work(self.positions, across, m))  # fmt: skip


def _work(positions: int, inputs: int, outputs: int) -> float:
    return positions * (inputs * outputs + float(filled(np.array(inputs), np.array(outputs)))) / 2


@dataclass(frozen=True)
class Factors:
    """One way to make two layers of one.

    Attributes:
        in_space: i x 1, then 1 x j; else all of the kernel, then 1 x 1.
        error: share of the power of the results that is lost.
        macs, weights, work: of both.
    """

    in_space: bool
    rank: int
    error: float
    macs: int
    weights: int
    work: float


def layer_of(node: Node, graph: Graph) -> Layer | None:
    """A node as a layer that may become two; None for grouped ones, and where sizes are not known."""
    slots, single = weighted(node, graph), with_ones(graph)
    count = macs(node, single)
    plain = node.attr("group", 1) == 1 and node.attr("alpha", 1.0) == 1 and not node.attr("transA", 0)
    if slots is None or not count or not plain or node.op == "ConvTranspose":
        return None
    value = graph.constants[node.inputs[slots.weight]].value
    if node.op != "Conv" and value.ndim != 2:
        return None
    found = None
    if value.ndim == 4:
        found = window(node, single.tensor(node.inputs[0]).sizes[2:], value.shape[2:])
    return Layer(node, slots, value, found, count // value.size)


def factors(layer: Layer, rows: np.ndarray, moments: np.ndarray, multiple: int) -> list[Factors]:
    """All ways that multiply less than the layer itself.

    Args:
        rows: its weights, [M, K].
        moments: positive definite, [K, K].
        multiple: of which ranks are one.
    """
    *_, errors = product(rows, moments)
    least = min(macs for _, macs, *_ in layer.ways(multiple))
    ranks = range(multiple, min(len(errors), multiple * (layer.macs // max(least, 1)) + 1), multiple)
    first = None
    found = []
    for rank in ranks[:: max(1, -(-len(ranks) // _RANKS))]:
        for in_space, count, weights, work in layer.ways(rank):
            if count >= layer.macs or weights >= layer.value.size:
                continue
            error = errors[rank]
            if in_space:
                first = separated(layer.value.astype(np.float64), moments) if first is None else first
                if rank > len(first):
                    continue
                error = completed(rows, moments, first[:rank], layer.value.shape[3])[1]
            found.append(Factors(in_space, rank, float(error), count, weights, work))
    return found


def put(aims: Aims, layer: Layer, way: Factors, aim: Aim, moments: np.ndarray) -> Graph:
    """The graph with two layers for one, the second under its name.

    Args:
        aim: what the layer should be.
        moments: of its inputs, positive definite.
    """
    node, value = aims.current(layer.node), layer.value
    if way.in_space:
        first = separated(aim.rows.reshape(value.shape), moments)[: way.rank]
        second, _ = completed(aim.rows, moments, first, value.shape[3])
        rows = np.einsum("mrj,rci->mcij", second, first).reshape(aim.rows.shape)
        weights = first[..., None], second[:, :, None]
    else:
        left, right, _ = product(aim.rows, moments)
        left, right = left[:, : way.rank], right[: way.rank]
        rows = left @ right
        weights = right, left
        if node.op == "Conv":
            weights = right.reshape(-1, *value.shape[1:]), left.reshape(*left.shape, *[1] * (value.ndim - 2))
        elif not node.attr("transB", 0):
            weights = right.T, left.T
    edit = Editor(aims.graph)
    names = [edit.constant(f"{node.inputs[1]}_{part}", np.ascontiguousarray(weight, np.float32))
             for part, weight in zip(("first", "second"), weights, strict=True)]  # fmt: skip
    attrs = _attributes(node, layer, way)
    (between,) = edit.node(node.op, (node.inputs[0], names[0]), attrs[0], origin=[node], name=f"{node.name}_first",
                           outputs=(edit.fresh_value(f"{node.outputs[0]}_first"),))  # fmt: skip
    second_node = node.with_(inputs=(between, names[1], *node.inputs[2:]), attrs=attrs[1])
    edit.replace(node, second_node)
    move = aims.move(node, layer.slots, rows, [aim])
    if move is not None:
        add_to_bias(edit, second_node, layer.slots, move)
    return edit.build()


def _attributes(node: Node, layer: Layer, way: Factors) -> tuple[dict[str, object], dict[str, object]]:
    """Of the first and of the second layer."""
    given = dict(node.attrs)
    if node.op != "Conv":
        return {key: value for key, value in given.items() if key == "transB"}, given
    if not way.in_space:
        ones = (1,) * (layer.value.ndim - 2)
        single = {"kernel_shape": ones, "strides": ones, "dilations": ones, "pads": (0,) * (2 * len(ones)), "group": 1}
        return given, single
    win = layer.window
    assert win is not None

    def along(axis: int) -> dict[str, object]:
        return {
            "kernel_shape": _only(win.kernel, axis, 1), "strides": _only(win.strides, axis, 1),
            "dilations": _only(win.dilations, axis, 1), "group": 1,
            "pads": (*_only(win.begin, axis, 0), *_only(win.declared_end, axis, 0)),
        }  # fmt: skip

    return along(0), along(1)


def _only(values: tuple[int, ...], axis: int, other: int) -> tuple[int, ...]:
    """The entry of an axis, and another number for the rest."""
    return tuple(value if place == axis else other for place, value in enumerate(values))
