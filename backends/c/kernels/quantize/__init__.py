"""qir.Quantize and qir.Dequantize; at the borders of a network operand and result may lie in different orders."""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.requant import flushed, requant_struct
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.strides import strided, too_many_strides
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.transpose import moved_loops, turning
from qir.backends.c.program import Data, Kernel, Scalar, Struct

_HERE = Path(__file__).parent
_QUANTIZE, _DEQUANTIZE = _HERE / "quantize__portable.c", _HERE / "dequantize__portable.c"
_CONVERT, _ON_MVE = _HERE / "convert__avx2.c", _HERE / "quantize__mve.c"


def _takes_quantize(site: Site) -> str | None:
    if "rounding" in site.node.attrs:
        return "a compare decides its codes"
    if site.input(0).dtype.name != "float32":
        return "only float32 is quantized"
    return None if site.output.dtype.is_integer and site.output.dtype.bits in (8, 16) else "codes have 8 or 16 bits"


def _takes_dequantize(site: Site) -> str | None:
    x = site.input(0).dtype
    return None if x.is_integer and x.bits in (8, 16) else "codes have 8 or 16 bits"


def _numbers(site: Site) -> tuple[float, Struct]:
    """The scale of all codes, and their qir_requant."""
    zero, low, high = (int(site.node.attr(key, 0)) for key in ("zero_point", "qmin", "qmax"))
    return float(np.float32(site.node.attr("scale"))), requant_struct(zero, low, high)


def _channels(site: Site) -> int:
    """Of how many channels the scales are."""
    return 1 if site.node.attr("axis") is None else int(np.size(site.node.attr("scale")))


