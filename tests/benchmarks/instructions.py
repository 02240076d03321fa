"""Instructions of one run of a network: noise-free figures, also of processors that are not here.

`host` counts on this processor with valgrind's callgrind, which knows AVX2 but not AVX-512 or AVX-VNNI; `emulated` on
ARM, in qemu-user, by a plugin that adds up the lengths of the blocks carried out. The network is built as `qir` builds
it, with a program that runs it once or twice: the difference is one run.

    python tests/benchmarks/instructions.py [--compiler gcc|clang] [NAME ...]
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from qir.backends.c import CModule, compile_c
from qir.backends.c.bench import Row, rows
from qir.backends.c.build import shared_library
from qir.backends.c.emitting.literals import array

ARM = {"arm-neon": "cortex-a53", "arm-neon-dotprod": "max", "arm-neon-i8mm": "max"}
"""Targets and the processors that qemu plays."""
X86 = ("x86-avx2",)
"""What valgrind can carry out."""
DEFAULT = ["3x3 128->128", "1x1 64->64", "depthwise 3x3 64", "first 3x3 3->16", "gemm 1x640"]


def program(module: CModule, feeds: Mapping[str, np.ndarray]) -> str:
    """A main that runs the network argc times."""
    names, given = module.names, []
    text = [f'#include "{names.prefix}.h"\n#include <stdint.h>\n']
    macro = names.macro
    text.append(f"static unsigned char memory[{macro}_ARENA_BYTES + {macro}_ARENA_ALIGNMENT];\n")
    for port, name in zip(module.program.inputs, names.inputs, strict=True):
        kind, items = array(np.ascontiguousarray(feeds[port.name], port.dtype.numpy).reshape(-1))
        text.append(f"static const {kind} {name}[] = {{\n{items}\n}};\n")
        given.append(name)
    for port, name in zip(module.program.outputs, names.outputs, strict=True):
        text.append(f"static {array(np.zeros(1, port.dtype.numpy))[0]} {name}[{max(port.elements, 1)}];\n")
        given.append(name)
    text.append(f"""int main(int argc, char **argv) {{
    unsigned char *arena = memory + ({macro}_ARENA_ALIGNMENT - (uintptr_t)memory % {macro}_ARENA_ALIGNMENT);
    (void)argv;
    for (; argc > 0; --argc) {{
        if ({names.prefix}_run({", ".join(("arena", *given))})) {{ return 1; }}
    }}
    return 0;
}}
""")
    return "".join(text)


def build(module: CModule, feeds: Mapping[str, np.ndarray], folder: Path, compiler: Sequence[str]) -> Path:
    """The program, linked statically, so that nothing else runs."""
    for name, content in {**module.sources, "main.c": program(module, feeds)}.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    sources = sorted(name for name in (*module.sources, "main.c") if name.endswith((".c", ".S")))
    command = [*compiler, "-std=c11", "-O2", *module.flags, "-static", *sources, "-lm", "-o", "counted"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return folder / "counted"


def host(module: CModule, feeds: Mapping[str, np.ndarray], compiler: str = "gcc") -> int:
    """Instructions of one run on this processor, by callgrind.

    Args:
        module: without kernels for AVX-512 or AVX-VNNI, which valgrind does not know.
        feeds: one sample.
    """
    with tempfile.TemporaryDirectory() as folder:
        program_file = build(module, feeds, Path(folder), [compiler])
        one, two = (_callgrind(program_file, runs) for runs in (1, 2))
    return two - one


def _callgrind(counted: Path, runs: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(counted), *["again"] * (runs - 1)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def emulated(
    module: CModule, feeds: Mapping[str, np.ndarray], cpu: str, compiler: str = "aarch64-linux-gnu-gcc"
) -> int:
    """Instructions of one run on 64-bit ARM, by qemu-user.

    Args:
        cpu: whom qemu plays: cortex-a53, max, ...
        compiler: a cross compiler for it.
    """
    with tempfile.TemporaryDirectory() as folder:
        program_file = build(module, feeds, Path(folder), compiler.split())
        one, two = (_qemu(program_file, cpu, runs) for runs in (1, 2))
    return two - one


_PLUGIN = """#include <inttypes.h>
#include <stdio.h>
/* What qemu-plugin.h, which Debian does not ship, declares; version 1 of the interface, as of qemu 4.2 to 8.0. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
int qemu_plugin_version = 1;
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
static uint64_t count;
static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &count, qemu_plugin_tb_n_insns(block)); /* 0: add */
}
static void ended(qemu_plugin_id_t id, void *data) {
    (void)id; (void)data;
    fprintf(stderr, "instructions %" PRIu64 "\\n", count);
}
int qemu_plugin_install(qemu_plugin_id_t, const void *, int, char **);
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info; (void)argc; (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
"""


def _qemu(counted: Path, cpu: str, runs: int) -> int:
    plugin = shared_library({"plugin.c": _PLUGIN})
    command = ["qemu-aarch64", "-cpu", cpu, "-plugin", str(plugin), str(counted), *["again"] * (runs - 1)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"instructions (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def counted(module: CModule, row: Row, target: str, compiler: str) -> int:
    """Instructions of one run, on this processor or, for ARM, in qemu."""
    if target in ARM:
        cross = {"gcc": "aarch64-linux-gnu-gcc", "clang": "clang --target=aarch64-linux-gnu"}[compiler]
        return emulated(module, row.feeds, ARM[target], cross)
    return host(module, row.feeds, compiler)


def per_unit(row: Row, target: str, compiler: str) -> float:
    """Instructions for a multiply-accumulate, or for an element."""
    return counted(compile_c(row.graph, target=target), row, target, compiler) / row.work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiler", choices=("gcc", "clang"), default="gcc")
    parser.add_argument("names", nargs="*", default=DEFAULT, help="parts of the rows' names")
    options = parser.parse_args()
    targets = (*X86, *ARM)
    table = Table(title=f"Instructions for a multiply-accumulate (or element), {options.compiler}")
    table.add_column("kernel")
    for target in targets:
        table.add_column(target, justify="right")
    for row in rows(options.names):
        table.add_row(row.name, *(f"{per_unit(row, target, options.compiler):.3f}" for target in targets))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
