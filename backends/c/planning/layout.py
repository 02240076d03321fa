"""Gives every value a storage order, makes aliases of what moves no bytes, and puts copies where orders clash."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from math import inf, prod

import numpy as np

from qir.backends.c.binding.coded import Coded, coded
from qir.backends.c.binding.orders import reshaped, transposed
from qir.backends.c.binding.site import Operand, Order, Site, plain, same_bytes
from qir.backends.c.kernels import Family, family_of
from qir.errors import ShapeError, UnsupportedError
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.ops import OPS

RESHAPES = frozenset(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"))
ALIASES = RESHAPES | {"Transpose"}
"""Operators that move no bytes where the storage order allows it."""


@dataclass(frozen=True)
class Placed:
    """A node with its family and operands; its kernel's weights may grow less than `growth` times."""

    site: Site
    family: Family
    growth: float = inf


@dataclass
class Layout:
    """Orders of all values of a graph, and the kernels' sites in execution order (filled by `lay_out`).

    Attributes:
        graph: what is laid out; border nodes are not in `placed`.
        placed: sites in execution order, copies included.
        operands: every stored value (constants excluded).
        root: value to the value whose bytes it shares (itself where it has its own).
        outputs: for each output of the graph, the value that holds it, with bytes of its own.
        copied: copy to the value of the graph that it is a copy of.
        unread: inputs whose order is still to be chosen: that which their first reader wants.
        skip: value that is a stretch of another's bytes to its place there, in elements.
    """

    graph: Graph
    placed: list[Placed] = field(default_factory=list)
    operands: dict[str, Operand] = field(default_factory=dict)
    root: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    copied: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    skip: dict[str, int] = field(default_factory=dict)
    _constants: dict[str, np.ndarray] = field(default_factory=dict)
    _coded: dict[str, Coded] = field(default_factory=dict)
    _copies: dict[tuple[str, Order], Operand] = field(default_factory=dict)

    def operand(self, name: str, order: Order | None = None) -> Operand:
        """A value as it is stored now, or a constant in `order`."""
        if name in self._constants:
            kind = self._type(name)
            return Operand(name, kind.dtype, kind.sizes, order or plain(len(kind.sizes)), self._constants[name],
                           coded=self._coded.get(name))  # fmt: skip
        return self.operands[name]

    def _type(self, name: str) -> TensorType:
        return static_type(self.graph, name)

    def add_input(self, name: str, any_order: bool) -> None:
        """A value that is there before the first call, in plain order or in whichever is wanted."""
        kind = self._type(name)
        self.operands[name] = Operand(name, kind.dtype, kind.sizes, plain(len(kind.sizes)))
        self.root[name] = name
        if any_order:
            self.unread.add(name)

    def add_constants(self) -> None:
        for name, constant in self.graph.constants.items():
            if isinstance(self.graph.types.get(name), TensorType):
                self._constants[name] = constant.value

    def add_decoded(self, node: Node) -> bool:
        """Makes the result of a qir.Dequantize of constant codes a constant; False for other nodes."""
        codes = self._constants.get(node.inputs[0]) if node.op == "qir.Dequantize" else None
        if codes is None:
            return False
        reference = OPS[node.op].reference
        assert reference is not None
        self._constants[node.outputs[0]] = reference(node, [codes])[0]
        self._coded[node.outputs[0]] = coded(node, codes)
        return True

    def _wanted(self, name: str, order: Order) -> Operand:
        found = self.operand(name, order)
        if found.value is not None:
            return found
        if name in self.unread:
            self.unread.remove(name)
            self.operands[name] = found = replace(found, order=order)
        if same_bytes(found.shape, found.order, order):
            return replace(found, order=order)
        key = (name, order)
        if key not in self._copies:
            copy = self.fresh(f"{name}/stored{''.join(map(str, order))}")
            self._copies[key] = self._copy("qir.Reorder", found, copy, order)
        return replace(self._copies[key], order=order)

    def fresh(self, name: str) -> str:
        """A name that no value of the graph has."""
        while name in self.graph.types or name in self.operands:
            name += "_"
        return name

    def _copy(self, op: str, source: Operand, name: str, order: Order) -> Operand:
        result = Operand(name, source.dtype, source.shape, order)
        site = Site(Node(op, (source.name,), (name,), name=name), (source,), (result,))
        self.placed.append(Placed(site, family_of(site)))
        self.operands[name], self.root[name] = result, name
        self.copied[name] = self.copied.get(source.name, source.name)
        return result

    def _alias(self, name: str, source: Operand, order: Order, rows: np.ndarray | None = None) -> None:
        kind = self._type(name)
        self.unread.discard(source.name)
        self.operands[name] = Operand(name, kind.dtype, kind.sizes, order, None, rows)
        self.root[name] = self.root[source.name]

    def add_alias(self, node: Node) -> None:
        """Reshape, Transpose and the like: the same bytes under another shape, after a copy where need be."""
        source, name = self.operand(node.inputs[0]), node.outputs[0]
        kind = self._type(name)
        if source.value is not None:
            perm = node.attr("perm") or tuple(reversed(range(source.rank)))
            moved = source.value.transpose(perm) if node.op == "Transpose" else source.value.reshape(kind.sizes)
            self._constants[name] = np.ascontiguousarray(moved)
            return
        if node.op == "Transpose":
            perm = node.attr("perm") or tuple(reversed(range(source.rank)))
            self._alias(name, source, transposed(source.order, tuple(perm)))
            return
        order = reshaped(source.shape, source.order, kind.sizes)
        if order is None:
            rows = self._rows(source, name, kind.sizes)
            if rows is not None:
                self._alias(name, source, plain(len(kind.sizes)), rows)
                return
            source, order = self._wanted(source.name, plain(source.rank)), plain(len(kind.sizes))
        self._alias(name, source, order)

    def _rows(self, source: Operand, name: str, target: tuple[int, ...]) -> np.ndarray | None:
        """How the last axis of a flattened value is permuted, where all its users can take it so."""
        if not target or not all(self._takes_rows(user, name) for user in self.graph.index.consumers(name)):
            return None
        if self.graph.index.is_output(name):
            return None
        for split in range(source.rank):
            if prod(source.shape[split:]) == target[-1]:
                stored = [axis for axis in source.order if source.shape[axis] != 1]
                inner = [axis for axis in stored if axis >= split]
                outer = [axis for axis in range(split) if source.shape[axis] != 1]
                if stored == outer + inner:
                    numbers = np.arange(target[-1]).reshape(source.shape[split:])
                    ones = [axis for axis in range(split, source.rank) if source.shape[axis] == 1]
                    return numbers.transpose([axis - split for axis in ones + inner]).reshape(-1)
        return None

    def _takes_rows(self, node: Node, value: str) -> bool:
        if node.op in ALIASES or node.reads.count(value) != 1 or node.input(0) != value:
            return False
        family = self._family(node)
        if family.permuted_rows:
            return node.input(1) in self._constants and not node.attr("transA", 0)
        if not family.pointwise or len(node.outputs) != 1 or self.graph.index.is_output(node.outputs[0]):
            return False
        users = self.graph.index.consumers(node.outputs[0])
        return bool(users) and all(self._takes_rows(user, node.outputs[0]) for user in users)

    def _site(self, node: Node, plain_orders: bool) -> Site:
        def operand(name: str) -> Operand | None:
            if not name:
                return None
            kind = self._type(name)
            if not plain_orders and name in self.operands:
                return self.operands[name]
            return Operand(name, kind.dtype, kind.sizes, plain(len(kind.sizes)), self._constants.get(name),
                           coded=self._coded.get(name))  # fmt: skip

        return Site(node, tuple(map(operand, node.inputs)), tuple(map(operand, node.outputs)))

    def _family(self, node: Node) -> Family:
        return family_of(self._site(node, plain_orders=True))

    def add_node(self, node: Node) -> None:
        """A node that some kernel computes."""
        if node.subgraphs:
            raise UnsupportedError(
                f"{node.op} keeps its body, which the C backend does not run", node=node.name,
                fix="Bind the inputs that decide it with bind={...}, so that it folds away",
            )  # fmt: skip
        family = self._family(node)
        site = self._site(node, plain_orders=False)
        rows = site.inputs[0].rows if site.inputs and site.inputs[0] else None
        if rows is None:
            orders = family.layout(site)
            inputs = tuple(
                self._wanted(name, order) if name and order is not None else None
                for name, order in zip(node.inputs, orders.inputs, strict=True)
            )
        else:
            orders = family.layout(self._site(node, plain_orders=True))
            inputs = tuple(self.operand(name) if name else None for name in node.inputs)
        outputs: list[Operand | None] = []
        for name, order in zip(node.outputs, orders.outputs, strict=True):
            if not name or order is None:
                outputs.append(None)
                continue
            kind = self._type(name)
            kept = rows if rows is not None and not family.permuted_rows else None
            self.operands[name] = Operand(name, kind.dtype, kind.sizes, order, None, kept)
            self.root[name] = name
            outputs.append(self.operands[name])
        self.placed.append(Placed(Site(node, inputs, tuple(outputs)), family))

    def add_output(self, name: str, taken: set[str], any_order: bool) -> None:
        """Holds a result in plain order or as it is, in bytes that no input and no other result has."""
        found = self.operand(name)
        if found.value is None and not (any_order and self.root[found.name] not in taken):
            found = self._wanted(name, plain(found.rank))
        if found.value is not None or self.root[found.name] in taken:
            number = len(self.outputs)
            found = self._copy("qir.Copy", found, self.fresh(f"{name}/output{number}"), plain(found.rank))
        taken.add(self.root[found.name])
        self.outputs.append(found.name)


