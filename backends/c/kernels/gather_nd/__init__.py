"""GatherND."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.indices import nothing_to_read, wrong_index_type
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Scalar, ctype

_SOURCE = Path(__file__).parent / "gather_nd__portable.c"


def _takes(site: Site) -> str | None:
    return wrong_index_type(site.input(1)) or nothing_to_read(site.input(0), site.output)


def _bind(site: Site) -> Bound:
    x, indices, batch_dims = site.input(0), site.input(1), int(site.node.attr("batch_dims", 0))
    ctype(x.dtype, tensor=x.name)
    depth = indices.shape[-1]
    kernel = Kernel("qir_gather_nd_I__portable", _SOURCE, f"qir_gather_nd_{indices.short}__portable",
                    (("QIR_I", indices.ctype),))  # fmt: skip
    sizes = Data(np.array(x.shape[batch_dims : batch_dims + depth], np.int32), "sizes")
    inner = prod(x.shape[batch_dims + depth :]) * x.dtype.numpy.itemsize
    return Bound(kernel, (
        Scalar(prod(x.shape[:batch_dims]), "size_t"), Scalar(prod(indices.shape[batch_dims:-1]), "size_t"),
        Scalar(depth), sizes, Scalar(inner, "size_t"), x.read, indices.read, site.output.write,
    ))  # fmt: skip


FAMILY = Family("gather_nd", ("GatherND",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),),
                takes=_takes)  # fmt: skip
