"""Gather, and Compress by a constant condition."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.indices import nothing_to_read, wrong_index_type
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Scalar, ctype

_SOURCE = Path(__file__).parent / "gather__portable.c"


def _takes(site: Site) -> str | None:
    if site.node.op == "Compress":
        return None if site.constant(1) is not None else "its condition is computed"
    return wrong_index_type(site.input(1)) or nothing_to_read(site.input(0), site.output)


def _bind(site: Site) -> Bound:
    x, node = site.input(0), site.node
    ctype(x.dtype, tensor=x.name)
    short, count = "s32", site.input(1).size
    if node.op == "Compress":
        chosen = np.flatnonzero(np.asarray(site.constant(1))).astype(np.int32)
        indices, count = Data(chosen, "indices"), chosen.size
    else:
        indices, short = site.input(1).read, site.input(1).short  # type: ignore[assignment]  # any argument
    axis = node.attr("axis", 0 if node.op == "Gather" else None)
    shape = (x.size,) if axis is None else x.shape
    place = 0 if axis is None else int(axis) % x.rank
    kernel = Kernel("qir_gather_I__portable", _SOURCE, f"qir_gather_{short}__portable",
                    (("QIR_I", "int32_t" if short == "s32" else "int64_t"),))  # fmt: skip
    sizes = (Scalar(prod(shape[:place]), "size_t"), Scalar(shape[place]), Scalar(count, "size_t"),
             Scalar(prod(shape[place + 1 :]) * x.dtype.numpy.itemsize, "size_t"))  # fmt: skip
    return Bound(kernel, (*sizes, x.read, indices, site.output.write))


FAMILY = Family("gather", ("Gather", "Compress"), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),),
                takes=_takes)  # fmt: skip
