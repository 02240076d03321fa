"""Where every buffer lies in the arena."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qir.backends.c.program import Buffer

_TRIES = 400
_LARGEST_SEARCH = 150
_STEPS = 4000
"""Of the exact search: a second or two."""


@dataclass(frozen=True)
class Placement:
    """Buffers with their offsets, the size of what was found, and one below which there is nothing to be found."""

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
    """Places buffers: greedy by several orders, then a search near the best one, then an exact one where these do not
    reach the most bytes alive at once. All of them are deterministic.

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
        bound, best = _narrowed(buffers, conflicts, alignment, bound, height(best), best)
    placed = tuple(replace(b, offset=offset) for b, offset in zip(buffers, best, strict=True))
    return Placement(placed, height(best), bound)


def _narrowed(
    buffers: Sequence[Buffer], conflicts: Sequence[set[int]], alignment: int, bound: int, height: int, best: list[int]
) -> tuple[int, list[int]]:
    """A larger bound and lower offsets, until they meet or the search has taken too long."""
    search = _Search(buffers, conflicts, alignment)
    wanted = bound
    while bound < height:
        try:
            found = search.fits(wanted)
        except TimeoutError:
            break
        if found is None:
            bound = wanted + 1
        else:
            height, best = max(offset + b.nbytes for offset, b in zip(found, buffers, strict=True)), found
        wanted = (bound + height) // 2
    return bound, best


class _Search:
    """Whether buffers fit into some bytes, found out by trying all placements that are not worse than another one.

    Each placement can be turned into one where no buffer can be moved down, and that one is found by placing buffers in
    the order of their offsets, each as low as those placed before allow. A buffer is not the next where another one
    would end below it: that one would come first. What is left must fit above the lowest place that is free, at each
    time. (After M. D. Moffitt, MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine Learning,
    ASPLOS 2023.)
    """

    def __init__(self, buffers: Sequence[Buffer], conflicts: Sequence[set[int]], alignment: int) -> None:
        self.conflicts = conflicts
        self.nbytes = [b.nbytes for b in buffers]
        self.room = [-(-b.nbytes // alignment) * alignment for b in buffers]
        times = sorted({b.first for b in buffers})
        alive = {frozenset(i for i, b in enumerate(buffers) if b.first <= t <= b.last) for t in times}
        self.alive = [one for one in alive if not any(one < other for other in alive)]
        self.steps = 0

    def fits(self, capacity: int) -> list[int] | None:
        """Offsets; None where there are none.

        Raises:
            TimeoutError: after too many steps, over all calls.
        """
        offsets = [-1] * len(self.nbytes)
        low = [0] * len(self.nbytes)
        return offsets if self._placed(offsets, low, 0, capacity) else None

    def _placed(self, offsets: list[int], low: list[int], least: int, capacity: int) -> bool:
        """Places what is not placed yet, at `low` or above, and not below `least`."""
        self.steps += 1
        if self.steps > _STEPS:
            raise TimeoutError
        left = [i for i, offset in enumerate(offsets) if offset < 0]
        if not left:
            return True
        starts = {i: max(low[i], least) for i in left}
        if any(start + self.nbytes[i] > capacity for i, start in starts.items()):
            return False
        for alive in self.alive:
            here = [i for i in alive if i in starts]
            if here:
                spare = max(self.room[i] - self.nbytes[i] for i in here)
                if min(starts[i] for i in here) + sum(self.room[i] for i in here) - spare > capacity:
                    return False
        lowest_end = min((starts[i] + self.room[i] for i in left if self.room[i]), default=capacity + 1)
        for i in sorted(left, key=lambda i: (starts[i], -self.room[i] * len(self.conflicts[i]), i)):
            if starts[i] >= lowest_end:
                break
            offsets[i] = starts[i]
            above = list(low)
            for j in self.conflicts[i]:
                above[j] = max(above[j], starts[i] + self.room[i])
            if self._placed(offsets, above, starts[i], capacity):
                return True
            offsets[i] = -1
        return False
