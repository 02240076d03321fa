"""Trilu, its diagonal constant or computed."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Scalar

_SOURCE = Path(__file__).parent / "trilu__portable.c"


def _bind(site: Site) -> Bound:
    x, y, given = site.input(0), site.output, site.optional(1)
    diagonal = given.read if given is not None else Data(np.zeros(1, np.int64), "diagonal")
    kernel = Kernel("qir_trilu_T__portable", _SOURCE, f"qir_trilu_{x.short}__portable", (("QIR_T", x.ctype),))
    sizes = (Scalar(prod(x.shape[:-2]), "size_t"), Scalar(x.shape[-2]), Scalar(x.shape[-1]))
    return Bound(kernel, (*sizes, Scalar(int(site.node.attr("upper", 1))), diagonal, x.read, y.write))


FAMILY = Family("trilu", ("Trilu",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),), in_place=(0,))