def _binding(graph: Graph) -> str:
    """What to give as `shapes` so that every input has sizes: symbols, or whole shapes where sizes have no name."""
    parts: dict[str, str] = {}
    for name in graph.inputs:
        kind = graph.types[name]
        if not isinstance(kind, TensorType) or kind.is_static:
            continue
        if kind.shape is not None and None not in kind.shape:
            parts |= {dim: "1" for dim in kind.shape if isinstance(dim, str)}
        else:
            sizes = ", ".join(str(dim) if isinstance(dim, int) else "..." for dim in kind.shape or (None,))
            parts[name] = f"({sizes})"
    return ", ".join(f"'{key}': {value}" for key, value in parts.items()) or "'N': 1"


def static_type(graph: Graph, name: str) -> TensorType:
    """The type of a value, all of whose sizes must be known.

    Raises:
        UnsupportedError: for sequences, optionals and opaque values.
        ShapeError: where a size is not a known number.
    """
    kind = graph.types[name]
    if not isinstance(kind, TensorType):
        raise UnsupportedError(f"the C backend has no form for a {kind}", tensor=name, fix="Use tensors only")
    if not kind.is_static:
        cause = _data_dependent(graph)
        if cause is not None:
            raise ShapeError(
                f"the shape {kind} is not fixed, and C code needs every size: how much {cause.op} gives depends on its "
                "data", tensor=name, node=cause.name, fix="Keep this part of the model out of the C code",
            )  # fmt: skip
        origin = f" (input '{name}')" if name in graph.inputs else ""
        example = _binding(graph)
        raise ShapeError(
            f"the shape {kind} is not fixed{origin}, and C code needs every size", tensor=name,
            fix=f"Bind it with shapes={{{example}}}",
        )  # fmt: skip
    return kind


