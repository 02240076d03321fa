"""Concat of any element type, in whatever order its inputs lie."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.site import Operand, Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Scalar, ctype

_SOURCE = Path(__file__).parent / "concat__portable.c"


def chunk_bytes(operand: Operand, place: int) -> int:
    """Bytes of one part in one round: everything inside the stored axis `place`."""
    ctype(operand.dtype, tensor=operand.name)
    return prod(operand.stored_shape[place:]) * operand.dtype.numpy.itemsize


def _bind(site: Site) -> Bound:
    y, parts = site.output, [x for x in site.inputs if x is not None]
    place = y.stored_axis(int(site.node.attr("axis")))
    names = [f"x{slot}" for slot in range(len(parts))]
    kernel = Kernel("qir_concat_N__portable", _SOURCE, f"qir_concat_{len(parts)}__portable", (
        ("QIR_PARAMETERS", ", ".join(f"const void *{name}" for name in names)), ("QIR_LIST", ", ".join(names)),
        ("QIR_COUNT", str(len(parts))),
    ))  # fmt: skip
    chunks = np.array([chunk_bytes(x, place) for x in parts], np.uint32)
    outer = Scalar(prod(y.stored_shape[:place]), "size_t")
    return Bound(kernel, (outer, Data(chunks, "bytes"), y.write, *(x.read for x in parts)))


FAMILY = Family("concat", ("Concat",), FOLLOW, (Variant("portable", _SOURCE, lambda site: None, _bind),))
