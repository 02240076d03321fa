"""MatMulInteger, ConvInteger, QLinearMatMul and QLinearConv that stayed ONNX nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.loops import led, too_many_loops, window_fields
from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_f32 import few_axes
from qir.backends.c.kernels.matmul_f32 import as_stored, batch_loops, matrix
from qir.backends.c.program import Arg, Data, Kernel, Struct
from qir.ops.window import window

_HERE = Path(__file__).parent
_MATMUL, _CONV = _HERE / "qlinear_matmul__portable.c", _HERE / "qlinear_conv__portable.c"


def _is_linear(site: Site) -> bool:
    return site.node.op.startswith("QLinear")


def _slots(site: Site) -> tuple[int, int, int]:
    """Slots of the second operand and of both zero points."""
    return (3, 2, 5) if _is_linear(site) else (1, 2, 3)


def _second(site: Site) -> Operand:
    return site.input(_slots(site)[0])


def _takes(site: Site) -> str | None:
    eight = ("uint8", "int8")
    if site.input(0).dtype.name not in eight or _second(site).dtype.name not in eight:
        return "operands must be uint8 or int8"
    scales = (1, 4, 6) if _is_linear(site) else ()
    return "scales must be float32" if any(site.input(s).dtype.name != "float32" for s in scales) else None


def _sizes_fit(site: Site, rows: int, columns: int) -> str | None:
    """The reason to refuse scales or zero points other than one, one a row or one a column."""
    _, first, second = _slots(site)
    for slots, most in (((first, 1), rows), ((second, 4), columns)):
        for slot in slots if _is_linear(site) else slots[:1]:
            operand = site.optional(slot)
            if operand is not None and operand.size not in (1, most):
                return "scales and zero points must be one, one a row or one a column"
    return None


def _kernel(site: Site, function: str, source: Path) -> Kernel:
    a, b, y = site.input(0), _second(site), site.output
    name = function.replace("_T__", f"_{a.short}{b.short}_{y.short}__")
    types = (("QIR_A", a.ctype), ("QIR_B", b.ctype), ("QIR_Y", y.ctype), ("QIR_STORE", f"qir_qlinear_store_{y.short}"))
    return Kernel(function, source, name, types)


def _data(site: Site) -> tuple[Arg, ...]:
    """First operand, scale, zero point; second operand, scale, zero point; result's scale and zero point."""
    place, first, second = _slots(site)
    one = Data(np.ones(1, np.float32), "scale")

    def zero(slot: int, like: Operand) -> Arg:
        operand = site.optional(slot)
        return Data(np.zeros(1, like.dtype.numpy), "zero point") if operand is None else operand.read

    a, b, y = site.input(0), site.input(place), site.output
    scales: list[Arg] = [site.input(slot).read for slot in (1, 4, 6)] if _is_linear(site) else [one, one, one]
    last = site.input(7).read if _is_linear(site) else Data(np.zeros(1, y.dtype.numpy), "zero point")
    return a.read, scales[0], zero(first, a), b.read, scales[1], zero(second, b), scales[2], last


def _stride(site: Site, slot: int) -> int:
    operand = site.optional(slot)
    return 0 if operand is None or operand.size == 1 else 1


def _matrices(site: Site) -> Site:
    """The site with both matrices in slots 0 and 1, as a MatMul has them."""
    return Site(site.node, (site.input(0), _second(site)), site.outputs)


def _accepts_matmul(site: Site) -> str | None:
    (a, _), (b, _) = matrix(site.input(0), True), matrix(_second(site), False)
    return _sizes_fit(site, a[-2], b[-1]) or too_many_loops(batch_loops(_matrices(site)))


def _bind_matmul(site: Site) -> Bound:
    (a, a_steps), (b, b_steps) = matrix(site.input(0), True), matrix(_second(site), False)
    loops = batch_loops(_matrices(site))
    _, first, second = _slots(site)
    linear = _is_linear(site)
    shape = Struct("qir_qlinear_matmul_shape", (
        ("batch", (led(loops, 0, 1), led(loops, 1, 0), led(loops, 2, 0))),
        ("rows", a[-2]), ("depth", a[-1]), ("columns", b[-1]), ("a_row_stride", a_steps[-2]),
        ("a_depth_stride", a_steps[-1]), ("b_depth_stride", b_steps[-2]), ("b_column_stride", b_steps[-1]),
        ("a_zero_stride", _stride(site, first)), ("b_zero_stride", _stride(site, second)),
        ("a_scale_stride", _stride(site, 1) if linear else 0), ("b_scale_stride", _stride(site, 4) if linear else 0),
    ))  # fmt: skip
    return Bound(_kernel(site, "qir_qlinear_matmul_T__portable", _MATMUL), (shape, *_data(site), site.output.write))


def _accepts_conv(site: Site) -> str | None:
    return few_axes(site) or _sizes_fit(site, 1, _second(site).shape[0])


def _bind_conv(site: Site) -> Bound:
    x, w, node = site.input(0), _second(site), site.node
    groups = int(node.attr("group", 1))
    shape = Struct("qir_qlinear_conv_shape", (
        ("window", window_fields(x.shape[0], window(node, x.shape[2:], w.shape[2:]))), ("groups", groups),
        ("in_channels", w.shape[1]), ("out_channels", w.shape[0] // groups),
        ("w_zero_stride", _stride(site, _slots(site)[2])),
        ("w_scale_stride", _stride(site, 4) if _is_linear(site) else 0),
    ))  # fmt: skip
    bias = site.optional(8) if _is_linear(site) else None
    offsets = Data(np.zeros(w.shape[0], np.int32), "bias") if bias is None else bias.read
    kernel = _kernel(site, "qir_qlinear_conv_T__portable", _CONV)
    return Bound(kernel, (shape, *_data(site), offsets, site.output.write))


FAMILIES = (
    Family("qlinear_matmul", ("MatMulInteger", "QLinearMatMul"), as_stored,
           (Variant("portable", _MATMUL, _accepts_matmul, _bind_matmul),), takes=_takes),
    Family("qlinear_conv", ("ConvInteger", "QLinearConv"), CHANNELS_LAST,
           (Variant("portable", _CONV, _accepts_conv, _bind_conv),), takes=_takes),
)  # fmt: skip
