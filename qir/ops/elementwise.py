"""ONNX's operators on single elements: what is true of each of them.

Whoever deals with such operators asks here: clean-up that moves axes, coupling of channels, codes as tables, targets.
One more operator is one more row. How an operator is computed is the business of kernels (backends/c/kernels/unary).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, pi
from types import MappingProxyType


@dataclass(frozen=True)
class Function:
    """A function of single reals, the first operand's elements; what else it reads are numbers.

    Attributes:
        low, high: no result lies outside.
        homogeneous: f(c x) = c f(x) for c > 0.
        finite_at_zero: f(0) is a number.
        on_codes: worth a table of codes where a target has such: it does not jump, nor is it rare.
    """

    low: float = -inf
    high: float = inf
    homogeneous: bool = False
    finite_at_zero: bool = True
    on_codes: bool = True


_RARE = Function(on_codes=False)

FUNCTIONS: Mapping[str, Function] = MappingProxyType({
    "Abs": Function(low=0, homogeneous=True),
    "Acos": Function(0, pi, on_codes=False),
    "Acosh": Function(low=0, finite_at_zero=False, on_codes=False),
    "Asin": _RARE,
    "Asinh": _RARE,
    "Atan": _RARE,
    "Atanh": _RARE,
    "Ceil": _RARE,
    "Celu": Function(),
    "Clip": Function(),
    "Cos": Function(-1, 1, on_codes=False),
    "Cosh": Function(low=1, on_codes=False),
    "Elu": Function(),
    "Erf": Function(-1, 1),
    "Exp": Function(low=0),
    "Floor": _RARE,
    "Gelu": Function(),
    "HardSigmoid": Function(0, 1),
    "HardSwish": Function(),
    "LeakyRelu": Function(homogeneous=True),
    "Log": Function(finite_at_zero=False, on_codes=False),
    "Mish": Function(),
    "Neg": Function(homogeneous=True, on_codes=False),
    "Reciprocal": Function(finite_at_zero=False),
    "Relu": Function(low=0, homogeneous=True),
    "Round": _RARE,
    "Selu": Function(),
    "Shrink": _RARE,
    "Sigmoid": Function(0, 1),
    "Sign": Function(-1, 1, on_codes=False),
    "Sin": Function(-1, 1, on_codes=False),
    "Sinh": _RARE,
    "Softplus": Function(low=0),
    "Softsign": Function(-1, 1),
    "Sqrt": Function(low=0),
    "Swish": _RARE,
    "Tan": _RARE,
    "Tanh": Function(-1, 1),
    "ThresholdedRelu": Function(),
})  # fmt: skip

ELEMENTWISE = frozenset(FUNCTIONS) | {"Cast", "Identity", "IsNaN", "Not", "qir.Requantize"}
"""All functions of single elements of the first operand, also of those and to those that are no reals."""

ARITHMETIC = frozenset({"Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum"})
"""Functions of elements of several operands, which are broadcast, from reals to reals."""

BROADCASTING = ARITHMETIC | {
    "And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod", "Or", "Where", "Xor",
}  # fmt: skip
"""All that broadcast their operands."""
