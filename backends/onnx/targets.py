"""The `onnx` target: what onnxruntime's CPU provider runs on 8-bit codes.

Source: measured on onnxruntime 1.32 with small graphs; `fusion.py` predicts from the same rules and a test compares the
prediction with the graph that onnxruntime optimised to.
"""

from __future__ import annotations

from qir.backends.onnx.costs import COSTS
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.target import IntegerRule, Target, register_target


def _gemm(node: Node, graph: Graph) -> str | None:
    if node.attr("transA", 0):
        return "onnxruntime's QGemm takes no transposed input"
    if node.attr("alpha", 1.0) != 1.0 or (node.input(2) and node.attr("beta", 1.0) != 1.0):
        return "onnxruntime's QGemm takes no alpha or beta"
    bias = graph.value(node.input(2)) if node.input(2) else None
    if node.input(2) and (bias is None or (bias.ndim > 1 and bias.shape[0] != 1)):
        return "its third operand is not a bias"
    return None


def _average(node: Node, graph: Graph) -> str | None:
    if node.attr("dilations") and any(d != 1 for d in node.attr("dilations")):
        return "onnxruntime's QLinearAveragePool takes no dilations"
    return None


def _resize(node: Node, graph: Graph) -> str | None:
    return None if node.attr("mode", "nearest") == "nearest" else "onnxruntime interpolates in float only"


def _conv(node: Node, graph: Graph) -> str | None:
    kind = graph.types.get(node.inputs[0])
    if isinstance(kind, TensorType) and kind.shape is not None and len(kind.shape) < 3:
        return "its input has no spatial axis"
    return None


_MOVES = (
    "DepthToSpace",
    "Flatten",
    "Gather",
    "MaxPool",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)
_OWN = IntegerRule("own")
_BOTH = IntegerRule("own", inputs=(0, 1))

ONNX = register_target(
    Target(
        "onnx",
        "onnx",
        {
            "Conv": IntegerRule("weighted", accepts=_conv),
            "Gemm": IntegerRule("weighted", accepts=_gemm, float_output=True),
            "MatMul": IntegerRule("weighted", float_output=True, two_activations=True),
            "Add": _BOTH,
            "Mul": _BOTH,
            "Concat": IntegerRule("own", inputs=None),
            "Where": IntegerRule("own", inputs=(1, 2)),
            "AveragePool": IntegerRule("own", accepts=_average),
            "GlobalAveragePool": _OWN,
            "LeakyRelu": _OWN,
            "Sigmoid": IntegerRule("own", range=(0.0, 1.0)),
            "Softmax": IntegerRule("own", range=(0.0, 1.0)),
            **dict.fromkeys(_MOVES, IntegerRule("same")),
            "Resize": IntegerRule("same", accepts=_resize),
        },
        weight_bits=(8, 4),
        costs=COSTS,
        max_pair_sum=128,
        description="QDQ ONNX that onnxruntime runs with its integer kernels (the default)",
    )
)
