"""Operators whose result depends on shapes and constants alone: Shape, Size, EyeLike, ConstantOfShape, Range."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Scalar, ctype

_SOURCE = Path(__file__).parent / "static_value__portable.c"


def _value(site: Site) -> np.ndarray | None:
    """The result, None where it is computed."""
    node, y = site.node, site.output
    kind = y.dtype.numpy
    if node.op == "Shape":
        return np.array(site.input(0).shape[slice(node.attr("start", 0), node.attr("end"))], kind)
    if node.op == "Size":
        return np.array(site.input(0).size, kind)
    if node.op == "EyeLike":
        return np.asarray(np.eye(y.shape[0], y.shape[1], int(node.attr("k", 0))), kind)
    if node.op == "ConstantOfShape":
        return np.full(y.shape, np.asarray(node.attr("value", np.zeros(1, np.float32))).reshape(-1)[0], kind)
    start, delta = site.constant(0), site.constant(2)
    if start is None or delta is None or site.constant(1) is None:
        return None
    return np.asarray(start.reshape(()) + np.arange(y.size) * delta.reshape(()), kind)


def _takes(site: Site) -> str | None:
    return None if _value(site) is not None else "its result is not known at compile time"


def _bind(site: Site) -> Bound:
    value, y = _value(site), site.output
    assert value is not None, "refused by takes"
    ctype(y.dtype, tensor=y.name)
    args = (Scalar(y.nbytes, "size_t"), Data(np.ascontiguousarray(value).reshape(y.shape), "value"), y.write)
    return Bound(Kernel("qir_static_value__portable", _SOURCE), args)


FAMILY = Family("static_value", ("Shape", "Size", "EyeLike", "ConstantOfShape", "Range"), PLAIN,
                (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=_takes)  # fmt: skip
