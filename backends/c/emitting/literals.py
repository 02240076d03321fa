"""Numbers, arrays and structs as C text; every float is exact."""

from __future__ import annotations

import re

import numpy as np

from qir.backends.c.program import CTYPES, Field, Struct
from qir.ir.dtype import of_array


def real(value: float, kind: str = "float") -> str:
    """The shortest decimal that reads back as the same float or double."""
    number = np.float32(value) if kind == "float" else np.float64(value)
    if np.isnan(number):
        return "NAN" if kind == "float" else "(double)NAN"
    if np.isinf(number):
        sign = "-" if number < 0 else ""
        return f"{sign}INFINITY" if kind == "float" else f"{sign}(double)INFINITY"
    text = str(number.item() if kind != "float" else number)
    if "." not in text and "e" not in text:
        text += ".0"
    return text + ("f" if kind == "float" else "")


def integer(value: int, kind: str) -> str:
    """An integer constant whose type holds `value` without a warning."""
    if kind == "int32_t" and value == -(1 << 31):
        return "(-2147483647 - 1)"
    if kind == "int64_t":
        return f"(INT64_C({value + 1}) - 1)" if value == -(1 << 63) else f"INT64_C({value})"
    if kind == "uint64_t":
        return f"UINT64_C({value})"
    return f"{value}u" if kind in ("uint32_t", "size_t") else str(value)


def scalar(value: float, kind: str) -> str:
    return real(value, kind) if kind in ("float", "double") else integer(int(value), kind)


def array(values: np.ndarray) -> tuple[str, str]:
    """C element type and initialiser list of an array; an empty one gets one element, as C has no empty arrays."""
    kind = CTYPES[of_array(values).name]
    flat = values.reshape(-1).tolist() or [0]
    items = [scalar(value, kind) for value in flat]
    a_line = max(1, 114 // (max(map(len, items)) + 2))
    return kind, ",\n".join("    " + ", ".join(items[i : i + a_line]) for i in range(0, len(items), a_line))


_WORDS_A_LINE = 5


def word_count(values: np.ndarray) -> int:
    """Number of 64-bit words that `words` puts an array of bytes into."""
    return -(-values.nbytes // (8 * _WORDS_A_LINE)) * _WORDS_A_LINE


def words(values: np.ndarray) -> str:
    """The initialiser of an array of bytes as 64-bit words, in lines of the macro QIR_WORDS.

    Compilers read these several times faster than one number a byte.
    """
    raw = values.tobytes().ljust(8 * word_count(values), b"\0")
    text = raw[::-1].hex()  # the last word first, each with its highest byte first
    numbers = [f"0x{text[i : i + 16]}" for i in range(len(text) - 16, -1, -16)]
    step = _WORDS_A_LINE
    return ",\n".join(f"    QIR_WORDS({', '.join(numbers[i : i + step])})" for i in range(0, len(numbers), step))


def fields(value: Field) -> str:
    """The initialiser of a struct's field."""
    if isinstance(value, tuple):
        return "{" + ", ".join(map(fields, value)) + "}"
    if isinstance(value, float):
        return real(value)
    return integer(value, "int32_t" if -(1 << 31) <= value < 1 << 31 else "int64_t")


def struct(value: Struct) -> str:
    """The initialiser of a constant struct, each field with its name."""
    return ",\n".join(f"    /* {name} */ {fields(content)}" for name, content in value.fields)


def math_include(text: str) -> str:
    """The include that INFINITY and NAN in some C text need."""
    return "#include <math.h>\n" if re.search(r"\b(INFINITY|NAN)\b", text) else ""


def comment(text: str) -> str:
    """Text from the user's model, harmless inside a comment."""
    return "".join(c if c.isprintable() and c != "\\" else "?" for c in text.replace("*/", "* /").replace("/*", "/ *"))


def string(text: str) -> str:
    """A C string literal of any text, as octal escapes where it is not plain ASCII."""
    plain = set(range(32, 127)) - {ord('"'), ord("\\"), ord("?")}
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode()) + '"'
