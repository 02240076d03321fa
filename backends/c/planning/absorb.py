"""A product takes over the one node that reads its result, where its kernel can: clamps of floats, sums of codes."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from math import inf

from qir.backends.c.binding.site import Operand, Site, same_bytes
from qir.backends.c.kernels import select
from qir.backends.c.kernels.clip import bounds
from qir.backends.c.planning.layout import Layout, Placed
from qir.backends.c.targets import CTarget


def absorb(layout: Layout, target: CTarget) -> None:
    """Joins each product with the node that alone reads its result, where this is one of them."""
    shared = set(layout.outputs) | {root for name, root in layout.root.items() if name != root}
    readers: dict[str, list[Placed]] = {}
    for placed in layout.placed:
        for name in {x.name for x in placed.site.inputs if x is not None}:
            readers.setdefault(name, []).append(placed)
    ready = set(layout.root.values()) - {name for placed in layout.placed for name in _results(placed, layout)}
    gone: set[int] = set()
    joined = []
    for placed in layout.placed:
        if id(placed) in gone:
            continue
        result = placed.site.outputs[0]
        users = readers.get(result.name, []) if result is not None and result.name not in shared else []
        site = _joined(placed, users[0].site, ready, layout, target) if len(users) == 1 else None
        if site is not None and result is not None:
            gone.add(id(users[0]))
            del layout.operands[result.name], layout.root[result.name]
            placed = Placed(site, placed.family)
        joined.append(placed)
        ready.update(_results(placed, layout))
    layout.placed[:] = joined


def _results(placed: Placed, layout: Layout) -> list[str]:
    """The values whose bytes a node writes."""
    return [layout.root[y.name] for y in placed.site.outputs if y is not None]


def _joined(placed: Placed, user: Site, ready: Set[str], layout: Layout, target: CTarget) -> Site | None:
    """A product and what follows it as one site; None where its kernel cannot take that over."""
    site, result = placed.site, user.outputs[0]
    if result is None or not _alike(site.output, result):
        return None
    limits, other = _limits(site, user), _other(site, user)
    if limits is None and (other is None or layout.root[other.name] not in ready):
        return None
    variant = select(placed.family, site, target.isas, target.costs).variant
    origin = tuple(dict.fromkeys((*site.node.origin, *user.node.origin)))
    whole = replace(site, node=site.node.with_(outputs=(result.name,), origin=origin), outputs=(result,))
    if limits is not None:
        return replace(whole, bounds=limits) if variant.clamps else None
    return replace(whole, inputs=(*site.inputs, other), added=user.node) if variant.sums else None


def _limits(site: Site, user: Site) -> tuple[float, float] | None:
    """The bounds of a clamp of floats; None for other nodes."""
    if site.output.dtype.name != "float32":
        return None
    if user.node.op == "Relu":
        return 0.0, inf
    return bounds(user) if user.node.op == "Clip" and user.input(0).name == site.output.name else None


def _other(site: Site, user: Site) -> Operand | None:
    """What a qir.IntAdd adds to a product, element by element; None for other nodes."""
    if user.node.op != "qir.IntAdd" or site.output.dtype.name != "uint8":
        return None
    others = [x for x in user.inputs if x is not None and x.value is None and x.name != site.output.name]
    return others[0] if len(others) == 1 and _alike(site.output, others[0]) else None


def _alike(x: Operand, y: Operand) -> bool:
    """Whether two operands have the same type and places for their elements."""
    return x.dtype == y.dtype and x.shape == y.shape and same_bytes(x.shape, x.order, y.order)
