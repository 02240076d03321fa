"""Graph to Program: kernels chosen, weights packed, buffers placed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import isfinite

from qir.backends.c.binding.site import Operand, Site, plain
from qir.backends.c.kernels import family_of, select
from qir.backends.c.planning.absorb import absorb
from qir.backends.c.planning.concat import JOINED, join
from qir.backends.c.planning.grow import grow
from qir.backends.c.planning.layout import Layout, Placed, lay_out, live_nodes, static_type
from qir.backends.c.planning.lifetimes import Memory, in_arena, lifetimes
from qir.backends.c.planning.memory import check, place
from qir.backends.c.planning.pieces import in_pieces
from qir.backends.c.planning.schedule import scheduled
from qir.backends.c.planning.strips import Strips, in_strips
from qir.backends.c.ports import Port
from qir.backends.c.program import Arg, Call, Choice, Program, Scratch, ctype
from qir.backends.c.stored import Stored
from qir.backends.c.targets import CTarget
from qir.errors import RecipeError
from qir.ir.graph import Graph, Node
from qir.ops.weighted import macs

_NARROWINGS = 3


def plan(graph: Graph, target: CTarget, *, source_hash: str = "") -> Program:
    """Decides everything that the emitter prints.

    Args:
        graph: stage INT, or FLOAT with plain ONNX operators; every shape known.
        target: which kernels may be used.
        source_hash: identifies the user's model in the emitted header.

    Raises:
        UnsupportedError: for operators and types that no kernel takes.
        ShapeError: for unknown sizes.
        RecipeError: where the arena cannot be as small as the target wants.
    """
    for name in (*graph.inputs, *graph.outputs):
        ctype(static_type(graph, name).dtype, tensor=name)
    nodes = list(live_nodes(graph))
    made = _best(graph, nodes, target, source_hash)
    scratch = {call.node: max(made.buffers[made.values[name]].nbytes for name in call.scratch)
               for call in made.every_call if call.scratch}  # fmt: skip
    better = scheduled(graph, nodes, scratch, target.isas)
    if better is not None:
        made = min(made, _best(graph, better, target, source_hash), key=lambda program: program.arena_bytes)
    too_large = target.max_ram is not None and made.arena_bytes > target.max_ram
    if too_large and target.io == "model" and any(_entry(graph, name) for name in graph.inputs):
        orders = [nodes] if better is None else [nodes, better]
        streamed = (_best(graph, order, target, source_hash, streamed=True) for order in orders)
        made = min(made, *streamed, key=lambda program: program.arena_bytes)
    if target.max_ram is not None and made.arena_bytes > target.max_ram:
        raise RecipeError(
            f"the arena takes {made.arena_bytes} bytes at least, {target.max_ram} were asked for",
            fix=f"Give max_ram={made.arena_bytes}, or a recipe with narrower activations" + (
                ", or io='native' or 'model': then inputs do not lie in the arena" if target.io == "arena" else "")
        )
    return made


def cycles(graph: Graph, target: CTarget) -> dict[str, float]:
    """What each call takes by the table of costs, by the name of its node; without those that are not in the table."""
    _, _, layout = _laid_out(graph, list(live_nodes(graph)), target, {})
    each = {one.site.node.name: select(one.family, one.site, target.isas, target.costs, growth=one.growth).cycles
            for one in layout.placed}  # fmt: skip
    return {name: spent for name, spent in each.items() if isfinite(spent)}


def _laid_out(
    graph: Graph, nodes: list[Node], target: CTarget, states: Mapping[str, str]
) -> tuple[dict[str, Node], dict[str, Node], Layout]:
    """The layers of nodes in one order, beside those that alone read an input or write an output."""
    entries = {name: node for name in graph.inputs if (node := _entry(graph, name)) is not None}
    leaves = {name: node for name in graph.outputs if (node := _leave(graph, name)) is not None}
    borders = {id(node) for node in (*entries.values(), *leaves.values())}
    inner_inputs = tuple(entries[name].outputs[0] if name in entries else name for name in graph.inputs)
    inner_outputs = tuple(leaves[name].inputs[0] if name in leaves else name for name in graph.outputs)
    free = {node.outputs[0] for node in entries.values() if _reorders(graph, node)}
    free |= {node.inputs[0] for node in leaves.values() if _reorders(graph, node)}
    if target.io != "model":
        inner = zip((*graph.inputs, *graph.outputs), (*inner_inputs, *inner_outputs), strict=True)
        free |= {value for name, value in inner if name not in states}
    layout = lay_out(graph, [n for n in nodes if id(n) not in borders], inner_inputs, inner_outputs, free)
    absorb(layout, target)
    grow(layout, target)
    return entries, leaves, layout


def _best(graph: Graph, nodes: list[Node], target: CTarget, source_hash: str, *, streamed: bool = False) -> Program:
    """The plan of nodes in one order, whose Concats copy where that takes less memory: else their result is there from
    its first input on."""
    made = _planned(graph, nodes, target, source_hash, streamed=streamed)
    if all(choice.kernel != JOINED for choice in made.choices):
        return made
    copied = _planned(graph, nodes, target, source_hash, streamed=streamed, joined=False)
    return min(made, copied, key=lambda program: program.arena_bytes)


def _planned(
    graph: Graph, nodes: list[Node], target: CTarget, source_hash: str, *, streamed: bool = False, joined: bool = True
) -> Program:  # fmt: skip
    """The plan of nodes in one order.

    Args:
        joined: inputs of a Concat are written into its result where they can be.
        streamed: reals that the caller gives become codes in a call like others, which may be in strips, so that not
            all codes are there at once; net_run_q takes reals of these inputs too.
    """
    states = _states(graph, target)
    entries, leaves, layout = _laid_out(graph, nodes, target, states)
    if streamed:
        _stream(graph, layout, [(name, entries.pop(name)) for name in graph.inputs if name in entries and
                                name not in states])  # fmt: skip
    inner_inputs = tuple(entries[name].outputs[0] if name in entries else name for name in graph.inputs)

    together, apart = join(layout, (*inner_inputs, *layout.outputs), target.alignment) if joined else ([], {})
    calls: list[Call] = []
    chosen = [Choice(_title(graph, name), JOINED) for name in together]
    for placed in layout.placed:
        call, choice = _call(graph, placed, target)
        if placed.family.name == "concat":
            reason = apart.get(placed.site.output.name, "it would take more memory")
            choice = replace(choice, refused=(("no copy", reason), *choice.refused))
        calls.append(in_pieces(call, layout.operands, target.threads))
        chosen.append(choice)
    inputs, outputs = [], []
    for name, value in zip(graph.inputs, inner_inputs, strict=True):
        port, notes = _port(graph, name, value, entries.get(name), layout, target)
        inputs.append(replace(port, state=states.get(name, "")))
        chosen = notes + chosen
    for name, value in zip(graph.outputs, layout.outputs, strict=True):
        port, notes = _port(graph, name, value, leaves.get(name), layout, target)
        outputs.append(replace(port, state=states.get(name, "")))
        chosen += notes
    ways = [lifetimes(layout, calls, {}, inputs, outputs, target.io, sums) for sums in (True, False)]

    def finished(memory: Memory, strips: Strips) -> Program:
        if strips.room:
            memory = lifetimes(layout, list(strips.calls), strips.room, inputs, outputs, target.io, memory.sums)
        made = _finish(graph, target, layout, memory, inputs, outputs, chosen, source_hash)
        return replace(made, repeated_macs=round(strips.again))

    def stripped(goal: int = 0) -> Program:
        inside = [in_arena(memory, inputs, outputs, target.io)[0] for memory in ways]
        made = (finished(memory, in_strips(memory.calls, layout.operands, buffers, memory.group, goal))
                for memory, buffers in zip(ways, inside, strict=True))  # fmt: skip
        return min(made, key=lambda program: program.arena_bytes)

    if target.threads > 1:
        return finished(ways[0], Strips(tuple(calls)))
    made = stripped()
    goal = most = made.arena_bytes if target.max_ram is None else max(target.max_ram, 1)
    for _ in range(_NARROWINGS):  # what is placed may need more than what is there at once
        if made.arena_bytes <= most:
            break
        tried = stripped(goal)
        made, goal = min(made, tried, key=lambda one: one.arena_bytes), max(goal - max(tried.arena_bytes - most, 0), 1)
    return made


def _stream(graph: Graph, layout: Layout, entries: list[tuple[str, Node]]) -> None:
    """Makes the borders of inputs the first calls, by portable kernels, which are known to take parts."""
    for name, node in reversed(entries):
        given = _plain(graph, name)
        layout.operands[name], layout.root[name] = given, name
        site = Site(node, (given,), (layout.operands[node.outputs[0]],))
        family = family_of(site)
        portable = tuple(variant for variant in family.variants if variant.isa == "portable")
        layout.placed.insert(0, Placed(site, replace(family, variants=portable)))


def _states(graph: Graph, target: CTarget) -> dict[str, str]:
    """Inputs whose values are kept, and the outputs that become their next values, to the input.

    Raises:
        RecipeError: where there is no such input or output, or they do not fit together.
    """
    found: dict[str, str] = {}
    for output, name in target.state:
        for side, known, one in (("output", graph.outputs, output), ("input", graph.inputs, name)):
            if one not in known or one in found or known.count(one) > 1:
                raise RecipeError(f"state {output} -> {name}: '{one}' is no {side} of its own",
                                  fix=f"The {side}s are {', '.join(known)}")  # fmt: skip
        kinds = [static_type(graph, one) for one in (output, name)]
        if kinds[0].dtype != kinds[1].dtype or kinds[0].sizes != kinds[1].sizes:
            raise RecipeError(f"state {output} -> {name}: {kinds[0]} cannot become {kinds[1]}",
                              fix="Their types and shapes must be the same")  # fmt: skip
        found |= {output: name, name: name}
    return found


def _entry(graph: Graph, name: str) -> Node | None:
    """The node that alone reads an input and turns it into codes."""
    user = graph.index.sole_consumer(name)
    if user is None or user.op != "qir.Quantize" or graph.index.is_output(user.outputs[0]):
        return None
    return user


def _leave(graph: Graph, name: str) -> Node | None:
    """The node that turns codes into an output that nothing else reads."""
    node = graph.index.producer(name)
    if node is None or node.op != "qir.Dequantize" or graph.index.consumers(name) or graph.outputs.count(name) != 1:
        return None
    return node if node.attr("axis") is None and node.inputs[0] not in graph.constants else None


def _reorders(graph: Graph, node: Node) -> bool:
    """Whether a border can put its codes in another order than the caller's array has."""
    site = Site(node, (_plain(graph, node.inputs[0]),), (_plain(graph, node.outputs[0]),))
    return family_of(site).reorders


