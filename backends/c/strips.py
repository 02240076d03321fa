"""Calls in strips: several that follow each other compute some rows each in turn, and need less memory at once.

Of a value that only the next call reads no more need be there than the rows which that call's own rows see:

    rows 0 .. 13 of a, rows 0 .. 6 of b, rows 14 .. 27 of a, rows 7 .. 13 of b, ...

Where windows overlap, rows between two strips are computed for both. Speed is not gained: what one call leaves in the
caches for the next is worth less than what it costs to start more calls (MobileNetV2 takes 1 to 2 % longer and half the
memory). So calls are in strips only while most of the arena is in use, and only if that makes it clearly smaller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from qir.backends.c.memory import fullest
from qir.backends.c.pieces import part, rows_apart, rows_of
from qir.backends.c.program import Arg, Buffer, Call, Input, Output
from qir.backends.c.site import Operand

_LEAST = 1 << 15
"""Bytes of a value that is worth it: a first cache holds less."""
_STRIPS = (2, 4)
"""How many there may be: with more, the code grows and what is computed twice."""
_TWICE = 8
"""At most this part of a chain's multiply-accumulates may be done twice."""
_GAIN = 16
"""The arena is to lose at least this part."""


@dataclass(frozen=True)
class Strips:
    """Calls, some of them in strips.

    Attributes:
        calls: all calls.
        room: bytes of the values that are never there as a whole.
    """

    calls: tuple[Call, ...]
    room: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Chain:
    """Neighbouring calls in strips.

    Attributes:
        first: number of the first call.
        calls: with their pieces.
        room: bytes of the values between them.
        again: multiply-accumulates that are done twice.
    """

    first: int
    calls: tuple[Call, ...]
    room: Mapping[str, int]
    again: float

    @property
    def last(self) -> int:
        return self.first + len(self.calls) - 1

    def applied(self, buffers: Sequence[Buffer]) -> list[Buffer]:
        """Buffers where all that any of the calls uses is there for all of them."""
        first, last = self.first, self.last
        return [
            replace(b, nbytes=self.room.get(b.name, b.nbytes), first=min(b.first, first), last=max(b.last, last))
            if b.first <= last and b.last >= first
            else b
            for b in buffers
        ]


def in_strips(
    calls: Sequence[Call], operands: Mapping[str, Operand], buffers: Sequence[Buffer], alone: Collection[str]
) -> Strips:
    """The calls, in strips where that makes the arena clearly smaller.

    When most bytes are in use, the chain is taken with which the fewest are, and so on; of chains that get below what
    none can change, the one that computes least twice.

    Args:
        buffers: of the arena.
        alone: values whose bytes no other value shares.
    """
    linked = _linked(calls, operands, alone)
    whole = [number for number in range(len(calls)) if not (linked[number] or linked[number + 1])]
    floor = max((_held(buffers, number, number) for number in whole), default=0)
    best, now, least = Strips(tuple(calls)), Strips(tuple(calls)), fullest(buffers)[0]
    while True:
        most, time = fullest(buffers)
        if most <= least - least // _GAIN:
            best, least = now, most
        found = list(_chains(now.calls, operands, linked, time))
        chosen = min(found, key=lambda one: _worth(one, buffers, floor), default=None)
        if chosen is None or _worth(chosen, buffers, floor)[0] >= most:
            return best
        buffers = chosen.applied(buffers)
        after = [*now.calls[: chosen.first], *chosen.calls, *now.calls[chosen.last + 1 :]]
        now = Strips(tuple(after), {**now.room, **chosen.room})


def _linked(calls: Sequence[Call], operands: Mapping[str, Operand], alone: Collection[str]) -> list[bool]:
    """[calls + 1] whether a call may be in strips together with the one before it."""
    readers = Counter(value for call in calls for value in call.reads)
    found = [False]
    for before, call in pairwise(calls):
        value = before.writes[0] if before.writes else ""
        sole = call.reads == (value,) and readers[value] == 1 and value in alone
        rows = (rows_of(one, operands) for one in (before, call))
        found.append(sole and operands[value].nbytes >= _LEAST and all(one and one.outermost for one in rows))
    return [*found, False]


def _held(buffers: Sequence[Buffer], first: int, last: int) -> int:
    """Bytes of what is there at any time between two calls."""
    return sum(b.nbytes for b in buffers if b.first <= last and b.last >= first)


def _worth(chain: _Chain, buffers: Sequence[Buffer], floor: int) -> tuple[float, ...]:
    """Less is better."""
    most = _held(chain.applied(buffers), chain.first, chain.last)
    return max(most, floor), chain.again, len(chain.calls), len(chain.calls[0].pieces)


def _chains(
    calls: Sequence[Call], operands: Mapping[str, Operand], linked: Sequence[bool], time: int
) -> Iterator[_Chain]:
    """All that contain the call of a time."""
    free = [linked[k] and not (calls[k - 1].pieces or calls[k].pieces) for k in range(len(calls))]
    time = max(time, 0)
    start = end = time
    while free[start]:
        start -= 1
    while end + 1 < len(calls) and free[end + 1]:
        end += 1
    for first in range(start, time + 1):
        for last in range(max(first + 1, time), end + 1):
            for strips in _STRIPS:
                chain = _chain(first, calls[first : last + 1], operands, strips)
                if chain is not None:
                    yield chain


def _chain(first: int, calls: Sequence[Call], operands: Mapping[str, Operand], strips: int) -> _Chain | None:
    """Some calls in strips, if that can be: from rows of the last one back to those that the ones before it compute."""
    rows = [found for call in calls if (found := rows_of(call, operands)) is not None]
    taken = [operands[call.reads[0]].size // one.taken for call, one in zip(calls, rows, strict=True)]
    given = [operands[call.writes[0]].size // one.count for call, one in zip(calls, rows, strict=True)]
    unit = max(rows[-1].unit, given[-2] // taken[-1])
    if rows[-1].count < strips * unit:
        return None
    pieces: list[list[tuple[Arg, ...]]] = [[] for _ in calls]
    done, most = [0] * len(calls), [0] * len(calls)
    for begin, end in pairwise(rows_apart(rows[-1].count, strips, unit)):
        for k in reversed(range(len(calls))):
            start, stop = (row * taken[k] for row in rows[k].under(begin, end))
            if start >= stop:
                return None  # some rows see padding alone
            args = part(calls[k], rows[k], operands, begin, end)
            args = args if k == len(calls) - 1 else _from(args, Output, 0)
            done[k], most[k] = done[k] + end - begin, max(most[k], end - begin)
            if k:
                begin, end = start // given[k - 1], -(-stop // given[k - 1])
                args = _from(args, Input, start - begin * given[k - 1])
            pieces[k].append(args)
    again = sum(one.work * (times / one.count - 1) for one, times in zip(rows, done, strict=True))
    if again * _TWICE > sum(one.work for one in rows):
        return None
    made = [replace(call, pieces=tuple(p), joined=call is not calls[-1]) for call, p in zip(calls, pieces, strict=True)]
    room = {call.writes[0]: operands[call.writes[0]].nbytes * count // one.count
            for call, count, one in zip(calls[:-1], most, rows, strict=False)}  # fmt: skip
    return _Chain(first, tuple(made), room, again)


def _from(args: tuple[Arg, ...], kind: type[Input] | type[Output], skip: int) -> tuple[Arg, ...]:
    """With an operand that starts elsewhere: of a value of which only a strip is there."""
    return tuple(replace(arg, skip=skip) if isinstance(arg, kind) else arg for arg in args)
