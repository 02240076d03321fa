"""qir.Quantize and qir.Dequantize."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.orders import FOLLOW
from qir.backends.c.program import Data, Kernel, Scalar
from qir.backends.c.requant import requant_struct
from qir.backends.c.site import Site

_HERE = Path(__file__).parent
_QUANTIZE_AVX2 = _HERE / "quantize__avx2.c"
_QUANTIZE, _DEQUANTIZE = _HERE / "quantize__portable.c", _HERE / "dequantize__portable.c"


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
    if isa == "avx2":
        kernel = Kernel("qir_quantize_f32_u8__avx2", _QUANTIZE_AVX2)
    scale = Scalar(float(np.float32(node.attr("scale"))), "float")
    zero, low, high = (int(node.attr(k)) for k in ("zero_point", "qmin", "qmax"))
    return Bound(kernel, (requant_struct(zero, low, high), scale, Scalar(y.size, "size_t"), x.read, y.write))


def _takes_dequantize(site: Site) -> str | None:
    x = site.input(0).dtype
    return None if x.is_integer and x.bits in (8, 16) else "codes have 8 or 16 bits"


def _bind_dequantize(site: Site) -> Bound:
    x, y, node = site.input(0), site.output, site.node
    axis = node.attr("axis")
    scale = np.asarray(node.attr("scale"), np.float32).reshape(-1)
    zero = np.asarray(node.attr("zero_point"), np.int32).reshape(-1)
    outer, inner = 1, x.size
    if axis is not None and scale.size > 1:
        place = x.stored_axis(axis)
        outer, inner = prod(x.stored_shape[:place]), prod(x.stored_shape[place + 1 :])
    zero = np.ascontiguousarray(np.broadcast_to(zero, scale.shape))
    kernel = Kernel("qir_dequantize_T_f32__portable", _DEQUANTIZE, f"qir_dequantize_{x.short}_f32__portable",
                    (("QIR_X", x.ctype),))  # fmt: skip
    sizes = tuple(Scalar(n, "size_t") for n in (outer, scale.size, inner))
    return Bound(kernel, (Data(scale, "scales"), Data(zero, "zero points"), *sizes, x.read, y.write))


FAMILIES = (
    Family("quantize", ("qir.Quantize",), FOLLOW,
           (Variant("portable", _QUANTIZE, lambda site: None, _bind_quantize),
            Variant("avx2", _QUANTIZE_AVX2, _only_u8, lambda site: _bind_quantize(site, "avx2"))),
           takes=_takes_quantize, pointwise=True),
    Family("dequantize", ("qir.Dequantize",), FOLLOW,
           (Variant("portable", _DEQUANTIZE, lambda site: None, _bind_dequantize),), takes=_takes_dequantize),
)  # fmt: skip
