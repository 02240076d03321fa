"""Operators of two broadcasting operands, from a table of C expressions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.binding.expressions import chosen, converted, type_class
from qir.backends.c.binding.loops import broadcast_loops, broadcast_struct, steps_apart, too_many_loops
from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.vectors import VECTORS, vector_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel
from qir.ir.dtype import FLOAT64

_SOURCE = Path(__file__).parent / "binary__portable.c"
_VECTORS = Path(__file__).parent / "binary_f32__vectors.c"

EXPRESSIONS: dict[str, dict[str, str]] = {
    "Add": {"f": "va + vb", "su": "(WIDE)va + (WIDE)vb"},
    "Sub": {"f": "va - vb", "su": "(WIDE)va - (WIDE)vb"},
    "Mul": {"f": "va * vb", "su": "(WIDE)va * (WIDE)vb"},
    "Div": {"f": "va / vb", "u": "vb == 0 ? (QIR_Y)0 : va / vb",
            "s": "vb == 0 ? (QIR_Y)0 : vb == -1 ? (QIR_Y)(0u - (WIDE)va) : va / vb"},
    "Mod": {"u": "vb == 0 ? (QIR_Y)0 : va % vb",
            "s": "vb == 0 || vb == -1 ? (QIR_Y)0 : va % vb != 0 && (va % vb < 0) != (vb < 0) ? va % vb + vb : va % vb",
            "f": "fmod#(va, vb) != 0 && (fmod#(va, vb) < 0) != (vb < 0) ? fmod#(va, vb) + vb : fmod#(va, vb)"},
    "Mod/c": {"u": "vb == 0 ? (QIR_Y)0 : va % vb", "s": "vb == 0 || vb == -1 ? (QIR_Y)0 : va % vb",
              "f": "fmod#(va, vb)"},
    "Pow": {"f": "pow#(va, vb)"},
    "Pow/2": {"f": "(void)vb, va * va", "su": "(void)vb, (WIDE)va * (WIDE)va"},
    "Pow/integers": {
        "u": "qir_power(va, (uint64_t)vb)",
        "s": "vb < 0 ? (QIR_Y)(va == 1 ? 1 : va == -1 ? (vb % 2 ? -1 : 1) : 0) : "
             "(QIR_Y)qir_power((uint64_t)va, (uint64_t)vb)"},
    "And": {"b": "va && vb"},
    "Or": {"b": "va || vb"},
    "Xor": {"b": "(va != 0) != (vb != 0)"},
    "BitwiseAnd": {"su": "(WIDE)va & (WIDE)vb"},
    "BitwiseOr": {"su": "(WIDE)va | (WIDE)vb"},
    "BitwiseXor": {"su": "(WIDE)va ^ (WIDE)vb"},
    "BitShift/left": {"u": "vb < 8 * sizeof(QIR_Y) ? (WIDE)va << vb : 0"},
    "BitShift/right": {"u": "vb < 8 * sizeof(QIR_Y) ? (WIDE)va >> vb : 0"},
    "Equal": {"fsu": "va == vb", "b": "(va != 0) == (vb != 0)"},
    "Greater": {"fsu": "va > vb"},
    "Less": {"fsu": "va < vb"},
    "GreaterOrEqual": {"fsu": "va >= vb"},
    "LessOrEqual": {"fsu": "va <= vb"},
    "PRelu": {"f": "va < 0 ? va * vb : va", "s": "va < 0 ? (QIR_Y)((WIDE)va * (WIDE)vb) : va", "u": "(void)vb, va"},
    "Max": {"f": "va > vb || va != va ? va : vb", "su": "va > vb ? va : vb"},
    "Min": {"f": "va < vb || va != va ? va : vb", "su": "va < vb ? va : vb"},
    "Sum": {"f": "va + vb"},
    "Mean": {"f": "(va + vb) / 2"},
}  # fmt: skip
"""Operator, or operator/form, to its expression of va and vb by class of va's element type (see expressions.chosen)."""

