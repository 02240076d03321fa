"""TensorScatter: updates of a key or value cache."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Scalar, Struct, ctype

_SOURCE = Path(__file__).parent / "tensor_scatter__portable.c"


def _takes(site: Site) -> str | None:
    return None if site.input(0).size else "the cache is empty"


def _bind(site: Site) -> Bound:
    x, updates, first = site.input(0), site.input(1), site.optional(2)
    ctype(x.dtype, tensor=x.name)
    axis, mode = int(site.node.attr("axis", -2)) % x.rank, site.node.attr("mode", "linear")
    shape = Struct("qir_tensor_scatter_shape", (
        ("batch", x.shape[0]), ("middle", prod(x.shape[1:axis])), ("size", x.shape[axis]),
        ("steps", updates.shape[axis]), ("circular", int(mode in ("circular", b"circular"))),
    ))  # fmt: skip
    starts = first.read if first is not None else Data(np.zeros(x.shape[0], np.int64), "first")
    bytes_each = Scalar(prod(x.shape[axis + 1 :]) * x.dtype.numpy.itemsize, "size_t")
    kernel = Kernel("qir_tensor_scatter__portable", _SOURCE)
    return Bound(kernel, (shape, bytes_each, x.read, updates.read, starts, site.output.write))


FAMILY = Family("tensor_scatter", ("TensorScatter",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),),
                takes=_takes)  # fmt: skip
