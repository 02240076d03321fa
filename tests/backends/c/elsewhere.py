"""Runs emitted C wherever its target can run: in this process, or cross-compiled, in an emulator."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qir.backends.c import CModule
from qir.backends.c.emit import emit
from qir.backends.c.module import fitting
from qir.backends.c.program import CTYPES


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
#include <stdio.h>

static unsigned char arena[NET_ARENA_BYTES + NET_ARENA_ALIGNMENT];
TABLES
int main(void) {
    void *const room = arena + (NET_ARENA_ALIGNMENT - (uintptr_t)arena % NET_ARENA_ALIGNMENT);
    int status = 0;
READ    status = net_run(room, ARGUMENTS);
WRITE    return status;
}
"""


def driver(module: CModule) -> str:
    """A main that reads the inputs of a network called net from standard input and writes its outputs."""
    program = module.program
    ports = [*((f"in{i}", port) for i, port in enumerate(program.inputs)),
             *((f"out{i}", port) for i, port in enumerate(program.outputs))]  # fmt: skip
    tables = [f"static {CTYPES[p.dtype.name]} {name}[{max(p.elements, 1)}];\n" for name, p in ports]
    count = len(program.inputs)
    read = [f"    status |= fread({name}, sizeof {name}[0], {p.elements}, stdin) != {p.elements};\n"
            for name, p in ports[:count]]  # fmt: skip
    write = [f"    status |= fwrite({name}, sizeof {name}[0], {p.elements}, stdout) != {p.elements};\n"
             for name, p in ports[count:]]  # fmt: skip
    text = _DRIVER.replace("TABLES\n", "".join(tables)).replace("READ", "".join(read)).replace("WRITE", "".join(write))
    return text.replace("ARGUMENTS", ", ".join(name for name, _ in ports))


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
        compiler: gcc or clang, for another processor.
        flags: that it is given there besides those of the target.
    """
    program = module.program
    if program.target not in MACHINES:
        return module.run(feeds)
    given = b"".join(fitting(p, feeds.get(p.name), p.dtype).tobytes() for p in program.inputs)
    with tempfile.TemporaryDirectory() as place:
        build(module, Path(place), (*command(program.target, compiler), *flags))
        line = started(program.target, "./net")
        done = subprocess.run(line, cwd=place, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() or f"status {done.returncode}"
    results, at = {}, 0
    for port in program.outputs:
        size = port.elements * port.dtype.numpy.itemsize
        results[port.name] = np.frombuffer(done.stdout[at : at + size], port.dtype.numpy).reshape(port.shape)
        at += size
    assert at == len(done.stdout)
    return results


def build(module: CModule, folder: Path, compiler: tuple[str, ...]) -> None:
    """Compiles a network called net, with a driver, to the static program `net`."""
    for name, text in {**emit(module.program, module.name, "c"), "driver.c": driver(module)}.items():
        (folder / name).write_text(str(text), encoding="utf-8")
    sources = ("net.c", "net_weights.c", "driver.c")
    line = [*compiler, "-std=c99", "-O2", *module.flags, "-static", *sources, "-o", "net", "-lm"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(line)}\n{done.stderr[:4000]}"
