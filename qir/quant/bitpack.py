"""Codes of a few bits, packed densely.

Codes are offset to be unsigned, `code + 2^(b-1)`; one bit is set for +1 and clear for -1, its only codes. In rows eight
codes of b bits take b bytes: code i of a group lies in bits b*i .. b*i + b - 1 of the group's little-endian integer. So
two 4-bit codes share a byte, the first in its lower half, and four 2-bit codes do; 3-bit codes go by eight into three
bytes. A row ends with its last group, filled up with zeros.

Twenty codes of three values take four bytes: byte i holds codes i, i + 4, .. i + 16 as five digits of base 3, code + 1,
the first one highest. With their number V < 243 it is ceil(256 V / 243), at least 256 V / 243 and less than
256 (V + 1) / 243: a fraction of 256 that begins with these digits. So three times the byte is the first digit times
256, plus the byte of the others.

For vectors 64 codes take 8 b bytes, so that one shift of a vector brings forth all of its codes: of 1, 2 and 4 bits
code 8 b j + i lies in bits b*j .. b*j + b - 1 of byte i. 3 and 5 bits are the lower 2 or 4 so, then the upper one.
"""

from __future__ import annotations

import numpy as np

GROUP = 8
"""Codes of a row that are packed together."""
FIELD = 64
"""Codes for vectors that are."""


def signed_bits(codes: np.ndarray) -> int:
    """The fewest bits, 2 at least, whose two's complement range holds all codes."""
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    return max(2, (-low - 1).bit_length() + 1 if low < 0 else 0, high.bit_length() + 1)


def few_bits(codes: np.ndarray) -> int:
    """1 where all codes are -1 or 1, else `signed_bits`."""
    return 1 if codes.size and np.all(np.abs(codes) == 1) else signed_bits(codes)


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Packs rows of signed codes.

    Args:
        codes: integers in [-2^(bits-1), 2^(bits-1)), or -1 and 1 for one bit, [..., n].
        bits: 1 to 8.

    Returns:
        uint8 [..., bits * ceil(n / 8)].
    """
    lead, count = codes.shape[:-1], codes.shape[-1]
    groups = -(-count // GROUP)
    filled = np.zeros((*lead, groups * GROUP), np.int64)
    filled[..., :count] = codes
    offset = _unsigned(filled, bits).reshape(*lead, groups, GROUP)
    word = (offset << (bits * np.arange(GROUP))).sum(axis=-1, keepdims=True)
    packed: np.ndarray = ((word >> (8 * np.arange(bits))) & 255).astype(np.uint8).reshape(*lead, groups * bits)
    return packed


def trit_bytes(count: int) -> int:
    """Bytes of a row of `pack_trits`."""
    return -(-count // 20) * 4


def pack_trits(codes: np.ndarray) -> np.ndarray:
    """Packs rows of codes -1, 0 and 1.

    Args:
        codes: [..., n].

    Returns:
        uint8 [..., 4 * ceil(n / 20)].
    """
    lead, count = codes.shape[:-1], codes.shape[-1]
    filled = np.zeros((*lead, trit_bytes(count) * 5), np.int64)
    filled[..., :count] = codes
    digits = filled.reshape(*lead, -1, 5, 4) + 1
    numbers = (digits * 3 ** np.arange(4, -1, -1)[:, None]).sum(axis=-2)
    packed: np.ndarray = (-(-256 * numbers // 243)).astype(np.uint8).reshape(*lead, -1)
    return packed


def pack_fields(codes: np.ndarray, bits: int) -> np.ndarray:
    """Packs codes for vectors.

    Args:
        codes: as for `pack`, [..., n], n a multiple of 64.
        bits: 1 to 5.

    Returns:
        uint8 [..., bits * n / 8].
    """
    grouped = _unsigned(codes.astype(np.int64), bits).reshape(*codes.shape[:-1], -1, FIELD)
    if bits in (3, 5):
        parts = [_fields(grouped & ((1 << (bits - 1)) - 1), bits - 1), _fields(grouped >> (bits - 1), 1)]
    else:
        parts = [_fields(grouped, bits)]
    return np.concatenate(parts, axis=-1).reshape(*codes.shape[:-1], -1)


def _fields(grouped: np.ndarray, bits: int) -> np.ndarray:
    """Of [..., 64] codes of 1, 2 or 4 bits: uint8 [..., 8 * bits]."""
    apart = grouped.reshape(*grouped.shape[:-1], 8 // bits, 8 * bits)
    joined: np.ndarray = (apart << (bits * np.arange(8 // bits)[:, None])).sum(axis=-2).astype(np.uint8)
    return joined


def _unsigned(codes: np.ndarray, bits: int) -> np.ndarray:
    offset: np.ndarray = (codes > 0).astype(np.int64) if bits == 1 else codes + (1 << (bits - 1))
    assert not (offset >> bits).any()
    return offset


def unpack(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    """The first `count` codes of each row of `pack`, int8 [..., count]."""
    lead, groups = packed.shape[:-1], packed.shape[-1] // bits
    word = (packed.reshape(*lead, groups, bits).astype(np.int64) << (8 * np.arange(bits))).sum(axis=-1, keepdims=True)
    offset = (word >> (bits * np.arange(GROUP))) & ((1 << bits) - 1)
    codes = 2 * offset - 1 if bits == 1 else offset - (1 << (bits - 1))
    unpacked: np.ndarray = codes.reshape(*lead, groups * GROUP)[..., :count].astype(np.int8)
    return unpacked
