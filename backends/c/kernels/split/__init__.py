"""Split of any element type, in whatever order its input lies."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.concat import chunk_bytes
from qir.backends.c.kernels.unary import same_order
from qir.backends.c.program import Data, Kernel, Scalar

_SOURCE = Path(__file__).parent / "split__portable.c"


def _takes(site: Site) -> str | None:
    return None if all(site.outputs) else "some of its parts are left out"


def _bind(site: Site) -> Bound:
    x, parts = site.input(0), [y for y in site.outputs if y is not None]
    place = x.stored_axis(int(site.node.attr("axis", 0)))
    names = [f"y{slot}" for slot in range(len(parts))]
    kernel = Kernel("qir_split_N__portable", _SOURCE, f"qir_split_{len(parts)}__portable", (
        ("QIR_PARAMETERS", ", ".join(f"void *{name}" for name in names)), ("QIR_LIST", ", ".join(names)),
        ("QIR_COUNT", str(len(parts))),
    ))  # fmt: skip
    chunks = np.array([chunk_bytes(y, place) for y in parts], np.uint32)
    outer = Scalar(prod(x.stored_shape[:place]), "size_t")
    return Bound(kernel, (outer, Data(chunks, "bytes"), x.read, *(y.write for y in parts)))


FAMILY = Family("split", ("Split",), same_order, (Variant("portable", _SOURCE, lambda site: None, _bind),),
                takes=_takes)  # fmt: skip
