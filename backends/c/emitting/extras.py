"""What is emitted around the network: a self-test, a build file, a report."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from qir.backends.c.build import Files
from qir.backends.c.emitting.emit import stack_bytes
from qir.backends.c.emitting.footprint import code_bytes, layers
from qir.backends.c.emitting.literals import array, comment, math_include
from qir.backends.c.emitting.names import Names
from qir.backends.c.emitting.threads import example_files
from qir.backends.c.ports import Port
from qir.backends.c.program import CTYPES, Program

_TOLERANCE = 1e-4


def extra_files(
    program: Program,
    names: Names,
    vectors: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
    flags: Sequence[str],
    sources: Files,
) -> dict[str, str]:
    """main.c, CMakeLists.txt and report.json, and examples of threads where those can be used.

    Args:
        vectors: (inputs, expected outputs) at the real interface.
        flags: compiler flags that the kernels need.
        sources: the network's files.
    """
    blob = f"{names.macro}_BLOB_BYTES" in str(sources[f"{names.prefix}.h"])
    return {
        "main.c": _main(program, names, vectors, blob),
        "CMakeLists.txt": _cmake(program, names, flags, sources, blob),
        "report.json": _report(program, names),
        **example_files(program, names),
    }


def _table(port: Port, name: str, rows: Sequence[np.ndarray]) -> str:
    stacked = np.stack([np.asarray(row, port.given().numpy).reshape(-1) for row in rows])
    kind, items = array(stacked)
    return f"static const {kind} {name}[] = {{ /* {comment(port.name)} */\n{items}\n}};\n"


def _main(
    program: Program, names: Names, vectors: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]],
    blob: bool,
) -> str:  # fmt: skip
    n, m, inside = names.prefix, names.macro, program.io == "arena"
    tables, feeds, checks, rooms, results, again, copies = [], [], [], [], [], [], []
    for port, text in zip(program.inputs, names.inputs, strict=True):
        kind = CTYPES[port.given().name]
        if port.state:
            continue
        if vectors:
            tables.append(_table(port, f"given_{text}", [port.inward(feed[port.name]) for feed, _ in vectors]))
        else:
            tables.append(f"static const {kind} given_{text}[{max(port.elements, 1)}] = {{0}};\n")
        feeds.append(f"given_{text} + i * {port.elements}u")
        place = f"(unsigned char *)arena + {m}_IN_{text.upper()}_OFFSET"
        copies.append(f"        (void)memcpy({place}, {feeds[-1]}, {port.elements}u * sizeof(*given_{text}));\n")
    for port, text in zip(program.outputs, names.outputs, strict=True):
        kind = CTYPES[port.given().name]
        if port.state:
            continue
        room = f"static {kind} %s_{text}[{max(port.elements, 1)}];\n"
        place = f"(const void *)((const unsigned char *)arena + {m}_OUT_{text.upper()}_OFFSET)"
        rooms.append("" if inside else room % "result")
        results.append(f"((const {kind} *){place})" if inside else f"result_{text}")
        if vectors:
            tables.append(_table(port, f"wanted_{text}", [port.expected(wanted[port.name]) for _, wanted in vectors]))
            found, wanted = f"{results[-1]}[k]", f"wanted_{text}[i * {port.elements}u + k]"
            test = f"differs((double){found}, (double){wanted})" if port.given().is_float else f"{found} != {wanted}"
            checks.append(f"        for (k = 0; k < {port.elements}u; ++k) {{\n            wrong += {test} ? 1 : 0;\n"
                          "        }\n")  # fmt: skip
        elif not inside:
            rooms.append(room % "again")
            again.append(f"again_{text}")
            checks.append(f"        wrong += memcmp(result_{text}, again_{text}, sizeof result_{text}) ? 1 : 0;\n")
    before = ["arena", *(["&state"] if program.states else [])]
    if program.states:
        rooms.append(f"/* Of one stream; zeros when the program starts. */\nstatic {n}_state state;\n")
    given, called = ("".join(copies), before) if inside else ("", [*before, *feeds, *results])
    if not vectors and again and not program.states:
        checks.insert(0, f"        (void){n}_run({', '.join((*before, *feeds, *again))});\n")
    differs = _DIFFERS if vectors and any(port.given().is_float and not port.state for port in program.outputs) else ""
    counter = "        size_t k;\n" if vectors else ""
    claim = (f"Runs {n} on {len(vectors)} input(s) and compares with the expected outputs." if vectors else
             f"Runs {n} on zeros twice and compares the results: no expected outputs were shipped.")  # fmt: skip
    context = "context, " if program.threads > 1 else ""
    says = _SAYS.replace("NET", m)
    room, load = _BLOB if blob else ("", "")
    on = "_on" if context else ""
    pool, start, stop = (text.replace("NET", m).replace("net_", f"{n}_") if context else "" for text in _POOL)
    return f"""/* {claim} Exit code 0: all passed. */
