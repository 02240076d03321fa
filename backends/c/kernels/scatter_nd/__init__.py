"""ScatterND, with every reduction."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.indices import wrong_index_type
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.scatter_elements import reduction
from qir.backends.c.program import Data, Kernel, Scalar

_SOURCE = Path(__file__).parent / "scatter_nd__portable.c"


def _takes(site: Site) -> str | None:
    name, text = reduction(site)
    return wrong_index_type(site.input(1)) or (None if text else f"{name} is not defined for {site.input(0).dtype}")


def _bind(site: Site) -> Bound:
    x, indices, updates, y = site.input(0), site.input(1), site.input(2), site.output
    name, text = reduction(site)
    depth = indices.shape[-1]
    kernel = Kernel("qir_scatter_nd_IT__portable", _SOURCE,
                    f"qir_scatter_nd_{name}_{indices.short}_{x.short}__portable",
                    (("QIR_EXPRESSION", text or ""), ("QIR_I", indices.ctype), ("QIR_Y", x.ctype)))  # fmt: skip
    sizes = Data(np.array(x.shape[:depth], np.int32), "sizes")
    return Bound(kernel, (
        Scalar(y.nbytes, "size_t"), Scalar(prod(indices.shape[:-1]), "size_t"), Scalar(depth), sizes,
        Scalar(prod(x.shape[depth:]), "size_t"), x.read, indices.read, updates.read, y.write,
    ))  # fmt: skip


FAMILY = Family("scatter_nd", ("ScatterND",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),),
                takes=_takes)  # fmt: skip
