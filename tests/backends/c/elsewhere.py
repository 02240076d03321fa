"""Runs emitted C wherever its target can run: in this process, or cross-compiled, in an emulator or on its board."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import precompiled

from qir.backends.c import CModule
from qir.backends.c.boards import BOARDS
from qir.backends.c.emitting.emit import emit
from qir.backends.c.module import fitting
from qir.backends.c.program import CTYPES, Program


@dataclass(frozen=True)
class Machine:
    """Another processor.

    Attributes:
        compilers: by name, the command that builds for it.
        emulator: that runs what they build, as a command.
    """

    compilers: Mapping[str, tuple[str, ...]]
    emulator: tuple[str, ...]


_ARM64 = {"gcc": ("aarch64-linux-gnu-gcc",), "clang": ("clang", "--target=aarch64-linux-gnu")}
_ARM32 = {"gcc": ("arm-linux-gnueabihf-gcc",), "clang": ("clang", "--target=arm-linux-gnueabihf")}
MACHINES: Mapping[str, Machine] = {
    "armv7-neon": Machine(_ARM32, ("qemu-arm", "-cpu", "cortex-a15")),
    "arm-neon": Machine(_ARM64, ("qemu-aarch64", "-cpu", "cortex-a53")),
    "arm-neon-dotprod": Machine(_ARM64, ("qemu-aarch64", "-cpu", "max")),
    "arm-neon-i8mm": Machine(_ARM64, ("qemu-aarch64", "-cpu", "max")),
}
"""Targets that this processor does not run."""

_DRIVER = """#include "net.h"
#if defined(NET_BOARD)
#include "board.h"
static int32_t file(const char *name, uint32_t letters, uint32_t mode) {
    const struct { const char *name; uint32_t mode, letters; } opened = {name, mode, letters};
    return board_host(1, &opened);
}

static int moved(int operation, int32_t handle, const void *place, uint32_t bytes) {
    const struct { int32_t handle; const void *place; uint32_t bytes; } block = {handle, place, bytes};
    return bytes && board_host(operation, &block);
}
#define TAKE(values, n) moved(6, given, values, (n) * sizeof(values)[0])
#define GIVE(values, n) moved(5, made, values, (n) * sizeof(values)[0])
#else
#include <stdio.h>
#define TAKE(values, n) (fread(values, sizeof(values)[0], n, stdin) != (n))
#define GIVE(values, n) (fwrite(values, sizeof(values)[0], n, stdout) != (n))
#endif

