"""What a network takes of a processor, told before anything is built: memory, work and time, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from types import MappingProxyType

from qir.backends.c.emitting.emit import stack_bytes
from qir.backends.c.emitting.interface import state_bytes
from qir.backends.c.emitting.source import gather
from qir.backends.c.program import Data, Program, Struct

_CODE: Mapping[str, tuple[float, float, int]] = MappingProxyType({
    "cortex-m0": (1.95, 8.25, 4300), "cortex-m3": (2.2, 7.75, 1700), "riscv32": (2.6, 11.0, 3250),
    "cortex-m55": (1.7, 11.75, 350), **dict.fromkeys(("cortex-m4", "cortex-m7", "cortex-m33"), (2.3, 8.0, 500)),
})  # fmt: skip
"""Bytes of machine code of an operator in a kernel, and of an argument of a call, at -Os, beside assembly; and of what
is linked from the C library and libgcc, most of it floats where there is no FPU. Fitted to what gcc 12 makes of six
networks: code within 15 % of each."""
_OTHERS = (2.2, 7.3, 0)
"""For all others."""


_INSTRUCTIONS: Mapping[str, tuple[float, float] | None] = MappingProxyType({
    "cortex-m0": None, "cortex-m3": (10.0, 92.0), "riscv32": (13.5, 124.0), "cortex-m4": (20.0, 3.0),
    "cortex-m7": (20.0, 3.0), "cortex-m33": (20.0, 3.0), "cortex-m55": (20.0, 3.0),
})  # fmt: skip
"""Of a microcontroller, for each cycle of the table of costs, which is another processor's: of layers with weights, and
of others. Fitted to what an emulator counts for five or six networks: on cortex-m3 within 10 %, on riscv32 within 21 %,
on cortex-m4 and m55 within 15 % on all but one, which is 30 % off at most; None where nothing was counted."""


@dataclass(frozen=True)
class LayerCost:
    """One call.

    Attributes:
        node, op, kernel: what it computes, and how.
        macs: multiply-accumulates.
        cycles: by the table of costs, of microcontrollers instructions; None for kernels that are not in it.
        weight_bytes: of its constant arrays.
        arena_bytes: that are alive while it runs.
    """

    node: str
    op: str
    kernel: str
    macs: int
    cycles: int | None
    weight_bytes: int
    arena_bytes: int


@dataclass(frozen=True)
class Footprint:
    """A network on a processor.

    Attributes:
        arena_bytes: working memory, exactly.
        io_bytes: of the caller's arrays for inputs and outputs, at net_run_q where there is one.
        state_bytes: of a net_state.
        stack_bytes: a bound; None where it is not known.
        weight_bytes: of constant arrays, exactly.
        table_bytes: of constant structures, exactly but for padding.
        code_bytes: of machine code, an estimate.
        library_bytes: of what it needs of the C library, an estimate.
        macs: multiply-accumulates, with those that strips repeat.
        cycles: of all calls that the table of costs knows; of microcontrollers instructions.
        layers: the calls.
    """

    arena_bytes: int
    io_bytes: int
    state_bytes: int
    stack_bytes: int | None
    weight_bytes: int
    table_bytes: int
    code_bytes: int
    library_bytes: int
    macs: int
    cycles: int
    layers: tuple[LayerCost, ...]

    @property
    def ram_bytes(self) -> int:
        return self.arena_bytes + self.io_bytes + self.state_bytes + (self.stack_bytes or 0)

    @property
    def flash_bytes(self) -> int:
        return self.weight_bytes + self.table_bytes + self.code_bytes + self.library_bytes


def footprint(program: Program) -> Footprint:
    """What the plan of a network takes; of several plans the best one's layers."""
    shown = program.plans[0]
    costs = layers(shown)
    ports = [] if program.io == "arena" else [port for port in program.ports if not port.state]
    structs = {arg for call in program.emitted_calls for arg in call.constants if isinstance(arg, Struct)}
    return Footprint(
        program.arena_bytes, sum(port.elements * port.given(codes=True).numpy.itemsize for port in ports),
        state_bytes(program), stack_bytes(program), program.weight_bytes,
        sum(4 * _numbers(fields) for struct in structs for _, fields in struct.fields), code_bytes(program),
        _CODE.get(program.target, _OTHERS)[2], program.macs + program.repeated_macs,
        sum(layer.cycles or 0 for layer in costs), costs,
    )  # fmt: skip


