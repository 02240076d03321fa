"""Where every buffer lies in the arena."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qir.backends.c.program import Buffer

_TRIES = 400
_LARGEST_SEARCH = 150


@dataclass(frozen=True)
class Placement:
    """Buffers with their offsets, and the sizes of what was found and of the least possible."""

    buffers: tuple[Buffer, ...]
    arena_bytes: int
    lower_bound: int


def overlaps(a: Buffer, b: Buffer) -> bool:
    """True where both hold something at the same time."""
    return a.first <= b.last and b.first <= a.last


def fullest(buffers: Sequence[Buffer]) -> tuple[int, int]:
    """The most bytes alive at once, and the first time when they are."""
    times = sorted({b.first for b in buffers})
    held = [(sum(b.nbytes for b in buffers if b.first <= t <= b.last), t) for t in times]
    return max(held, key=lambda one: one[0], default=(0, 0))


def check(buffers: Sequence[Buffer], arena_bytes: int, alignment: int) -> None:
    """Asserts that a placement is sound.

    Raises:
        AssertionError: naming two buffers that share bytes while both are alive, or one that is misplaced.
    """
    for i, a in enumerate(buffers):
        if a.offset % alignment or a.offset < 0 or a.offset + a.nbytes > arena_bytes:
            raise AssertionError(f"buffer {a.name} at {a.offset} is not inside the arena of {arena_bytes} bytes")
        for b in buffers[i + 1 :]:
            if overlaps(a, b) and a.offset < b.offset + b.nbytes and b.offset < a.offset + a.nbytes:
                raise AssertionError(f"buffers {a.name} and {b.name} share bytes while both are alive")


def _assign(
    order: Sequence[int], buffers: Sequence[Buffer], conflicts: Sequence[set[int]], alignment: int
) -> list[int]:
    """Lowest offset for each buffer in turn."""
    offsets = [-1] * len(buffers)
    for i in order:
        size, place = buffers[i].nbytes, 0
        busy = sorted((offsets[j], offsets[j] + buffers[j].nbytes) for j in conflicts[i] if offsets[j] >= 0)
        for start, end in busy:
            if place + size <= start:
                break
            place = max(place, -(-end // alignment) * alignment)
        offsets[i] = place
    return offsets


def place(buffers: Sequence[Buffer], alignment: int) -> Placement:
    """Places buffers: greedy by several orders, then a deterministic search near the best one.

    Args:
        buffers: arena buffers with their lifetimes; offsets are ignored.
        alignment: of every offset, bytes.
    """
    bound, _ = fullest(buffers)
    if not buffers:
        return Placement((), 0, 0)
    conflicts = [{j for j, b in enumerate(buffers) if j != i and overlaps(a, b)} for i, a in enumerate(buffers)]
    keys: list[Callable[[int], tuple[int, ...]]] = [
        lambda i: (-buffers[i].nbytes, buffers[i].first),
        lambda i: (-buffers[i].nbytes * (buffers[i].last - buffers[i].first + 1), i),
        lambda i: (buffers[i].first, -buffers[i].nbytes),
        lambda i: (buffers[i].first - buffers[i].last, -buffers[i].nbytes),
        lambda i: (-sum(buffers[j].nbytes for j in conflicts[i]), -buffers[i].nbytes),
    ]

    def height(offsets: Sequence[int]) -> int:
        return max(offset + b.nbytes for offset, b in zip(offsets, buffers, strict=True))

    best_order: list[int] = []
    best: list[int] = []
    for key in keys:
        order = sorted(range(len(buffers)), key=key)
        offsets = _assign(order, buffers, conflicts, alignment)
        if not best or height(offsets) < height(best):
            best_order, best = order, offsets
    if len(buffers) <= _LARGEST_SEARCH:
        generator = random.Random(0)
        for _ in range(_TRIES):
            if height(best) <= bound:
                break
            order = list(best_order)
            taken = order.pop(generator.randrange(len(order)))
            order.insert(generator.randrange(len(order) + 1), taken)
            offsets = _assign(order, buffers, conflicts, alignment)
            if height(offsets) <= height(best):
                best_order, best = order, offsets
    placed = tuple(replace(b, offset=offset) for b, offset in zip(buffers, best, strict=True))
    return Placement(placed, height(best), bound)