def _loops(site: Site) -> list[tuple[int, ...]]:
    """Over the stored axes of the result; where channels have scales of their own, each row is of one channel."""
    x, channels = site.input(0), _channels(site)
    if channels == 1:
        return moved_loops(site)
    inner = prod(x.stored_shape[x.stored_axis(site.node.attr("axis")) + 1 :])
    return [(x.size // channels // inner, channels * inner), (channels, inner), (inner, 1)]


def _bind_quantize(site: Site) -> Bound:
    y, (scale, requant) = site.output, _numbers(site)
    kernel = Kernel("qir_quantize_f32_T__portable", _QUANTIZE, f"qir_quantize_f32_{y.short}__portable",
                    (("QIR_Y", y.ctype),))  # fmt: skip
    return Bound(kernel, (requant, Scalar(scale, "float"), strided(0, _loops(site)), site.input(0).read, y.write))


def _bind_dequantize(site: Site) -> Bound:
    x, node = site.input(0), site.node
    scale = np.asarray(node.attr("scale"), np.float32).reshape(-1)
    zero = np.broadcast_to(np.asarray(node.attr("zero_point"), np.int32).reshape(-1), scale.shape)
    kernel = Kernel("qir_dequantize_T_f32__portable", _DEQUANTIZE, f"qir_dequantize_{x.short}_f32__portable",
                    (("QIR_X", x.ctype),))  # fmt: skip
    tables = (Data(scale, "scales"), Data(np.ascontiguousarray(zero), "zero points"), Scalar(scale.size))
    return Bound(kernel, (*tables, strided(0, _loops(site)), x.read, site.output.write))


def _bind_convert(site: Site) -> Bound:
    x, y, (scale, requant) = site.input(0), site.output, _numbers(site)
    kernel = Kernel("qir_convert_T__avx2", _CONVERT, f"qir_convert_{x.short}_{y.short}__avx2", (
        ("QIR_X", x.ctype), ("QIR_Y", y.ctype), ("QIR_LOAD16", f"qir_avx2_load16_{x.short}"),
        ("QIR_MOVE16", f"qir_avx2_move16_{y.short}"),
    ))  # fmt: skip
    return Bound(kernel, (requant, Scalar(scale, "float"), Scalar(y.size, "size_t"), x.read, y.write))


def _bind_neon(site: Site) -> Bound:
    x, y, (scale, requant) = site.input(0), site.output, _numbers(site)
    name = "quantize" if y.dtype.name == "uint8" else "dequantize"
    kernel = Kernel(f"qir_{name}_{x.short}_{y.short}__neon", _HERE / f"{name}__neon.c")
    return Bound(kernel, (requant, Scalar(scale, "float"), Scalar(y.size, "size_t"), x.read, y.write))


def _planes(site: Site) -> tuple[int, int, int] | None:
    """Where planes become pixels, or nothing moves: samples, planes of one, and pixels."""
    loops = _loops(site)
    if len(loops) < 2:
        return (1, 1, site.output.size) if _accepts_convert(site) is None else None
    pixels, planes = loops[-2][0], loops[-1][0]
    samples = site.output.size // (pixels * planes)
    wanted = [(samples, planes * pixels), (pixels, 1), (planes, pixels)]
    return (samples, planes, pixels) if loops == wanted[samples == 1 :] else None


def _bind_mve(site: Site) -> Bound:
    planes, (scale, requant) = _planes(site), _numbers(site)
    assert planes is not None
    numbers = (Scalar(scale, "float"), Scalar(float(np.float32(1) / np.float32(scale)), "float"), *map(Scalar, planes))
    kernel = Kernel("qir_quantize_f32_u8__mve", _ON_MVE)
    return Bound(kernel, (requant, *numbers, site.input(0).read, site.output.write))


def _work_mve(site: Site) -> float:
    """Instructions, as counted: of four pixels of a plane, of planes."""
    samples, planes, pixels = _planes(site) or (0, 0, 0)
    return float(samples * planes * (15 * -(-pixels // 4) + 40))


def _accepts(site: Site) -> str | None:
    return too_many_strides(_loops(site))


def _accepts_u8(site: Site) -> str | None:
    if _channels(site) != 1:
        return "its channels have scales of their own"
    return None if "uint8" in (site.input(0).dtype.name, site.output.dtype.name) else "its codes are not uint8"


def _accepts_convert(site: Site) -> str | None:
    return _accepts_u8(site) or (None if _loops(site) in ([], [(site.output.size, 1)]) else "its axes change places")


def _accepts_neon(site: Site) -> str | None:
    return _accepts_convert(site) or flushed(site, _numbers(site)[0])


def _accepts_mve(site: Site) -> str | None:
    if _accepts_u8(site) is None and not 2.0**-60 <= _numbers(site)[0] <= 2.0**60:
        return "its scale is no common one"
    return _accepts_u8(site) or (None if _planes(site) else "its planes do not become pixels")


def _takes_compare(site: Site) -> str | None:
    numbers = (site.input(0).dtype.name, site.output.dtype.name)
    if "rounding" not in site.node.attrs:
        return "its codes are the nearest"
    return None if numbers == ("float32", "uint8") else "only float32 is compared, to give uint8"


def _bind_compare(site: Site, isa: str) -> Bound:
    node, y = site.node, site.output
    threshold, ternary = float(np.float32(node.attr("threshold"))), node.attr("rounding") == "ternary"
    numbers = (Scalar(threshold, "float"), Scalar(int(ternary)), Scalar(-threshold if ternary else threshold, "float"),
               Scalar(0 if ternary else -1), Scalar(int(node.attr("zero_point"))))  # fmt: skip
    kernel = Kernel(f"qir_compare_f32_u8__{isa}", _compare(isa))
    return Bound(kernel, (*numbers, Scalar(y.size, "size_t"), site.input(0).read, y.write))


def _compare(isa: str) -> Path:
    return _HERE / f"compare__{isa}.c"


_COMPARED = Family(
    "compare", ("qir.Quantize",), FOLLOW,
    tuple(Variant(isa, _compare(isa), lambda site: None, partial(_bind_compare, isa=isa))
          for isa in ("portable", "avx2")),
    takes=_takes_compare, pointwise=True,
)  # fmt: skip
FAMILIES = (_COMPARED, *(
    Family(name, (op,), FOLLOW, (
        Variant("portable", source, _accepts, bind),
        Variant("avx2", _CONVERT, _accepts_convert, _bind_convert, f"{name}__avx2"),
        Variant("neon", _HERE / f"{name}__neon.c", _accepts_neon, _bind_neon),
        *turning(f"{name}_", _accepts_u8, _numbers), *own,
    ), takes=takes, pointwise=op == "qir.Quantize", reorders=True)
    for name, op, source, bind, takes, own in (
        ("quantize", "qir.Quantize", _QUANTIZE, _bind_quantize, _takes_quantize,
         (Variant("mve", _ON_MVE, _accepts_mve, _bind_mve, work=_work_mve),)),
        ("dequantize", "qir.Dequantize", _DEQUANTIZE, _bind_dequantize, _takes_dequantize, ()),
    )
))  # fmt: skip
