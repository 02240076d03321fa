"""Where the portable code departs from MISRA C:2012, as cppcheck's addon finds it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DEVIATIONS: Mapping[str, str] = MappingProxyType({
    "2.3": "types that only check sizes, and those of parts that a network does not use",
    "2.4": "the same",
    "2.5": "macros of parts that a network does not use",
    "8.9": "constant structures stand together, in front of the calls that use them",
    "9.3": "arrays inside structures that a function gives",
    "10.1": "signed integers are shifted: to the right arithmetically, as gcc, clang and MSVC define it",
    "10.3": "integers that become wider, and comparisons kept as int; what becomes narrower is cast",
    "10.4": "codes, their differences and sums have integer types of several widths; all fit int32_t",
    "10.6": "the same",
    "10.7": "products of 32 bits become offsets of pointers; sizes of tensors are less than 2^31",
    "10.8": "a rounded float becomes a code",
    "11.4": "addresses become numbers where the alignment of the arena is checked",
    "11.5": "the arena is void * for its caller, and scratch for kernels",
    "11.6": "the same",
    "12.1": "the usual precedence of * over +, and of comparisons over &&",
    "12.3": "several variables in one declaration, and loops that step through several arrays",
    "14.4": "numbers are conditions",
    "15.5": "arguments are checked first",
    "17.8": "pointer parameters step through arrays",
    "18.4": "pointers plus offsets are how kernels reach their operands",
    "21.15": "memcpy takes the bits of a float",
})  # fmt: skip
"""Rule to the reason. Rules that are not here are kept."""


def comment() -> str:
    """The same, for the head of a file."""
    rows = "\n".join(f"     {rule:<5} {reason}" for rule, reason in DEVIATIONS.items())
    return f"/* Deviations from MISRA C:2012 in portable code:\n\n{rows} */\n"
