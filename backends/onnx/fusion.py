"""What onnxruntime's CPU provider will make of a QDQ model, predicted from the graph's types.

onnxruntime replaces DQ -> operator -> Q by one integer operator where every data operand and the result are 8-bit codes
with one scale; operators that only move codes lose their Q and DQ where both sides have equal parameters. Measured on
onnxruntime 1.32; a test compares this prediction with the graph that onnxruntime optimised to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from qir.backends.onnx.targets import ONNX
from qir.ir.dtype import FLOAT32, INT8, UINT8
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.target import IntegerRule

_NAMES = {"Gemm": "QGemm", "MatMul": "QLinearMatMul"}


@dataclass(frozen=True)
class Fusion:
    """One node's fate.

    Attributes:
        node, op: of the compiled graph.
        runs_as: the operator that onnxruntime will run.
        integer: whether that is on codes.
        why: the reason, where it stays float.
    """

    node: str
    op: str
    runs_as: str
    integer: bool
    why: str = ""


@dataclass(frozen=True)
class FusionReport:
    """The prediction for every node, in execution order."""

    rows: tuple[Fusion, ...]

    def operators(self) -> Counter[str]:
        """How many nodes run as each operator."""
        return Counter(row.runs_as for row in self.rows)

    def __str__(self) -> str:
        width = max((len(row.runs_as) for row in self.rows), default=0)
        lines = [f"{row.runs_as:<{width}}  {row.node}" + (f": {row.why}" if row.why else "") for row in self.rows]
        integer = sum(row.integer for row in self.rows)
        return "\n".join([*lines, f"{integer} of {len(self.rows)} nodes run on integers"])


def predict(graph: Graph) -> FusionReport:
    """The fate of every node outside of bodies."""
    return FusionReport(tuple(_fate(node, graph) for node in graph.nodes))


def _fate(node: Node, graph: Graph) -> Fusion:
    rule = ONNX.rule(node, graph)
    if isinstance(rule, str):
        return Fusion(node.name, node.op, node.op, False, rule)
    why = _obstacle(node, graph, rule)
    if why:
        return Fusion(node.name, node.op, node.op, False, why)
    name = node.op if rule.kind == "same" else _NAMES.get(node.op, f"QLinear{node.op}")
    if node.op == "MatMul" and _quant(node.outputs[0], graph) is None:
        name = "MatMulIntegerToFloat"
    return Fusion(node.name, node.op, name, True)


def _quant(name: str, graph: Graph) -> Affine | None:
    kind = graph.types.get(name)
    return kind.quant if isinstance(kind, TensorType) else None


def _obstacle(node: Node, graph: Graph, rule: IntegerRule) -> str:
    if graph.stage is not Stage.QUANT:
        return "the graph holds no codes"
    names = list(rule.data_inputs(node))
    for name in names:
        quant = _quant(name, graph)
        if quant is None:
            return f"its operand {name} is real"
        if quant.axis is not None or quant.storage not in (UINT8, INT8):
            return f"its operand {name} has codes {quant}"
        if graph.tensor(name).dtype != FLOAT32:
            return f"its operand {name} is {graph.tensor(name).dtype}"
    if rule.kind == "weighted" and not _is_weight(_quant(node.inputs[1], graph)):
        return f"its weight {node.inputs[1]} has no 8-bit codes"
    result = _quant(node.outputs[0], graph)
    if result is None:
        return "" if rule.float_output else "its result stays real"
    if result.storage not in (UINT8, INT8) or result.axis is not None:
        return f"its result has codes {result}"
    if rule.kind == "same" and result != _quant(names[0], graph):
        return "its operand and its result have different codes"
    return ""


def _is_weight(quant: Affine | None) -> bool:
    return quant is not None and quant.storage in (UINT8, INT8) and not quant.block_size
