"""Runs the emitted C and shows its memory around every call of a kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qir.backends.c.build import Files, Library, shared_library
from qir.backends.c.emitting.interface import state_bytes, state_fields
from qir.backends.c.isas import require
from qir.backends.c.module import CModule, fitting
from qir.backends.c.ports import Port
from qir.backends.c.program import Call, Program, turns
from qir.errors import BuildError, DataError, QirError

_GUARD = 4096
_ALIGNMENT = 64


@dataclass(frozen=True)
class Stray:
    """Bytes that a call changed though they are not its to write.

    Attributes:
        where: "value": of a value that is still needed; "input" or "output": of the caller's arrays; "unused": of the
            arena, where nothing is kept; "outside": of no array at all.
        name: of the value, input or output; "" elsewhere.
        offset: of the first one, from the start of the value or array, else of the arena.
        count: how many.
    """

    where: str
    name: str
    offset: int
    count: int

    def __str__(self) -> str:
        what = f"{self.count:,} byte{'s' if self.count != 1 else ''}"
        place = {
            "value": f"of {self.name}, which is needed later, from its byte {self.offset:,} on",
            "input": f"of the input {self.name}, from its byte {self.offset:,} on",
            "output": f"of the output {self.name}, from its byte {self.offset:,} on",
            "unused": f"of the arena where nothing is kept, from offset {self.offset:,} on",
            "outside": f"outside of every array, from {self.offset:,} of the arena on",
        }
        return f"{what} {place[self.where]}"


class Room:
    """One block of bytes with the arena, the state and the arrays of the caller, guard bytes around each.

    Attributes:
        spans: (input or output, name) to (first byte, bytes) of the caller's arrays, which may lie in the arena, and of
            fields of the state.
        arena: (first byte, bytes).
        noise: what every byte holds at first.

    Args:
        program: whose memory it is.
        seed: of the noise.
        flipped: the noise with every bit turned over.
    """

    def __init__(self, program: Program, seed: int, flipped: bool = False) -> None:
        self.program = program
        self.spans: dict[tuple[str, str], tuple[int, int]] = {}
        self.arena = (_GUARD, program.arena_bytes)
        end = self._after(*self.arena)
        starts = [self.arena[0]]
        if program.states:
            starts.append(end)
            for name, at, size in state_fields(program):
                self.spans["input", name] = starts[-1] + at, size
            end = self._after(end, state_bytes(program))
        for side, ports in (("input", program.inputs), ("output", program.outputs)):
            for port in ports:
                size = port.elements * port.given().numpy.itemsize
                if port.state:
                    self.spans[side, port.name] = self.spans["input", port.state]
                elif program.io == "arena":
                    place = program.buffers[program.values[port.value]].offset
                    self.spans[side, port.name] = self.arena[0] + place, size
                else:
                    self.spans[side, port.name] = end, size
                    starts.append(end)
                    end = self._after(end, size)
        self._starts = tuple(starts)
        self.noise = np.random.default_rng(seed).integers(0, 256, end, np.uint8) ^ np.uint8(255 * flipped)
        self._block = np.empty(end + _ALIGNMENT, np.uint8)
        start = -self._block.ctypes.data % _ALIGNMENT
        self.bytes = self._block[start : start + end]
        self.bytes[:] = self.noise

    @staticmethod
    def _after(start: int, size: int) -> int:
        return start - (-size // _ALIGNMENT) * _ALIGNMENT + _GUARD

    @property
    def addresses(self) -> list[int]:
        """What net_run takes: the arena, the state, the inputs, the outputs."""
        base: int = self.bytes.ctypes.data
        return [base + start for start in self._starts]

    @cached_property
    def _ports(self) -> dict[str, tuple[str, Port]]:
        ports = [("input", port) for port in self.program.inputs] + [("output", port) for port in self.program.outputs]
        return {port.name: (side, port) for side, port in ports if port.border is not None}

    def span(self, value: str) -> slice:
        """Where the bytes of a value or scratch buffer are."""
        if value in self._ports:
            start, size = self.spans[self._ports[value][0], value]
            return slice(start, start + size)
        program = self.program
        buffer = program.buffers[program.values[value]]
        stored = program.stored.get(value)
        size = min(stored.nbytes, buffer.nbytes) if stored else buffer.nbytes
        start = self.arena[0] + buffer.offset
        if buffer.place != "arena":
            port = (program.inputs if buffer.place == "input" else program.outputs)[buffer.port]
            start = start if port.border is not None else self.spans[buffer.place, port.name][0]
        start += stored.start if stored else 0
        return slice(start, start + size)


@dataclass(frozen=True, eq=False)
class Moment:
    """The memory around one call, or calls in strips.

    Attributes:
        number: of the call, in Program.every_call.
        calls: what was called: one, or several that took turns; the number is of the last one.
        room: where the values lie.
        before, after: its bytes.
        held: values that were there before and are not the call's to write.
    """

    number: int
    calls: tuple[Call, ...]
    room: Room
    before: np.ndarray
    after: np.ndarray
    held: tuple[str, ...]

    @property
    def call(self) -> Call:
        """The one whose result there is."""
        return self.calls[-1]

    def operand(self, value: str) -> np.ndarray:
        """A value that the first call read, in ONNX's order, as it was before the call."""
        return self.room.program.stored[value].plain(self.before[self.room.span(value)])

    def result(self, value: str) -> np.ndarray:
        """A value that the call wrote, in ONNX's order."""
        return self.room.program.stored[value].plain(self.after[self.room.span(value)])

    @cached_property
    def strays(self) -> tuple[Stray, ...]:
        """What it changed beside its results."""
        changed = self.before != self.after
        for call in self.calls:
            for name in (*call.writes, *call.scratch):
                changed[self.room.span(name)] = False
        if not changed.any():
            return ()
        arena, found = self.room.arena, []
        spans = [(side, name, slice(at, at + size)) for (side, name), (at, size) in self.room.spans.items()]
        spans += [("value", value, self.room.span(value)) for value in self.held]
        spans += [("unused", "", slice(arena[0], sum(arena))), ("outside", "", slice(0, changed.size))]
        for where, name, span in spans:
            places = np.flatnonzero(changed[span])
            if places.size:
                offset = int(places[0]) - (arena[0] if where == "outside" else 0)
                found.append(Stray(where, name, offset, places.size))
                changed[span] = False
        return tuple(found)


