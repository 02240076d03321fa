"""qir.Quantize and qir.Dequantize."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.orders import FOLLOW
from qir.backends.c.program import Data, Kernel, Scalar
from qir.backends.c.requant import flushed, requant_struct
from qir.backends.c.site import Site

_HERE = Path(__file__).parent
_QUANTIZE, _DEQUANTIZE = _HERE / "quantize__portable.c", _HERE / "dequantize__portable.c"
_DEQUANTIZE_NEON = _HERE / "dequantize_u8__neon.c"


def _takes_quantize(site: Site) -> str | None:
    if site.input(0).dtype.name != "float32":
        return "only float32 is quantized"
    return None if site.output.dtype.is_integer and site.output.dtype.bits in (8, 16) else "codes have 8 or 16 bits"


def _only_u8(site: Site) -> str | None:
    return None if site.output.dtype.name == "uint8" else "its codes are not uint8"


def _bind_quantize(site: Site, isa: str = "portable") -> Bound:
    x, y, node = site.input(0), site.output, site.node
    kernel = Kernel("qir_quantize_f32_T__portable", _QUANTIZE, f"qir_quantize_f32_{y.short}__portable",
                    (("QIR_Y", y.ctype),))  # fmt: skip
    if isa != "portable":
        kernel = Kernel(f"qir_quantize_f32_u8__{isa}", _HERE / f"quantize__{isa}.c")
    scale = Scalar(float(np.float32(node.attr("scale"))), "float")
    zero, low, high = (int(node.attr(k)) for k in ("zero_point", "qmin", "qmax"))
    return Bound(kernel, (requant_struct(zero, low, high), scale, Scalar(y.size, "size_t"), x.read, y.write))


def _takes_dequantize(site: Site) -> str | None:
    x = site.input(0).dtype
    return None if x.is_integer and x.bits in (8, 16) else "codes have 8 or 16 bits"


def _scale(site: Site) -> np.ndarray:
    return np.asarray(site.node.attr("scale"), np.float32).reshape(-1)


def _around(site: Site) -> tuple[int, int]:
    """How often all scales follow each other, and how many neighbours share one."""
    x, axis = site.input(0), site.node.attr("axis")
    if axis is None or _scale(site).size == 1:
        return 1, x.size
    place = x.stored_axis(axis)
    return prod(x.stored_shape[:place]), prod(x.stored_shape[place + 1 :])


def _accepts_neon(site: Site) -> str | None:
    if site.input(0).dtype.name != "uint8":
        return "its codes are not uint8"
    return "fewer than 16 neighbours share a scale" if _around(site)[1] < 16 else flushed(site, _scale(site))


def _bind_dequantize(site: Site, isa: str = "portable") -> Bound:
    x, y, scale = site.input(0), site.output, _scale(site)
    zero = np.asarray(site.node.attr("zero_point"), np.int32).reshape(-1)
    outer, inner = _around(site)
    zero = np.ascontiguousarray(np.broadcast_to(zero, scale.shape))
    kernel = Kernel("qir_dequantize_T_f32__portable", _DEQUANTIZE, f"qir_dequantize_{x.short}_f32__portable",
                    (("QIR_X", x.ctype),))  # fmt: skip
    if isa == "neon":
        kernel = Kernel("qir_dequantize_u8_f32__neon", _DEQUANTIZE_NEON)
    sizes = tuple(Scalar(n, "size_t") for n in (outer, scale.size, inner))
    return Bound(kernel, (Data(scale, "scales"), Data(zero, "zero points"), *sizes, x.read, y.write))


def _quantize_on(isa: str) -> Variant:
    return Variant(isa, _HERE / f"quantize__{isa}.c", _only_u8, lambda site: _bind_quantize(site, isa))


FAMILIES = (
    Family("quantize", ("qir.Quantize",), FOLLOW,
           (Variant("portable", _QUANTIZE, lambda site: None, _bind_quantize),
            *(_quantize_on(isa) for isa in ("avx2", "neon"))),
           takes=_takes_quantize, pointwise=True),
    Family("dequantize", ("qir.Dequantize",), FOLLOW,
           (Variant("portable", _DEQUANTIZE, lambda site: None, _bind_dequantize),
            Variant("neon", _DEQUANTIZE_NEON, _accepts_neon, lambda site: _bind_dequantize(site, "neon"))),
           takes=_takes_dequantize),
)  # fmt: skip
