"""Weights of integer kernels: as int8 or int16, in 1 to 5 bits, packed (runtime/qir_packed.h), or as sums of planes.

The codes of a channel that are sums of P planes are at most 2^P numbers: P bits of each weight, bit p set where plane p
is +, say which of them it is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from qir.backends.c.binding import RUNTIME
from qir.backends.c.binding.integer_types import WIDE, only_bytes, typed
from qir.backends.c.binding.requant import is_fixed, overflow, summed
from qir.backends.c.binding.site import Site
from qir.backends.c.program import Data, Kernel
from qir.ir.dtype import INT16, UINT8
from qir.quant.bitpack import pack, pack_trits, trit_bytes
from qir.quant.fixedpoint import largest
from qir.quant.planes import plane_codes

_PACKED = RUNTIME / "qir_packed.h"
_SUM = RUNTIME / "qir_sum.h"
TILE = 1024
"""Codes on the stack of a depthwise kernel that unpacks, for sixteen channels."""
_ROWS, _LEAST = 2, 4
"""Rows of activations over which reading the weights is spread; where they are unpacked, at least."""
_TOGETHER = {False: (128, 1 << 15), True: (8, 1 << 12)}
"""Where they are unpacked at most so many, as long as they hold no more than that many codes (qir_packed_rows); in few
bytes of memory."""
_UNPACKING = {"s1": 1.15, "s2": 0.9, "s3": 3.6, "s4": 0.8, "s5": 12.0, "p2": 2.2, "p3": 4.2, "p4": 11.0}
_STARTING = 0.8
"""What a code takes to unpack, by `form`, and what a sum takes to start, in multiply-accumulates: by instructions of
gcc 12 and clang 14 at -O2 on x86-64, where a multiply-accumulate takes 0.6. Dear enough that of the layers of
tests/benchmarks/few_bits.py none that is thought to take at most 1.05 times those of int8 takes more."""


def plane_count(site: Site) -> int:
    """Planes of which a node's weights are sums, 2 to 4; 0 where they are none."""
    return int(site.node.attr("planes", 0))


def weight_bits(site: Site) -> int:
    """Bits in which a node's weights are stored: 1 to 5, 8 or 16."""
    return plane_count(site) or int(site.node.attr("weight_bits", site.input(1).dtype.bits))


def is_packed(site: Site) -> bool:
    """True where portable kernels have to unpack the weights."""
    return weight_bits(site) < 8


def in_bytes(site: Site) -> Site:
    """A site with its weights as bytes, whatever fewer bits they need."""
    attrs = {key: value for key, value in site.node.attrs.items() if key != "planes"}
    return replace(site, node=site.node.with_(attrs={**attrs, "weight_bits": 8})) if is_packed(site) else site


def few_alone(site: Site) -> bool:
    """True where weights take few bits whatever kernel reads them: sums of planes may be int8 as well."""
    return is_packed(site) and not plane_count(site)


def form(site: Site) -> str:
    """How weights are stored, as the names of functions have it."""
    return f"{'p' if plane_count(site) else 's'}{weight_bits(site)}"