static unsigned char arena[NET_ARENA_BYTES + NET_ARENA_ALIGNMENT];
TABLES
int main(void) {
    void *const room = arena + (NET_ARENA_ALIGNMENT - (uintptr_t)arena % NET_ARENA_ALIGNMENT);
    int status = 0;
#if defined(NET_BOARD)
    const int32_t given = file("in", 2, 1), made = file("out", 3, 5);
    uint32_t start;
#endif
READ#if defined(NET_BOARD)
    start = board_instructions();
    status |= net_run(room, ARGUMENTS);
    board_number(board_instructions() - start);
#else
    status |= net_run(room, ARGUMENTS);
#endif
WRITE    return status;
}
"""


def driver(module: CModule) -> str:
    """A main that reads the inputs of a network called net from standard input and writes its outputs.

    On a board these are the files `in` and `out`, and it says how many instructions the network took.
    """
    program = module.program
    ports = [*((f"in{i}", port) for i, port in enumerate(program.inputs)),
             *((f"out{i}", port) for i, port in enumerate(program.outputs))]  # fmt: skip
    tables = [f"static {CTYPES[p.dtype.name]} {name}[{max(p.elements, 1)}];\n" for name, p in ports]
    count = len(program.inputs)
    read = [f"    status |= TAKE({name}, {p.elements}u);\n" for name, p in ports[:count]]
    write = [f"    status |= GIVE({name}, {p.elements}u);\n" for name, p in ports[count:]]
    text = _DRIVER.replace("TABLES\n", "".join(tables)).replace("READ", "".join(read)).replace("WRITE", "".join(write))
    return text.replace("ARGUMENTS", ", ".join(name for name, _ in ports))


def needs(target: str) -> tuple[str, ...]:
    """Programs without which nothing runs there."""
    if target in BOARDS:
        return (f"{BOARDS[target].tools.prefix}gcc", BOARDS[target].emulator.partition(" ")[0])
    machine = MACHINES.get(target)
    return (machine.compilers["gcc"][0], machine.emulator[0]) if machine else ()


def command(target: str, compiler: str) -> tuple[str, ...]:
    """The compiler for a target.

    Args:
        compiler: gcc or clang, or the path of either; any other one for this processor.
    """
    machine = MACHINES.get(target)
    return machine.compilers[Path(compiler).name] if machine else (compiler,)


def started(target: str, program: str) -> tuple[str, ...]:
    """The command that runs a program built for a target."""
    return (*(MACHINES[target].emulator if target in MACHINES else ()), program)


def run(
    module: CModule, feeds: Mapping[str, np.ndarray], *, compiler: str = "gcc", flags: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """As `module.run`, wherever its target runs.

    Args:
        compiler: gcc or clang, for another processor that is on no board.
        flags: that it is given there besides those of the target.
    """
    program = module.program
    if program.target in BOARDS:
        return on_board(module, feeds, flags or ("-O2",))[0]
    if program.target not in MACHINES:
        return module.run(feeds)
    with tempfile.TemporaryDirectory() as place:
        build(module, Path(place), (*command(program.target, compiler), *flags))
        line = started(program.target, "./net")
        done = subprocess.run(line, cwd=place, input=given(program, feeds), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() or f"status {done.returncode}"
    return results(program, done.stdout)


def deepest(graph: str, function: str) -> int:
    """Bytes of the deepest chain of calls from a function, by what gcc's -fcallgraph-info=su writes."""
    nodes = re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes \((\w+)', graph)
    edges = re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', graph)
    assert {"static"} == {kind for _, _, kind in nodes}
    frames = {title: int(size) for title, size, _ in nodes}

    def below(title: str) -> int:
        called = [target for source, target in edges if source == title]
        return frames.get(title, 0) + max(map(below, called), default=0)

    return max(below(title) for title in frames if title.rpartition(":")[2] == function)


def saved(kernels: str) -> int:
    """Bytes of the registers that a function in assembly saves, of which gcc knows nothing: the most of any."""
    found = [0]
    for function in kernels.split("__asm__(")[1:]:
        lists = re.findall(r'"v?push \{([^}]*)\}', function.split(");")[0])
        found.append(sum(_registers(one) for one in lists))
    return max(found)


def _registers(listed: str) -> int:
    """Bytes of `r4-r7, lr` or `d8-d11`."""
    total = 0
    for part in listed.split(", "):
        first, _, last = part.partition("-")
        total += (8 if first[0] == "d" else 4) * (int(last[1:]) - int(first[1:]) + 1 if last else 1)
    return total


def check_stack(folder: Path, graph: Path) -> int:
    """Holds NET_STACK_BYTES of saved files to gcc's call graph; gives what is told."""
    told = int(re.findall(r"NET_STACK_BYTES (\d+)", (folder / "net.h").read_text())[0])
    needed = deepest(graph.read_text(), "net_run") + saved((folder / "net_kernels.h").read_text())
    assert needed <= told
    return told


def on_board(
    module: CModule, feeds: Mapping[str, np.ndarray], flags: tuple[str, ...] = ("-O2",)
) -> tuple[dict[str, np.ndarray], int]:
    """As `run`, on the board of the target, with no more of the stack than net.h says; and the instructions of net_run.

    Args:
        flags: of the optimizer.
    """
    program = module.program
    with tempfile.TemporaryDirectory() as place:
        for name, text in {**module.files("c", "qemu"), "main.c": driver(module)}.items():
            (Path(place) / name).parent.mkdir(exist_ok=True)
            (Path(place) / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        folder = Path(place) / "qemu"
        (folder / "in").write_bytes(given(program, feeds))
        line = ["make", "--silent", "run", f"OPTIMIZE={shlex.join((*flags, '-fcallgraph-info=su'))}"]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[:4000]
        if "-O0" not in flags:
            check_stack(Path(place), next(folder.rglob("*net.ci")))
        return results(program, (folder / "out").read_bytes()), int(done.stdout)


def given(program: Program, feeds: Mapping[str, np.ndarray]) -> bytes:
    """What the driver reads."""
    return b"".join(fitting(p, feeds.get(p.name), p.dtype).tobytes() for p in program.inputs)


def results(program: Program, written: bytes) -> dict[str, np.ndarray]:
    """What the driver wrote, by output."""
    found, at = {}, 0
    for port in program.outputs:
        size = port.elements * port.dtype.numpy.itemsize
        found[port.name] = np.frombuffer(written[at : at + size], port.dtype.numpy).reshape(port.shape)
        at += size
    assert at == len(written)
    return found


def build(module: CModule, folder: Path, compiler: tuple[str, ...]) -> None:
    """Compiles a network called net, with a driver, to the static program `net`."""
    for name, text in {**emit(module.program, module.name, "c"), "driver.c": driver(module)}.items():
        (folder / name).write_text(str(text), encoding="utf-8")
    sources = ("net.c", "net_weights.c", "driver.c")
    line = [*compiler, "-std=c99", "-O2", "-static", *module.flags]
    line += [*precompiled.included(line, module.sources.values()), *sources, "-o", "net", "-lm"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(line)}\n{done.stderr[:4000]}"
