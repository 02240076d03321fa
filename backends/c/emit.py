"""Program to C files. Prints what the Program says and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from qir import __version__
from qir.backends.c.arrays import Arrays
from qir.backends.c.dispatch import choosing
from qir.backends.c.literals import comment, math_include, scalar, string, struct
from qir.backends.c.names import Names, identifier, unique
from qir.backends.c.program import (
    CTYPES,
    Arg,
    Call,
    Data,
    Input,
    Output,
    Port,
    Program,
    Scalar,
    Scratch,
    Struct,
    data_key,
    turns,
)
from qir.backends.c.source import gather, prefixed
from qir.backends.c.threads import alone, declared, given, running, sharing, task, within

_ERRORS = (
    ("OK", "no error"),
    ("ERROR_NULL", "an argument is NULL"),
    ("ERROR_ALIGNMENT", "the arena is not aligned"),
)


def names_of(program: Program, name: str) -> Names:
    """Chooses C names that cannot clash with each other, with C or with C++."""
    ports = unique([p.name for p in (*program.inputs, *program.outputs)], "value")
    count = len(program.inputs)
    return Names(identifier(name), tuple(ports[:count]), tuple(ports[count:]))


def emit(program: Program, name: str, weights: str = "auto") -> dict[str, str | bytes]:
    """File name to content: header, code, kernels and weights.

    Args:
        program: from `plan`.
        name: of the model; becomes the prefix.
        weights: how constant arrays are written; see qir.backends.c.arrays.

    Raises:
        OutputError: for an unknown way.
    """
    names = names_of(program, name)
    arrays = arrays_of(program, names, weights)
    return {
        f"{names.prefix}.h": _header(program, names),
        f"{names.prefix}.c": _code(program, names, arrays),
        f"{names.prefix}_kernels.h": _kernels(program, names),
        **arrays.files(),
    }


def arrays_of(program: Program, names: Names, weights: str = "auto") -> Arrays:
    """The constant arrays with their C names."""
    return Arrays(program.data, names.prefix, program.alignment, weights)


def parameters(program: Program, names: Names, codes: bool, types: bool = True) -> str:
    """Parameter list (or argument list) of net_run and net_run_q, arena first."""
    rows = [(p, n, "const ") for p, n in zip(program.inputs, names.inputs, strict=True)]
    rows += [(p, n, "") for p, n in zip(program.outputs, names.outputs, strict=True)]
    if not types:
        return ", ".join(("arena", *(n for _, n, _ in rows)))
    listed = [f"{const}{CTYPES[(p.code if codes and p.code else p.dtype).name]} *{n}" for p, n, const in rows]
    return ", ".join(("void *arena", *listed))


def is_quantized(program: Program) -> bool:
    """True where some input or output has codes, so that net_run_q exists."""
    return any(port.border for port in (*program.inputs, *program.outputs))


def _port_macros(port: Port, macro: str) -> list[str]:
    shape = ", ".join(map(str, port.shape))
    lines = [
        f"/* {comment(port.name)}: {port.dtype} [{shape}] */",
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


def _header(program: Program, names: Names) -> str:
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
    for side, ports, spelt in (("IN", program.inputs, names.inputs), ("OUT", program.outputs, names.outputs)):
        lines.append(f"#define {m}_{side}PUTS {len(ports)}")
        for port, text in zip(ports, spelt, strict=True):
            lines += _port_macros(port, f"{m}_{side}_{text.upper()}")
        lines.append("")
    lines += [f"#define {m}_{code} {number}" for number, (code, _) in enumerate(_ERRORS)]
    lines += [
        "", "#ifdef __cplusplus", 'extern "C" {', "#endif", "",
        "/* Runs the network. Tensors are in the model's own (row-major) layout; inputs and outputs must not overlap.",
        f"   Returns {m}_OK or an error code. No state is kept: calls with arenas of their own may run at once. */",
        f"int {n}_run({parameters(program, names, False)});", "",
    ]  # fmt: skip
    if is_quantized(program):
        lines += [
            "/* The same on codes: quantized inputs and outputs are taken and given as they are inside the network. */",
            f"int {n}_run_q({parameters(program, names, True)});", "",
        ]  # fmt: skip
    if program.threads > 1:
        lines += declared(program, names, [parameters(program, names, codes) for codes in (False, True)],
                          is_quantized(program))  # fmt: skip
    lines += [
        "/* What an error code means. */", f"const char *{n}_error(int code);", "",
        "#ifdef __cplusplus", "}", "#endif", "", "#endif", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _kernels(program: Program, names: Names) -> str:
    calls = [call.kernel for plan in program.plans for call in plan.emitted_calls]
    system, text = gather(list(dict.fromkeys(calls)))
    includes = "".join(f"#include <{header}>\n" for header in system)
    guard = f"{names.macro}_KERNELS_H"
    head = f"/* The functions that {names.prefix}.c calls. */\n#ifndef {guard}\n#define {guard}\n\n"
    return prefixed(f"{head}{includes}\n{text}\n#endif\n", names.prefix)


class _Code:
    """Prints the calls of one plan: pointers into the arena or to the caller, constants by name.

    Args:
        structs: those that are printed so far, with their names; it adds its own.
        suffix: tells its function from those of other plans.
    """

    def __init__(
        self, program: Program, names: Names, arrays: Arrays, structs: dict[Struct, str], suffix: str = ""
    ) -> None:
        self.program, self.names, self.arrays, self.structs = program, names, arrays, structs
        self.function = f"{names.prefix}_calls{suffix}"
        self.tasks: list[str] = []

    def pointer(self, value: str, const: str, borders: bool) -> str:
        """A value's address; `borders`: in net_run itself, where codes of the borders lie in the arena."""
        buffer = self.program.buffers[self.program.values[value]]
        if buffer.place != "arena" and not borders:
            return (self.names.inputs if buffer.place == "input" else self.names.outputs)[buffer.port]
        kind = CTYPES[self.program.stored[value].dtype.name]
        place = f"memory + {buffer.offset}" if buffer.offset else "memory"
        return place if kind == "uint8_t" else f"({const}{kind} *)({const}void *)({place})"

    def argument(self, arg: Arg, caller: str) -> str:
        if isinstance(arg, (Input, Output)):
            const = "const " if isinstance(arg, Input) else ""
            own = arg.value in self.program.values or not caller
            place = self.pointer(arg.value, const, bool(caller)) if own else caller
            return f"{place} + {arg.skip}" if arg.skip else place
        if isinstance(arg, Data):
            return self.arrays[arg]
        if isinstance(arg, Scalar):
            return scalar(arg.value, arg.kind)
        if isinstance(arg, Scratch):
            return f"memory + {self.program.buffers[self.program.values[arg.name]].offset}"
        return f"&{self.structs.setdefault(arg, f'{self.names.prefix}_s{len(self.structs)}')}"

    def call(self, number: int, *calls: Call, caller: str = "") -> str:
        """One call, or several that take turns.

        Args:
            number: of the last one.
            caller: at a border, what its array is called there.
        """
        made = []
        for turn in zip(*(call.made for call in calls), strict=True):
            for call, args in zip(calls, turn, strict=True):
                made.append(f"{call.kernel.emitted}({', '.join(self.argument(arg, caller) for arg in args)});")
        lines = [f"    /* {comment(call.op)} {comment(call.node)} */" for call in calls] + [f"    {self.shared(made)}"]
        for value in calls[-1].writes:
            seen = f"{self.argument(Output(value), caller)}, {self.program.stored[value].nbytes}"
            lines.append(f"    QIR_LAYER({number}, {string(calls[-1].node)}, {seen});")
        return "\n".join(lines)

    def shared(self, made: list[str]) -> str:
        """Statements in turn or, where there may be threads, one that has them run at once."""
        if len(made) == 1 or self.program.threads < 2:
            return "\n    ".join(made)
        function = f"{self.function}_{len(self.tasks)}"
        self.tasks.append(task(function, made, self.program, self.names))
        return f"qir_share(context, {len(made)}, {function}, &job);"

    def calls(self) -> list[str]:
        """The calls of net_calls."""
        lines, number = [], len(self.program.entry) - 1
        for together in turns(self.program.calls):
            number += len(together)
            lines.append(self.call(number, *together))
        return lines

    def run(self, codes: bool) -> list[str]:
        """What net_run, or net_run_q, does: calls at the borders, which have one number at one port, and between."""
        program, names, sides, args = self.program, self.names, [], ["memory"]
        for ports, spelt, first in ((program.inputs, names.inputs, 0), (program.outputs, names.outputs,
                                    len(program.entry) + len(program.calls))):  # fmt: skip
            coded = [(port, text) for port, text in zip(ports, spelt, strict=True) if port.border]
            listed = [(port.reorder if codes else port.border, text) for port, text in coded]
            sides.append([self.call(i, call, caller=text) for i, (call, text) in enumerate(listed, first) if call])
            for port, text in zip(ports, spelt, strict=True):
                args.append(self.pointer(port.value, "", True) if (port.reorder if codes else port.border) else text)
        args = ["context", *args] if program.threads > 1 else args
        return [*sides[0], f"    {self.function}({', '.join(args)});", *sides[1]]


