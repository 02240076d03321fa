"""Targets of the C backend: which instruction sets the emitted code may use."""

from __future__ import annotations

from dataclasses import dataclass

from qir.errors import RecipeError


@dataclass(frozen=True)
class CTarget:
    """What C code is emitted for.

    Attributes:
        name: as the user writes it.
        isas: kernels to prefer, best first; portable C always comes last.
        flags: compiler flags that the kernels need.
        alignment: of the arena and its buffers, bytes.
    """

    name: str
    isas: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    alignment: int = 16


TARGETS: dict[str, CTarget] = {row.name: row for row in (CTarget("portable"), CTarget("native"))}


def c_target(name: str) -> CTarget:
    """The target of a name.

    Raises:
        RecipeError: where there is none.
    """
    if name not in TARGETS:
        raise RecipeError(f"unknown target '{name}'", fix=f"Choose one of {', '.join(sorted(TARGETS))}")
    return TARGETS[name]
