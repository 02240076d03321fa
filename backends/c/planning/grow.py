"""Where constants have a limit: whose weights may grow for speed (Variant.grows), most cycles saved a byte first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite

from qir.backends.c.kernels import Bound, select
from qir.backends.c.planning.layout import Layout, Placed
from qir.backends.c.program import Data
from qir.backends.c.targets import CTarget


@dataclass(frozen=True)
class _Growth:
    """What it takes and saves that the weights of a node may grow, or may grow more.

    Attributes:
        number: of the node.
        limit: that its kernel is chosen by.
        nbytes, saved: bytes and cycles, compared with weights that do not grow.
    """

    number: int
    limit: float
    nbytes: int
    saved: float


def grow(layout: Layout, target: CTarget) -> None:
    """Has kernels with smaller weights, or without grown ones, taken for all nodes for whose growth too few bytes are
    spare."""
    spare = target.spare_bytes
    if spare is None:
        return
    wanted = [found for number, placed in enumerate(layout.placed) if (found := _growths(number, placed, target))]
    for growths in sorted(wanted, key=lambda found: -found[0].saved / max(found[0].nbytes, 1)):
        fitting = next((growth for growth in growths if growth.nbytes <= spare), None)
        spare -= fitting.nbytes if fitting else 0
        placed = layout.placed[growths[0].number]
        layout.placed[growths[0].number] = replace(placed, growth=fitting.limit if fitting else 1.0)


def _growths(number: int, placed: Placed, target: CTarget) -> list[_Growth]:
    """By the kernels that would be taken whose weights grow, the fastest first."""
    limits, taken = [inf], []
    while True:
        found = select(placed.family, placed.site, target.isas, target.costs, growth=limits[-1])
        if (grown := found.variant.grows(placed.site)) <= 1:
            break
        taken.append(found)
        limits.append(grown)
    least = _nbytes(found.variant.bind(placed.site)) if taken else 0
    return [
        _Growth(number, limit, _nbytes(one.variant.bind(placed.site)) - least,
                found.cycles - one.cycles if isfinite(one.cycles) else 0.0)
        for limit, one in zip(limits, taken, strict=False)
    ]


def _nbytes(bound: Bound) -> int:
    """Of the constants of a call, each array once."""
    arrays = {id(arg): arg for args in (bound.args, *bound.pieces) for arg in args if isinstance(arg, Data)}
    return sum(arg.array.nbytes for arg in arrays.values())