class Taps:
    """A network built so that each call can be watched: of several plans the one for this processor.

    Attributes:
        program: what is run.

    Args:
        module: the network.
        files: what to build instead of its own sources: file name to text.
        flags: further compiler flags.

    Raises:
        BuildError: where no compiler is found or it refuses the code, or this processor lacks what it needs.
    """

    def __init__(self, module: CModule, files: Files | None = None, flags: Sequence[str] = ()) -> None:
        module = module.played if files is None else module
        self.module, self.program, names = module, module.here, module.names
        require(self.program.isas, module.name)
        shim = {f"{names.prefix}_tap.c": _SHIM.replace("QIR", names.prefix)}
        macros = (f"-D{names.macro}_HOOK={names.prefix}_tap",
                  f"-D{names.macro}_PLAN={module.program.plans.index(self.program)}")  # fmt: skip
        built = {**(module.sources if files is None else files), **shim}
        path = shared_library(built, (*module.flags_here, *flags, *macros))
        self._library = Library(path)

    def run(
        self, feeds: Mapping[str, np.ndarray], watch: Callable[[Moment], None], *, seed: int = 0, flipped: bool = False
    ) -> None:
        """Runs net_run once.

        All memory that holds nothing is filled with noise before every call, so that what a call writes there, reads
        there or forgets to write shows.

        Args:
            feeds: one array an input, of its type and shape.
            watch: sees every call in turn; the moment's arrays are good until it returns.
            seed, flipped: of the noise, and whether it has every bit turned over.

        Raises:
            DataError: where an input is missing or does not fit.
            BuildError: where the code does not make the calls that were planned.
        """
        module, program, prefix = self.module, self.program, self.module.names.prefix
        room = Room(program, seed, flipped)
        for port in program.inputs:
            if port.name not in feeds:
                raise DataError("this input was not given", tensor=port.name)
            start, size = room.spans["input", port.name]
            array = port.inward(fitting(port, feeds[port.name], port.dtype))
            room.bytes[start : start + size] = array.reshape(-1).view(np.uint8)
        run = _Run(room, watch)
        status = self._library.watched(f"{prefix}_watch", run.step, f"{prefix}_run", room.addresses)
        if status:
            raise QirError(f"{module.name}: {self._library.text(f'{prefix}_error', status)}")
        if run.number != len(program.every_call) - 1:
            raise BuildError(
                f"the code told of {run.number + 1} calls, {len(program.every_call)} were planned",
                fix="Save the files again; these are edited or of another version",
            )  # fmt: skip


class _Run:
    """What is in memory while net_run runs."""

    def __init__(self, room: Room, watch: Callable[[Moment], None]) -> None:
        self.room, self.watch, self.number = room, watch, -1
        program = room.program
        self.held = {self._place(port.value): port.value for port in program.inputs if port.border is None}
        self.before = room.bytes.copy()

    def step(self, number: int) -> None:
        """Called by the C after each result."""
        if number == self.number:
            return  # a further result of the same call
        program = self.room.program
        calls = program.every_call[self.number + 1 : number + 1]
        if not calls or number >= len(program.every_call) or len(turns(calls)) != 1 or calls[-1].joined:
            raise BuildError(f"call {number} follows call {self.number}", fix="Save the files again; these are edited")
        self.number, call = number, calls[-1]
        time = min(max(number - len(program.entry), -1), len(program.calls))
        written = {self._place(name): name for name in call.writes if name in program.values}
        held = tuple(name for place, name in self.held.items() if place not in written)
        self.watch(Moment(number, calls, self.room, self.before, self.room.bytes, held))
        self.held |= written
        self.held = {place: name for place, name in self.held.items() if program.buffers[place[0]].last > time}
        self._scramble()
        self.before[:] = self.room.bytes

    def _place(self, value: str) -> tuple[int, int]:
        """The buffer of a value, and its first byte there."""
        program = self.room.program
        return program.values[value], program.stored[value].start

    def _scramble(self) -> None:
        start, size = self.room.arena
        free = np.ones(size, bool)
        for name in self.held.values():
            span = self.room.span(name)
            if span.start < start + size:
                free[span.start - start : span.stop - start] = False
        np.copyto(self.room.bytes[start : start + size], self.room.noise[start : start + size], where=free)


_SHIM = """/* Part of the library that is built to watch calls, never of what is emitted. */
#include <stddef.h>

void QIR_watch(void (*watch)(int));
void QIR_tap(const void *arena, int layer, const char *name, const void *result, size_t bytes);

static void (*watching)(int);

void QIR_watch(void (*watch)(int)) { watching = watch; }

void QIR_tap(const void *arena, int layer, const char *name, const void *result, size_t bytes) {
    (void)arena;
    (void)name;
    (void)result;
    (void)bytes;
    if (watching) {
        watching(layer);
    }
}
"""