def _data_dependent(graph: Graph) -> Node | None:
    """The first node that makes open sizes of known ones; None where an input is open."""
    if any(not _known(graph, name) for name in graph.inputs):
        return None
    opening = (node for node in graph.nodes if any(name and not _known(graph, name) for name in node.outputs))
    return next(opening, None)


def _known(graph: Graph, name: str) -> bool:
    kind = graph.types.get(name)
    return not isinstance(kind, TensorType) or kind.is_static


def live_nodes(graph: Graph) -> Iterator[Node]:
    """Nodes that some output depends on, in execution order."""
    wanted = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.reads)
    return reversed(kept)


def lay_out(
    graph: Graph, nodes: list[Node], inputs: tuple[str, ...], outputs: tuple[str, ...],
    any_order: Set[str] = frozenset(),
) -> Layout:  # fmt: skip
    """Lays out the nodes between the borders.

    Args:
        graph: the whole graph.
        nodes: those to run, borders excluded, in execution order.
        inputs: values that are given.
        outputs: values that are results, one for each output of the program.
        any_order: inputs and outputs whose order is free; others lie in plain order.
    """
    layout = Layout(graph)
    layout.add_constants()
    for name in dict.fromkeys(inputs):
        layout.add_input(name, name in any_order)
    for node in [node for node in nodes if not layout.add_decoded(node)]:
        if node.op in ALIASES:
            layout.add_alias(node)
        else:
            layout.add_node(node)
    taken = set(inputs)
    for name in outputs:
        layout.add_output(name, taken, name in any_order)
    return layout
