"""Normalizations on floats."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.float_types import float_kernel, takes_floats
from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.orders import FOLLOW, Orders
from qir.backends.c.binding.site import Operand, Order, Site, channels_last, plain, same_bytes
from qir.backends.c.binding.vectors import VECTORS, vector_kernel
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.softmax import around
from qir.backends.c.program import Arg, Data, Kernel, Scalar, Scratch, Struct

_HERE = Path(__file__).parent


def _source(name: str) -> Path:
    return _HERE / f"{name}__portable.c"


def _kernel(site: Site, name: str) -> Kernel:
    return float_kernel(site, f"qir_{name}_T__portable", _source(name))


def _epsilon(site: Site) -> Scalar:
    return Scalar(float(np.float32(site.node.attr("epsilon", 1e-5))), "double")


def _variant(name: str, accepts: object, bind: object) -> tuple[Variant, ...]:
    return (Variant("portable", _source(name), accepts, bind),)  # type: ignore[arg-type]  # one of the pairs below


def _anything(site: Site) -> str | None:
    return None


def _as_input(site: Site, order: Order) -> Orders:
    """Input 0 and outputs of its rank in one order, everything else plain."""
    rest = tuple(plain(x.rank) if x else None for x in site.inputs[1:])
    outputs = tuple((order if y.rank == len(order) and slot == 0 else plain(y.rank)) if y else None
                    for slot, y in enumerate(site.outputs))  # fmt: skip
    return Orders((order, *rest), outputs)


def _first(site: Site) -> Orders:
    """Any order of input 0; the output has the same."""
    return _as_input(site, site.input(0).order)


# Batch normalization


def _accepts_batchnorm(site: Site) -> str | None:
    if site.node.attr("training_mode", 0):
        return "training_mode is not computed"
    kinds = {x.dtype.name for x in site.inputs[1:] if x}
    return None if len(kinds) == 1 and kinds <= {"float32", "float64"} else "parameters of mixed types"


def _bind_batchnorm(site: Site) -> Bound:
    x = site.input(0)
    sizes = around(x, 1) if x.rank > 1 else (x.size, 1, 1)
    kernel = _kernel(site, "batchnorm")
    parameter = site.input(1)
    kernel = Kernel(kernel.function, kernel.source, f"qir_batchnorm_{x.short}{parameter.short}__portable",
                    (*kernel.substitutions, ("QIR_P", parameter.ctype)))  # fmt: skip
    parameters = tuple(site.input(slot).read for slot in (1, 2, 3, 4))
    args = (*(Scalar(n) for n in sizes), _epsilon(site), x.read, *parameters, site.output.write,
            Scratch(sizes[1] * x.dtype.numpy.itemsize))  # fmt: skip
    return Bound(kernel, args)


# Layer and RMS normalization


def _axis(site: Site) -> int:
    return int(site.node.attr("axis", -1)) % site.input(0).rank


def _rows(site: Site) -> Orders:
    """Rows that are normalized lie in one piece, in ONNX's order."""
    x = site.input(0)
    inner = [axis for axis in range(_axis(site), x.rank) if x.shape[axis] != 1]
    stored = [axis for axis in x.order if x.shape[axis] != 1]
    kept = not inner or stored[len(stored) - len(inner) :] == inner
    if any(y is not None for y in site.outputs[1:]):
        kept = kept and x.is_plain
    return _as_input(site, x.order if kept else plain(x.rank))


def _by_element(site: Site, slot: int, missing: float) -> Arg:
    """Scale or bias as one number an element of a row."""
    x, operand = site.input(0), site.optional(slot)
    normalized = x.shape[_axis(site) :]
    if operand is None:
        return Data(np.full(prod(normalized), missing, x.dtype.numpy), "scale" if slot == 1 else "bias")
    if operand.value is None:
        return operand.read
    trimmed = operand.value.reshape(operand.shape[max(operand.rank - len(normalized), 0) :])
    return Data(np.ascontiguousarray(np.broadcast_to(trimmed, normalized)), operand.name)


def _accepts_rows(site: Site) -> str | None:
    x = site.input(0)
    size = prod(x.shape[_axis(site) :])
    for slot in (1, 2):
        operand = site.optional(slot)
        if operand is None:
            continue
        if operand.dtype != x.dtype:
            return "input and parameters have different types"
        if operand.size != size and (
            operand.value is None or operand.size != prod(operand.shape[_axis(site) - x.rank :])
        ):
            return "a computed scale or bias must have one number an element of a row"
    if any(y is not None and y.dtype != x.dtype for y in site.outputs):
        return "mean and deviation in another type than the input"
    return None


def _bind_rows(site: Site, kernel: Kernel | None = None) -> Bound:
    x = site.input(0)
    size = prod(x.shape[_axis(site) :])
    rows = x.size // size if size else 0
    centred = site.node.op == "LayerNormalization"
    kept = [site.outputs[slot] if slot < len(site.outputs) else None for slot in (1, 2)]
    notes: list[Arg] = [y.write if y else Scratch(max(rows, 1) * x.dtype.numpy.itemsize) for y in kept]
    args = (Scalar(rows), Scalar(size), Scalar(int(centred)), _epsilon(site), x.read, _by_element(site, 1, 1.0),
            _by_element(site, 2, 0.0), site.output.write, *notes)  # fmt: skip
    return Bound(kernel or _kernel(site, "rownorm"), args)


