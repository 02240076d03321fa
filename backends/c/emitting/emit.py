"""Program to C files. Prints what the Program says and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from qir.backends.c.dispatch import choosing
from qir.backends.c.emitting import misra, stack
from qir.backends.c.emitting.arrays import BLOB_HEAD, Arrays
from qir.backends.c.emitting.interface import ERRORS, header, is_quantized, parameters, pointers, spelt
from qir.backends.c.emitting.literals import comment, math_include, scalar, string, struct
from qir.backends.c.emitting.names import Names, identifier, unique
from qir.backends.c.emitting.source import gather, prefixed
from qir.backends.c.emitting.threads import alone, given, running, sharing, task, within
from qir.backends.c.program import (
    CTYPES,
    Arg,
    Call,
    Data,
    Input,
    Output,
    Program,
    Scalar,
    Scratch,
    Struct,
    data_key,
    turns,
)
from qir.backends.c.targets import C_TARGETS


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
        weights: how constant arrays are written; see qir.backends.c.emitting.arrays.

    Raises:
        OutputError: for an unknown way.
    """
    names = names_of(program, name)
    arrays = arrays_of(program, names, weights)
    code, kernels = _code(program, names, arrays), _kernels(program, names)
    blob_bytes = BLOB_HEAD + arrays.size if arrays.form == "blob" else 0
    return {
        f"{names.prefix}.h": header(program, names, stack_bytes(program), blob_bytes),
        f"{names.prefix}.c": code,
        f"{names.prefix}_kernels.h": kernels,
        **arrays.files(code + kernels),
    }


def stack_bytes(program: Program) -> int | None:
    """Of the stack, that net_run takes at most; None for kernels on wide vectors, whose registers compilers spill."""
    small = C_TARGETS[program.target].tools is not None
    if not small and set(program.isas) - {"portable"}:
        return None
    return stack.bound(_kernel_text(program)[1], small=small)


def arrays_of(program: Program, names: Names, weights: str = "auto") -> Arrays:
    """The constant arrays with their C names."""
    return Arrays(program.data, names.prefix, program.alignment, weights)


def _kernel_text(program: Program) -> tuple[list[str], str]:
    """System headers of the kernels, and their text.

    On microcontrollers kernels are no part of their caller, whose stack would hold what all of them need, and whose
    registers they would share.
    """
    return gather(program, apart=C_TARGETS[program.target].tools is not None)


def _kernels(program: Program, names: Names) -> str:
    system, text = _kernel_text(program)
    includes = "".join(f"#include <{header}>\n" for header in system)
    guard = f"{names.macro}_KERNELS_H"
    head = f"/* The functions that {names.prefix}.c calls. */\n#ifndef {guard}\n#define {guard}\n\n"
    return prefixed(f"{head}{misra.comment()}\n{includes}\n{text}\n#endif\n", names.prefix)


def _at(offset: int) -> str:
    """A place in the arena."""
    return f"memory + {offset}" if offset else "memory"


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
        stored = self.program.stored[value]
        if buffer.place != "arena" and not borders:
            name = (self.names.inputs if buffer.place == "input" else self.names.outputs)[buffer.port]
            return f"{name} + {stored.skip}" if stored.skip else name
        kind = CTYPES[stored.dtype.name]
        place = _at(buffer.offset + stored.start)
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
            return _at(self.program.buffers[self.program.values[arg.name]].offset)
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
        program, sides, args = self.program, [], ["memory"]
        texts, count = spelt(program, self.names), len(program.inputs)
        ends = len(program.entry) + len(program.calls)
        for ports, spelled, first in ((program.inputs, texts[:count], 0), (program.outputs, texts[count:], ends)):
            listed = [port.reorder if codes and not port.state else port.border for port in ports]
            rows = list(zip(ports, listed, spelled, strict=True))
            coded = [(call, text) for port, call, text in rows if port.border]
            sides.append([self.call(i, call, caller=text) for i, (call, text) in enumerate(coded, first) if call])
            for port, call, text in rows:
                inside = call or program.buffers[program.values[port.value]].place == "arena"
                args.append(self.pointer(port.value, "", True) if inside else text)
        args = ["context", *args] if program.threads > 1 else args
        kept = [(port, text) for port, text in zip(program.outputs, texts[count:], strict=True)
                if port.state and not port.border]  # fmt: skip
        copies = [f"    (void)memcpy({text}, {self.pointer(port.value, 'const ', True)}, "
                  f"{port.elements * port.dtype.numpy.itemsize}u);" for port, text in kept]  # fmt: skip
        return [*sides[0], f"    {self.function}({', '.join(args)});", *sides[1], *copies]


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
    inner = within(program, ", ".join(["uint8_t *memory", *pointers(program, names, True)]))
    head = f'#include "{n}.h"\n#include "{n}_kernels.h"\n#include "{n}_weights.h"\n'
    lines = (line for plan in plans for part in (plan.calls, plan.tasks, plan.run, plan.run_on_codes) for line in part)
    needs = math_include("".join((*numbers, *lines)))
    system = needs + ("#include <string.h>\n" if program.states else "")
    text = [f"{head}\n{system}" if system else head, _sizes(program, names), _HOOK, *numbers]
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
        bodies = [plan.run_on_codes if codes else plan.run for plan in plans]
        text.append(_checked(program, names, codes, bodies, arrays.form == "blob"))
        if program.threads > 1:
            listed, passed = (parameters(program, names, codes, types) for types in (True, False))
            text.append(alone(names, codes, listed, passed))
    if program.states:
        text.append(f"void {n}_reset({n}_state *state) {{\n    (void)memset(state, 0, sizeof *state);\n}}\n")
    text.append(_static(program, names))
    cases = "".join(f'        case {m}_{error}:\n            return "{words}";\n' for error, words in ERRORS)
    text.append(f"const char *{n}_error(int code) {{\n    switch (code) {{\n{cases}        default:\n"
                '            return "unknown error";\n    }\n}\n')  # fmt: skip
    return prefixed("\n".join(text), n)


