"""The functions of a network in C: net.h, and parameter lists."""

from __future__ import annotations

from qir import __version__
from qir.backends.c.emitting.literals import comment, scalar, string
from qir.backends.c.emitting.names import Names
from qir.backends.c.emitting.threads import declared
from qir.backends.c.ports import Port
from qir.backends.c.program import CTYPES, Program

ERRORS = (
    ("OK", "no error"),
    ("ERROR_NULL", "an argument is NULL"),
    ("ERROR_ALIGNMENT", "the arena is not aligned"),
    ("ERROR_WEIGHTS", "there are no weights, or those of another network"),
)


def spelt(program: Program, names: Names) -> list[str]:
    """The caller's array of each port, as an expression in net_run: a parameter, or a field of the state."""
    fields = dict(zip((port.name for port in program.inputs), names.inputs, strict=True))
    rows = zip(program.ports, (*names.inputs, *names.outputs), strict=True)
    return [f"state->{fields[port.state]}" if port.state else text for port, text in rows]


def pointers(program: Program, names: Names, codes: bool) -> list[str]:
    """A parameter for each port."""
    rows = zip(program.ports, (*names.inputs, *names.outputs), strict=True)
    return [f"{'const ' if i < len(program.inputs) else ''}{CTYPES[port.given(codes).name]} *{text}"
            for i, (port, text) in enumerate(rows)]  # fmt: skip


def parameters(program: Program, names: Names, codes: bool, types: bool = True, arena: bool = True) -> str:
    """Parameter list (or argument list) of net_run and net_run_q: arena and state first."""
    listed = pointers(program, names, codes) if types else spelt(program, names)
    own = [text for port, text in zip(program.ports, listed, strict=True) if not port.state and program.io != "arena"]
    context = ("void *arena", f"{names.prefix}_state *state") if types else ("arena", "state")
    return ", ".join([*(context[: 2 if program.states else 1] if arena else ()), *own])


def is_quantized(program: Program) -> bool:
    """True where some input or output has codes, so that net_run_q exists."""
    return any(port.border and not port.state for port in program.ports)


def _port_macros(port: Port, macro: str) -> list[str]:
    shape = ", ".join(map(str, port.given_shape))
    axes = f", axes {' '.join(map(str, port.order))} of the model's" if port.order else ""
    lines = [
        f"/* {comment(port.name)}: {port.given()} [{shape}]{axes} */",
        f"#define {macro}_ELEMENTS {port.elements}",
        f"#define {macro}_RANK {len(port.shape)}",
    ]
    if port.shape:
        lines.append(f"#define {macro}_SHAPE {{{shape}}}")
    if port.code:
        lines += [
            f"/* {port.code} codes: real = (code - zero point) * scale */",
            f"#define {macro}_SCALE {scalar(port.scale, 'float')}",
            f"#define {macro}_ZERO_POINT {port.zero_point}",
        ]
    return lines


_WAYS = {
    "model": "Tensors are in the model's own (row-major) layout; inputs and outputs must not overlap.",
    "native": "Tensors are as the layers have them, axes and codes as above; they must not overlap.",
    "arena": "Inputs and outputs lie in the arena, which the run overwrites but for the outputs.",
}
_KEPT = {
    False: "No state is kept: calls with arenas of their own may run at once.",
    True: "Calls with arenas and states of their own may run at once.",
}


