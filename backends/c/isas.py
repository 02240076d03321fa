"""Instruction sets that kernels are written for, and which of them this processor has."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qir.errors import BuildError


@dataclass(frozen=True)
class Isa:
    """One instruction set.

    Attributes:
        name: right of the double underscore in a kernel's name.
        features: what the processor must have, as Linux spells it in /proc/cpuinfo.
        flags: that let the compiler use it in portable kernels, too. Kernels for x86 need no flags, those for ARM do.
    """

    name: str
    features: frozenset[str]
    flags: tuple[str, ...]


AVX2 = Isa("avx2", frozenset(("avx2", "fma")), ("-mavx2", "-mfma"))
AVX512VNNI = Isa(
    "avx512vnni", AVX2.features | {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"},
    (*AVX2.flags, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"),
)  # fmt: skip
AVX512VPOPCNTDQ = Isa(
    "avx512vpopcntdq", AVX512VNNI.features | {"avx512_vpopcntdq"}, (*AVX512VNNI.flags, "-mavx512vpopcntdq")
)
AVXVNNI = Isa("avxvnni", AVX2.features | {"avx_vnni"}, (*AVX2.flags, "-mavxvnni"))
NEON = Isa("neon", frozenset(("neon",)), ())
ASIMD = Isa("asimd", NEON.features | {"asimd"}, ())
DOTPROD = Isa("dotprod", ASIMD.features | {"asimddp"}, ("-march=armv8.2-a+dotprod",))
I8MM = Isa("i8mm", DOTPROD.features | {"i8mm"}, ("-march=armv8.2-a+dotprod+i8mm",))
ISAS = (AVX512VPOPCNTDQ, AVX512VNNI, AVXVNNI, AVX2, I8MM, DOTPROD, ASIMD, NEON)
"""Best first. NEON is also what 32-bit ARM has: kernels for it are written for both. ASIMD is what 64 bits add: floats
that are divided, fused in a product and sum, and not flushed to zero where they are subnormal."""


CORTEX_M = ("dsp", "mve")
"""What kernels for microcontrollers are written for: no system that qir runs on has these."""


@lru_cache(maxsize=1)
def features() -> frozenset[str]:
    """What /proc/cpuinfo says that this processor has; nothing where there is no such file.

    64-bit ARM calls its vectors asimd; they can do what those of 32 bits, neon, can.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    found = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    words = frozenset(found.split())
    return words | {"neon"} if "asimd" in words else words


def on_this_processor() -> tuple[str, ...]:
    """Names of the instruction sets that can run here, best first."""
    return tuple(isa.name for isa in ISAS if isa.features <= features())


def require(names: Iterable[str], network: str) -> None:
    """Refuses what would end this process with an illegal instruction.

    Args:
        names: instruction sets of kernels; those that qir has no kernels for are the user's own business.
        network: for the message.

    Raises:
        BuildError: where this processor is known to lack one.
    """
    lacking = {isa.name: sorted(isa.features - features()) for isa in ISAS if not isa.features <= features()}
    for name in names:
        if name in CORTEX_M:
            raise BuildError(
                f"{network} has kernels for {name}, which a Cortex-M alone runs",
                fix="Save it with example='qemu' and run it there, or compile for target portable",
            )
        if name in lacking and (features() or platform.machine() not in ("x86_64", "AMD64")):
            raise BuildError(
                f"{network} has kernels for {name}, and this processor lacks {', '.join(lacking[name])}",
                fix="Run it on a processor that has it, or compile for target native or portable",
            )
