"""What a kind of fault is, and where in a graph one can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from qir.ir.graph import Graph, Node
from tests.debug.graph_edits import downstream, quant_of, weight_of

Random: TypeAlias = np.random.Generator
Inject: TypeAlias = Callable[[Graph, str, Random], "Graph | None"]
Place: TypeAlias = Callable[[Graph, Node], "str | None"]
EVERYWHERE = ""
"""The place of faults that have none."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault: a bug that compilers have, in one layer.

    Attributes:
        name: in kebab-case.
        causes: keys of the table of causes that name it rightly.
        place: the layer to break for a weighted node of a healthy graph, by the value it ends in: the node's own or the
            nearest one that fits; None where there is none.
        inject: breaks that layer; None where nothing can be broken after all.
        structural: the graph's nodes differ, not only numbers.
        fused: only onnxruntime's integer kernels show it; its reference kernels do not.
        branches: the fault is between operands; a finding may also name the nodes that make them.
    """

    name: str
    causes: frozenset[str]
    place: Place
    inject: Inject
    structural: bool = False
    fused: bool = False
    branches: bool = False


KINDS: dict[str, Kind] = {}


def kind(name: str, *causes: str, place: Place, **traits: bool) -> Callable[[Inject], Inject]:
    """Registers the decorated function as the `inject` of a kind."""

    def add(inject: Inject) -> Inject:
        KINDS[name] = Kind(name, frozenset(causes), place, inject, **traits)
        return inject

    return add


def has_weight(graph: Graph, node: Node) -> str | None:
    found = weight_of(graph, node.outputs[0])
    return None if found is None or found.quant.storage.bits != 8 or found.quant.axis is None else node.outputs[0]


def is_square(graph: Graph, node: Node) -> str | None:
    found = weight_of(graph, node.outputs[0])
    fits = found is not None and found.codes.ndim > 1 and found.codes.shape[0] == found.codes.shape[1] > 1
    return node.outputs[0] if fits and has_weight(graph, node) else None


def is_spatial(graph: Graph, node: Node) -> str | None:
    found = weight_of(graph, node.outputs[0])
    fits = found is not None and node.op == "Conv" and max(found.codes.shape[2:]) > 1
    return node.outputs[0] if fits and has_weight(graph, node) else None


def has_bias(graph: Graph, node: Node) -> str | None:
    found = weight_of(graph, node.outputs[0])
    return node.outputs[0] if found is not None and found.bias and graph.constants[found.bias].codes.any() else None


def _is_plain(graph: Graph, value: str) -> bool:
    quant = quant_of(graph, value)
    if quant is None or quant.axis is not None:
        return False
    return (quant.qmin, quant.qmax) == (quant.storage.min, quant.storage.max)


def has_codes(graph: Graph, node: Node) -> str | None:
    """The node's result, or that of the nearest Add behind it."""
    users = (user for user in downstream(graph, node) if user.op == "Add")
    return next((one.outputs[0] for one in (node, *users) if _is_plain(graph, one.outputs[0])), None)


def zero_of(graph: Graph, value: str) -> int:
    quant = quant_of(graph, value)
    assert quant is not None
    return int(quant.zero_point.reshape(-1)[0]) - quant.qmin


def is_signed(graph: Graph, node: Node) -> str | None:
    """A result with a zero point inside its codes, else such an input of the network."""
    entry = node.inputs[0] if node.inputs[0] in graph.inputs else node.outputs[0]
    values = (value for value in (node.outputs[0], entry) if _is_plain(graph, value))
    return next((value for value in values if zero_of(graph, value) > 8), None)


def is_rectified(graph: Graph, node: Node) -> str | None:
    """A result that starts at zero, the node's own or the next Add's: a Relu is part of it."""
    value = has_codes(graph, node)
    return value if value is not None and zero_of(graph, value) == 0 else None


def nearest(*ops: str) -> Place:
    """The nearest node of some operators behind a weighted one."""

    def place(graph: Graph, node: Node) -> str | None:
        return next((user.outputs[0] for user in (node, *downstream(graph, node)) if user.op in ops), None)

    return place


def joins(graph: Graph, node: Node) -> str | None:
    """The nearest Add or Concat with two operands whose scales differ by half or more.

    Both start at zero or neither does: sharing must not take away a Relu.
    """
    for user in downstream(graph, node):
        if user.op in ("Add", "Concat") and all(_is_plain(graph, name) for name in user.inputs):
            scales = [float(quant.scale) for quant in (quant_of(graph, name) for name in user.inputs) if quant]
            if len({zero_of(graph, name) == 0 for name in user.inputs}) == 1 and max(scales) > 1.5 * min(scales):
                return user.outputs[0]
    return None


def everywhere(graph: Graph, node: Node) -> str | None:
    return EVERYWHERE if any(_is_plain(graph, name) for name in graph.types) else None
