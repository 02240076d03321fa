"""Slice, Expand, Tile, DepthToSpace and SpaceToDepth: copies with constant strides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from qir.backends.c.binding.loops import merged_loops
from qir.backends.c.binding.orders import Orders, restricted
from qir.backends.c.binding.site import Order, Site, plain
from qir.backends.c.binding.strides import strided, too_many_strides
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel

_SOURCE = Path(__file__).parent / "strided__portable.c"

Pieces: TypeAlias = "tuple[int, list[list[tuple[int, int]]]]"
"""Offset in x, and for each logical axis of y its loops (size, stride in x), outermost first."""


def _slice(site: Site) -> Pieces:
    x = site.input(0)
    starts, ends = (np.asarray(site.constant(slot)).reshape(-1).tolist() for slot in (1, 2))
    axes, steps = site.constant(3), site.constant(4)
    listed = range(len(starts)) if axes is None else axes.reshape(-1).tolist()
    strides = [1] * len(starts) if steps is None else steps.reshape(-1).tolist()
    offset, loops = 0, [[(size, step)] for size, step in zip(x.shape, x.strides, strict=True)]
    for start, end, axis, step in zip(starts, ends, listed, strides, strict=True):
        size, stride = x.shape[axis], x.strides[axis]
        taken = range(*slice(start, _end(end, step, size), step).indices(size))
        loops[axis] = [(len(taken), stride * step)]
        offset += taken.start * stride if len(taken) else 0
    return offset, loops


def _end(end: int, step: int, size: int) -> int | None:
    """ONNX clamps the end of a backward slice to -1, which Python would count from the end."""
    return None if step < 0 and end < -size else end


def _expand(site: Site) -> Pieces:
    x, y = site.input(0), site.output
    lead = y.rank - x.rank
    strides = [0 if a < lead or x.shape[a - lead] == 1 else x.strides[a - lead] for a in range(y.rank)]
    return 0, [[(size, stride)] for size, stride in zip(y.shape, strides, strict=True)]


def _tile(site: Site) -> Pieces:
    x, y = site.input(0), site.output
    rows = zip(y.shape, x.shape, x.strides, strict=True)
    return 0, [[(out // size if size else 0, 0), (size, stride)] for out, size, stride in rows]


def _depth_to_space(site: Site) -> Pieces:
    x, y, block = site.input(0), site.output, int(site.node.attr("blocksize"))
    channels, (n, c, h, w) = y.shape[1], x.strides
    deep = site.node.attr("mode", "DCR") in ("DCR", b"DCR")
    step_c, step_h, step_w = (c, c * channels * block, c * channels) if deep else (c * block * block, c * block, c)
    return 0, [[(y.shape[0], n)], [(channels, step_c)], [(x.shape[2], h), (block, step_h)],
               [(x.shape[3], w), (block, step_w)]]  # fmt: skip


def _space_to_depth(site: Site) -> Pieces:
    x, y, block = site.input(0), site.output, int(site.node.attr("blocksize"))
    n, c, h, w = x.strides
    return 0, [[(y.shape[0], n)], [(block, h), (block, w), (x.shape[1], c)], [(y.shape[2], h * block)],
               [(y.shape[3], w * block)]]  # fmt: skip


_PIECES: dict[str, Callable[[Site], Pieces]] = {
    "Slice": _slice, "Expand": _expand, "Tile": _tile, "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}  # fmt: skip


def _takes(site: Site) -> str | None:
    if site.node.op == "Slice" and any(x is not None and x.value is None for x in site.inputs[1:]):
        return "its bounds are computed"
    return None


def _layout(site: Site) -> Orders:
    x, y = site.input(0), site.output
    order: Order = x.order
    if x.rank != y.rank:
        order = plain(y.rank)
    rest = tuple(plain(operand.rank) if operand else None for operand in site.inputs[1:])
    return Orders((restricted(order, x.rank), *rest), (order,))


def _loops(site: Site) -> tuple[int, list[tuple[int, ...]]]:
    offset, pieces = _PIECES[site.node.op](site)
    flat = [loop for axis in site.output.order for loop in pieces[axis]]
    return offset, merged_loops([size for size, _ in flat], [stride for _, stride in flat])


def _accepts(site: Site) -> str | None:
    return too_many_strides(_loops(site)[1])


def _bind(site: Site) -> Bound:
    x, y = site.input(0), site.output
    kernel = Kernel("qir_strided_T__portable", _SOURCE, f"qir_strided_{x.short}__portable", (("QIR_T", x.ctype),))
    return Bound(kernel, (strided(*_loops(site)), x.read, y.write))


FAMILY = Family("strided", tuple(_PIECES), _layout, (Variant("portable", _SOURCE, _accepts, _bind),), takes=_takes)
