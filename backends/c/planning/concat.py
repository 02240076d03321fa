"""Concat without copies: its inputs are written where they belong in the result.

Where all that lies outside of the axis is one, each input is a stretch of the result's bytes. The values that hold the
inputs' bytes then share those of the result, each at its place, and there is nothing left to call.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from qir.backends.c.planning.layout import Layout, Placed

JOINED = "none: its inputs are written where they belong"


def join(layout: Layout, given: Iterable[str], alignment: int) -> tuple[list[str], dict[str, str]]:
    """Takes out of a layout what needs no copy.

    Args:
        given: values that the caller has, or wants.
        alignment: of every value, in bytes.

    Returns:
        The outputs of nodes that are taken out, and those of others with the reason why not.
    """
    outside = {layout.root[name] for name in given}
    joined, refused = [], dict[str, str]()
    for placed in [placed for placed in layout.placed if placed.family.name == "concat"]:
        reason = _refuses(layout, placed, outside, alignment)
        if reason is not None:
            refused[placed.site.output.name] = reason
            continue
        layout.placed.remove(placed)
        _share(layout, placed)
        joined.append(placed.site.output.name)
    return joined, refused


def _refuses(layout: Layout, placed: Placed, outside: set[str], alignment: int) -> str | None:
    site, y = placed.site, placed.site.output
    parts = [x for x in site.inputs if x is not None]
    outer = prod(y.stored_shape[: y.stored_axis(int(site.node.attr("axis")))])
    if outer > 1:
        return f"its inputs lie in {outer} parts each, between those of others"
    if any(x.value is not None for x in parts):
        return "an input is constant"
    roots = [layout.root[x.name] for x in parts]
    if len(set(roots)) < len(roots):
        return "two inputs are the same bytes"
    if not outside.isdisjoint(roots):
        return "an input is the caller's"
    for x, root in zip(parts, roots, strict=True):
        if any(layout.operands[name].nbytes > x.nbytes for name, own in layout.root.items() if own == root):
            return "an input is part of something larger"
    starts = [sum(x.nbytes for x in parts[:number]) for number in range(len(parts))]
    return "its inputs would not be aligned" if any(start % alignment for start in starts) else None


def _share(layout: Layout, placed: Placed) -> None:
    """Values at the bytes of the inputs move to those of the result."""
    y, start = placed.site.output, 0
    for x in (x for x in placed.site.inputs if x is not None):
        root = layout.root[x.name]
        for name in [name for name, own in layout.root.items() if own == root]:
            layout.root[name] = layout.root[y.name]
            layout.skip[name] = layout.skip.get(name, 0) + start
        start += x.size
