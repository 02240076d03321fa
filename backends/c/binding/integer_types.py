"""Kernel templates for codes of 8 and 16 bits.

QIR_X (or QIR_A and QIR_B), QIR_Y and QIR_ACC are the types of operands, result and accumulators, QIR_STORE stores an
accumulator. A kernel is named after its operands, and after its accumulators where these have 64 bits.
"""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding import RUNTIME
from qir.backends.c.binding.requant import FIXED, is_fixed, output_types
from qir.backends.c.binding.site import Site
from qir.backends.c.program import CTYPES, Kernel
from qir.ir.dtype import INT16

WIDE = RUNTIME / "qir_wide.h"


def only_bytes(site: Site) -> str | None:
    """The reason to refuse operands or a result of 16 bits."""
    wide = any(x is not None and x.dtype == INT16 for x in (*site.inputs, *site.outputs))
    return "its codes have 16 bits" if wide else None


def integer_kernel(site: Site, function: str, source: Path, operands: tuple[str, ...] = ("QIR_X",), *,
                   wide: bool = False, parts: tuple[tuple[str, str], ...] = ()) -> Kernel:  # fmt: skip
    """A template `..._u8_T__portable`, or `..._u8u8_T__portable` for two operands.

    Args:
        operands: the identifiers of their types, in the order of the inputs.
        wide: accumulators have 64 bits.
        parts: further substitutions.
    """
    types = tuple((name, site.input(slot).ctype) for slot, name in enumerate(operands))
    short = "".join(site.input(slot).short for slot in range(len(operands)))
    return typed(site, function, source, ("u8" * len(operands), short), (*types, *parts), wide=wide)


def typed(site: Site, function: str, source: Path, operands: tuple[str, str],
          substitutions: tuple[tuple[str, str], ...], headers: tuple[Path, ...] = (), *, wide: bool = False,
          ) -> Kernel:  # fmt: skip
    """A template with its result's type and further substitutions.

    Args:
        operands: their types in the template's name, and what they are.
        headers: that the substitutions need.
        wide: accumulators have 64 bits.
    """
    name, types = output_types(site, function)
    old, new = operands
    name = name.replace(f"_{old}_", f"_{new}s64_" if wide else f"_{new}_")
    if wide:
        types = tuple((key, f"{text}_s64" if key == "QIR_STORE" else text) for key, text in types)
        headers = (*headers, WIDE)
    if is_fixed(site):
        headers = (*headers, FIXED)
    return Kernel(function, source, name, (*types, *substitutions, ("QIR_ACC", CTYPES["int64" if wide else "int32"])),
                  headers)  # fmt: skip
