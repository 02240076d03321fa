"""The numeric contract, node by node: each integer node is fed the codes of the reference and compared with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qir.evaluate import Runner, run_node
from qir.ir.dtype import INT8, UINT16
from qir.ir.graph import Graph
from qir.ops import OPS

_SHIFTS = {INT8: 128, UINT16: -(1 << 15)}
"""How far codes move between stage QUANT and stage INT."""

STRICT = ("qir.IntConv", "qir.IntConvTranspose", "qir.IntGemm", "qir.IntMatMul", "qir.IntAveragePool", "qir.IntMean")


@dataclass
class Difference:
    """How one node's codes differ from the reference's.

    Attributes:
        elements: compared, those near a tie left out.
        ties: left out.
        wrong: that differ.
        worst: largest difference in codes.
    """

    node: str
    op: str
    elements: int = 0
    ties: int = 0
    wrong: int = 0
    worst: int = 0

    @property
    def share(self) -> float:
        return self.wrong / max(self.elements, 1)


def compare_nodes(quant: Graph, integer: Graph, feeds: list[dict[str, np.ndarray]]) -> list[Difference]:
    """INT references against the QUANT graph's rounded values, fed equal codes; nodes that INT splits are skipped.

    Args:
        quant, integer: before and after `lower-integer`.
        feeds: inputs of some runs.
    """
    named = {node.name: node for node in quant.nodes}
    pairs = [(node, named[node.name]) for node in integer.nodes if node.name in named and node.op in OPS]
    taps = sorted({x for _, node in pairs for x in (*node.inputs, *node.outputs) if x and x not in quant.constants})
    runner = Runner(quant, taps)
    found = {node.name: Difference(node.name, node.op) for node, _ in pairs}
    for feed in feeds:
        values = runner(feed)
        for node, reference in pairs:
            kind = quant.tensor(reference.outputs[0]).quant
            if kind is None:
                continue
            shift = _SHIFTS.get(kind.storage, 0)
            inputs = [_codes(name, quant, integer, values) for name in node.inputs]
            mine = OPS[node.op].reference(node, inputs)[0].astype(np.int64) - shift  # type: ignore[misc]
            real = run_node(reference.with_(outputs=reference.outputs), _real(quant), values)[0]
            position = np.asarray(real, np.float64) / float(kind.scale)
            wanted = np.clip(np.rint(position) + int(kind.zero_point), kind.qmin, kind.qmax).astype(np.int64)
            tie = np.abs(np.abs(position - np.floor(position)) - 0.5) < 1e-5 * np.maximum(np.abs(position), 1)
            off = np.abs(mine - wanted)[~tie]
            row = found[node.name]
            row.elements += off.size
            row.ties += int(tie.sum())
            row.wrong += int((off > 0).sum())
            row.worst = max(row.worst, int(off.max(initial=0)))
    return [row for row in found.values() if row.elements]


def _real(graph: Graph) -> Graph:
    """The graph with constants as the reals that their codes stand for."""
    from qir.ir.graph import Constant, Stage
    from qir.ir.types import TensorType
    from qir.quant.scales import decode

    constants = {}
    for name, constant in graph.constants.items():
        quant = graph.tensor(name).quant if isinstance(graph.types[name], TensorType) else None
        coded = quant is not None and constant.codes is not None
        constants[name] = Constant(decode(constant.codes, quant)) if coded else constant
    types = {n: TensorType(t.dtype, t.shape) if isinstance(t, TensorType) else t for n, t in graph.types.items()}
    return graph.with_(constants=constants, types=types, stage=Stage.FLOAT)


def _codes(name: str, quant: Graph, integer: Graph, values: dict[str, np.ndarray]) -> np.ndarray:
    if name in integer.constants:
        return integer.constants[name].value
    source = name if name in quant.types else name.removesuffix("_codes")
    kind = quant.tensor(source).quant
    assert kind is not None
    shift = _SHIFTS.get(kind.storage, 0)
    codes = np.rint(np.asarray(values[source], np.float64) / float(kind.scale)) + int(kind.zero_point) + shift
    return codes.astype(np.uint8 if kind.storage.bits == 8 else np.int16)