def _call(graph: Graph, placed: Placed, target: CTarget) -> tuple[Call, Choice]:
    node, site = placed.site.node, placed.site
    selected = select(placed.family, site, target.isas, target.costs, growth=placed.growth)
    bound = selected.variant.bind(site)
    args, *pieces = _with_scratch((bound.args, *bound.pieces), node.name or node.outputs[0], target.threads > 1)
    known = all(name in graph.types for name in (*node.inputs[:2], node.outputs[0]) if name)
    title = node.name or node.outputs[0]
    work = (macs(node, graph) if known and len(node.inputs) > 1 else None) or 0
    choice = Choice(title, bound.kernel.emitted, selected.refused, selected.variant.title, selected.cycles)
    return Call(bound.kernel, args, title, node.op, work, node.origin, tuple(pieces)), choice


def _title(graph: Graph, value: str) -> str:
    """The node that makes a value, as its choice is called."""
    node = graph.index.producer(value)
    return (node and node.name) or value


def _with_scratch(made: tuple[tuple[Arg, ...], ...], name: str, at_once: bool) -> list[tuple[Arg, ...]]:
    """Arguments of calls of one kernel, their scratch named: of each call, or one for all that do not run at once."""
    sizes = [max(arg.nbytes if isinstance(arg, Scratch) else 0 for arg in column) for column in zip(*made, strict=True)]
    named = [f"{name}/scratch{number if at_once else 0}" for number in range(len(made))]
    return [
        tuple(
            Scratch(max(sizes[i], 1), f"{own}.{i}") if isinstance(arg, Scratch) else arg for i, arg in enumerate(args)
        )
        for args, own in zip(made, named, strict=True)
    ]


