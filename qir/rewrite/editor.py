"""Edits of a graph, collected and applied at once: the way every pass changes something."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from qir.ir.dtype import of_array
from qir.ir.graph import AttrValue, Constant, Graph, Node
from qir.ir.order import topological_order
from qir.ir.types import Quant, TensorType, ValueType
from qir.onnxio.infer import infer_types


class Editor:
    """Collects changes to one graph; `build` gives the new graph.

    New values may be used at once: their types are inferred when they are made.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.types: dict[str, ValueType] = dict(graph.types)
        self.constants: dict[str, Constant] = dict(graph.constants)
        self.ranges: dict[str, tuple[float, float]] = dict(graph.ranges)
        self._nodes: dict[str, Node] = {node.name: node for node in graph.nodes}
        self._places: dict[str, tuple[int, int]] = {node.name: (i, 0) for i, node in enumerate(graph.nodes)}
        self._renamed: dict[str, str] = {}
        self._inside = {name for body, _ in graph.walk() if body is not graph for name in body.types}
        self._added = 0
        self._changed = False

    def fresh_value(self, hint: str) -> str:
        """A value name that is not in use, `hint` itself if free."""
        return free_name(hint, self.types, self._inside)

    def fresh_node(self, hint: str) -> str:
        """A node name that is not in use, `hint` itself if free."""
        return free_name(hint, self._nodes)

    def constant(
        self, hint: str, value: np.ndarray, *, constant: Constant | None = None, quant: Quant | None = None
    ) -> str:
        """Adds a constant and returns its name."""
        name = self.fresh_value(hint)
        array = np.asarray(value)
        self.constants[name] = constant or Constant(array)
        self.types[name] = TensorType(of_array(array), array.shape, quant)
        self._changed = True
        return name

    def revised(
        self,
        name: str,
        value: np.ndarray,
        users: Iterable[Node],
        *,
        codes: np.ndarray | None = None,
        quant: Quant | None = None,
    ) -> str:
        """A constant with other content for the nodes that will stand for `users`.

        Returns:
            Its own name if nothing else reads it, else that of a new constant.
        """
        if self.graph.index.is_output(name) or {*self.graph.index.consumers(name)} - {*users}:
            return self.constant(name, value, constant=Constant(np.asarray(value), codes), quant=quant)
        array = np.asarray(value)
        self.constants[name] = Constant(array, codes)
        self.types[name] = TensorType(of_array(array), array.shape, quant)
        self._changed = True
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        attrs: Mapping[str, AttrValue] | None = None,
        *,
        origin: Iterable[Node] = (),
        outputs: Sequence[str] = (),
        n_outputs: int = 1,
        types: Sequence[ValueType] | None = None,
        name: str = "",
    ) -> tuple[str, ...]:
        """Adds a node and returns its outputs.

        Args:
            origin: the nodes it stands for; gives its origin, the last one its place and, without `name`, its name.
            outputs: names for the outputs; made up where not given. A name already defined elsewhere must be
                freed by `remove` of its producer in the same edit.
            types: of the outputs; inferred where not given.
        """
        sources = tuple(origin)
        label = name or (sources[-1].name if sources else op.rpartition(".")[2])
        domain, _, kind_of = op.rpartition(".")
        if not outputs:
            hints = [f"{label}_{kind_of}"] + [f"{label}_{kind_of}_{i}" for i in range(1, n_outputs)]
            outputs = [self.fresh_value(hint) for hint in hints]
        node = Node(op, tuple(inputs), tuple(outputs), attrs or {}, self.fresh_node(label), domain,
                    tuple(dict.fromkeys(name for source in sources for name in source.origin)))  # fmt: skip
        inferred = types or infer_types(node, self.types, self.constants, self.graph.opsets)
        for output, kind in zip(node.outputs, inferred, strict=True):
            if output:
                self.types[output] = kind
        self._added += 1
        self._nodes[node.name] = node
        self._places[node.name] = (self._place(sources), self._added)
        self._changed = True
        return node.outputs

    def _place(self, sources: Sequence[Node]) -> int:
        known = self._places.get(sources[-1].name) if sources else None
        return known[0] if known else len(self.graph.nodes)

    def replace(self, old: Node, new: Node) -> None:
        """Puts a changed copy of a node in its place; its outputs keep their names."""
        place = self._places[old.name]
        if self._nodes.get(old.name) is old:
            del self._nodes[old.name]
        self._nodes[new.name] = new
        self._places[new.name] = place
        self._changed = True

    def current(self, node: Node) -> Node:
        """The node as edited so far."""
        return self._nodes[node.name]

    def replace_input(self, node: Node, slot: int, name: str) -> None:
        """Makes one operand of a node another value."""
        current = self.current(node)
        self.replace(current, current.with_(inputs=(*current.inputs[:slot], name, *current.inputs[slot + 1 :])))

    def remove(self, *nodes: Node) -> None:
        """Takes nodes out, unless they are already; their outputs must be unused, redefined or redirected."""
        for node in nodes:
            if self._nodes.get(node.name) is node:
                del self._nodes[node.name]
                self._changed = True

    def use(self, new: str, instead_of: str) -> None:
        """Redirects every use of a value, results of the graph included, to another value."""
        if self.resolve(new) != instead_of:
            self._renamed[instead_of] = new
            self._changed = True

    def resolve(self, name: str) -> str:
        """The value that stands for `name` after the redirections so far."""
        while name in self._renamed:
            name = self._renamed[name]
        return name

    def set_type(self, name: str, kind: ValueType) -> None:
        """Changes the type of a value."""
        if self.types.get(name) != kind:
            self.types[name] = kind
            self._changed = True

    def set_constant(self, name: str, constant: Constant) -> None:
        """Changes a constant's content; its type's dtype and shape must be set to match."""
        self.constants[name] = constant
        self._changed = True

    def set_range(self, name: str, low: float, high: float) -> None:
        """Notes the calibrated range of a value."""
        if self.ranges.get(name) != (low, high):
            self.ranges[name] = (low, high)
            self._changed = True

    def build(self, **changes: Any) -> Graph:
        """The new graph: nodes ordered, constants, types and ranges of vanished values dropped.

        Returns:
            The original graph itself if nothing was changed.
        """
        if not self._changed and not changes:
            return self.graph
        nodes = sorted(self._nodes.values(), key=lambda node: self._places[node.name])
        if self._renamed:
            nodes = [rename_inputs(node, self.resolve) for node in nodes]
        nodes, outputs = self._keep_output_names(nodes)
        nodes = topological_order(nodes)
        used = {name for node in nodes for name in (*node.reads, *node.outputs)} | {*self.graph.inputs, *outputs}
        constants = {name: c for name, c in self.constants.items() if name in used}
        return self.graph.with_(
            nodes=tuple(nodes),
            outputs=outputs,
            constants=constants,
            types={name: kind for name, kind in self.types.items() if name in used},
            ranges={name: r for name, r in self.ranges.items() if name in used},
            **changes,
        )

    def _keep_output_names(self, nodes: list[Node]) -> tuple[list[Node], tuple[str, ...]]:
        """Results keep their public names: the redirected value takes the name, or an Identity gives it."""
        if not self._renamed:
            return nodes, self.graph.outputs
        public: dict[str, str] = {}
        producers = {name: node for node in nodes for name in node.outputs if name}
        for name in self.graph.outputs:
            actual = self.resolve(name)
            if actual == name:
                continue
            if actual in producers and actual not in public and actual not in self.graph.outputs:
                public[actual] = name
                self.types[name] = self.types[actual]
                if actual in self.ranges:
                    self.ranges[name] = self.ranges[actual]
            else:
                source = public.get(actual, actual)
                label = self.fresh_node(f"{name}_copy")
                nodes.append(Node("Identity", (source,), (name,), {}, label, "", (label,)))
                self.types[name] = self.types[actual]

        def swap(name: str) -> str:
            return public.get(name, name)

        renamed = [rename_inputs(n, swap).with_(outputs=tuple(map(swap, n.outputs))) if public else n for n in nodes]
        return renamed, self.graph.outputs


def free_name(hint: str, *taken: Container[str]) -> str:
    """`hint`, with a number behind it if it is among the names taken."""
    name, count = hint, 1
    while any(name in names for names in taken):
        count += 1
        name = f"{hint}_{count}"
    return name


def rename_inputs(node: Node, rename: Callable[[str], str]) -> Node:
    """A node whose inputs and captures are renamed by a function; the node itself if none changes."""
    reads = [name for name in node.reads if rename(name) != name]
    if not reads:
        return node
    attrs = {
        key: rename_captures(value, rename) if isinstance(value, Graph) else value for key, value in node.attrs.items()
    }
    return node.with_(inputs=tuple(rename(name) if name else "" for name in node.inputs), attrs=attrs)


def rename_captures(body: Graph, rename: Callable[[str], str]) -> Graph:
    """A body whose uses of outer values are renamed; names the body defines itself are left alone."""
    own = {*body.inputs, *body.constants, *(name for node in body.nodes for name in node.outputs)}

    def change(name: str) -> str:
        return name if name in own else rename(name)

    nodes = tuple(rename_inputs(node, change) for node in body.nodes)
    return body.with_(nodes=nodes, outputs=tuple(change(name) for name in body.outputs))
