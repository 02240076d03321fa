"""The printed form of a graph: one line a node, stable, made for reading and diffing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qir.ir.graph import Constant, EmptyList, Graph, Node
from qir.ir.types import TensorType

_SHORT = 8


def _number(value: float) -> str:
    return f"{value:.6g}"


def attr_text(value: object) -> str:
    """One attribute value; arrays and bodies are summarised."""
    if isinstance(value, Graph):
        return f"<body {value.name}: {len(value.nodes)} nodes>"
    if isinstance(value, np.ndarray):
        if value.size <= _SHORT and value.dtype.kind in "biuf":
            return "[" + ",".join(_number(v) for v in value.reshape(-1).tolist()) + "]"
        return f"<{value.dtype}{list(value.shape)} {_digest(value)}>"
    if isinstance(value, EmptyList):
        return "[]"
    if isinstance(value, tuple):
        return "[" + ",".join(attr_text(v) for v in value) + "]"
    return _number(value) if isinstance(value, float) else str(value)


def _digest(array: np.ndarray) -> str:
    raw = repr(array.tolist()).encode() if array.dtype.kind == "O" else np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(raw).hexdigest()[:8]


def constant_text(constant: Constant) -> str:
    """A constant's content: the numbers if they are few, else their range and a digest; then the same of its codes."""
    parts = []
    for label, array in (("", constant.value), ("codes ", constant.codes)):
        if array is None:
            continue
        if array.size <= _SHORT and array.dtype.kind != "V":
            parts.append(label + attr_text(np.asarray(array)) if array.dtype.kind != "O" else str(array.tolist()))
        elif array.dtype.kind in "biuf":
            parts.append(f"{label}{_number(array.min().item())}..{_number(array.max().item())} {_digest(array)}")
        else:
            parts.append(label + _digest(array))
    return " ".join(parts)


def node_text(node: Node, graph: Graph) -> str:
    """One node: results with their types, operator, operands, attributes, and the user's nodes it stands for."""
    outputs = ", ".join(f"%{name}: {graph.types.get(name, '?')}" if name else "_" for name in node.outputs)
    inputs = ", ".join(f"%{name}" if name else "_" for name in node.inputs)
    attrs = ", ".join(f"{key}={attr_text(value)}" for key, value in sorted(node.attrs.items()))
    origin = "" if node.origin in ((), (node.name,)) else " from " + "+".join(node.origin)
    return f"{outputs} = {node.op}({inputs})" + (f" {{{attrs}}}" if attrs else "") + f"  # {node.name}{origin}"


def graph_text(graph: Graph, *, notes: Mapping[str, str] | None = None) -> str:
    """The whole graph.

    Args:
        notes: node name to a message that is drawn under that node's line (how errors point into a graph).
    """
    lines = [_head(graph)]
    for name, constant in graph.constants.items():
        lines.append(f"  const %{name}: {graph.types.get(name, '?')} = {constant_text(constant)}")
    for node in graph.nodes:
        lines.append("  " + node_text(node, graph))
        if notes and node.name in notes:
            lines += ["  ^^^ " + line for line in notes[node.name].splitlines()]
        for key, body in node.subgraphs.items():
            lines.append(f"    {key}:")
            lines += ["      " + line for line in graph_text(body, notes=notes).splitlines()]
    for name, (low, high) in sorted(graph.ranges.items()):
        lines.append(f"  range %{name}: {_number(low)}..{_number(high)}")
    return "\n".join(lines)


def _head(graph: Graph) -> str:
    typed = ", ".join(f"%{name}: {graph.types.get(name, '?')}" for name in graph.inputs)
    opsets = " ".join(f"{domain or 'ai.onnx'}={version}" for domain, version in sorted(graph.opsets.items()))
    results = ", ".join(f"%{n}" for n in graph.outputs)
    return f"graph {graph.name}({typed}) -> ({results}) stage={graph.stage.value}" + (f" {opsets}" if opsets else "")


@dataclass(frozen=True)
class Diff:
    """What changed between two graphs; nodes are matched by name.

    Attributes:
        added, removed: printed nodes.
        changed: printed nodes before and after, the line of inputs, outputs and stage among them.
        constants: the same of constants.
        ranges: how many differ.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, str], ...]
    ranges: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.constants or self.ranges)

    def __str__(self) -> str:
        lines = [f"- {line}" for line in self.removed] + [f"+ {line}" for line in self.added]
        for before, after in (*self.changed, *self.constants):
            lines += [f"- {before}", f"+ {after}"]
        if self.ranges:
            lines.append(f"  {self.ranges} ranges changed")
        return "\n".join(lines) or "no change"


def diff(before: Graph, after: Graph) -> Diff:
    """What a step did, by node name and by constant name. Shared nodes and arrays are not compared again."""
    old = {node.name: node for node in before.nodes}
    new = {node.name: node for node in after.nodes}
    heads = _head(before), _head(after)
    changed = []
    for name in old.keys() & new.keys():
        first, second = node_text(old[name], before), node_text(new[name], after)
        if first != second or (old[name] is not new[name] and _bodies(old[name]) != _bodies(new[name])):
            changed.append((first, second))
    constants = []
    for name in before.constants.keys() | after.constants.keys():
        pair = before.constants.get(name), after.constants.get(name)
        if pair[0] is pair[1] and before.types.get(name) == after.types.get(name):
            continue
        texts = tuple(f"const %{name}: {g.types[name]} = {constant_text(c)}" if c else f"const %{name} (absent)"
                      for g, c in zip((before, after), pair, strict=True))  # fmt: skip
        if texts[0] != texts[1]:
            constants.append((texts[0], texts[1]))
    return Diff(
        tuple(node_text(node, after) for node in after.nodes if node.name not in old),
        tuple(node_text(node, before) for node in before.nodes if node.name not in new),
        (*((heads,) if heads[0] != heads[1] else ()), *sorted(changed)),
        tuple(sorted(constants)),
        sum(before.ranges.get(n) != after.ranges.get(n) for n in before.ranges.keys() | after.ranges.keys()),
    )


def _bodies(node: Node) -> list[str]:
    return [graph_text(body) for body in node.subgraphs.values()]


def summary(graph: Graph) -> str:
    """One line: nodes, constants, quantized values."""
    codes = sum(isinstance(t, TensorType) and t.quant is not None for t in graph.types.values())
    return f"{len(graph.nodes)} nodes, {len(graph.constants)} constants, {codes} quantized values"