def _port(
    graph: Graph, name: str, value: str, border: Node | None, layout: Layout, target: CTarget
) -> tuple[Port, list[Choice]]:
    kind, codes = static_type(graph, name), layout.operands[value]
    native = target.io != "model" and name not in _states(graph, target)
    order = codes.order if native and not codes.is_plain else ()
    if border is None:
        return Port(name, kind.dtype, kind.sizes, value, order=order), []
    scale, zero = float(border.attr("scale")), int(border.attr("zero_point"))
    if native:
        return Port(name, kind.dtype, kind.sizes, value, codes.dtype, scale, zero, order=order, outside=border), []
    call, note = _border(graph, border, _plain(graph, name), codes, target)
    port = Port(name, kind.dtype, kind.sizes, value, codes.dtype, scale, zero, call)
    if codes.is_plain:
        return port, [note]
    given = Operand(layout.fresh(f"{name}/codes"), codes.dtype, codes.shape, plain(codes.rank))
    ends = (given.name, value) if border.op == "qir.Quantize" else (value, given.name)
    move = Node("qir.Reorder", ends[:1], ends[1:], name=given.name)
    reorder, why = _border(graph, move, given, codes, target)
    return replace(port, reorder=reorder), [note, why]


def _plain(graph: Graph, name: str) -> Operand:
    """A value in plain order."""
    kind = static_type(graph, name)
    return Operand(name, kind.dtype, kind.sizes, plain(len(kind.sizes)))


