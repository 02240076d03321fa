"""How portable integer kernels find their weights: as bytes, or in 2 to 4 bits, packed (runtime/qir_packed.h)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.program import Data, Kernel
from qir.backends.c.requant import output_types
from qir.backends.c.site import Site
from qir.quant.bitpack import pack

_PACKED = Path(__file__).parent / "runtime" / "qir_packed.h"
BYTES, ROWS = 8, 4
"""Bits of weights that need no unpacking; rows of activations over which unpacking is spread."""
TILE = 1024
"""Codes on the stack of a depthwise kernel, for sixteen channels."""


def weight_bits(site: Site) -> int:
    """Bits in which a node's weights are stored, 2, 3, 4 or 8."""
    return int(site.node.attr("weight_bits", BYTES))


def packed(site: Site) -> str | None:
    """The reason to refuse weights that a kernel would have to unpack."""
    return f"its weights are packed in {weight_bits(site)} bits" if weight_bits(site) < BYTES else None


def activation_rows(site: Site) -> int:
    """Rows of widened activations that a kernel made by `row_kernel` keeps in its scratch."""
    return ROWS if weight_bits(site) < BYTES else 2


def row_kernel(site: Site, function: str, source: Path) -> Kernel:
    """A template `..._u8s8_T__portable` that takes products of rows, for the node's result and weights."""
    bits = weight_bits(site)
    parts = (("QIR_ROWS", str(activation_rows(site))), ("QIR_LINE", f"qir_line_s{bits}"),
             ("QIR_DOT", f"qir_dot_rows_s{bits}" if bits < BYTES else "qir_dot_rows"))  # fmt: skip
    return _kernel(site, function, source, parts)


def tap_kernel(site: Site, function: str, source: Path) -> Kernel:
    """A template `..._u8s8_depthwise_T__portable`, for the node's result and weights."""
    bits = weight_bits(site)
    if bits < BYTES:
        parts = (("QIR_TAPS", f"qir_taps_s{bits}"), ("QIR_SPAN", "16"), ("QIR_STEP", "16"), ("QIR_TILE", str(TILE)))
    else:
        own = f"{function.split('__')[0]}_taps"
        parts = (("QIR_TAPS", own), ("QIR_SPAN", "channels"), ("QIR_STEP", "channels"), ("QIR_TILE", "1"))
    return _kernel(site, function, source, parts)


def eight_kernel(site: Site, function: str, source: Path) -> Kernel:
    """A template `..._u8s8_T__portable` that reads weights by eight, for the node's result and weights."""
    bits = weight_bits(site)
    own = f"{function.split('__')[0]}_eight"
    return _kernel(site, function, source, (("QIR_BITS", str(bits)),
                                            ("QIR_EIGHT", f"qir_eight_s{bits}" if bits < BYTES else own)))  # fmt: skip


def _kernel(site: Site, function: str, source: Path, parts: tuple[tuple[str, str], ...]) -> Kernel:
    bits = weight_bits(site)
    name, types = output_types(site, function)
    kind = "uint8_t" if bits < BYTES else "int8_t"
    return Kernel(function, source, name.replace("u8s8", f"u8s{bits}"), (*types, ("QIR_W", kind), *parts),
                  (_PACKED,) if bits < BYTES else ())  # fmt: skip


def rows(site: Site, codes: np.ndarray) -> Data:
    """Weights [channels, depth] as `row_kernel` reads them."""
    bits = weight_bits(site)
    return Data(pack(codes, bits) if bits < BYTES else np.ascontiguousarray(codes), "weights")


def eights(site: Site, codes: np.ndarray) -> Data:
    """Weights [..., 8] as `eight_kernel` reads them."""
    return rows(site, codes)


def taps(site: Site, codes: np.ndarray) -> Data:
    """Weights [channels, taps] as `tap_kernel` reads them: [taps][channels], packed ones [channels / 16][taps][16]."""
    bits = weight_bits(site)
    if bits == BYTES:
        return Data(np.ascontiguousarray(codes.T), "weights")
    channels, count = codes.shape
    filled = np.zeros((-(-channels // 16) * 16, count), np.int8)
    filled[:channels] = codes
    return Data(pack(filled.reshape(-1, 16, count).swapaxes(1, 2), bits), "weights")