#include "{n}.h"

{math_include("".join(tables))}#include <string.h>

{says}
{pool}{"".join(tables)}
{"".join(rooms)}
/* Room for the alignment that the arena needs. */
static unsigned char memory[{m}_ARENA_BYTES + {m}_ARENA_ALIGNMENT];

{room.replace("NET", m)}{differs}int main({"int argc, char **argv" if blob else "void"}) {{
    void *const arena = memory + ({m}_ARENA_ALIGNMENT - (uintptr_t)memory % {m}_ARENA_ALIGNMENT);
    int failed = 0;
    size_t i;
{load.replace("NET", m).replace("net_", f"{n}_")}{start}    for (i = 0; i < {max(len(vectors), 1)}; ++i) {{
        unsigned long wrong = 0;
{counter}        uint32_t start, spent;
        int status;
{given}        start = board_instructions();
        status = {n}_run{on}({context}{", ".join(called)});
        spent = board_instructions() - start;
        board_text("vector ");
        board_number((unsigned long)i);
        if (status != {m}_OK) {{
            board_text(": error: ");
            board_text({n}_error(status));
            board_text("\\n");
            return 2;
        }}
{"".join(checks)}        board_text(wrong ? ": FAIL (" : ": pass (");
        board_number(wrong);
        board_text(" wrong)");
        if (spent) {{
            board_text(", instructions: ");
            board_number(spent);
        }}
        board_text("\\n");
        failed += wrong ? 1 : 0;
    }}
{stop}    board_text(failed ? "FAILED\\n" : "PASSED\\n");
    return failed ? 1 : 0;
}}
"""


_BLOB = ("""/* Room for the weights, which are a file here. */
static unsigned char blob[NET_BLOB_BYTES + 64];

""", """    unsigned char *const weights = blob + (64 - (uintptr_t)blob % 64);
    FILE *const file = fopen(argc > 1 ? argv[1] : "net_weights.bin", "rb");
    const size_t found = file ? fread(weights, 1, NET_BLOB_BYTES, file) : 0;
    const int taken = net_init(weights, found);
    if (taken != NET_OK) {
        board_text(net_error(taken));
        return 2;
    }
    (void)fclose(file);
""")  # fmt: skip

_SAYS = """/* A board without stdio has functions of its own, and counts instructions. */
#if defined(NET_BOARD)
#include "board.h"
#else
#include <stdio.h>
static void board_text(const char *text) {
    (void)fputs(text, stdout);
}

static void board_number(unsigned long number) {
    printf("%lu", number);
}

static uint32_t board_instructions(void) {
    return 0;
}
#endif
"""

_POOL = ("""#if defined(NET_POOL)
#include "net_pool.h"
static net_pool pool;
static const net_context threads = {net_pool_run, &pool};
static const net_context *const context = &threads;
#else
static const net_context *const context = 0;
#endif

""", """#if defined(NET_POOL)
    printf("%d threads\\n", net_pool_start(&pool, NET_THREADS));
#endif
""", """#if defined(NET_POOL)
    net_pool_stop(&pool);
#endif
""")  # fmt: skip

_DIFFERS = f"""/* Beyond what math libraries differ in. */
static int differs(double a, double b) {{
    const double size = b < 0 ? -b : b;
    const double gap = a < b ? b - a : a - b;
    return a == b || (a != a && b != b) ? 0 : !(gap <= {_TOLERANCE} * (size > 1 ? size : 1));
}}

