"""C expressions of element-wise operators: the classes of element types that share one, and what is put into them."""

from __future__ import annotations

from collections.abc import Mapping

from qir.ir.dtype import BY_NAME, DType

_LIMITS = {
    name: f"{'INT' if name[0] == 'i' else 'UINT'}{dtype.bits}" for name, dtype in BY_NAME.items() if dtype.is_integer
}


def type_class(dtype: DType) -> str:
    """f(loat), s(igned), u(nsigned), b(ool); "" for types without arithmetic."""
    return {"float": "f", "int": "s", "uint": "u", "bool": "b"}.get(dtype.kind, "")


def wide(dtype: DType) -> str:
    """The unsigned C type in which an integer type's arithmetic wraps without overflow."""
    return "uint64_t" if dtype.bits == 64 else "uint32_t"


def lowest(dtype: DType) -> str:
    """The smallest value of a type as C text; minus infinity for floats."""
    if dtype.is_float:
        return "-INFINITY" if dtype.bits == 32 else "-(double)INFINITY"
    return f"{_LIMITS[dtype.name]}_MIN" if dtype.kind == "int" else "0"


def highest(dtype: DType) -> str:
    """The largest value of a type as C text; infinity for floats."""
    if dtype.is_float:
        return "INFINITY" if dtype.bits == 32 else "(double)INFINITY"
    return "1" if dtype.kind == "bool" else f"{_LIMITS[dtype.name]}_MAX"


def filled(text: str, dtype: DType) -> str:
    """An expression for one type: # becomes the suffix of float functions and literals, the words LOWEST, HIGHEST and
    WIDE become that type's."""
    words = {"LOWEST": lowest, "HIGHEST": highest, "WIDE": wide}
    text = text.replace("#", "f" if dtype.bits == 32 else "")
    for word, put in words.items():
        if word in text:
            text = text.replace(word, put(dtype))
    return text


def chosen(table: Mapping[str, str], dtype: DType) -> str | None:
    """The expression of a table whose keys are strings of type classes, such as "fs"; None where there is none."""
    letter = type_class(dtype)
    return next((filled(text, dtype) for key, text in table.items() if letter and letter in key), None)


def converted(value: str, source: DType, result: DType) -> str:
    """C text of ONNX's Cast of a value without side effects.

    Reals are cut towards zero and saturate, NaN becomes 0 (ONNX leaves both open); integers wrap; whatever is not 0 is
    true.
    """
    kind = {"float32": "float", "float64": "double", "bool": "uint8_t"}.get(result.name, f"{result.name}_t")
    if result.kind == "bool":
        return f"{value} != 0"
    if source.is_float and result.is_integer:
        suffix = "f" if source.bits == 32 else ""
        low, high = f"{float(result.min)}{suffix}", f"{float(result.max + 1)}{suffix}"
        return (
            f"{value} != {value} ? ({kind})0 : {value} <= {low} ? ({kind}){lowest(result)} : "
            f"{value} >= {high} ? ({kind}){highest(result)} : ({kind}){value}"
        )
    return f"({kind}){value}"
