"""Einsum of one or two operands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.matmul_f32 import as_stored
from qir.backends.c.program import Arg, Data, Field, Kernel, Struct

_SOURCE = Path(__file__).parent / "einsum__portable.c"
_TYPES = ("float32", "float64", "int32", "int64", "uint32", "uint64")


def _labels(term: str, rank: int) -> list[str]:
    """One label an axis; those of an ellipsis are numbers that count from the right."""
    head, dots, tail = term.partition("...")
    hidden = rank - len(head) - len(tail) if dots else 0
    return [*head, *(str(i) for i in range(hidden, 0, -1)), *tail]


def _terms(site: Site) -> tuple[list[list[str]], list[str]]:
    """Labels of the operands and of the result."""
    equation = str(site.node.attr("equation")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    operands = [_labels(t, x.rank) for t, x in zip(left.split(","), site.inputs, strict=True) if x is not None]
    if arrow:
        return operands, _labels(right, site.output.rank)
    every = [label for labels in operands for label in labels]
    hidden = sorted({label for label in every if label.isdigit()}, key=int, reverse=True)
    return operands, hidden + sorted(label for label in set(every) if every.count(label) == 1 and not label.isdigit())


def _loops(site: Site) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """(size, stride in a, stride in b) of the result's axes and of those that are summed."""
    operands, kept = _terms(site)
    sizes: dict[str, int] = {}
    steps: list[dict[str, int]] = [{}, {}]
    for labels, x, step in zip(operands, site.inputs, steps, strict=False):
        if x is None:
            continue
        for axis, label in enumerate(labels):
            sizes[label] = max(sizes.get(label, 1), x.shape[axis])
            step[label] = step.get(label, 0) + (x.strides[axis] if x.shape[axis] != 1 else 0)
    summed = [label for label in sizes if label not in kept]

    def loops(labels: list[str]) -> list[tuple[int, ...]]:
        return merged_loops([sizes[n] for n in labels], *([step.get(n, 0) for n in labels] for step in steps))

    return loops(kept), loops(summed)


def _takes(site: Site) -> str | None:
    if not 1 <= len(site.inputs) <= 2:
        return f"{len(site.inputs)} operands, 1 or 2 are supported"
    return None if site.input(0).dtype.name in _TYPES else f"only {', '.join(_TYPES)} are computed"


def _accepts(site: Site) -> str | None:
    kept, summed = _loops(site)
    return too_many_loops(kept) or too_many_loops(summed)


def _second(site: Site, x: Operand) -> Arg:
    return site.input(1).read if len(site.inputs) > 1 else Data(np.ones(1, x.dtype.numpy), "one")


def _bind(site: Site) -> Bound:
    x, y = site.input(0), site.output
    fields: list[Field] = [(led(rows, 0, 1), led(rows, 1, 0), led(rows, 2, 0)) for rows in _loops(site)]
    shape = Struct("qir_einsum_shape", (("kept", fields[0]), ("summed", fields[1])))
    kind = x.ctype if x.dtype.is_float else f"uint{x.dtype.bits}_t"
    kernel = Kernel("qir_einsum_T__portable", _SOURCE, f"qir_einsum_{x.short}__portable",
                    (("QIR_T", x.ctype), ("QIR_ACC", kind)))  # fmt: skip
    return Bound(kernel, (shape, x.read, _second(site, x), y.write))


FAMILY = Family("einsum", ("Einsum",), as_stored, (Variant("portable", _SOURCE, _accepts, _bind),), takes=_takes)