def _numbers(field: object) -> int:
    return sum(_numbers(one) for one in field) if isinstance(field, tuple) else 1


def layers(program: Program) -> tuple[LayerCost, ...]:
    """What each call of one plan takes."""
    cycles = {choice.node: choice.cycles for choice in program.choices}
    factors = _INSTRUCTIONS.get(program.target, (1.0, 1.0)) or (inf, inf)
    arena = [b for b in program.buffers if _in_arena(program, b.place, b.port)]
    found, first = [], len(program.entry)
    for number, call in enumerate(program.every_call):
        time = min(max(number - first, -1), len(program.calls))
        alive = sum(b.nbytes for b in arena if b.first <= time <= b.last)
        weights = sum(arg.array.nbytes for arg in call.constants if isinstance(arg, Data))
        spent = cycles.get(call.node, inf) * factors[not call.macs]
        found.append(LayerCost(call.node, call.op, call.kernel.emitted, call.macs,
                               round(spent) if isfinite(spent) else None, weights, alive))  # fmt: skip
    return tuple(found)


def _in_arena(program: Program, place: str, port: int) -> bool:
    if place == "arena":
        return True
    ports = program.inputs if place == "input" else program.outputs
    return ports[port].border is not None


_DEFINE = re.compile(r"^#\s*define (\w+)(?:\([^)]*\))?[ \t]+(.*)$", re.M)
_FUNCTION = re.compile(r"^[^\n{};=]*?\b(\w+)\([^;{}]*\)\s*\{", re.M)
_INSTRUCTION_BYTES = 3.6
"""Of assembly, whose instructions take two or four."""
_GENERATED = re.compile(r"^(\w+)\((\w+),([^;{}]*?)\)$", re.M)
_OPERATOR = re.compile(r'"(?:[^"\\]|\\.)*"' r"|\w+|<<|>>|&&|\|\||[-+*/%&|^<>=!?\[]")


def code_bytes(program: Program) -> int:
    """Of machine code: operators in functions that calls reach, arguments of calls, and instructions of assembly, each
    with its usual size."""
    text = re.sub(r"/\*.*?\*/", " ", gather(program)[1], flags=re.S).replace("\\\n", " ")
    macros = dict(_DEFINE.findall(text))
    functions = {name: f"{macros[head]} {rest}" for head, name, rest in _GENERATED.findall(text) if head in macros}
    for part in re.split(r"^\}", _GENERATED.sub("", re.sub(r"^#.*$", "", text, flags=re.M)), flags=re.M):
        heads = list(_FUNCTION.finditer(part))
        if heads:
            functions[heads[-1][1]] = part[heads[-1].end() :]
    reached: set[str] = set()
    waiting = [call.kernel.emitted for plan in program.plans for call in plan.emitted_calls]
    while waiting:
        name = waiting.pop()
        if name in functions and name not in reached:
            reached.add(name)
            waiting += _words(functions[name], macros)
    counts = [_counts(functions[name], macros) for name in reached]
    operators, instructions = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    arguments = sum(len(args) for plan in program.plans for call in plan.emitted_calls for args in call.made)
    each, argument, _ = _CODE.get(program.target, _OTHERS)
    return round(each * operators + argument * arguments + _INSTRUCTION_BYTES * instructions)


def _words(body: str, macros: Mapping[str, str]) -> set[str]:
    """Names in a function, those inside macros too."""
    words = set(re.findall(r"\w+", body))
    return words | {word for name in words & set(macros) for word in re.findall(r"\w+", macros[name])}


def _counts(body: str, macros: Mapping[str, str], depth: int = 0) -> tuple[int, int]:
    """Operators of C, and instructions of assembly: lines of strings."""
    operators = instructions = 0
    for token in _OPERATOR.findall(body):
        if token in macros and depth < 9:
            inner = _counts(macros[token], macros, depth + 1)
            operators, instructions = operators + inner[0], instructions + inner[1]
        elif token[0] == '"':
            instructions += token.count("\\n")
        else:
            operators += not token[0].isalnum() and token[0] != "_"
    return operators, instructions
