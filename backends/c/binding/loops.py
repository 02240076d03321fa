"""Loop parameters that kernels share: sliding windows and broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

from qir.backends.c.binding.site import Operand
from qir.backends.c.program import Field, Struct
from qir.ops.window import TransposedWindow, Window

MAX_LOOPS = 6


def three(values: Sequence[int], missing: int) -> tuple[int, ...]:
    """Per-axis values led by `missing` up to three axes."""
    return (missing,) * (3 - len(values)) + tuple(int(v) for v in values)


def window_fields(batch: int, win: Window | TransposedWindow) -> Field:
    """The qir_window of one to three spatial axes."""
    return (batch, three(win.input, 1), three(win.output, 1), three(win.kernel, 1), three(win.strides, 1),
            three(win.dilations, 1), three(win.begin, 0))  # fmt: skip


def merged_loops(sizes: Sequence[int], *strides: Sequence[int]) -> list[tuple[int, ...]]:
    """(size, stride, stride, ...) of nested loops, outermost first: loops of one round dropped, neighbours that run on
    in every operand merged."""
    merged: list[tuple[int, ...]] = []
    for size, *steps in zip(sizes, *strides, strict=True):
        if size == 1:
            continue
        if merged and all(outer == inner * size for outer, inner in zip(merged[-1][1:], steps, strict=True)):
            merged[-1] = (merged[-1][0] * size, *steps)
        else:
            merged.append((size, *steps))
    return merged


def led(loops: Sequence[tuple[int, ...]], column: int, missing: int, count: int = MAX_LOOPS) -> tuple[int, ...]:
    """One column of the loops, led by `missing` up to `count` entries."""
    return (missing,) * (count - len(loops)) + tuple(loop[column] for loop in loops)


def broadcast_loops(a: Operand, b: Operand, y: Operand) -> list[tuple[int, ...]]:
    """(size, stride in a, stride in b) over the stored axes of y."""
    return merged_loops(y.stored_shape, a.broadcast_strides(y), b.broadcast_strides(y))


def broadcast_fields(a: Operand, b: Operand, y: Operand) -> Field:
    """The qir_broadcast of two operands."""
    loops = broadcast_loops(a, b, y)
    return (led(loops, 0, 1), led(loops, 1, 0), led(loops, 2, 0))


def too_many_loops(loops: Sequence[tuple[int, ...]]) -> str | None:
    """The reason to refuse more loops than kernels have."""
    return f"{len(loops)} separate axes, at most {MAX_LOOPS} are supported" if len(loops) > MAX_LOOPS else None


def steps_apart(loops: Sequence[tuple[int, ...]]) -> str | None:
    """The reason to refuse rows that vectors cannot read: their elements neither neighbours nor one that repeats."""
    apart = loops and any(step not in (0, 1) for step in loops[-1][1:])
    return "the elements of a row do not lie together" if apart else None


def broadcast_struct(a: Operand, b: Operand, y: Operand) -> Struct:
    """The qir_broadcast of two operands as an argument."""
    sizes, first, second = broadcast_fields(a, b, y)  # type: ignore[misc]  # always a tuple of three
    return Struct("qir_broadcast", (("size", sizes), ("a_stride", first), ("b_stride", second)))
