"""How much of the stack net_run takes, by its text; tests hold the bound to what gcc says."""

from __future__ import annotations

import re
from math import prod

_BYTES = {"uint8_t": 1, "int8_t": 1, "uint16_t": 2, "int16_t": 2, "uint32_t": 4, "int32_t": 4, "float": 4, "int": 4,
          "uint64_t": 8, "int64_t": 8, "double": 8, "ptrdiff_t": 8, "size_t": 8}  # fmt: skip
_LOCAL = re.compile(rf"^ +(?:const )?({'|'.join(_BYTES)}) (\w+(?:\[\w.*\])+(?:, \w+(?:\[.*\])+)*);", re.M)
_ARRAY = re.compile(r"\w+((?:\[[^\]]+\])+)")
_TILE_DEPTH = re.compile(r"^#define \w+_TILE_DEPTH (\d+)$", re.M)
_TILE = re.compile(r"^ +int8_t \w+\[(?:(\d+) \* )?\w+_TILE_DEPTH\b", re.M)
_PLAIN = 1024
"""Of functions without large arrays, four deep (net_run, the calls, a kernel, its row), from -Os to -O2: registers,
numbers and small structures."""


def bound(kernels: str, *, small: bool) -> int:
    """Bytes that net_run takes at most, by the arrays in its kernels: those of the two functions that have most, and
    tiles of packed weights.

    Args:
        kernels: the text of net_kernels.h.
        small: for a microcontroller, on which such tiles are small.
    """
    sizes = sorted((_arrays(function) for function in re.split(r"^\}", kernels, flags=re.M)), reverse=True)
    depths = [] if small else [int(depth) for depth in _TILE_DEPTH.findall(kernels)]
    tiles = sum(int(times or 1) for times in _TILE.findall(kernels)) * max(depths, default=0)
    return -(-(_PLAIN + sum(sizes[:2]) + tiles) // 64) * 64


def _arrays(function: str) -> int:
    """Bytes of a function's arrays; those of sizes that are no number are small."""
    total = 0
    for kind, names in _LOCAL.findall(function):
        for sizes in _ARRAY.findall(names):
            factors = [re.findall(r"\d+", size) for size in re.findall(r"\[([^\]]+)\]", sizes)]
            if all(re.fullmatch(r"[\d *()+]+", size) for size in re.findall(r"\[([^\]]+)\]", sizes)):
                total += _BYTES[kind] * prod(int(number) for row in factors for number in row)
    return total