@dataclass(frozen=True)
class _Printed:
    """C of one plan: the function between the borders, its lines, functions for pieces of its calls, and the lines of
    net_run and net_run_q that call it."""

    function: str
    calls: list[str]
    tasks: list[str]
    run: list[str]
    run_on_codes: list[str]


def _printed(program: Program, names: Names, arrays: Arrays) -> tuple[dict[Struct, str], list[_Printed]]:
    """The structs of all plans, and the plans."""
    structs: dict[Struct, str] = {}
    plans = []
    for plan in program.plans:
        code = _Code(plan, names, arrays, structs, f"_{plan.processor}" if program.alternatives else "")
        plans.append(_Printed(code.function, code.calls(), code.tasks, code.run(codes=False), code.run(codes=True)))
    return structs, plans


def constant_names(program: Program, name: str) -> dict[str, tuple[tuple[Call, str], ...]]:
    """The emitted name of every constant array and struct, with the calls that read it and as what."""
    names = names_of(program, name)
    arrays = arrays_of(program, names)
    structs, _ = _printed(program, names, arrays)
    found: dict[str, list[tuple[Call, str]]] = {}
    for plan in program.plans:
        for call in plan.emitted_calls:
            for arg in call.constants:
                if isinstance(arg, Data):
                    found.setdefault(arrays.names[data_key(arg)], []).append((call, arg.role))
                else:
                    found.setdefault(structs[arg], []).append((call, "numbers"))
    return {symbol: tuple(uses) for symbol, uses in found.items()}


