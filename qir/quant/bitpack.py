"""Codes of a few bits, packed densely.

Eight codes of b bits take b bytes: code i of a group lies in bits b*i .. b*i + b - 1 of the group's little-endian
integer, offset to be unsigned (`code + 2^(b-1)`). So two 4-bit codes share a byte, the first in its lower half, and
four 2-bit codes do; 3-bit codes go by eight into three bytes. A row ends with its last group, filled up with zeros.
"""

from __future__ import annotations

import numpy as np

GROUP = 8
"""Codes that are packed together."""


def signed_bits(codes: np.ndarray) -> int:
    """The fewest bits, 2 at least, whose two's complement range holds all codes."""
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    return max(2, (-low - 1).bit_length() + 1 if low < 0 else 0, high.bit_length() + 1)


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Packs rows of signed codes.

    Args:
        codes: integers in [-2^(bits-1), 2^(bits-1)), [..., n].
        bits: 2 to 8.

    Returns:
        uint8 [..., bits * ceil(n / 8)].
    """
    half = 1 << (bits - 1)
    lead, count = codes.shape[:-1], codes.shape[-1]
    groups = -(-count // GROUP)
    filled = np.zeros((*lead, groups * GROUP), np.int64)
    filled[..., :count] = codes
    offset = (filled + half).reshape(*lead, groups, GROUP)
    assert not (offset >> bits).any()
    word = (offset << (bits * np.arange(GROUP))).sum(axis=-1, keepdims=True)
    packed: np.ndarray = ((word >> (8 * np.arange(bits))) & 255).astype(np.uint8).reshape(*lead, groups * bits)
    return packed


def unpack(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """The first `count` codes of each row of `pack`, int8 [..., count]."""
    lead, groups = packed.shape[:-1], packed.shape[-1] // bits
    word = (packed.reshape(*lead, groups, bits).astype(np.int64) << (8 * np.arange(bits))).sum(axis=-1, keepdims=True)
    codes = ((word >> (bits * np.arange(GROUP))) & ((1 << bits) - 1)) - (1 << (bits - 1))
    unpacked: np.ndarray = codes.reshape(*lead, groups * GROUP)[..., :count].astype(np.int8)
    return unpacked
