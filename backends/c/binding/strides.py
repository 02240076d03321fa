"""Parameters of kernels that pick elements at constant distances (runtime/qir_strided.h)."""

from __future__ import annotations

from collections.abc import Sequence

from qir.backends.c.binding.loops import led
from qir.backends.c.program import Field, Struct

_LOOPS = 8


def strided_fields(offset: int, loops: Sequence[tuple[int, ...]]) -> Field:
    """The qir_strided of loops (size, stride in x), outermost first."""
    return (offset, led(loops, 0, 1, _LOOPS), led(loops, 1, 0, _LOOPS))


def strided(offset: int, loops: Sequence[tuple[int, ...]]) -> Struct:
    """The qir_strided as an argument."""
    return Struct("qir_strided", (("offset", offset), ("size", led(loops, 0, 1, _LOOPS)),
                                  ("stride", led(loops, 1, 0, _LOOPS))))  # fmt: skip


def too_many_strides(loops: Sequence[tuple[int, ...]]) -> str | None:
    """The reason to refuse more loops than kernels have."""
    return f"{len(loops)} separate axes, at most {_LOOPS} are supported" if len(loops) > _LOOPS else None
