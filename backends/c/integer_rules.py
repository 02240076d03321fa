"""Which operators C runs on 8-bit codes, the same for every C target: what `lower-integer` has a form for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from qir.ir.graph import Graph, Node
from qir.target import IntegerRule


def _gemm(node: Node, graph: Graph) -> str | None:
    if node.attr("transA", 0) or node.attr("alpha", 1.0) != 1.0 or (node.input(2) and node.attr("beta", 1.0) != 1.0):
        return "integer Gemm takes no transposed input, alpha or beta"
    bias = graph.value(node.input(2)) if node.input(2) else None
    if node.input(2) and (bias is None or (bias.ndim > 1 and bias.shape[0] != 1)):
        return "its third operand is not a bias"
    return None


def _matrix(node: Node, graph: Graph) -> str | None:
    weight = graph.value(node.inputs[1])
    return "its constant operand is not a matrix" if weight is not None and weight.ndim != 2 else None


def _nearest(node: Node, graph: Graph) -> str | None:
    return None if node.attr("mode", "nearest") == "nearest" else "interpolation runs in float"


def _constant_padding(node: Node, graph: Graph) -> str | None:
    filler = node.input(2)
    if filler and filler not in graph.constants:
        return "its padding value is computed at run time"
    return None


def _unary(node: Node, graph: Graph) -> str | None:
    """A function of one activation: further operands must be known numbers."""
    if any(name and (name not in graph.constants or graph.constants[name].value.size != 1) for name in node.inputs[1:]):
        return "it is not a function of one operand"
    return None


def _static_axes(node: Node, graph: Graph) -> str | None:
    return "its axes are computed at run time" if node.input(1) and node.input(1) not in graph.constants else None


_SAME, _OWN, _BOTH = IntegerRule("same"), IntegerRule("own"), IntegerRule("own", inputs=(0, 1))
_LOOKUP = IntegerRule("own", accepts=_unary)

INTEGER_RULES: Mapping[str, IntegerRule] = MappingProxyType(
    {
        "Conv": IntegerRule("weighted"),
        "ConvTranspose": IntegerRule("weighted"),
        "Gemm": IntegerRule("weighted", accepts=_gemm, float_output=True),
        "MatMul": IntegerRule("weighted", accepts=_matrix, float_output=True, two_activations=True),
        "Add": _BOTH,
        "Sub": _BOTH,
        "Mul": _BOTH,
        "Concat": IntegerRule("own", inputs=None),
        "AveragePool": _OWN,
        "GlobalAveragePool": _OWN,
        "ReduceMean": IntegerRule("own", accepts=_static_axes),
        "Pad": IntegerRule("same", accepts=_constant_padding),
        "Resize": IntegerRule("same", accepts=_nearest),
        "Sigmoid": IntegerRule("own", range=(0.0, 255 / 256)),
        **dict.fromkeys(
            ("DepthToSpace", "Expand", "Flatten", "Gather", "MaxPool", "ReduceMax", "ReduceMin", "Reshape", "Slice",
             "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
            _SAME,
        ),
        **dict.fromkeys(
            ("Abs", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg",
             "Pow", "PRelu", "Relu", "Selu", "Softplus", "Softsign", "Sqrt", "Tanh"),
            _LOOKUP,
        ),
    }
)  # fmt: skip