def chosen_planes(codes: np.ndarray, planes: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes [channels, ...] that are sums of planes as which of a channel's numbers they are, uint8 of their shape, and
    these numbers, int8 [channels, 2^planes]."""
    found = plane_codes(codes, planes)
    assert found is not None
    multipliers, bits = found
    every = (np.arange(1 << planes)[:, None] >> np.arange(planes)) & 1
    filled = np.zeros((planes, len(codes)), np.int64)
    filled[: len(multipliers)] = multipliers
    chosen = (bits.astype(np.uint8) << np.arange(len(bits), dtype=np.uint8).reshape(-1, *[1] * codes.ndim)).sum(axis=0)
    return chosen.astype(np.uint8), ((2 * every - 1) @ filled).T.astype(np.int8)


def is_wide(site: Site, w: np.ndarray, bias: np.ndarray) -> bool:
    """True where accumulators need 64 bits.

    Args:
        w: weights [M, ...].
        bias: int64 [M].
    """
    return overflow(bias, w, largest(site.input(0).dtype)) is not None


def refuse(site: Site, w: np.ndarray, bias: np.ndarray) -> str | None:
    """The reason to refuse a layer whose accumulators leave what its kernel has; arguments as `is_wide`."""
    bytes_alone = only_bytes(site) is None and weight_bits(site) <= 8
    narrow = bytes_alone or is_packed(site)
    return "an accumulator could leave int32" if narrow and is_wide(site, w, bias) else None


def is_small(site: Site) -> bool:
    """True where bytes of memory count for more than the time to unpack weights."""
    return bool(site.node.attr("small", 0))


def is_ternary(site: Site) -> bool:
    """True where codes of three values are stored by twenty in four bytes: by `row_kernel`, if that is less."""
    depth = math.prod(site.input(1).shape) // _outputs(site)
    few = is_small(site) and weight_bits(site) == 2 and not plane_count(site)
    return few and trit_bytes(depth) < 2 * -(-depth // 8) and np.abs(np.asarray(site.constant(1))).max(initial=0) <= 1


def _outputs(site: Site) -> int:
    """Rows of weights."""
    w = site.input(1)
    return int(w.shape[1] if site.node.op == "qir.IntGemm" else w.shape[0])


def activation_rows(site: Site) -> int:
    """Rows of activations that a kernel made by `row_kernel` keeps in its scratch, as far as there are pixels."""
    if not is_packed(site):
        return _ROWS
    outputs, (most, room) = _outputs(site), _TOGETHER[is_small(site)]
    fitting = room // (site.input(1).size // outputs) // 2 * 2
    return min(max(min(fitting, most), _LEAST), -(-site.output.size // outputs))


def unpacking(site: Site, pixels: int) -> float:
    """The share that packed weights add to the work of a kernel made by `row_kernel`: codes are unpacked once for as
    many pixels as share them, and sums take longer to start."""
    depth, blocks = site.input(1).size // _outputs(site), -(-pixels // activation_rows(site))
    return _UNPACKING[form(site)] * blocks / pixels + _STARTING / depth


def row_kernel(site: Site, function: str, source: Path, wide: bool) -> Kernel:
    """A template `..._u8s8_T__portable` that takes products of rows, for the node's types and what it adds to."""
    bits, codes = weight_bits(site), site.input(0).dtype == UINT8
    kind = "t2" if is_ternary(site) else form(site)
    line = f"qir_line_{kind}" if is_packed(site) else "qir_line_s8"
    dot = ("qir_dot_rows" if bits == 8 else f"qir_dot_rows_{kind}") if not wide else f"qir_dot_rows_s{bits}_s64"
    most, room = _TOGETHER[is_small(site)] if is_packed(site) else (_ROWS, 0)
    together = f"qir_packed_rows(depth, {most}, {room})" if is_packed(site) else str(_ROWS)
    found = _kernel(site, function, source, wide, (
        ("QIR_ROWS", together), ("QIR_MOST_ROWS", str(most)), ("QIR_WIDEN", "qir_widen" if codes else "qir_widen_s16"),
        ("QIR_LINE", line), ("QIR_DOT", dot), *summed(site),
    ), f"{kind}_small" if is_packed(site) and is_small(site) else kind)  # fmt: skip
    if site.added is None:
        return found
    headers = () if is_fixed(site) else (_SUM,)
    return replace(found, name=found.emitted.replace("__", "_sum__"), headers=(*found.headers, *headers))


def tap_kernel(site: Site, function: str, source: Path, wide: bool) -> Kernel:
    """A template `..._u8s8_depthwise_T__portable`, for the node's types."""
    if is_packed(site):
        taps = f"qir_taps_s{weight_bits(site)}"
        parts = (("QIR_TAPS", taps), ("QIR_SPAN", "16"), ("QIR_STEP", "16"), ("QIR_TILE", str(TILE)))
    else:
        own = f"{function.split('__')[0]}_taps"
        parts = (("QIR_TAPS", own), ("QIR_SPAN", "channels"), ("QIR_STEP", "channels"), ("QIR_TILE", "1"))
    return _kernel(site, function, source, wide, (*parts, _tap_type(site)))


def eight_kernel(site: Site, function: str, source: Path, wide: bool) -> Kernel:
    """A template `..._u8s8_T__portable` that reads weights by eight, for the node's types."""
    bits, own = weight_bits(site), f"{function.split('__')[0]}_eight"
    parts = (("QIR_GROUP", str(min(bits, 8))), ("QIR_EIGHT", f"qir_eight_s{bits}" if is_packed(site) else own))
    return _kernel(site, function, source, wide, (*parts, _tap_type(site)))


def _tap_type(site: Site) -> tuple[str, str]:
    return "QIR_TAP", "int16_t" if weight_bits(site) > 8 else "int8_t"


def _kernel(site: Site, function: str, source: Path, wide: bool, parts: tuple[tuple[str, str], ...],
            stored: str = "") -> Kernel:  # fmt: skip
    bits, x = weight_bits(site), site.input(0)
    kind = "uint8_t" if is_packed(site) else f"int{bits}_t"
    headers = ((_PACKED,) if is_packed(site) else ()) + ((WIDE,) if x.dtype == INT16 or bits > 8 else ())
    return typed(site, function, source, ("u8s8", f"{x.short}{stored or form(site)}"),
                 (("QIR_X", x.ctype), ("QIR_W", kind), *parts), headers, wide=wide)  # fmt: skip


def bias_data(bias: np.ndarray, wide: bool) -> Data:
    """A bias as its kernel's accumulators."""
    return Data(np.ascontiguousarray(bias, np.int64 if wide else np.int32), "bias")


def rows(site: Site, codes: np.ndarray) -> Data:
    """Weights [channels, depth] as `row_kernel` reads them, and [..., 8] as `eight_kernel` does."""
    if planes := plane_count(site):
        chosen, numbers = chosen_planes(codes, planes)
        packed = _packed_rows(chosen.astype(np.int8) - (1 << (planes - 1)), planes)
        return Data(np.concatenate([numbers.view(np.uint8), packed], axis=1), "weights")
    if is_ternary(site) and site.node.op != "qir.IntConvTranspose":
        return Data(pack_trits(codes), "weights")
    return Data(_packed_rows(codes, weight_bits(site)) if is_packed(site) else np.ascontiguousarray(codes), "weights")


def _packed_rows(codes: np.ndarray, bits: int) -> np.ndarray:
    """Rows of codes as uint8 [rows, bytes]: the upper one of 3 or 5 bits behind the others."""
    if bits not in (3, 5):
        return pack(codes, bits)
    half = 1 << (bits - 1)
    upper = codes >= 0
    lower = codes.astype(np.int64) + half - half * upper - half // 2
    return np.concatenate([pack(lower, bits - 1), pack(2 * upper.astype(np.int64) - 1, 1)], axis=-1)


def taps(site: Site, codes: np.ndarray) -> Data:
    """Weights [channels, taps] as `tap_kernel` reads them: [taps][channels], packed ones [channels / 16][taps][16]."""
    if not is_packed(site):
        return Data(np.ascontiguousarray(codes.T), "weights")
    channels, count = codes.shape
    filled = np.zeros((-(-channels // 16) * 16, count), np.int8)
    filled[:channels] = codes
    return Data(pack(filled.reshape(-1, 16, count).swapaxes(1, 2), weight_bits(site)), "weights")
