"""Trees of Mul and Div by numbers, taken apart: in whatever order an exporter multiplies, the factors are the same."""

from __future__ import annotations

from dataclasses import dataclass

from qir.ir.graph import Graph, Node


@dataclass(frozen=True)
class Product:
    """`factor` times the values `terms` (sorted by name); `nodes` are the Muls and Divs that make it, root last."""

    factor: float
    terms: tuple[str, ...]
    nodes: tuple[Node, ...]


def number(graph: Graph, name: str) -> float | None:
    """The number in a constant of one float element."""
    value = graph.value(name)
    return float(value.reshape(-1)[0]) if value is not None and value.size == 1 and value.dtype.kind == "f" else None


def close(a: float | None, b: float, tolerance: float = 1e-5) -> bool:
    """Whether a constant is the number b as an exporter may have written it."""
    return a is not None and abs(a - b) <= tolerance * abs(b)


def factors(graph: Graph, name: str, *, root: bool = True) -> Product:
    """A value as a product; inner products only where nothing else uses them.

    Args:
        root: whether the value itself may have several uses.
    """
    node = graph.index.producer(name)
    alone = root or graph.index.sole_consumer(name) is not None or _squared(graph, name)
    if node is None or node.op not in ("Mul", "Div", "Neg") or not alone:
        return Product(1.0, (name,), ())
    if node.op == "Neg":
        inner = factors(graph, node.inputs[0], root=False)
        return Product(-inner.factor, inner.terms, (*inner.nodes, node))
    numbers = [number(graph, operand) for operand in node.inputs]
    if node.op == "Div":
        if not numbers[1]:
            return Product(1.0, (name,), ())
        inner = factors(graph, node.inputs[0], root=False)
        return Product(inner.factor / numbers[1], inner.terms, (*inner.nodes, node))
    factor, terms, nodes = 1.0, (), ()  # type: tuple[float, tuple[str, ...], tuple[Node, ...]]
    for operand, constant in zip(node.inputs, numbers, strict=True):
        inner = Product(constant, (), ()) if constant is not None else factors(graph, operand, root=False)
        factor, terms, nodes = factor * inner.factor, (*terms, *inner.terms), (*nodes, *inner.nodes)
    return Product(factor, tuple(sorted(terms)), (*nodes, node))


def _squared(graph: Graph, name: str) -> bool:
    """Used by one node only, though perhaps as both of its operands."""
    return len(graph.index.consumers(name)) == 1 and not graph.index.is_output(name)


def plus_number(graph: Graph, name: str) -> tuple[str, float, Node] | None:
    """x, c and the node where a value is x + c."""
    node = graph.index.producer(name)
    if node is None or node.op not in ("Add", "Sub"):
        return None
    for slot in (0, 1) if node.op == "Add" else (1,):
        constant = number(graph, node.inputs[slot])
        if constant is not None:
            return node.inputs[1 - slot], constant if node.op == "Add" else -constant, node
    return None
