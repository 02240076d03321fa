"""Whether a network fits a board, before anything is built, and what to change where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from qir.api import compile
from qir.backends.c.emitting.footprint import Footprint, footprint
from qir.compiled import CompiledC
from qir.debug.report import bytes_text
from qir.debug.samples import sample_inputs
from qir.errors import QirError, RecipeError
from qir.ir.graph import Graph
from qir.pipeline import prepare
from qir.target import target as find_target

_SLOW = ("equalize", "round-weights", "correct-biases")
"""Passes that change numbers and no size."""
_NARROWER = ("w4a8", "ternary")


@dataclass(frozen=True)
class Fit:
    """What a network takes of a processor, and what it may take.

    Attributes:
        target, recipe: what it was planned for, by made-up inputs: sizes do not depend on them.
        takes: memory, work and time.
        ram, flash: limits; None where there is none.
        advice: what would fit, with what it takes then.
    """

    target: str
    recipe: str
    takes: Footprint
    ram: int | None
    flash: int | None
    advice: tuple[str, ...] = ()

    @property
    def fits(self) -> bool | None:
        """None without limits."""
        if self.ram is None and self.flash is None:
            return None
        return _fits(self.takes.ram_bytes, self.ram) and _fits(self.takes.flash_bytes, self.flash)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists and numbers."""
        totals = {"ram_bytes": self.takes.ram_bytes, "flash_bytes": self.takes.flash_bytes}
        return {"target": self.target, "recipe": self.recipe, **totals, **asdict(self.takes), "fits": self.fits,
                "advice": list(self.advice)}  # fmt: skip

    def __str__(self) -> str:
        one = self.takes
        unit = "instructions" if self.target.startswith(("cortex", "riscv")) else "cycles"
        time = f"about {one.cycles:,} {unit}" if one.cycles else f"{unit} of this core were never counted"
        parts = [f"arena {one.arena_bytes:,}", f"inputs and outputs {one.io_bytes:,}"]
        parts += [f"state {one.state_bytes:,}"] if one.state_bytes else []
        parts += [f"stack at most {one.stack_bytes:,}"] if one.stack_bytes else []
        flash = [f"weights {one.weight_bytes:,}", f"tables {one.table_bytes:,}", f"code about {one.code_bytes:,}"]
        flash += [f"C library about {one.library_bytes:,}"] if one.library_bytes else []
        lines = [
            f"{self.target}, {self.recipe}:",
            f"  RAM    {one.ram_bytes:,} B{_limit(self.ram)}: {', '.join(parts)}",
            f"  flash  {one.flash_bytes:,} B{_limit(self.flash)}: {', '.join(flash)}",
            f"  work   {one.macs:,} multiply-accumulates, {time}",
        ]
        if self.fits is not None:
            lines.append("  It fits." if self.fits else "  It does not fit.")
        lines += [f"  {text}" for text in self.advice]
        rows: list[tuple[str, ...]] = [("layer", "operator", "kernel", "MACs", unit, "weights", "arena")]
        for layer in one.layers:
            numbers = (layer.macs, layer.cycles, layer.weight_bytes, layer.arena_bytes)
            shown = ("" if number is None else f"{number:,}" for number in numbers)
            rows.append((layer.node, layer.op, layer.kernel, *shown))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        cells = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
        lines += ["", *("  ".join(row).rstrip() for row in cells)]
        return "\n".join(lines)


def _limit(limit: int | None) -> str:
    return "" if limit is None else f" of {bytes_text(limit)}"


def _fits(taken: int, limit: int | None) -> bool:
    return limit is None or taken <= limit


def fit(graph: Graph, target: str, recipe: str, ram: int | None, flash: int | None) -> Fit:
    """Plans a network for a target.

    Raises:
        QirError: where it cannot be.
    """
    takes = _takes(graph, target, recipe)
    found = Fit(target, recipe, takes, ram, flash)
    if found.fits is not False:
        return found
    return Fit(target, recipe, takes, ram, flash, tuple(_advice(graph, found)))


def _takes(graph: Graph, target: str, recipe: str, **options: Any) -> Footprint:
    if find_target(target).backend != "c":
        raise RecipeError(f"target {target} makes no C", fix="Choose one that does: qir targets")
    samples = sample_inputs(graph, None, 0, 1)
    work = prepare(graph, samples, target, recipe, None, None, None, None, None, 0)
    kept = [one for one in work.passes if one.name not in _SLOW]
    made = compile(graph, samples, target=target, recipe=recipe, passes=kept, **options)
    assert isinstance(made, CompiledC)
    return footprint(made.program)


def _advice(graph: Graph, found: Fit) -> Iterator[str]:
    """What brings RAM, and then flash, below its limit, or as near as can be."""
    takes, ram, flash = found.takes, found.ram, found.flash
    if ram is not None and takes.ram_bytes > ram:
        yield from _less_ram(graph, found, ram)
    if flash is not None and takes.flash_bytes > flash:
        for name in _NARROWER:
            other = _takes(graph, found.target, name)
            verdict = "fits" if other.flash_bytes <= flash else "is still too much"
            yield f"flash: recipe {name} takes {other.flash_bytes:,} B, which {verdict}"
        share = 1 - max(flash - takes.flash_bytes + takes.weight_bytes, 0) / max(takes.weight_bytes, 1)
        yield f"flash: or {share:.0%} of the weights have to go: prune (compress=), or a smaller model"


def _less_ram(graph: Graph, found: Fit, ram: int) -> Iterator[str]:
    rest = found.takes.ram_bytes - found.takes.arena_bytes
    for io in ("model", "native", "arena"):
        room = ram if io == "arena" else ram - rest
        stack = found.takes.stack_bytes or 0
        goal = room - stack if io == "arena" else room
        try:
            other = _takes(graph, found.target, found.recipe, io=io, max_ram=max(goal, 1))
        except QirError as refused:
            yield f"RAM: --io {io} --max-ram {goal} is not to be had: {str(refused).partition('. ')[0]}"
            continue
        more = 100 * (other.macs / max(found.takes.macs, 1) - 1)
        yield f"RAM: --io {io} --max-ram {goal} takes {other.ram_bytes:,} B, for {more:.1f} % more multiply-accumulates"
        return
    yield "RAM: a smaller input or fewer channels in the first layers"
