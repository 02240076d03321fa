"""QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear that stayed ONNX nodes."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.float_types import typed_kernel
from qir.backends.c.binding.orders import PLAIN, Orders
from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.softmax import around
from qir.backends.c.program import Arg, Data, Kernel, Scalar, Scratch, Struct

_HERE = Path(__file__).parent
_QUANTIZE, _DEQUANTIZE = _HERE / "quantize_linear__portable.c", _HERE / "dequantize_linear__portable.c"
_DYNAMIC = _HERE / "dynamic_quantize__portable.c"


def _layout(site: Site) -> Orders:
    """Any order where one scale serves all, else plain."""
    plainly = PLAIN(site)
    if site.input(1).size != 1:
        return plainly
    order = site.input(0).order
    return Orders((order, *plainly.inputs[1:]), (order,))


def _takes_quantize(site: Site) -> str | None:
    kinds = (site.input(0).dtype.name, site.input(1).dtype.name)
    if kinds != ("float32", "float32"):
        return "only float32 is quantized"
    y = site.output.dtype
    return None if y.is_integer and y.bits in (8, 16) else "codes have 8 or 16 bits"


def _takes_dequantize(site: Site) -> str | None:
    x = site.input(0).dtype
    if site.input(1).dtype.name != "float32" or site.output.dtype.name != "float32":
        return "only float32 is made"
    return None if x.is_integer and x.bits in (8, 16, 32) and x.name != "uint32" else "codes have 8, 16 or 32 bits"


def _shape(site: Site, codes: Operand) -> Struct:
    x, scale, node = site.input(0), site.input(1), site.node
    axis = int(node.attr("axis", 1))
    if scale.size == 1:
        sizes, block, strides = (1, 1, x.size), 1, (0, 0, 0)
    elif scale.rank < 2:
        sizes, block, strides = around(x, axis), 1, (0, 1, 0)
    else:
        sizes, count = around(x, axis), scale.shape[axis % x.rank]
        block = int(node.attr("block_size", 0)) or -(-sizes[1] // count)
        inner = prod(scale.shape[axis % x.rank + 1 :])
        strides = (count * inner, inner, 1)
    names = ("outer", "size", "inner", "block", "outer_stride", "axis_stride", "inner_stride", "low", "high")
    low, high = (codes.dtype.min, codes.dtype.max) if codes.dtype.bits < 32 else (0, 0)
    return Struct("qir_quantize_linear_shape", tuple(zip(names, (*sizes, block, *strides, low, high), strict=True)))


def _zero(site: Site, codes: Operand) -> Arg:
    zero = site.optional(2)
    return Data(np.zeros(site.input(1).size, codes.dtype.numpy), "zero points") if zero is None else zero.read


def _bind_quantize(site: Site) -> Bound:
    x, y = site.input(0), site.output
    kernel = Kernel("qir_quantize_linear_T__portable", _QUANTIZE, f"qir_quantize_linear_{y.short}__portable",
                    (("QIR_T", y.ctype),))  # fmt: skip
    return Bound(kernel, (_shape(site, y), x.read, site.input(1).read, _zero(site, y), y.write))


def _bind_dequantize(site: Site) -> Bound:
    x = site.input(0)
    kernel = typed_kernel(site, "qir_dequantize_linear_T__portable", _DEQUANTIZE)
    return Bound(kernel, (_shape(site, x), x.read, site.input(1).read, _zero(site, x), site.output.write))


def _dynamic_layout(site: Site) -> Orders:
    order = site.input(0).order
    return Orders((order,), tuple((order if slot == 0 else ()) if y else None for slot, y in enumerate(site.outputs)))


def _bind_dynamic(site: Site) -> Bound:
    x = site.input(0)
    notes = [site.outputs[slot] if slot < len(site.outputs) else None for slot in (1, 2)]
    results: list[Arg] = [y.write if y else Scratch(4) for y in notes]
    kernel = Kernel("qir_dynamic_quantize_f32_u8__portable", _DYNAMIC)
    return Bound(kernel, (Scalar(x.size), x.read, site.output.write, *results))


def _anything(site: Site) -> str | None:
    return None


FAMILIES = (
    Family("quantize_linear", ("QuantizeLinear",), _layout,
           (Variant("portable", _QUANTIZE, _anything, _bind_quantize),), takes=_takes_quantize),
    Family("dequantize_linear", ("DequantizeLinear",), _layout,
           (Variant("portable", _DEQUANTIZE, _anything, _bind_dequantize),), takes=_takes_dequantize),
    Family("dynamic_quantize", ("DynamicQuantizeLinear",), _dynamic_layout,
           (Variant("portable", _DYNAMIC, _anything, _bind_dynamic),)),
)  # fmt: skip