VECTOR_EXPRESSIONS: dict[str, str] = {
    "Add": "QIR_ADD(va, vb)", "Sum": "QIR_ADD(va, vb)", "Sub": "QIR_SUB(va, vb)", "Mul": "QIR_MUL(va, vb)",
    "Div": "QIR_DIV(va, vb)", "Mean": "QIR_MUL(QIR_ADD(va, vb), QIR_ALL(0.5f))",
    "PRelu": "QIR_PICK(QIR_LESS(va, QIR_ALL(0.0f)), QIR_MUL(va, vb), va)",
    "Max": "QIR_PICK(QIR_SAME(va, va), QIR_MAX(va, vb), va)",
    "Min": "QIR_PICK(QIR_SAME(va, va), QIR_MIN(va, vb), va)",
}  # fmt: skip
"""The same on vectors of floats, in the words of runtime/qir_f32_words.h."""

_VARIADIC = ("Max", "Min", "Sum", "Mean")


def _key(site: Site) -> str:
    """The table's key; "" where another expression is needed."""
    node, op = site.node, site.node.op
    if op == "Mod" and node.attr("fmod", 0):
        return "Mod/c"
    if op == "BitShift":
        return f"BitShift/{str(node.attr('direction')).lower()}"
    if op == "Pow":
        base, exponent, value = site.input(0).dtype, site.input(1).dtype, site.constant(1)
        if value is not None and value.size and bool((np.asarray(value) == 2).all()):
            return "Pow/2"
        if base == exponent and base.is_float:
            return op
        return "Pow/integers" if base.is_integer and exponent.is_integer else ""
    return op


def _text(site: Site) -> str | None:
    a, b, key = site.input(0).dtype, site.input(1).dtype, _key(site)
    if key:
        text = chosen(EXPRESSIONS[key], a)
        if key == "Pow/integers" and text is not None and b.kind == "uint" and a.kind == "int":
            return "qir_power((uint64_t)va, vb)"
        if key == "Pow/integers" and text is not None and b.kind == "int" and a.kind == "uint":
            return "vb < 0 ? va == 1 : qir_power(va, (uint64_t)vb)"
        return text
    if not type_class(a) or not type_class(b):
        return None
    return converted("pow((double)va, (double)vb)", FLOAT64, a)


def _takes(site: Site) -> str | None:
    op, types = site.node.op, {x.dtype for x in site.inputs if x}
    if op in _VARIADIC and len(site.inputs) != 2:
        return "it has not two operands"
    if op != "Pow" and len(types) > 1:
        return "its operands differ in type"
    return None if _text(site) else f"it is not defined for {site.input(0).dtype}"


def _accepts(site: Site) -> str | None:
    return too_many_loops(broadcast_loops(site.input(0), site.input(1), site.output))


def _bind(site: Site) -> Bound:
    a, b, y, text = site.input(0), site.input(1), site.output, _text(site)
    assert text is not None, "refused by takes"
    form = (_key(site) or site.node.op).lower().replace("/", "_")
    types = f"{a.short}_{b.short}" if a.dtype != b.dtype else a.short
    kernel = Kernel("qir_binary_T__portable", _SOURCE, f"qir_{form}_{types}__portable", (
        ("QIR_EXPRESSION", text), ("QIR_A", a.ctype), ("QIR_B", b.ctype), ("QIR_Y", y.ctype),
    ))  # fmt: skip
    return Bound(kernel, (broadcast_struct(a, b, y), a.read, b.read, y.write))


def _accepts_vectors(site: Site) -> str | None:
    if any(x.dtype.name != "float32" for x in (site.input(0), site.input(1), site.output)):
        return "only float32"
    if _key(site) not in VECTOR_EXPRESSIONS:
        return f"{site.node.op} is not there on vectors"
    return _accepts(site) or steps_apart(broadcast_loops(site.input(0), site.input(1), site.output))


def _bind_vectors(site: Site, isa: str) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    kernel = vector_kernel("qir_binary_f32", _VECTORS, isa, name=f"qir_{site.node.op.lower()}_f32",
                           substitutions=(("QIR_EXPRESSION", VECTOR_EXPRESSIONS[_key(site)]),))  # fmt: skip
    return Bound(kernel, (broadcast_struct(a, b, y), a.read, b.read, y.write))


_OPS = tuple(dict.fromkeys(key.partition("/")[0] for key in EXPRESSIONS))
FAMILY = Family(
    "binary", _OPS, FOLLOW,
    (
        Variant("portable", _SOURCE, _accepts, _bind),
        *(Variant(isa, _VECTORS, _accepts_vectors, partial(_bind_vectors, isa=isa), f"binary_f32__{isa}")
          for isa in VECTORS),
    ),
    takes=_takes, in_place=(0, 1),
)  # fmt: skip
