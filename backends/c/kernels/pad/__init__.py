"""Pad and CenterCropPad."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.loops import MAX_LOOPS, led
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.unary import same_order
from qir.backends.c.program import Arg, Data, Kernel, Struct

_SOURCE = Path(__file__).parent / "pad__portable.c"
_MODES = ("constant", "edge", "reflect", "wrap")


def _mode(site: Site) -> int:
    mode = site.node.attr("mode", "constant")
    return _MODES.index(mode.decode() if isinstance(mode, bytes) else mode)


def _before(site: Site) -> list[int]:
    """Elements put before each logical axis; negative ones are cut off."""
    x, y = site.input(0), site.output
    if site.node.op == "CenterCropPad":
        return [(out - size) // 2 if out > size else -((size - out) // 2)
                for out, size in zip(y.shape, x.shape, strict=True)]  # fmt: skip
    pads, axes = np.asarray(site.constant(1)).reshape(-1), site.constant(3)
    listed = range(x.rank) if axes is None else [int(axis) % x.rank for axis in axes.reshape(-1)]
    found = dict(zip(listed, pads.tolist(), strict=False))
    return [found.get(axis, 0) for axis in range(x.rank)]


def _takes(site: Site) -> str | None:
    slots = (1,) if site.node.op == "CenterCropPad" else (1, 3)
    if any((given := site.optional(slot)) is not None and given.value is None for slot in slots):
        return "its amounts are computed"
    x, y = site.input(0), site.output
    if site.node.op == "Pad" and _mode(site) and 0 in x.shape and y.size:
        return "there is nothing to repeat in an empty input"
    return None


def _loops(site: Site) -> list[tuple[int, ...]]:
    """(in, out, before) of the stored axes; neighbours that are left as they are merged."""
    x, before = site.input(0), _before(site)
    loops: list[tuple[int, ...]] = []
    for axis in x.order:
        size, out = x.shape[axis], site.output.shape[axis]
        plain_axis = size == out and before[axis] == 0
        if plain_axis and loops and loops[-1][0] == loops[-1][1] and loops[-1][2] == 0:
            loops[-1] = (loops[-1][0] * size, loops[-1][1] * out, 0)
        elif not (size == out == 1):
            loops.append((size, out, before[axis]))
    return loops


def _accepts(site: Site) -> str | None:
    count = len(_loops(site))
    return f"{count} separate axes, at most {MAX_LOOPS} are supported" if count > MAX_LOOPS else None


def _value(site: Site) -> Arg:
    given = site.optional(2) if site.node.op == "Pad" else None
    return given.read if given is not None else Data(np.zeros(1, site.input(0).dtype.numpy), "padding")


def _bind(site: Site) -> Bound:
    x, y, loops = site.input(0), site.output, _loops(site)
    shape = Struct("qir_pad_shape", (
        ("in", led(loops, 0, 1)), ("out", led(loops, 1, 1)), ("before", led(loops, 2, 0)),
        ("mode", _mode(site) if site.node.op == "Pad" else 0),
    ))  # fmt: skip
    kernel = Kernel("qir_pad_T__portable", _SOURCE, f"qir_pad_{x.short}__portable", (("QIR_T", x.ctype),))
    return Bound(kernel, (shape, x.read, _value(site), y.write))


FAMILY = Family("pad", ("Pad", "CenterCropPad"), same_order, (Variant("portable", _SOURCE, _accepts, _bind),),
                takes=_takes)  # fmt: skip