def _code(program: Program, names: Names, arrays: Arrays) -> str:
    n, m = names.prefix, names.macro
    structs, plans = _printed(program, names, arrays)
    numbers = [f"static const {kind.kind} {name} = {{\n{struct(kind)}\n}};\n" for kind, name in structs.items()]
    inner = within(program, parameters(program, names, True).replace("void *arena", "uint8_t *memory", 1))
    head = f'#include "{n}.h"\n#include "{n}_kernels.h"\n#include "{n}_weights.h"\n'
    lines = (line for plan in plans for part in (plan.calls, plan.tasks, plan.run, plan.run_on_codes) for line in part)
    needs = math_include("".join((*numbers, *lines)))
    text = [f"{head}\n{needs}" if needs else head, _HOOK, *numbers]
    unused = [f"    (void){text};" for text in ("memory", *names.inputs, *names.outputs)]
    if any(plan.tasks for plan in plans):
        text.append(sharing(program, names))
    for plan in plans:
        opened = [*given(program, names), *unused] if plan.tasks else unused
        opened += ["    (void)context;"] if program.threads > 1 else []
        text += plan.tasks
        text.append(f"static void {plan.function}({inner}) {{\n" + "\n".join(opened + plan.calls) + "\n}\n")
    if program.alternatives:
        text.append(choosing(program.plans, n))
    for codes in (False, True) if is_quantized(program) else (False,):
        text.append(_checked(program, names, codes, [plan.run_on_codes if codes else plan.run for plan in plans]))
        if program.threads > 1:
            listed, passed = (parameters(program, names, codes, types) for types in (True, False))
            text.append(alone(names, codes, listed, passed))
    cases = "".join(f'        case {m}_{error}:\n            return "{words}";\n' for error, words in _ERRORS)
    text.append(f"const char *{n}_error(int code) {{\n    switch (code) {{\n{cases}        default:\n"
                '            return "unknown error";\n    }\n}\n')  # fmt: skip
    return prefixed("\n".join(text), n)


_HOOK = """/* To watch the layers build with -DQIR_HOOK=function: it is called after each layer, once for each of its
   results, with the layer's number, its name and the result, which lies in the order that suits the kernels. What
   turns real inputs into codes, and codes into real outputs, is a layer too. Layers in strips, a few rows of each in
   turn, have numbers of their own, but only the last of them has a result as a whole, and is told of. */
#ifdef QIR_HOOK
void QIR_HOOK(int layer, const char *name, const void *result, size_t bytes);
#define QIR_LAYER(layer, name, result, bytes) QIR_HOOK(layer, name, result, bytes)
#else
#define QIR_LAYER(layer, name, result, bytes) ((void)0)
#endif
"""


def _checked(program: Program, names: Names, codes: bool, bodies: list[list[str]]) -> str:
    """net_run or net_run_q: arguments are looked at, then one of the plans runs.

    Args:
        bodies: lines of each plan.
    """
    m = names.macro
    pointers = ("arena", *names.inputs, *names.outputs)
    null = " || ".join(f"!{p}" for p in pointers)
    lines = [
        f"int {running(program, names, codes)}({within(program, parameters(program, names, codes))}) {{",
        "    uint8_t *const memory = (uint8_t *)arena;",
        f"    if ({null}) {{", f"        return {m}_ERROR_NULL;", "    }",
        f"    if ((uintptr_t)arena % {m}_ARENA_ALIGNMENT != 0) {{", f"        return {m}_ERROR_ALIGNMENT;", "    }",
        *(bodies[0] if len(bodies) == 1 else _switch(program, names, bodies)), f"    return {m}_OK;", "}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _switch(program: Program, names: Names, bodies: list[list[str]]) -> list[str]:
    lines = [f"    switch ({names.prefix}_plan()) {{"]
    for number, (plan, body) in enumerate(zip(program.plans, bodies, strict=True)):
        label = f"case {number}" if plan is not program else "default"
        inner = [f"        {line}" for text in body for line in text.split("\n")]
        lines += [f"        {label}: /* {plan.processor} */", *inner, "            break;"]
    return [*lines, "    }"]
