"""int8 networks on microcontrollers: bytes of what is linked, and instructions of one inference, as qemu counts them.

Sections are those of net_run, the kernels, the constants and what of the C library and libgcc they need; the arena is
the caller's. Random inputs: the counts hardly depend on them.

    QIR_ZOO=... python tests/benchmarks/microcontrollers.py [--cores cortex-m4,...] [--optimize=-O2] [MODEL ...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import qir
from qir.backends.c import CModule
from qir.backends.c.boards import BOARDS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.backends.c.elsewhere import on_board  # noqa: E402  (found through the line above, from any working folder)

DIGITS = "digits"
MODELS = (DIGITS, "dscnn_kws", "resnet8_cifar10", "speed/autoencoder_640", "speed/mobilenetv1_025_96")
SECTIONS = (".text", ".rodata", ".data", ".bss")


def sections(module: CModule, optimize: str) -> dict[str, int]:
    """Bytes of what net_run needs, by section."""
    tools, prefix = module.tools, module.names.prefix
    assert tools is not None
    with tempfile.TemporaryDirectory() as place:
        module.save(place, example="qemu")
        sources = sorted(name for name in module.sources if name.endswith((".c", ".S")))
        line = [f"{tools.prefix}gcc", *tools.flags, *module.flags, "-std=c99", optimize, "-ffunction-sections",
                "-fdata-sections", "-nostartfiles", "-T", "qemu/board.ld", f"-Wl,--gc-sections,-e,{prefix}_run",
                *sources, "-o", "net.elf", "-lm"]  # fmt: skip
        subprocess.run(line, cwd=place, check=True)
        line = [f"{tools.prefix}size", "-A", "net.elf"]
        listed = subprocess.run(line, cwd=place, check=True, capture_output=True, text=True).stdout
    rows = [row.split() for row in listed.splitlines()]
    return {name: sum(int(row[1]) for row in rows if len(row) > 1 and row[0].startswith(name)) for name in SECTIONS}


def model_of(name: str) -> tuple[str, dict[str, np.ndarray]]:
    """The path of a model and random samples for it."""
    path = ROOT / "models/digits_cnn" if name == DIGITS else Path(os.environ["QIR_ZOO"]) / name
    path = path / "model.onnx"
    graph = qir.lift(path)
    rng = np.random.default_rng(0)
    shapes = {x: [size if isinstance(size, int) else 16 for size in graph.tensor(x).shape or ()] for x in graph.inputs}
    return str(path), {x: rng.normal(0, 1, [16, *shape[1:]]).astype(np.float32) for x, shape in shapes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default=",".join(BOARDS), help="targets, by commas")
    parser.add_argument("--optimize", default="-O2", help="of the build that is run")
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    given = parser.parse_args()
    sizes = ("text -Os", "text -O2", "rodata", "data", "bss")
    table = Table("network", "core", "MACs", "arena", *sizes, "instructions", "a MAC")
    for name in given.models:
        path, samples = model_of(name)
        for core in given.cores.split(","):
            if core == "cortex-m0" and name != DIGITS:
                continue  # its board has 16 KB of RAM
            module = qir.compile(path, samples, target=core).module
            small, fast = (sections(module, level) for level in ("-Os", "-O2"))
            _, count = on_board(module, {x: array[:1] for x, array in samples.items()}, (given.optimize,))
            rest = (f"{small[section]:,}" for section in SECTIONS[1:])
            table.add_row(name, core, f"{module.program.macs:,}", f"{module.arena_bytes:,}", f"{small['.text']:,}",
                          f"{fast['.text']:,}", *rest, f"{count:,}", f"{count / module.program.macs:.2f}")  # fmt: skip
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
