"""What onnxruntime's CPU provider will make of a QDQ model, predicted from the graph's types.

onnxruntime replaces DQ -> operator -> Q by one integer operator where every data operand and the result are 8-bit codes
with one scale; operators that only move codes lose their Q and DQ where both sides have equal parameters. MatMul and
Gemm with weights of 4 or 8 bits and other operands than 8-bit codes become MatMulNBits. Otherwise codes of 16 bits, and
of 4 beside codes of 8, run in float between Q and DQ. Measured on onnxruntime 1.32; a test compares this prediction
with the graph that onnxruntime optimised to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from qir.backends.onnx.targets import ONNX
from qir.ir.dtype import FLOAT32, INT8, UINT8
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.ops.weighted import weighted
from qir.target import IntegerRule

_PACKED = "MatMulNBits"
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


def format_notes(graph: Graph) -> tuple[str, ...]:
    """What a user should know of the layers that do not run on 8-bit codes alone; nothing for other networks."""
    rows = {row.node: row for row in predict(graph).rows}
    layers = [node for node in graph.nodes if weighted(node, graph) is not None]
    packed = sum(rows[node.name].runs_as == _PACKED for node in layers)
    formats = {text for node in layers if not rows[node.name].integer for text in _unusual(node, graph)}
    real = sum(not rows[node.name].integer and bool(_unusual(node, graph)) for node in layers)
    found = []
    if packed:
        found.append(f"{packed} of {len(layers)} layers run as {_PACKED}: onnxruntime rounds their inputs to int8 "
                     "unless the session option session.qdq_matmulnbits_accuracy_level is 1")  # fmt: skip
    if real:
        found.append(f"{real} of {len(layers)} layers run in float in onnxruntime, on values rounded to their codes: "
                     f"it has no integer kernel for {', '.join(sorted(formats))}")  # fmt: skip
    return tuple(found)


def _unusual(node: Node, graph: Graph) -> list[str]:
    """Formats of a layer's operands that are not of 8 bits."""
    quants = zip(("activations", "weights"), (_quant(name, graph) for name in node.inputs[:2]), strict=True)
    return [f"{quant.storage} {what}" for what, quant in quants if quant is not None and quant.storage.bits != 8]


def _fate(node: Node, graph: Graph) -> Fusion:
    if _is_packed(node, graph):
        return Fusion(node.name, node.op, _PACKED, True)
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


def _is_packed(node: Node, graph: Graph) -> bool:
    """Whether a layer runs on packed weights: 2-D, a scale a column or one; no 8-bit codes as operand or result."""
    slots = weighted(node, graph)
    if graph.stage is not Stage.QUANT or slots is None or node.op not in ("MatMul", "Gemm"):
        return False
    name, bias = node.inputs[slots.weight], graph.value(node.input(2))
    quant, shape = _quant(name, graph), graph.constants[name].value.shape
    if quant is None or quant.storage.bits not in (4, 8) or len(shape) != 2 or quant.axis not in (None, 1, -1):
        return False
    around = (_quant(node.inputs[0], graph), _quant(node.outputs[0], graph))
    if any(codes is not None and codes.storage.bits == 8 for codes in around):
        return False
    plain = node.attr("alpha", 1.0) == node.attr("beta", 1.0) == 1.0
    if node.op == "Gemm" and (node.attr("transA", 0) or node.attr("transB", 0) or not plain):
        return False
    return graph.index.sole_consumer(name) is node and (not node.input(2) or (bias is not None and bias.ndim == 1))


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
