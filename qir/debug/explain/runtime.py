"""What the runtime makes of a quantized model: nodes that it changes, and nodes that it leaves in float."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qir.backends.onnx.fusion import predict
from qir.debug.explain.repairs import Change, both, with_constant
from qir.errors import ModelError
from qir.evaluate import Runner
from qir.ir.dtype import INT8, UINT8
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import Weighted, weighted
from qir.passes.quantize.observed import as_rows, from_rows
from qir.passes.quantize.saturation import pair_partners, without_saturation, worst_pair
from qir.quant.scales import decode

_PAIR_LIMIT = 128
"""Neighbouring int8 weights of one sign whose sum times 255 still fits 16 bits."""
_SHARE = 0.001


@dataclass(frozen=True)
class Changed:
    """A node to whose operands the runtime's own kernels give other codes than exact arithmetic.

    Attributes:
        node: the node.
        share: of its results that differ by more than one code.
        worst: largest difference in codes.
        pair: the largest sum of two neighbouring weights of one sign where that overflows 16 bits, else 0.
    """

    node: Node
    share: float
    worst: int
    pair: int


def changed_nodes(graph: Graph, samples: Sequence[Mapping[str, Any]]) -> list[Changed]:
    """Runs every node with codes by itself with onnxruntime's optimizations, on the codes of the exact network."""
    nodes = [node for node in graph.nodes if _coded(node, graph)]
    reads = dict.fromkeys(name for node in nodes for name in node.reads if name not in graph.constants)
    results = [node.outputs[0] for node in nodes]
    reference = Runner(graph, (*reads, *results))
    values = [reference(batch) for batch in samples]
    found = []
    for node in nodes:
        try:
            runner = Runner(_alone(node, graph), optimize=True)
        except ModelError:
            continue  # onnxruntime has no session for this node alone
        quant = graph.tensor(node.outputs[0]).quant
        assert quant is not None
        step = float(np.min(quant.scale))
        far = np.concatenate([
            np.rint(np.abs(np.asarray(runner(_operands(node, graph, value))[node.outputs[0]], np.float64)
                           - value[node.outputs[0]]) / step).reshape(-1)
            for value in values
        ])  # fmt: skip
        share = float((far > 1).mean()) if far.size else 0.0
        if share > _SHARE:
            found.append(Changed(node, share, int(far.max()), overflowing(node, graph)))
    return sorted(found, key=lambda one: -one.share)


def _coded(node: Node, graph: Graph) -> bool:
    kinds = [graph.types.get(name) for name in (node.inputs[:1] + node.outputs[:1])]
    return (
        len(kinds) == 2
        and not node.subgraphs
        and all(isinstance(kind, TensorType) and kind.quant is not None and kind.quant.axis is None for kind in kinds)
    )


def _operands(node: Node, graph: Graph, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in dict.fromkeys(node.reads) if name not in graph.constants}


def _alone(node: Node, graph: Graph) -> Graph:
    live = tuple(name for name in dict.fromkeys(node.reads) if name not in graph.constants)
    outputs = tuple(name for name in node.outputs if name)
    names = {*node.reads, *outputs}
    types = {name: kind for name, kind in graph.types.items() if name in names}
    constants = {name: constant for name, constant in graph.constants.items() if name in names}
    return Graph("node", live, outputs, (node,), types, constants, Stage.QUANT, graph.opsets,
                 functions=graph.functions)  # fmt: skip


def overflowing(node: Node, graph: Graph) -> int:
    """The largest sum of two neighbouring int8 weights of one sign where 255 times it leaves 16 bits, else 0."""
    slots = weighted(node, graph)
    if slots is None:
        return 0
    codes, quant = graph.constants[node.inputs[slots.weight]].codes, graph.tensor(node.inputs[slots.weight]).quant
    data = graph.tensor(node.inputs[0]).quant
    if codes is None or quant is None or quant.storage != INT8 or data is None or data.storage != UINT8:
        return 0
    partners = pair_partners(node, codes)
    worst = 0 if partners is None else int(worst_pair(node, codes, partners).max(initial=0))
    return worst if worst > _PAIR_LIMIT else 0


def within_pairs(graph: Graph, *, clip: bool) -> Graph:
    """The network with weights of which no sum of two products leaves 16 bits.

    Args:
        clip: change only the pairs that are too large, instead of the scale of their whole channel.
    """
    changes: list[Change] = []
    for node in graph.nodes:
        slots = weighted(node, graph)
        if slots is None or not overflowing(node, graph):
            continue
        name = node.inputs[slots.weight]
        constant, quant = graph.constants[name], graph.tensor(name).quant
        assert quant is not None  # it overflows, so it has codes
        assert constant.codes is not None
        if clip:
            changes.append(with_constant(name, decode(_clipped(node, constant.codes), quant), quant))
        else:
            coarser = without_saturation(node, constant.value, quant, _PAIR_LIMIT)
            changes += [with_constant(name, constant.value, coarser), *_bias(graph, node, slots, quant, coarser)]
    return both(*changes)(graph)


def _clipped(node: Node, codes: np.ndarray) -> np.ndarray:
    """Codes of which no two neighbours of one sign sum to more than 128: both go half of the way."""
    partners = pair_partners(node, codes)
    assert partners is not None
    rows = as_rows(node, codes).astype(np.int64)
    for column in partners.T:
        mine = np.flatnonzero(column >= 0)
        other = rows[:, column[mine]]
        same = (rows[:, mine] > 0) == (other > 0)
        over = np.maximum(np.abs(rows[:, mine] + other) - _PAIR_LIMIT, 0) * same
        rows[:, mine] -= np.sign(rows[:, mine]) * -(-over // 2)
    return from_rows(node, rows.astype(codes.dtype), codes)


def _bias(graph: Graph, node: Node, slots: Weighted, old: Affine, new: Affine) -> list[Change]:
    """The bias in units of the weight's new scale."""
    name = node.input(slots.bias) if slots.bias >= 0 else ""
    quant = graph.tensor(name).quant if name in graph.constants else None
    if quant is None or quant.scale.shape != old.scale.shape:
        return []
    scale = np.asarray(quant.scale * (new.scale / old.scale), np.float32)
    return [with_constant(name, graph.constants[name].value, replace(quant, scale=scale))]


def left_in_float(graph: Graph) -> Iterator[tuple[Node, str]]:
    """Nodes between codes that onnxruntime runs in float, and why."""
    nodes = {node.name: node for node in graph.nodes}
    for row in predict(graph).rows:
        node = nodes[row.node]
        if not row.integer and _coded(node, graph):
            yield node, row.why