"""


def _cmake(program: Program, names: Names, flags: Sequence[str], sources: Collection[str], blob: bool) -> str:
    n = names.prefix
    threads = _CMAKE_THREADS.replace("NET", names.macro).replace("net_", f"{n}_") if program.threads > 1 else ""
    built = [name for name in sources if name.endswith((".c", ".S"))]
    language = " ASM" if f"{n}_weights.S" in built else ""
    rebuilt = "".join(  # neither an assembler nor every compiler tells of a file that it includes
        f"set_source_files_properties({built[-1]} PROPERTIES OBJECT_DEPENDS ${{CMAKE_CURRENT_SOURCE_DIR}}/{name})\n"
        for name in sources
        if name.endswith(".bin") and not blob
    )
    given = f" ${{CMAKE_CURRENT_SOURCE_DIR}}/{n}_weights.bin" if blob else ""
    options = f"target_compile_options({n} PRIVATE {' '.join(flags)})\n" if flags else ""
    return f"""cmake_minimum_required(VERSION 3.10)
project({n} C{language})

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library({n} STATIC {" ".join(built)})
{rebuilt}target_include_directories({n} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
set_target_properties({n} PROPERTIES C_STANDARD 99 POSITION_INDEPENDENT_CODE ON)
{options}if(UNIX)
  target_link_libraries({n} PUBLIC m)
endif()

add_executable({n}_test main.c)
target_link_libraries({n}_test PRIVATE {n})
{threads.replace("LIBRARY", n)}enable_testing()
add_test(NAME {n} COMMAND {n}_test{given})
"""


_CMAKE_THREADS = """
set(NET_POOL "" CACHE STRING "Threads to add as an example: pthread or openmp")
if(NET_POOL)
  target_sources(LIBRARY PRIVATE net_pool_${NET_POOL}.c)
  target_compile_definitions(LIBRARY_test PRIVATE NET_POOL)
  if(NET_POOL STREQUAL "openmp")
    find_package(OpenMP REQUIRED)
    target_link_libraries(LIBRARY PUBLIC OpenMP::OpenMP_C)
  else()
    find_package(Threads REQUIRED)
    target_link_libraries(LIBRARY PUBLIC Threads::Threads)
  endif()
endif()

"""


def _report(program: Program, names: Names) -> str:
    document: dict[str, object] = {
        "name": names.prefix,
        "target": program.target,
        "model_hash": program.source_hash,
        "requantization": program.requantization,
        "arena_bytes": program.arena_bytes,
        "arena_lower_bound": program.arena_lower_bound,
        "weight_bytes": program.weight_bytes,
        "stack_bytes": stack_bytes(program),
        "code_bytes_estimate": code_bytes(program),
        "macs": program.macs,
        "repeated_macs": program.repeated_macs,
        "inputs": [_port(port) for port in program.inputs],
        "outputs": [_port(port) for port in program.outputs],
        "layers": _layers(program.plans[0]),
    }
    if program.alternatives:
        document["plans"] = [
            {"processor": plan.processor, "arena_bytes": plan.arena_bytes, "layers": _layers(plan)}
            for plan in program.plans
        ]
    return json.dumps(document, indent=2) + "\n"


def _layers(plan: Program) -> list[dict[str, object]]:
    return [
        {"node": call.node, "op": call.op, "kernel": call.kernel.emitted, "macs": call.macs,
         "weight_bytes": layer.weight_bytes, "arena_bytes": layer.arena_bytes, "cycles": layer.cycles,
         "origin": list(call.origin)}
        for call, layer in zip(plan.every_call, layers(plan), strict=True)
    ]  # fmt: skip


def _port(port: Port) -> dict[str, object]:
    described: dict[str, object] = {"name": port.name, "type": str(port.given()), "shape": list(port.given_shape)}
    if port.order:
        described["order"] = list(port.order)
    if port.state:
        described["state"] = port.state
    if port.code is not None:
        described["codes"] = {"type": str(port.code), "scale": port.scale, "zero_point": port.zero_point}
    return described
