"""Functions of one element, from a table of C expressions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qir.backends.c.binding.expressions import chosen, converted
from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.site import Site, plain
from qir.backends.c.binding.vectors import VECTORS, vector_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Scalar

_SOURCE = Path(__file__).parent / "unary__portable.c"
_VECTORS = Path(__file__).parent / "unary_f32__vectors.c"

EXPRESSIONS: dict[str, dict[str, str]] = {
    "Abs": {"f": "fabs#(v)", "s": "v < 0 ? (QIR_Y)(0u - (WIDE)v) : v", "u": "v"},
    "Neg": {"f": "-v", "s": "0u - (WIDE)v"},
    "Sign": {"f": "v != v ? v : (QIR_Y)((v > 0) - (v < 0))", "s": "(v > 0) - (v < 0)", "u": "v != 0"},
    "Exp": {"f": "exp#(v)"},
    "Log": {"f": "log#(v)"},
    "Sqrt": {"f": "sqrt#(v)"},
    "Reciprocal": {"f": "1.0# / v"},
    "Floor": {"f": "floor#(v)"},
    "Ceil": {"f": "ceil#(v)"},
    "Round": {"f": "rint#(v)"},
    **{name: {"f": f"{name.lower()}#(v)"} for name in (
        "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh", "Asinh", "Acosh", "Atanh", "Erf")},
    "Relu": {"fs": "v < 0 ? (QIR_Y)0 : v", "u": "v"},
    "LeakyRelu": {"f": "v < 0 ? alpha * v : v"},
    "ThresholdedRelu": {"f": "v > alpha ? v : 0.0#"},
    "Elu": {"f": "v < 0 ? alpha * expm1#(v) : v"},
    "Selu": {"f": "v > 0 ? gamma * v : gamma * (alpha * expm1#(v))"},
    "Celu": {"f": "v < 0 ? alpha * expm1#(v / alpha) : v"},
    "Sigmoid": {"f": "1.0# / (1.0# + exp#(-v))"},
    "HardSigmoid": {"f": "alpha * v + beta < 0 ? 0.0# : alpha * v + beta > 1 ? 1.0# : alpha * v + beta"},
    "HardSwish": {"f": "v < -3 ? v * 0.0# : v > 3 ? v : v * (v / 6.0# + 0.5#)"},
    "Softplus": {"f": "fmax#(v, 0) + log1p#(exp#(-fabs#(v)))"},
    "Softsign": {"f": "v / (1.0# + fabs#(v))"},
    "Swish": {"f": "v / (1.0# + exp#(-(alpha * v)))"},
    "Mish": {"f": "v * tanh#(fmax#(v, 0) + log1p#(exp#(-fabs#(v))))"},
    "Gelu": {"f": "0.5# * v * (1.0# + erf#(v * 0.70710678118654752#))"},
    "Gelu/tanh": {"f": "0.5# * v * (1.0# + tanh#(0.79788456080286536# * (v + 0.044715# * v * v * v)))"},
    "Shrink": {"f": "v < -lambd ? v + bias : v > lambd ? v - bias : 0.0#"},
    "Not": {"b": "v == 0"},
    "BitwiseNot": {"su": "~(WIDE)v"},
    "IsNaN": {"f": "v != v"},
    "IsInf": {"f": "v == HIGHEST || v == LOWEST"},
    "IsInf/positive": {"f": "v == HIGHEST"},
    "IsInf/negative": {"f": "v == LOWEST"},
    "IsInf/none": {"f": "v != v && v == v"},
}  # fmt: skip
"""Operator, or operator/form, to its expression of v by class of element type (see expressions.chosen)."""

VECTOR_EXPRESSIONS: dict[str, str] = {
    **{name: f"QIR_{name.upper()}(v)" for name in (
        "Abs", "Neg", "Exp", "Sqrt", "Floor", "Ceil", "Tanh", "Erf", "Sigmoid")},
    "Round": "QIR_RINT(v)",
    "Reciprocal": "QIR_DIV(one, v)",
    "Relu": "QIR_MAX(zero, v)",
    "LeakyRelu": "QIR_PICK(QIR_LESS(v, zero), QIR_MUL(QIR_ALL(alpha), v), v)",
    "HardSigmoid": "QIR_MIN(one, QIR_MAX(zero, QIR_FMA(QIR_ALL(alpha), v, QIR_ALL(beta))))",
    "HardSwish": "QIR_PICK(QIR_LESS(v, QIR_ALL(-3.0f)), QIR_MUL(v, zero), QIR_PICK(QIR_LESS(QIR_ALL(3.0f), v), v, "
                 "QIR_MUL(v, QIR_FMA(v, QIR_ALL(0.166666667f), half))))",
    "Softsign": "QIR_DIV(v, QIR_ADD(one, QIR_ABS(v)))",
    "Swish": "QIR_MUL(v, QIR_SIGMOID(QIR_MUL(QIR_ALL(alpha), v)))",
    "Gelu": "QIR_MUL(QIR_MUL(half, v), QIR_ADD(one, QIR_ERF(QIR_MUL(v, QIR_ALL(0.707106781f)))))",
    "Gelu/tanh": "QIR_MUL(QIR_MUL(half, v), QIR_ADD(one, QIR_TANH(QIR_MUL(QIR_ALL(0.797884561f), "
                 "QIR_FMA(QIR_MUL(QIR_ALL(0.044715f), QIR_MUL(v, v)), v, v)))))",
}  # fmt: skip
"""The same on vectors of floats, in the words of runtime/qir_f32_words.h; zero, half and one are there."""

DEFAULTS: dict[str, dict[str, float]] = {
    "LeakyRelu": {"alpha": 0.01},
    "ThresholdedRelu": {"alpha": 1.0},
    "Elu": {"alpha": 1.0},
    "Celu": {"alpha": 1.0},
    "Swish": {"alpha": 1.0},
    "Selu": {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Shrink": {"lambd": 0.5, "bias": 0.0},
}
"""Attributes that an expression uses, with their defaults."""

_CASTS = ("Cast", "CastLike")
_SHARED = {"com.microsoft.Gelu": "Gelu"}


@dataclass(frozen=True)
class _Form:
    """What is computed at a site: the name inside the kernel's, the expression and its parameters."""

    name: str
    text: str
    parameters: dict[str, float]


