"""`cancel-transposes`: pairs of Transposes meet and vanish, those that move no data become Reshapes.

    Transpose(Transpose(x, p), q)                       ->  Transpose(x, p[q]), or x where that is the identity
    t = Transpose(x, p); u = f(t); y = Transpose(u, q)  ->  u' = f'(x); y = Transpose(u', p[q])
    Transpose(x) that only moves axes of size 1         ->  Reshape(x)

f stands for any connected region of operators that do not care for the order of axes (layouts.py), with any number of
entries and exits. A region is rewritten if that makes fewer elements pass through Transposes, constants being free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph, Node
from qir.ir.types import TensorType, ValueType
from qir.passes.clean.facts import shape_of
from qir.passes.clean.layouts import Relaid, inverse, leaves_order, relaid, relaid_constant
from qir.passmanager.base import Context, Pass
from qir.rewrite.bodies import everywhere
from qir.rewrite.driver import apply_rules
from qir.rewrite.editor import Editor
from qir.rewrite.guards import put, same_place, unrounded
from qir.rewrite.pattern import Match, Refused, Rule, any_value, op


@dataclass(frozen=True)
class CancelTransposes(Pass):
    """Removes Transposes that undo each other, also across operators between them."""

    name: ClassVar[str] = "cancel-transposes"

    def run(self, graph: Graph, context: Context) -> Graph:
        graph = apply_rules(graph, _COMPOSE)
        moved = everywhere(graph, _move_all)
        return apply_rules(moved, (*_COMPOSE, *_TO_RESHAPE))


def _perm(node: Node, graph: Graph) -> tuple[int, ...] | None:
    """The permutation of a Transpose; None where it is the default one on an unknown rank."""
    perm = node.attr("perm")
    if perm is None:
        shape = shape_of(graph, node.inputs[0])
        perm = None if shape is None else range(len(shape))[::-1]
    return None if perm is None else tuple(perm)


def _compose(found: Match, edit: Editor) -> str | Refused:
    first, second = _perm(found["first"], found.graph), _perm(found.root, found.graph)
    if first is None or second is None:
        return Refused("the rank is not known")
    perm = tuple(first[axis] for axis in second)
    x = found.value("x")
    if perm == tuple(range(len(perm))) and not same_place(found.graph, found.root, x):
        return x
    return put(found, edit, "Transpose", (x,), {"perm": perm})


def _find_pair(node: Node, graph: Graph) -> Match | None:
    """A Transpose of a Transpose; the first one stays where others use it too."""
    first = graph.index.producer(node.inputs[0]) if node.op == "Transpose" else None
    if first is None or first.op != "Transpose":
        return None
    alone = graph.index.sole_consumer(node.inputs[0]) is not None
    if not alone and _perm(node, graph) != inverse(_perm(first, graph) or ()):
        return None
    nodes = {"first": first, "second": node} if alone else {"second": node}
    return Match(graph, node, nodes, {"x": first.inputs[0]})


def _compose_pair(found: Match, edit: Editor) -> str | Refused:
    if "first" in found.nodes:
        return _compose(found, edit)
    why = same_place(found.graph, found.root, found.value("x"))
    return Refused(why) if why else found.value("x")


def _to_reshape(found: Match, edit: Editor) -> str | Refused:
    shape, perm = shape_of(found.graph, found.value("x")), _perm(found.root, found.graph)
    if shape is None or perm is None:
        return Refused("the rank is not known")
    moving = [axis for axis in perm if shape[axis] != 1]
    if moving != sorted(moving):
        return Refused("it moves data")
    target = []
    for place, axis in enumerate(perm):
        length = shape[axis]
        target.append(length if isinstance(length, int) else 0 if place == axis else -1)
    if target.count(-1) > 1 or 0 in shape:
        return Refused("two dimensions that move are not known")
    name = edit.constant(f"{found.root.outputs[0]}_shape", np.array(target, np.int64))
    return put(found, edit, "Reshape", (found.value("x"), name))


_COMPOSE = (Rule("compose-transposes", _find_pair, unrounded(_compose_pair)),)
_TO_RESHAPE = (Rule("transpose-to-reshape", op("Transpose", any_value("x")), _to_reshape),)


def _move_all(graph: Graph) -> Graph:
    """Rewrites regions, one at a time, until none pays."""
    while True:
        for node in graph.nodes:
            if node.op != "Transpose":
                continue
            region = _grow(node, graph)
            if region is not None and region.gain() > 0:
                graph = region.rewrite()
                break
        else:
            return graph


def _weight(graph: Graph, name: str) -> int:
    shape = shape_of(graph, name) or ()
    return int(np.prod([length for length in shape if isinstance(length, int)], dtype=np.int64))


def _permuted(kind: ValueType, perm: Sequence[int]) -> ValueType:
    """The type of v' where v = transpose(v', perm) has this one."""
    if not isinstance(kind, TensorType) or kind.shape is None:
        return kind
    shape = kind.shape
    return TensorType(kind.dtype, tuple(shape[axis] for axis in inverse(perm)), kind.quant)


@dataclass
class _Region:
    """Nodes to be moved to the layout before `perm`."""

    graph: Graph
    perm: tuple[int, ...]
    nodes: dict[Node, Relaid] = field(default_factory=dict)
    drops: dict[Node, Relaid] = field(default_factory=dict)

    @property
    def made(self) -> dict[str, Node]:
        return {name: node for node in self.nodes for name in node.outputs if name}

    def entries(self) -> list[str]:
        """Operands from outside that change their layout, constants and single numbers aside."""
        names = [node.inputs[slot] for node, how in (*self.nodes.items(), *self.drops.items()) for slot in how.data]
        inside = {*self.made, *self.graph.constants}
        return [name for name in dict.fromkeys(names) if name not in inside and not self._lone(name)]

    def _lone(self, name: str) -> bool:
        shape = shape_of(self.graph, name)
        return shape is not None and len(shape) < len(self.perm)

    def _inside(self, name: str) -> bool:
        users = self.graph.index.consumers(name)
        return not self.graph.index.is_output(name) and all(user in self.nodes or user in self.drops for user in users)

    def _seed(self, name: str) -> Node | None:
        """The Transpose by `perm` that makes an entry."""
        node = self.graph.index.producer(name)
        return node if node is not None and node.op == "Transpose" and _perm(node, self.graph) == self.perm else None

    def gain(self) -> int:
        """Elements that need not be moved any more, less those that must be moved now."""
        graph, total = self.graph, 0
        for name in self.entries():
            producer, weight = graph.index.producer(name), _weight(graph, name)
            if self._seed(name) is not None:
                total += weight if self._inside(name) else 0
            elif producer is None or producer.op != "Transpose" or not self._inside(name):
                total -= weight
        for name in self.made:
            users = [u for u in graph.index.consumers(name) if u not in self.nodes and u not in self.drops]
            ends = [user for user in users if user.op == "Transpose"]
            total += sum(_weight(graph, name) for user in ends if _perm(user, graph) == inverse(self.perm))
            if len(ends) < len(users) or graph.index.is_output(name):
                total -= _weight(graph, name)
        return total

    def rewrite(self) -> Graph:
        edit, graph = Editor(self.graph), self.graph
        layout: dict[str, str] = {}
        for name in self.entries():
            seed = self._seed(name)
            if seed is None:
                kind = _permuted(graph.types[name], self.perm)
                attrs = {"perm": inverse(self.perm)}
                layout[name] = edit.node("Transpose", (name,), attrs, types=(kind,), name=f"{name}_layout")[0]
                continue
            layout[name] = seed.inputs[0]
            if self._inside(name):
                edit.remove(seed)
        for name in self.made:
            layout[name] = edit.fresh_value(f"{name}_layout")
            edit.set_type(layout[name], _permuted(graph.types[name], self.perm))
            if name in graph.ranges:
                edit.set_range(layout[name], *graph.ranges[name])
        for node, changed in (*self.nodes.items(), *self.drops.items()):
            self._rewrite_node(edit, node, changed, layout)
        for name in self.made:
            self._leave(edit, name, layout[name])
        return edit.build()

    def _rewrite_node(self, edit: Editor, node: Node, changed: Relaid, layout: dict[str, str]) -> None:
        inputs = list(node.inputs)
        inputs += [""] * (max(changed.constants, default=0) + 1 - len(inputs))
        for slot in changed.data:
            name = inputs[slot]
            if name in self.graph.constants:
                inputs[slot] = self._constant(edit, name)
            else:
                inputs[slot] = layout.get(name, name)
        for slot, array in changed.constants.items():
            inputs[slot] = edit.constant(inputs[slot] or f"{node.name}_axes", array)
        outputs = node.outputs if node in self.drops else tuple(layout[n] if n else "" for n in node.outputs)
        edit.replace(node, node.with_(inputs=tuple(inputs), outputs=outputs, attrs=changed.attrs))

    def _constant(self, edit: Editor, name: str) -> str:
        old, kind = self.graph.constants[name], self.graph.tensor(name)
        if old.value.size == 1:
            return name
        value = relaid_constant(old.value, self.perm)
        codes = None if old.codes is None else relaid_constant(old.codes, self.perm)
        fresh = edit.constant(name, value, constant=Constant(value, codes), quant=kind.quant)
        edit.set_type(fresh, TensorType(of_array(value), value.shape, kind.quant))
        return fresh

    def _leave(self, edit: Editor, name: str, inner: str) -> None:
        """Serves the users of a value outside the region."""
        graph, others = self.graph, self.graph.index.is_output(name)
        for user in graph.index.consumers(name):
            if user in self.nodes or user in self.drops:
                continue
            after = _perm(user, graph) if user.op == "Transpose" else None
            if after is None:
                others = True
                continue
            perm = tuple(self.perm[axis] for axis in after)
            if perm == tuple(range(len(perm))) and not same_place(graph, user, name):
                edit.use(inner, instead_of=user.outputs[0])
                edit.remove(user)
            else:
                edit.replace(user, user.with_(inputs=(inner,), attrs={"perm": perm}))
        if others:
            attrs = {"perm": self.perm}
            edit.node("Transpose", (inner,), attrs, outputs=(name,), types=(graph.types[name],), name=f"{name}_layout")


def _grow(seed: Node, graph: Graph) -> _Region | None:
    """The region that a Transpose leads into."""
    perm = _perm(seed, graph)
    if perm is None or perm == tuple(range(len(perm))):
        return None
    region, pending = _Region(graph, perm), list(graph.index.consumers(seed.outputs[0]))
    while pending:
        node = pending.pop()
        if node in region.nodes or node in region.drops or node.op == "Transpose" or node.subgraphs:
            continue
        changed = relaid(node, graph, perm)
        if changed is None:
            dropped = leaves_order(node, graph, perm)
            if dropped is not None:
                region.drops[node] = dropped
            continue
        region.nodes[node] = changed
        for name in filter(None, node.outputs):
            pending.extend(graph.index.consumers(name))
        producers = (graph.index.producer(node.inputs[slot]) for slot in changed.data)
        pending.extend(maker for maker in producers if maker is not None and relaid(maker, graph, perm) is not None)
    return region if region.nodes or region.drops else None