def state_fields(program: Program) -> list[tuple[str, int, int]]:
    """Of a net_state, as every C compiler lays it out that aligns numbers to their size: inputs, with the first byte of
    each and how many it has."""
    found, end = [], 0
    for port in program.states:
        size = port.dtype.numpy.itemsize
        start = -(-end // size) * size
        found.append((port.name, start, size * port.elements))
        end = start + size * max(port.elements, 1)
    return found


def state_bytes(program: Program) -> int:
    """Of a net_state."""
    ends = [start + max(size, 1) for _, start, size in state_fields(program)]
    most = max((port.dtype.numpy.itemsize for port in program.states), default=1)
    return -(-max(ends, default=0) // most) * most


def _state(program: Program, names: Names) -> list[str]:
    if not program.states:
        return []
    n, rows = names.prefix, zip(program.inputs, names.inputs, strict=True)
    fields = [f"    {CTYPES[port.dtype.name]} {text}[{max(port.elements, 1)}];" for port, text in rows if port.state]
    return [
        "/* What is kept from run to run, one for each stream; the first run wants it reset. */",
        "typedef struct {", *fields, f"}} {n}_state;", "",
        "/* Every value becomes zero. */", f"void {n}_reset({n}_state *state);", "",
    ]  # fmt: skip


def header(program: Program, names: Names, stack_bytes: int | None, blob_bytes: int = 0) -> str:
    """net.h.

    Args:
        stack_bytes: that net_run takes at most, where that is known.
        blob_bytes: of weights that the caller gives, if so.
    """
    n, m = names.prefix, names.macro
    lines = [
        f"/* {n}: a neural network as C, made by qir {__version__}. Do not edit. */",
        f"#ifndef {m}_H", f"#define {m}_H", "", "#include <stddef.h>", "#include <stdint.h>", "",
        f"#define {m}_QIR_VERSION {string(__version__)}",
        f"#define {m}_MODEL_HASH {string(program.source_hash)}", "",
        "/* The caller's working memory, aligned as said; nothing is kept in it between runs. */",
        f"#define {m}_ARENA_BYTES {max(program.arena_bytes, 1)}",
        f"#define {m}_ARENA_ALIGNMENT {program.alignment}",
        "/* Constant arrays (weights, biases, tables). */",
        f"#define {m}_WEIGHT_BYTES {program.weight_bytes}", "",
    ]  # fmt: skip
    if stack_bytes is not None:
        lines += [f"/* Of the stack {n}_run takes no more, optimized by gcc or clang. */",
                  f"#define {m}_STACK_BYTES {stack_bytes}", ""]  # fmt: skip
    for side, ports, words in (("IN", program.inputs, names.inputs), ("OUT", program.outputs, names.outputs)):
        rows = zip(ports, words, strict=True)
        shown = [(port, f"{m}_{side}_{text.upper()}") for port, text in rows if not port.state]
        lines.append(f"#define {m}_{side}PUTS {len(shown)}")
        for port, macro in shown:
            lines += _port_macros(port, macro)
            if program.io == "arena":
                place = program.buffers[program.values[port.value]].offset
                lines += ["/* Where it lies in the arena, in bytes. */", f"#define {macro}_OFFSET {place}"]
        lines.append("")
    lines += [f"#define {m}_{code} {number}" for number, (code, _) in enumerate(ERRORS)]
    lines += [
        "", "#ifdef __cplusplus", 'extern "C" {', "#endif", "", *_state(program, names),
        f"/* Runs the network. {_WAYS[program.io]}",
        f"   Returns {m}_OK or an error code. {_KEPT[bool(program.states)]} */",
        f"int {n}_run({parameters(program, names, False)});", "",
    ]  # fmt: skip
    if blob_bytes:
        lines += [
            f"/* {n}_weights.bin, wherever it lies: given before the first run, it stays there while there are runs.",
            "   Checked are its length, its CRC-32, and that it was made for this very code; else it is not taken. */",
            f"#define {m}_BLOB_BYTES {blob_bytes}u",
            f"int {n}_init(const void *blob, size_t bytes);",
            f"int {n}_check(const void *blob, size_t bytes);", "",
        ]  # fmt: skip
    if is_quantized(program):
        lines += [
            "/* The same on codes: quantized inputs and outputs are taken and given as they are inside the network. */",
            f"int {n}_run_q({parameters(program, names, True)});", "",
        ]  # fmt: skip
    if program.threads > 1:
        lines += declared(program, names, [parameters(program, names, codes) for codes in (False, True)],
                          is_quantized(program))  # fmt: skip
    if program.io != "arena":
        lines += [
            f"/* As {n}_run, with memory of its own, for one caller at a time: there where {n}.c is built with",
            f"   -D{m}_STATIC_ARENA. */",
            f"int {n}_run_static({parameters(program, names, False, arena=False) or 'void'});",
            *([f"void {n}_reset_static(void);"] if program.states else []), "",
        ]  # fmt: skip
    lines += [
        "/* What an error code means. */", f"const char *{n}_error(int code);", "",
        "#ifdef __cplusplus", "}", "#endif", "", "#endif", "",
    ]  # fmt: skip
    return "\n".join(lines)
