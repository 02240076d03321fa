"""Faults of rewrites: an operand, an attribute, an operator or a constant that is not the float model's."""

from __future__ import annotations

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.quant.scales import encode
from tests.debug.graph_edits import quant_of, rebased, with_constant, with_node
from tests.debug.kinds import Random, is_spatial, kind, nearest


def _elsewhere(graph: Graph, node: Node) -> tuple[str, ...]:
    """Values that could stand in for a node's first operand: computed before it and of the same shape."""
    wanted, found = graph.types.get(node.inputs[0]), []
    if not isinstance(wanted, TensorType):
        return ()
    for other in graph.nodes:
        if other.name == node.name:
            break
        found += [name for name in other.outputs if name and name != node.inputs[0]]
    kinds = ((name, graph.types[name]) for name in found)
    return tuple(name for name, kind in kinds if isinstance(kind, TensorType) and kind.shape == wanted.shape)


def _has_stand_in(graph: Graph, node: Node) -> str | None:
    return node.outputs[0] if _elsewhere(graph, node) else None


@kind("reads-another-value", "swapped-operands", place=_has_stand_in, structural=True)
def _other_value(graph: Graph, layer: str, random: Random) -> Graph | None:
    node = graph.index.producer(layer)
    name = str(random.choice(_elsewhere(graph, node)))
    made = with_node(graph, node, inputs=(name, *node.inputs[1:]))
    return rebased(made, made.index.producer(layer))


@kind("branch-added-to-itself", "swapped-operands", place=nearest("Add"), structural=True)
def _itself(graph: Graph, layer: str, random: Random) -> Graph | None:
    node = graph.index.producer(layer)
    shapes = {graph.tensor(name).shape for name in node.inputs}
    if len(shapes) > 1 or any(name in graph.constants for name in node.inputs):
        return None
    return with_node(graph, node, inputs=(node.inputs[int(random.integers(2))],) * 2)


@kind("operands-swapped", "swapped-operands", place=nearest("Concat", "Sub", "Div"), structural=True)
def _swapped(graph: Graph, layer: str, random: Random) -> Graph | None:
    node = graph.index.producer(layer)
    if any(name in graph.constants for name in node.inputs):
        return None
    if node.op != "Concat" and len({graph.tensor(name).shape for name in node.inputs}) > 1:
        return None
    return with_node(graph, node, inputs=node.inputs[::-1])


@kind("padding-moved", "changed-attributes", place=is_spatial, structural=True)
def _padding(graph: Graph, layer: str, random: Random) -> Graph | None:
    """All padding of an axis at one end, or where both ends differ, exchanged."""
    node = graph.index.producer(layer)
    pads = np.array(node.attr("pads", ())).reshape(2, -1)
    if not pads.any():
        return None
    moved = np.where(pads[0] != pads[1], pads[::-1], [pads.sum(0), 0 * pads[0]])
    return with_node(graph, node, attrs={**node.attrs, "pads": tuple(int(pad) for pad in moved.reshape(-1))})


@kind("dilation-changed", "changed-attributes", place=is_spatial, structural=True)
def _dilation(graph: Graph, layer: str, random: Random) -> Graph | None:
    node = graph.index.producer(layer)
    kernel = np.array(graph.tensor(node.inputs[1]).sizes[2:])
    dilations = np.array(node.attr("dilations", (1,) * kernel.size))
    if (kernel % 2 == 0).any():
        return None
    pads = np.array(node.attr("pads", (0,) * (2 * kernel.size))).reshape(2, -1) + dilations * (kernel - 1) // 2
    changed = {"dilations": tuple(map(int, 2 * dilations)), "pads": tuple(map(int, pads.reshape(-1)))}
    return with_node(graph, node, attrs={**node.attrs, **changed})


_REPLACED = {"Add": ("Sub", "Max"), "GlobalAveragePool": ("GlobalMaxPool",), "MaxPool": ("AveragePool",),
             "AveragePool": ("MaxPool",), "Sub": ("Add",), "Mul": ("Add",)}  # fmt: skip


@kind("operator-replaced", "changed-attributes", place=nearest(*_REPLACED), structural=True)
def _operator(graph: Graph, layer: str, random: Random) -> Graph | None:
    node = graph.index.producer(layer)
    attrs = {key: value for key, value in node.attrs.items() if key not in ("storage_order", "count_include_pad")}
    return with_node(graph, node, op=str(random.choice(_REPLACED[node.op])), attrs=attrs)


def _is_gemm(graph: Graph, node: Node) -> str | None:
    return node.outputs[0] if node.op == "Gemm" else None


@kind("factor-of-gemm-changed", "changed-attributes", place=_is_gemm, structural=True)
def _factor(graph: Graph, layer: str, random: Random) -> Graph | None:
    node = graph.index.producer(layer)
    name, value = random.choice([("alpha", 0.5), ("alpha", 2.0), ("beta", 0.0), ("beta", 3.0)])
    return with_node(graph, node, attrs={**node.attrs, str(name): float(value)})


def _stored(graph: Graph, node: Node) -> list[str]:
    names = [name for name in node.inputs if name in graph.constants and len(graph.index.consumers(name)) == 1]
    return [name for name in names if graph.constants[name].value.dtype == np.float32]


def _element_wise(graph: Graph, node: Node) -> str | None:
    for user in (node, *graph.nodes):
        if user.op in ("Add", "Sub", "Mul", "Div") and _stored(graph, user):
            return user.outputs[0]
    return None


@kind("constant-wrong", "constant-mismatch", "wrong-constant", place=_element_wise)
def _constant(graph: Graph, layer: str, random: Random) -> Graph | None:
    (name, *_) = _stored(graph, graph.index.producer(layer))
    constant, quant = graph.constants[name], quant_of(graph, name)
    real = np.asarray(constant.value * random.choice([0.25, 0.5]), np.float32)
    return with_constant(graph, name, quant, None if quant is None else encode(real, quant), real)