def _border(
    graph: Graph, node: Node, outside: Operand, codes: Operand, target: CTarget
) -> tuple[Call, Choice]:  # fmt: skip
    """The call between an array of the caller, in plain order, and codes as the network has them."""
    ends = (outside, codes) if node.inputs[0] == outside.name else (codes, outside)
    site = Site(node, ends[:1], ends[1:])
    return _call(graph, Placed(site, family_of(site)), target)


def _mode(layout: Layout) -> str:
    """How codes are made of accumulators: as the nodes say."""
    found = {str(placed.site.node.attr("requantization", "float32")) for placed in layout.placed}
    return "fixed" if "fixed" in found else "float32"


def _finish(
    graph: Graph, target: CTarget, layout: Layout, memory: Memory, inputs: list[Port], outputs: list[Port],
    chosen: Iterable[Choice], source_hash: str,
) -> Program:  # fmt: skip
    arena, outside = in_arena(memory, inputs, outputs, target.io)
    placement = place(arena, target.alignment)
    check(placement.buffers, placement.arena_bytes, target.alignment)
    buffers = (*placement.buffers, *outside)
    number_of = {buffer.name: i for i, buffer in enumerate(buffers)}
    values = {value: number_of[root] for value, root in memory.group.items() if root in number_of}
    values.update({buffer.name: number_of[buffer.name] for buffer in memory.scratch})
    stored = {
        name: Stored(x.dtype, x.shape, x.order, layout.copied.get(name, name), x.rows, layout.skip.get(name, 0))
        for name, x in layout.operands.items()
    }
    for port in (*inputs, *outputs):
        if port.border is not None:
            stored[port.name] = Stored(port.dtype, port.shape, plain(len(port.shape)), port.name)
        if port.reorder is not None and port.code is not None:
            stored[port.reorder.node] = Stored(port.code, port.shape, plain(len(port.shape)), port.value)
    return Program(
        tuple(inputs), tuple(outputs), tuple(memory.calls), buffers, values, stored, placement.arena_bytes,
        placement.lower_bound, target.alignment, _mode(layout), tuple(chosen), source_hash, target.name,
        next(iter(target.isas), "portable"), target.threads, io=target.io,
    )  # fmt: skip
