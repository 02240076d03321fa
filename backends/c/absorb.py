"""Relu and Clip of floats become the clamp of the product before them, where its kernel has one."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from qir.backends.c.kernels import select
from qir.backends.c.kernels.clip import bounds
from qir.backends.c.layout import Layout, Placed
from qir.backends.c.site import same_bytes
from qir.backends.c.targets import CTarget
from qir.ir.graph import Node


def absorb_clamps(layout: Layout, target: CTarget) -> None:
    """Joins each product with the clamp that alone reads its result."""
    shared = set(layout.outputs) | {root for name, root in layout.root.items() if name != root}
    readers: dict[str, list[Placed]] = {}
    for placed in layout.placed:
        for name in {x.name for x in placed.site.inputs if x is not None}:
            readers.setdefault(name, []).append(placed)
    gone: set[int] = set()
    joined = []
    for placed in layout.placed:
        if id(placed) in gone:
            continue
        users = readers.get(placed.site.outputs[0].name, []) if placed.site.outputs[0] is not None else []
        limits = _limits(placed, users[0]) if len(users) == 1 else None
        name = placed.site.output.name if limits else ""
        if limits is None or name in shared or not _clamps(placed, target):
            joined.append(placed)
            continue
        gone.add(id(users[0]))
        del layout.operands[name], layout.root[name]
        site, result = placed.site, users[0].site.output
        node = site.node.with_(outputs=(result.name,), origin=_origins(site.node, users[0].site.node))
        joined.append(Placed(replace(site, node=node, outputs=(result,), bounds=limits), placed.family))
    layout.placed[:] = joined


def _clamps(placed: Placed, target: CTarget) -> bool:
    """Whether the kernel that computes a product has a clamp."""
    return select(placed.family, placed.site, target.isas, target.costs).variant.clamps


def _limits(placed: Placed, user: Placed) -> tuple[float, float] | None:
    """The bounds of a clamp that keeps its input's order and type; None for other nodes."""
    x, y = placed.site.output, user.site.outputs[0]
    if y is None or x.dtype.name != "float32" or x.shape != y.shape or not same_bytes(x.shape, x.order, y.order):
        return None
    if user.site.node.op == "Relu":
        return 0.0, inf
    return bounds(user.site) if user.site.node.op == "Clip" and user.site.input(0).name == x.name else None


def _origins(first: Node, second: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first.origin, *second.origin)))