def _key(site: Site) -> str:
    node, op = site.node, _SHARED.get(site.node.op, site.node.op)
    if op == "Gelu" and node.attr("approximate", "none") in ("tanh", b"tanh"):
        return "Gelu/tanh"
    if op == "IsInf":
        wanted = (bool(node.attr("detect_positive", 1)), bool(node.attr("detect_negative", 1)))
        return {(True, True): op, (True, False): f"{op}/positive", (False, True): f"{op}/negative"}.get(
            wanted, f"{op}/none"
        )
    return op


def _form(site: Site) -> _Form | None:
    x, y, key = site.input(0), site.output, _key(site)
    if key in _CASTS:
        return _Form(f"cast_{x.short}_{y.short}", converted("v", x.dtype, y.dtype), {})
    text = chosen(EXPRESSIONS[key], x.dtype)
    if text is None:
        return None
    values = {name: float(site.node.attr(name, value)) for name, value in DEFAULTS.get(key, {}).items()}
    return _Form(f"{key.lower().replace('/', '_')}_{x.short}", text, values)


def _takes(site: Site) -> str | None:
    return None if _form(site) else f"it is not defined for {site.input(0).dtype}"


def same_order(site: Site) -> Orders:
    """Input 0 and every output of its rank as input 0 lies; everything else plain."""
    order = site.input(0).order
    rest = tuple(plain(x.rank) if x else None for x in site.inputs[1:])
    return Orders((order, *rest), tuple((order if y.rank == len(order) else plain(y.rank)) if y else None
                                        for y in site.outputs))  # fmt: skip


def _bind(site: Site) -> Bound:
    x, y, form = site.input(0), site.output, _form(site)
    assert form is not None, "refused by takes"
    parameters = "".join(f", {x.ctype} {name}" for name in form.parameters)
    kernel = Kernel("qir_unary_T__portable", _SOURCE, f"qir_{form.name}__portable", (
        ("QIR_EXPRESSION", form.text), (" QIR_PARAMETERS", parameters), ("QIR_X", x.ctype), ("QIR_Y", y.ctype),
    ))  # fmt: skip
    numbers = tuple(Scalar(value, x.ctype) for value in form.parameters.values())
    return Bound(kernel, (Scalar(y.size, "size_t"), x.read, y.write, *numbers))


def _accepts_vectors(site: Site) -> str | None:
    if site.input(0).dtype.name != "float32" or site.output.dtype.name != "float32":
        return "only float32"
    return None if _key(site) in VECTOR_EXPRESSIONS else f"{_key(site)} is not there on vectors"


def on_vectors(site: Site, isa: str, name: str, text: str, parameters: dict[str, float]) -> Bound:
    """A function of one float, `text` in the words for vectors, with parameters."""
    y, numbers = site.output, tuple(Scalar(value, "float") for value in parameters.values())
    texts = (("QIR_EXPRESSION", text), (" QIR_PARAMETERS", "".join(f", float {name}" for name in parameters)),
             ("QIR_NUMBERS", "".join(f", {name}" for name in parameters)))  # fmt: skip
    kernel = vector_kernel("qir_unary_f32", _VECTORS, isa, name=f"qir_{name}", substitutions=texts)
    return Bound(kernel, (Scalar(y.size, "size_t"), site.input(0).read, y.write, *numbers))


def _bind_vectors(site: Site, isa: str) -> Bound:
    form = _form(site)
    assert form is not None, "refused by takes"
    return on_vectors(site, isa, form.name, VECTOR_EXPRESSIONS[_key(site)], form.parameters)


_OPS = tuple(dict.fromkeys(key.partition("/")[0] for key in EXPRESSIONS))
FAMILY = Family("unary", (*_OPS, *_SHARED, *_CASTS), same_order,
                (Variant("portable", _SOURCE, lambda site: None, _bind),
                 *(Variant(isa, _VECTORS, _accepts_vectors, partial(_bind_vectors, isa=isa), f"unary_f32__{isa}")
                   for isa in VECTORS)), takes=_takes, in_place=(0,),
                pointwise=True)  # fmt: skip
