"""Machines that an emulator plays: what is emitted to run a network on the core that it was compiled for.

The machine's memory is a row of `BOARDS`; start-up code, one file an architecture, is in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from qir.backends.c.build import ARM_TOOLS, RISCV_TOOLS, Tools
from qir.backends.c.emitting.names import Names
from qir.errors import OutputError

EXAMPLES = ("qemu",)
"""What `example` of CModule.save can be."""


@dataclass(frozen=True)
class Board:
    """A machine that QEMU plays.

    Attributes:
        emulator: the command that plays it.
        flash, ram: (first address, bytes) of the memory for code and constants, and of that for the rest.
        megahertz: of the clock that its counter of instructions runs by.
        start: the file of its start-up code.
        tools: its compiler.
    """

    emulator: str
    flash: tuple[int, int]
    ram: tuple[int, int]
    megahertz: int
    start: str = "start_arm.c"
    tools: Tools = ARM_TOOLS

    @property
    def machine(self) -> str:
        """As QEMU calls it."""
        return self.emulator.partition("-M ")[2].partition(" ")[0]


_KIB, _MIB = 1 << 10, 1 << 20
BOARDS: Mapping[str, Board] = MappingProxyType({
    "cortex-m0": Board("qemu-system-arm -M microbit", (0, 256 * _KIB), (0x20000000, 16 * _KIB), 16),
    "cortex-m3": Board("qemu-system-arm -M mps2-an385", (0, 4 * _MIB), (0x20000000, 4 * _MIB), 25),
    "cortex-m4": Board("qemu-system-arm -M mps2-an386", (0, 4 * _MIB), (0x20000000, 4 * _MIB), 25),
    "cortex-m7": Board("qemu-system-arm -M mps2-an500", (0, 4 * _MIB), (0x20000000, 4 * _MIB), 25),
    "cortex-m33": Board("qemu-system-arm -M mps2-an505", (0x10000000, 4 * _MIB), (0x38000000, 4 * _MIB), 20),
    "cortex-m55": Board("qemu-system-arm -M mps3-an547", (0x10000000, 512 * _KIB), (0x31000000, 4 * _MIB), 32),
    "riscv32": Board("qemu-system-riscv32 -M virt -bios none", (0x80000000, 8 * _MIB), (0x80800000, 8 * _MIB),
                     1000, "start_riscv.c", RISCV_TOOLS),
})  # fmt: skip
"""By target."""


def example_files(target: str, names: Names, flags: Sequence[str], sources: Collection[str]) -> dict[str, str]:
    """A folder `qemu` whose `make run` builds the self-test for the target's core and runs it in an emulator.

    Args:
        target: its name.
        names: of the network.
        flags: compiler flags of the target.
        sources: names of the network's files.

    Raises:
        OutputError: where no machine is known for the target.
    """
    if target not in BOARDS:
        raise OutputError(f"no machine is known that runs target {target}", fix=f"Choose one of {', '.join(BOARDS)}")
    board, folder = BOARDS[target], Path(__file__).parent
    words = {
        "net": names.prefix, "NET": names.macro, "TOOLS": board.tools.prefix, "EMULATOR": board.emulator,
        "CORE": " ".join(flags), "LIBRARY": " ".join(board.tools.flags), "MEGAHERTZ": str(board.megahertz),
        "START": board.start,
        "SOURCES": " ".join(f"../{name}" for name in sources if name.endswith((".c", ".S"))),
        "MACHINE": board.machine, "FLASH": f"{board.flash[0]:#x}", "FLASH_BYTES": str(board.flash[1]),
        "RAM": f"{board.ram[0]:#x}", "RAM_BYTES": str(board.ram[1]),
    }  # fmt: skip
    files = {}
    for name in ("Makefile", "board.ld", "board.h", "board.c", board.start):
        files[f"qemu/{name}"] = (folder / name).read_text(encoding="utf-8")
        for word, text in words.items():
            files[f"qemu/{name}"] = files[f"qemu/{name}"].replace(f"@{word}@", text)
    return files
