"""Rules that say in which order a family wants its operands stored, and orders through reshapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from qir.backends.c.binding.site import Operand, Order, Site, channels_last, plain


@dataclass(frozen=True)
class Orders:
    """Orders that a family wants, one entry a slot; None at slots that were omitted."""

    inputs: tuple[Order | None, ...]
    outputs: tuple[Order | None, ...]


LayoutRule: TypeAlias = Callable[[Site], Orders]
"""Sees operands in the orders they have now (constants and outputs plain). A copy is made of each input that differs
from what is asked for; constants are reordered at compile time."""


def PLAIN(site: Site) -> Orders:
    """Everything in ONNX's order."""
    return Orders(
        tuple(plain(x.rank) if x else None for x in site.inputs),
        tuple(plain(y.rank) if y else None for y in site.outputs),
    )


def CHANNELS_LAST(site: Site) -> Orders:
    """Input 0 and every output as N, spatial axes, C; other inputs plain."""
    rest = tuple(plain(x.rank) if x else None for x in site.inputs[1:])
    return Orders(
        (channels_last(site.input(0).rank), *rest), tuple(channels_last(y.rank) if y else None for y in site.outputs)
    )


def FOLLOW(site: Site) -> Orders:
    """Outputs take the order in which most bytes of the inputs lie already; inputs broadcast from the right.

    An input of lower rank is stored in that order restricted to the axes it has.
    """
    rank = site.output.rank
    order = majority([x for x in site.inputs if x is not None and x.value is None and x.rank == rank], rank)
    return Orders(
        tuple(restricted(order, x.rank) if x else None for x in site.inputs),
        tuple((order if y.rank == rank else plain(y.rank)) if y else None for y in site.outputs),
    )


def majority(operands: list[Operand], rank: int) -> Order:
    """The order that holds most bytes of some operands of one rank; plain where there are none, or in a tie."""
    weights: dict[Order, int] = {plain(rank): 0}
    for operand in operands:
        order = plain(rank) if operand.is_plain else operand.order
        weights[order] = weights.get(order, 0) + operand.nbytes
    return max(weights, key=lambda order: weights[order])


def restricted(order: Order, rank: int) -> Order:
    """`order` of a larger operand, restricted to the last `rank` axes."""
    lead = len(order) - rank
    return plain(rank) if lead < 0 else tuple(axis - lead for axis in order if axis >= lead)


def transposed(order: Order, perm: tuple[int, ...]) -> Order:
    """The order under which a transposed value (axis i of it is axis perm[i] of the source) has the same bytes."""
    position = {axis: i for i, axis in enumerate(perm)}
    return tuple(position[axis] for axis in order)


def reshaped(shape: tuple[int, ...], order: Order, target: tuple[int, ...]) -> Order | None:
    """The order under which a reshaped value has the same bytes; None where no order of its axes does.

    Axes split and merge in the smallest groups of equal products; a group may lie anywhere in storage so long as its
    axes lie together and in ascending order.
    """
    if 0 in shape or 0 in target:
        return plain(len(target))
    groups, source, sink = [], _grouped(shape), _grouped(target)
    if [size for size, _ in source] == [size for size, _ in sink]:
        groups = [(a, b) for (_, a), (_, b) in zip(source, sink, strict=True)]
    else:
        merged = _common(shape, target)
        if merged is None:
            return None
        groups = merged
    stored = [axis for axis in order if shape[axis] != 1]
    result: list[int] = []
    place = 0
    by_first = {a[0]: (a, b) for a, b in groups}
    while place < len(stored):
        group = by_first.get(stored[place])
        if group is None or stored[place : place + len(group[0])] != group[0]:
            return None
        result += group[1]
        place += len(group[0])
    ones = [axis for axis, size in enumerate(target) if size == 1]
    return tuple(ones + result)


def _grouped(shape: tuple[int, ...]) -> list[tuple[int, list[int]]]:
    return [(size, [axis]) for axis, size in enumerate(shape) if size != 1]


def _common(shape: tuple[int, ...], target: tuple[int, ...]) -> list[tuple[list[int], list[int]]] | None:
    a, b = [i for i, d in enumerate(shape) if d != 1], [i for i, d in enumerate(target) if d != 1]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        left, right, p, q = [a[i]], [b[j]], shape[a[i]], target[b[j]]
        i, j = i + 1, j + 1
        while p != q:
            if p < q:
                if i == len(a):
                    return None
                p, left, i = p * shape[a[i]], [*left, a[i]], i + 1
            else:
                if j == len(b):
                    return None
                q, right, j = q * target[b[j]], [*right, b[j]], j + 1
        groups.append((left, right))
    return groups if i == len(a) and j == len(b) else None


def ROWS(site: Site) -> Orders:
    """Input 0 with its last axis innermost and outputs alike; other inputs plain.

    For operators that act on rows along the last axis, such as a product with a matrix.
    """
    order = site.input(0).order
    kept = order if order and order[-1] == len(order) - 1 and site.output.rank == len(order) else plain(len(order))
    rest = tuple(plain(x.rank) if x else None for x in site.inputs[1:])
    outputs = tuple((kept if y.rank == len(kept) else plain(y.rank)) if y else None for y in site.outputs)
    return Orders((kept, *rest), outputs)


def reduced(order: Order, axes: frozenset[int], keepdims: bool) -> Order:
    """The order of a value stored in `order` once some axes are reduced."""
    if keepdims:
        return order
    kept = sorted(set(order) - axes)
    return tuple(kept.index(axis) for axis in order if axis not in axes)
