"""Calls in strips: several that follow each other compute some rows each in turn, and need less memory at once.

Of a value that only the next call reads no more need be there than the rows which that call's own rows see:

    rows 0 .. 13 of a, rows 0 .. 6 of b, rows 14 .. 27 of a, rows 7 .. 13 of b, ...

Where windows overlap, rows between two strips are computed for both, so that nothing is kept from one strip to the
next. Speed is not gained: what one call leaves in the caches for the next is worth less than what it costs to start
more calls (MobileNetV2 takes 1 to 2 % longer and half the memory). So calls are in strips only while most of the arena
is in use, and only if that makes it clearly smaller, or as far as it takes to get below what the user wants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf

from qir.backends.c.binding.site import Operand
from qir.backends.c.planning.pieces import part, rows_apart, rows_of
from qir.backends.c.program import Arg, Buffer, Call, Input, Output


@dataclass(frozen=True)
class Limits:
    """What is worth it.

    Attributes:
        least: bytes of a value that may be there in part.
        strips: how many there may be: with more, the code grows and what is computed twice.
        twice: at most this share of a chain's multiply-accumulates may be done twice.
        gain: the arena is to lose at least this share.
        calls: of a chain.
    """

    least: int = 1 << 15  # a first cache holds less
    strips: tuple[int, ...] = (2, 4)
    twice: float = 1 / 8
    gain: float = 1 / 16
    calls: int = 8


USUAL = Limits()
TIGHT = Limits(1, (2, 3, 4, 6, 8, 12, 16), 1, 0)
"""Where the user has a limit of memory."""


@dataclass(frozen=True)
class Strips:
    """Calls, some of them in strips.

    Attributes:
        calls: all calls.
        room: bytes of the values that are never there as a whole.
        again: multiply-accumulates that are done twice.
    """

    calls: tuple[Call, ...]
    room: Mapping[str, int] = field(default_factory=dict)
    again: float = 0


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

    @property
    def pieces(self) -> int:
        return sum(len(call.pieces) for call in self.calls)

    def applied(self, buffers: Sequence[Buffer]) -> list[Buffer]:
        """Buffers where all that any of the calls uses is there for all of them, but for what lies between two."""
        first, last = self.first, self.last
        own = {name for call in self.calls for name in call.scratch}

        def changed(b: Buffer) -> Buffer:
            if b.name in self.room:
                return replace(b, nbytes=self.room[b.name])
            if b.name in own or b.first > last or b.last < first:
                return b
            return replace(b, first=min(b.first, first), last=max(b.last, last))

        return [changed(b) for b in buffers]


def in_strips(
    calls: Sequence[Call], operands: Mapping[str, Operand], buffers: Sequence[Buffer], group: Mapping[str, str],
    goal: int = 0,
) -> Strips:  # fmt: skip
    """The calls, in strips where that makes the arena clearly smaller.

    What is there while a chain runs depends on no other chain. So the least that can be reached is found call by call,
    and then the chains that reach it and compute least twice.

    Args:
        buffers: of the arena.
        group: value to what holds its bytes.
        goal: bytes to get down to, with strips of anything; 0 for what is worth its time.
    """
    limits, count = TIGHT if goal else USUAL, len(calls)
    linked = _linked(calls, operands, group, limits)
    held = [_held(buffers, number, number) for number in range(count)]
    floor = max([goal, *(held[k] for k in range(count) if not (linked[k] or linked[k + 1]))])
    ending: list[list[tuple[_Chain, int]]] = [[] for _ in calls]
    for chain in _chains(calls, operands, linked, held, floor, limits):
        if _overwrites(chain, group):
            continue
        ending[chain.last].append((chain, _held(chain.applied(buffers), chain.first, chain.last)))
    reached = [0]
    for k in range(count):
        chained = [max(reached[chain.first], most) for chain, most in ending[k]]
        reached.append(min([max(reached[k], held[k]), *chained]))
    least, whole = max(reached[-1], floor), max(held, default=0)
    if least >= whole or (least > whole * (1 - limits.gain) and not goal):
        return Strips(tuple(calls))
    best: list[tuple[float, int, tuple[_Chain, ...]]] = [(0, 0, ())]
    for k in range(count):
        options = [best[k]] if held[k] <= least else []
        for chain in (chain for chain, most in ending[k] if most <= least):
            again, pieces, chains = best[chain.first]
            options.append((again + chain.again, pieces + chain.pieces, (*chains, chain)))
        best.append(min(options, key=lambda one: one[:2], default=(inf, 0, ())))
    again, _, chains = best[-1]
    made, room = list(calls), dict[str, int]()
    for chain in chains:
        made[chain.first : chain.last + 1] = chain.calls
        room |= chain.room
    return Strips(tuple(made), room, again)


def _linked(
    calls: Sequence[Call], operands: Mapping[str, Operand], group: Mapping[str, str], limits: Limits
) -> list[bool]:
    """[calls + 1] whether a call may be in strips together with the one before it."""
    readers, sharing = Counter(value for call in calls for value in call.reads), Counter(group.values())
    found = [False]
    for before, call in pairwise(calls):
        value = before.writes[0] if before.writes else ""
        sole = _seen(call) == {value} and readers[value] == 1 and sharing[group[value]] == 1
        first, second = (rows_of(one, operands) for one in (before, call))
        fitting = first and second and (first.outermost or first.step) and second.outermost
        found.append(sole and operands[value].nbytes >= limits.least and bool(fitting))
    return [*found, False]


def _seen(call: Call) -> set[str]:
    """Values of which a row of the result sees rows; what is read element by element may lie anywhere."""
    return {arg.value for arg in call.args if isinstance(arg, Input) and not arg.beside}


def _overwrites(chain: _Chain, group: Mapping[str, str]) -> bool:
    """Whether rows of the result take the bytes of rows that a later strip sees."""
    *before, last = chain.calls
    seen = {value for call in before for value in call.reads} | _seen(last)
    return not {group[value] for value in last.writes}.isdisjoint(group[value] for value in seen)


def _held(buffers: Sequence[Buffer], first: int, last: int) -> int:
    """The most bytes at once while some calls run."""
    here = [b for b in buffers if b.first <= last and b.last >= first]
    return max(sum(b.nbytes for b in here if b.first <= time <= b.last) for time in range(first, last + 1))


def _chains(
    calls: Sequence[Call], operands: Mapping[str, Operand], linked: Sequence[bool], held: Sequence[int], floor: int,
    limits: Limits,
) -> Iterator[_Chain]:  # fmt: skip
    """All with a call while which more than `floor` bytes are there."""
    for first in range(len(calls)):
        last = first + 1
        while last < len(calls) and linked[last] and last - first < limits.calls:
            if max(held[first : last + 1]) > floor:
                made = (_chain(first, calls[first : last + 1], operands, strips, limits) for strips in limits.strips)
                yield from (chain for chain in made if chain is not None)
            last += 1


def _chain(
    first: int, calls: Sequence[Call], operands: Mapping[str, Operand], strips: int, limits: Limits
) -> _Chain | None:
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
    if again > limits.twice * sum(one.work for one in rows):
        return None
    made = [replace(call, pieces=tuple(p), joined=call is not calls[-1]) for call, p in zip(calls, pieces, strict=True)]
    room = {call.writes[0]: operands[call.writes[0]].nbytes * count // one.count
            for call, count, one in zip(calls[:-1], most, rows, strict=False)}  # fmt: skip
    return _Chain(first, tuple(made), room, again)


def _from(args: tuple[Arg, ...], kind: type[Input] | type[Output], skip: int) -> tuple[Arg, ...]:
    """With an operand that starts elsewhere: of a value of which only a strip is there."""
    return tuple(
        replace(arg, skip=skip) if isinstance(arg, kind) and not (isinstance(arg, Input) and arg.beside) else arg
        for arg in args
    )