_HOOK = """/* To watch the layers build with -D QIR_HOOK=function: it is called after each layer, once for each of its
   results, with the arena, by which a caller of several networks or on several threads knows whose layer it is, the
   layer's number, its name and the result, which lies in the order that suits the kernels. What turns real inputs
   into codes, and codes into real outputs, is a layer too. Layers in strips, a few rows of each in turn, have numbers
   of their own, but only the last of them has a result as a whole, and is told of. */
#ifdef QIR_HOOK
void QIR_HOOK(const void *arena, int layer, const char *name, const void *result, size_t bytes);
#define QIR_LAYER(layer, name, result, bytes) QIR_HOOK(memory, layer, name, result, bytes)
#else
#define QIR_LAYER(layer, name, result, bytes) ((void)0)
#endif
"""


def _sizes(program: Program, names: Names) -> str:
    """What the compiler checks of sizes."""
    m = names.macro
    return f"""#if {m}_ARENA_BYTES != {max(program.arena_bytes, 1)} || {m}_WEIGHT_BYTES != {program.weight_bytes}
#error "{names.prefix}.h is of another network"
#endif
typedef char qir_float_has_4_bytes[sizeof(float) == 4 ? 1 : -1];
typedef char qir_int_has_4_bytes[sizeof(int) >= 4 ? 1 : -1];
"""


def _static(program: Program, names: Names) -> str:
    """net_run_static, with memory of its own."""
    if program.io == "arena":
        return ""
    n, m = names.prefix, names.macro
    listed = parameters(program, names, False, arena=False)
    arrays = listed and parameters(program, names, False, types=False).split(", ", 2 if program.states else 1)[-1]
    passed = ", ".join(["qir_memory + skip", *(["&qir_kept"] if program.states else []), *([arrays] if arrays else [])])
    text = f"""#if defined({m}_STATIC_ARENA)
static uint8_t qir_memory[{m}_ARENA_BYTES + {m}_ARENA_ALIGNMENT - 1];
KEPT
int {n}_run_static({listed or "void"}) {{
    const uintptr_t unit = {m}_ARENA_ALIGNMENT, skip = (unit - (uintptr_t)qir_memory % unit) % unit;
    return {n}_run({passed});
}}
#endif
"""
    reset = f"static {n}_state qir_kept;\n\nvoid {n}_reset_static(void) {{\n    {n}_reset(&qir_kept);\n}}\n"
    return text.replace("KEPT\n", reset + "\n" if program.states else "\n")


def _checked(program: Program, names: Names, codes: bool, bodies: list[list[str]], blob: bool) -> str:
    """net_run or net_run_q: arguments are looked at, then one of the plans runs.

    Args:
        bodies: lines of each plan.
        blob: the weights are the caller's.
    """
    m = names.macro
    null = " || ".join(f"!{name}" for name in parameters(program, names, codes, types=False).split(", "))
    lines = [
        f"int {running(program, names, codes)}({within(program, parameters(program, names, codes))}) {{",
        "    uint8_t *const memory = (uint8_t *)arena;",
        f"    if ({null}) {{", f"        return {m}_ERROR_NULL;", "    }",
        f"    if ((uintptr_t)arena % (uintptr_t){m}_ARENA_ALIGNMENT != 0u) {{",
        f"        return {m}_ERROR_ALIGNMENT;", "    }",
        *([f"    if (!{names.prefix}_weights) {{", f"        return {m}_ERROR_WEIGHTS;", "    }"] if blob else []),
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
