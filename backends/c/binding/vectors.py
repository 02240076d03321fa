"""Kernels written once for vectors of floats: what their words mean on each instruction set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from qir.backends.c.binding import RUNTIME
from qir.backends.c.program import Kernel

_WORDS, _FUNCTIONS = RUNTIME / "qir_f32_words.h", RUNTIME / "qir_f32_functions.h"


@dataclass(frozen=True)
class Vectors:
    """Vectors of floats of one instruction set.

    Attributes:
        isa: its name.
        tag: its name inside those of C functions.
        width: floats of a vector.
    """

    isa: str
    tag: str
    width: int

    @property
    def panel(self) -> int:
        """Columns of a panel of weights."""
        return 2 * self.width


VECTORS: Mapping[str, Vectors] = MappingProxyType({
    row.isa: row
    for row in (Vectors("avx512vnni", "avx512", 16), Vectors("avx2", "avx2", 8), Vectors("asimd", "asimd", 8))
})  # fmt: skip
"""Best first."""


@lru_cache(maxsize=8)
def _words(tag: str) -> tuple[tuple[str, str], ...]:
    """Every word of qir_f32_words.h, with what it is called on an instruction set."""
    text = _WORDS.read_text(encoding="utf-8")
    found = re.findall(r"^#define (QIR_\w+) QIR_(WORD|NUMBER)\((\w+)\)$", text, re.M)
    names = {"WORD": f"qir_{tag}_", "NUMBER": f"QIR_{tag.upper()}_"}
    return tuple((word, f"{names[kind]}{rest}") for word, kind, rest in found)


def vector_kernel(
    function: str, source: Path, isa: str, *, name: str = "", substitutions: tuple[tuple[str, str], ...] = ()
) -> Kernel:
    """An instance of `function`__vectors for an instruction set.

    Args:
        function: left of the double underscore, in the file.
        name: left of the double underscore, as emitted; the function's own by default.
        substitutions: besides those of the words.
    """
    tag = VECTORS[isa].tag
    return Kernel(f"{function}__vectors", source, f"{name or function}__{isa}", (*substitutions, *_words(tag)),
                  (RUNTIME / f"qir_f32_{tag}.h",))  # fmt: skip
