"""Resize of any kind, its operands constants: nearest of every element type, linear and cubic of numbers."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.expressions import converted
from qir.backends.c.binding.loops import three
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.resize.sampling import axes, taps, text
from qir.backends.c.kernels.unary import same_order
from qir.backends.c.program import Data, Kernel, Scalar, Struct
from qir.ir.dtype import FLOAT32, FLOAT64

_HERE = Path(__file__).parent
_NEAREST, _WEIGHTED = _HERE / "nearest__portable.c", _HERE / "weighted__portable.c"


def _takes(site: Site) -> str | None:
    if any(operand is not None and operand.value is None for operand in site.inputs[1:]):
        return "its region, scales or sizes are computed"
    if text(site, "mode", "nearest") != "nearest" and site.input(0).dtype.kind == "bool":
        return "only numbers are interpolated"
    if site.output.size and not site.input(0).size:
        return "it reads from an empty tensor"
    return None


def _span(site: Site) -> tuple[int, int]:
    """First and one past the last stored axis that is resampled."""
    x, listed = site.input(0), axes(site)
    resized = [place for place, axis in enumerate(x.order) if not listed[axis].is_identity]
    return (resized[0], resized[-1] + 1) if resized else (0, 0)


def _accepts(site: Site) -> str | None:
    first, last = _span(site)
    if last - first > 3:
        return f"{last - first} axes from the first to the last resized one, at most 3 are supported"
    return None


def _accepts_nearest(site: Site) -> str | None:
    return _accepts(site) if text(site, "mode", "nearest") == "nearest" else "it interpolates"


def _tables(site: Site) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Places and weights of the resampled axes, led by an axis of one output up to three."""
    x, listed, (first, last) = site.input(0), axes(site), _span(site)
    places, weights = [np.zeros((1, 1))] * (3 - last + first), [np.ones((1, 1))] * (3 - last + first)
    for axis in x.order[first:last]:
        index, weight = taps(site, listed[axis])
        places.append(np.where(index < 0, -1, index * x.strides[axis]))
        weights.append(weight)
    return places, weights


def _flat(tables: list[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([table.reshape(-1) for table in tables]).astype(kind)


def _shape(site: Site, places: list[np.ndarray]) -> Struct:
    x, (first, last) = site.input(0), _span(site)
    return Struct("qir_resize_shape", (
        ("outer", prod(x.stored_shape[:first])), ("inner", prod(x.stored_shape[last:])),
        ("sample", prod(x.stored_shape[first:])), ("out", three([len(p) for p in places], 1)),
        ("taps", three([p.shape[1] for p in places], 1)),
    ))  # fmt: skip


def _outside(site: Site) -> Scalar:
    value, x = float(site.node.attr("extrapolation_value", 0.0)), site.input(0)
    return Scalar(value if x.dtype.is_float else int(value), x.ctype)


def _bind_nearest(site: Site) -> Bound:
    x, (places, _) = site.input(0), _tables(site)
    name = f"qir_resize_nearest_{x.short}__portable"
    kernel = Kernel("qir_resize_nearest_T__portable", _NEAREST, name, (("QIR_T", x.ctype),))
    table = Data(_flat(places, np.int32), "places")
    return Bound(kernel, (_shape(site, places), table, _outside(site), x.read, site.output.write))


def _bind_weighted(site: Site) -> Bound:
    x, (places, weights) = site.input(0), _tables(site)
    real = FLOAT64 if x.dtype == FLOAT64 else FLOAT32
    kernel = Kernel("qir_resize_weighted_T__portable", _WEIGHTED, f"qir_resize_weighted_{x.short}__portable", (
        ("QIR_STORED", converted("acc", real, x.dtype)), ("QIR_T", x.ctype),
        ("QIR_W", "double" if real == FLOAT64 else "float"),
    ))  # fmt: skip
    tables = (Data(_flat(places, np.int32), "places"), Data(_flat(weights, real.numpy.type), "weights"))
    return Bound(kernel, (_shape(site, places), *tables, _outside(site), x.read, site.output.write))


FAMILY = Family("resize", ("Resize",), same_order, (
    Variant("portable", _NEAREST, _accepts_nearest, _bind_nearest),
    Variant("portable", _WEIGHTED, _accepts, _bind_weighted),
), takes=_takes)  # fmt: skip