def _rows_on_vectors(isa: str) -> Variant:
    source = _HERE / "rownorm__vectors.c"

    def accepts(site: Site) -> str | None:
        return _accepts_rows(site) if site.input(0).dtype.name == "float32" else "only float32"

    def bind(site: Site) -> Bound:
        return _bind_rows(site, vector_kernel("qir_rownorm_f32", source, isa))

    return Variant(isa, source, accepts, bind, f"rownorm_f32__{isa}")


# Instance and group normalization


def _channels(site: Site) -> Orders:
    """Channels before or after the spatial axes, as they are."""
    x = site.input(0)
    return _as_input(
        site, channels_last(x.rank) if same_bytes(x.shape, x.order, channels_last(x.rank)) else plain(x.rank)
    )


def _accepts_groups(site: Site) -> str | None:
    x = site.input(0)
    if any(site.input(slot).size != x.shape[1] or site.input(slot).dtype != x.dtype for slot in (1, 2)):
        return "scale and bias must have one number a channel, of the input's type"
    return None


def _bind_groups(site: Site) -> Bound:
    x = site.input(0)
    batch, channels, positions = x.shape[0], x.shape[1], prod(x.shape[2:])
    groups = int(site.node.attr("num_groups", 1)) if site.node.op == "GroupNormalization" else channels
    steps = (1, channels) if x.rank > 2 and x.order == channels_last(x.rank) else (positions, 1)
    shape = Struct("qir_groupnorm_shape", (
        ("batch", batch), ("groups", groups), ("channels", channels // groups), ("positions", positions),
        ("channel_stride", steps[0]), ("position_stride", steps[1]),
    ))  # fmt: skip
    args = (shape, _epsilon(site), x.read, site.input(1).read, site.input(2).read, site.output.write)
    return Bound(_kernel(site, "groupnorm"), args)


# The others


def _axis_loops(site: Site) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    x = site.input(0)
    gone = {int(axis) % x.rank for axis in site.node.attr("axes", (0, 2, 3))}

    def loops(wanted: bool) -> list[tuple[int, ...]]:
        chosen = [axis for axis in x.order if (axis in gone) == wanted]
        return merged_loops([x.shape[axis] for axis in chosen], [x.strides[axis] for axis in chosen])

    return loops(False), loops(True)


def _accepts_axes(site: Site) -> str | None:
    kept, gone = _axis_loops(site)
    return too_many_loops(kept) or too_many_loops(gone)


def _bind_axes(site: Site) -> Bound:
    kept, gone = _axis_loops(site)
    shape = Struct("qir_axisnorm_shape", (
        ("kept", led(kept, 0, 1)), ("kept_stride", led(kept, 1, 0)),
        ("reduced", led(gone, 0, 1)), ("reduced_stride", led(gone, 1, 0)),
    ))  # fmt: skip
    return Bound(_kernel(site, "axisnorm"), (shape, site.input(0).read, site.output.write))


def _sizes(x: Operand, axis: int) -> tuple[Scalar, ...]:
    return tuple(Scalar(n) for n in around(x, axis))


def _accepts_lp(site: Site) -> str | None:
    return None if int(site.node.attr("p", 2)) in (1, 2) else "p must be 1 or 2"


def _bind_lp(site: Site) -> Bound:
    x, node = site.input(0), site.node
    args = (*_sizes(x, int(node.attr("axis", -1))), Scalar(int(node.attr("p", 2))), x.read, site.output.write)
    return Bound(_kernel(site, "lpnorm"), args)


def _bind_lrn(site: Site) -> Bound:
    x, node = site.input(0), site.node
    size = int(node.attr("size"))
    numbers = (
        Scalar(float(np.float32(node.attr(k, d))), "double")
        for k, d in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    args = (
        *_sizes(x, 1),
        Scalar((size - 1) // 2),
        Scalar(size - 1 - (size - 1) // 2),
        *numbers,
        x.read,
        site.output.write,
    )
    return Bound(_kernel(site, "lrn"), args)


FAMILIES = (
    Family("batchnorm", ("BatchNormalization",), _first, _variant("batchnorm", _accepts_batchnorm, _bind_batchnorm),
           takes=takes_floats, in_place=(0,)),
    Family("rownorm", ("LayerNormalization", "RMSNormalization"), _rows,
           (*_variant("rownorm", _accepts_rows, _bind_rows), *map(_rows_on_vectors, VECTORS)),
           takes=takes_floats, in_place=(0,)),
    Family("groupnorm", ("InstanceNormalization", "GroupNormalization"), _channels,
           _variant("groupnorm", _accepts_groups, _bind_groups), takes=takes_floats, in_place=(0,)),
    Family("axisnorm", ("MeanVarianceNormalization",), _first, _variant("axisnorm", _accepts_axes, _bind_axes),
           takes=takes_floats, in_place=(0,)),
    Family("lpnorm", ("LpNormalization",), FOLLOW, _variant("lpnorm", _accepts_lp, _bind_lp), takes=takes_floats,
           in_place=(0,)),
    Family("lrn", ("LRN",), FOLLOW, _variant("lrn", _anything, _bind_lrn), takes=takes_floats),
)  # fmt: skip
