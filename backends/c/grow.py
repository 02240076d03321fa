"""Where constants have a limit: whose weights may grow for speed (Variant.grows), most cycles saved a byte first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qir.backends.c.kernels import Bound, select
from qir.backends.c.layout import Layout, Placed
from qir.backends.c.program import Data
from qir.backends.c.targets import CTarget


@dataclass(frozen=True)
class _Growth:
    """What it takes and saves that the weights of a node may grow."""

    number: int
    nbytes: int
    saved: float


def grow(layout: Layout, target: CTarget) -> None:
    """Has kernels without grown weights taken for all nodes for whose growth too few bytes are spare."""
    spare = target.spare_bytes
    if spare is None:
        return
    wanted = [growth for number, placed in enumerate(layout.placed) if (growth := _growth(number, placed, target))]
    for growth in sorted(wanted, key=lambda one: -one.saved / max(one.nbytes, 1)):
        if growth.nbytes <= spare:
            spare -= growth.nbytes
        else:
            layout.placed[growth.number] = replace(layout.placed[growth.number], lean=True)


def _growth(number: int, placed: Placed, target: CTarget) -> _Growth | None:
    """None where the kernel that would be taken has no grown weights."""
    best = select(placed.family, placed.site, target.isas, target.costs)
    if not best.variant.grows:
        return None
    small = select(placed.family, placed.site, target.isas, target.costs, lean=True)
    more = _nbytes(best.variant.bind(placed.site)) - _nbytes(small.variant.bind(placed.site))
    return _Growth(number, more, small.cycles - best.cycles)


def _nbytes(bound: Bound) -> int:
    """Of the constants of a call, each array once."""
    arrays = {id(arg): arg for args in (bound.args, *bound.pieces) for arg in args if isinstance(arg, Data)}
    return sum(arg.array.nbytes for arg in arrays.values())
