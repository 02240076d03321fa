"""When values are there, which of them share bytes, and which of these lie in the arena."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qir.backends.c.binding.site import same_bytes
from qir.backends.c.planning.layout import Layout, Placed
from qir.backends.c.ports import Port
from qir.backends.c.program import Buffer, Call, Input, Output, Scratch, turns


@dataclass
class Memory:
    """Groups of values that share bytes, with the calls that touch them; `sums` as of `lifetimes`."""

    group: dict[str, str]
    last: dict[str, int]
    first: dict[str, int]
    nbytes: dict[str, int]
    calls: list[Call]
    scratch: list[Buffer]
    sums: bool


def lifetimes(
    layout: Layout, calls: list[Call], room: Mapping[str, int], inputs: list[Port], outputs: list[Port], io: str,
    sums: bool,
) -> Memory:  # fmt: skip
    """Lifetimes by value group; element-wise results take over the bytes of an operand that dies.

    Args:
        room: bytes of values that are never there as a whole.
        sums: a product that adds other codes to its own takes over their bytes.
    """
    group, end = dict(layout.root), len(calls)
    first: dict[str, int] = {port.value: -1 for port in inputs}
    last: dict[str, int] = {}
    nbytes: dict[str, int] = {}
    scratch: dict[str, Buffer] = {}
    spans: list[tuple[int, int]] = []
    for together in turns(calls):
        spans += [(len(spans), len(spans) + len(together) - 1)] * len(together)
    for number, (call, span) in enumerate(zip(calls, spans, strict=True)):
        for arg in call.args:
            if isinstance(arg, (Input, Output)):
                root, (begin, until) = group[arg.value], (number, number) if arg.value in room else span
                last[root] = until if isinstance(arg, Input) else max(until, last.get(root, until))
                if isinstance(arg, Output):
                    first.setdefault(root, begin)
        for arg in (arg for args in call.made for arg in args):
            if isinstance(arg, Scratch):
                scratch[arg.name] = Buffer(arg.name, arg.nbytes, "arena", 0, number, number)
    for port in outputs:
        last[group[port.value]] = end
    fixed = {*(port.value for port in inputs if io != "arena" or port.state), *room}
    results = {group[port.value] for port in outputs}
    for number, placed in enumerate(layout.placed):
        donor = _donor(placed, group, last, number, fixed, results) if sums or not placed.site.added else None
        ends = [x.name for x in (*placed.site.inputs, *placed.site.outputs) if x is not None]
        if donor is None or any(name in layout.skip for name in ends):
            continue
        old, new = group[placed.site.output.name], donor
        for value, root in group.items():
            if root == old:
                group[value] = new
        last[new] = max(last[old], last[new])
        first.pop(old)
        last.pop(old)
        if old in results:
            results.add(new)
    for value, operand in layout.operands.items():
        nbytes[group[value]] = max(nbytes.get(group[value], 0), room.get(value, operand.nbytes))
    return Memory(group, last, first, nbytes, calls, list(scratch.values()), sums)


def _donor(
    placed: Placed, group: dict[str, str], last: dict[str, int], number: int, fixed: set[str], results: set[str]
) -> str | None:
    site = placed.site
    if site.outputs[0] is None or len([y for y in site.outputs if y]) != 1:
        return None
    y = site.output
    slots = (len(site.inputs) - 1,) if site.added else placed.family.in_place
    stored = [(slot, x) for slot, x in enumerate(site.inputs) if x is not None and x.value is None]
    for slot in slots:
        x = site.optional(slot)
        if x is None or x.value is not None or x.dtype != y.dtype or x.shape != y.shape:
            continue
        root = group[x.name]
        if not same_bytes(x.shape, x.order, y.order) or root in fixed or root in results or last[root] != number:
            continue
        others = [(number, o) for number, o in stored if group[o.name] == root]
        if all(i in slots and o.shape == x.shape and same_bytes(o.shape, o.order, x.order) for i, o in others):
            return root
    return None


def in_arena(memory: Memory, inputs: list[Port], outputs: list[Port], io: str) -> tuple[list[Buffer], list[Buffer]]:
    """What lies in the arena, at no offset yet, and what lies with the caller."""
    ports: dict[str, tuple[str, int, bool]] = {}
    for side, row in (("input", inputs), ("output", outputs)):
        for number, port in enumerate(row):
            kept = side == "output" and port.state != ""  # its old value may still be read when it is written
            inside = (not port.state and io == "arena") or (kept and port.border is None)
            ports[memory.group[port.value]] = ("arena" if inside else side, number, inside or port.border is not None)
    arena: list[Buffer] = list(memory.scratch)
    outside: list[Buffer] = []
    for root in memory.nbytes:
        if root not in memory.first:
            continue
        size, first = max(memory.nbytes[root], 1), memory.first[root]  # empty ones must not share an address either
        last = memory.last.get(root, first)
        side, number, quantized = ports.get(root, ("arena", -1, True))
        buffer = Buffer(root, size, side, 0, first, last, number)
        (arena if quantized else outside).append(buffer)
    return arena, outside
