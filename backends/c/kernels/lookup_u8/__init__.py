"""qir.Lookup: any function of one uint8 code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Scalar

_HERE = Path(__file__).parent
_SOURCE = _HERE / "lookup_u8__portable.c"


def _layout(site: Site) -> Orders:
    order = site.input(0).order
    return Orders((order, (0,)), (order,))


def _accepts(site: Site) -> str | None:
    table = site.constant(1)
    return None if table is not None and table.shape == (256,) else "the table must be a constant of 256 entries"


def _accepts_vectors(site: Site) -> str | None:
    return _accepts(site) or (None if site.output.dtype.name == "uint8" else "its results are not uint8")


def _bind(site: Site, isa: str = "portable") -> Bound:
    x, y = site.input(0), site.output
    kernel = Kernel("qir_lookup_u8_T__portable", _SOURCE, f"qir_lookup_u8_{y.short}__portable", (("QIR_Y", y.ctype),))
    if isa != "portable":
        kernel = Kernel(f"qir_lookup_u8_u8__{isa}", _HERE / f"lookup_u8__{isa}.c")
    table = Data(np.ascontiguousarray(site.input(1).value), "table")
    return Bound(kernel, (Scalar(y.size, "size_t"), x.read, table, y.write))


def _on(isa: str) -> Variant:
    return Variant(isa, _HERE / f"lookup_u8__{isa}.c", _accepts_vectors, lambda site: _bind(site, isa))


FAMILY = Family(
    "lookup_u8", ("qir.Lookup",), _layout,
    (Variant("portable", _SOURCE, _accepts, _bind), _on("avx2"), _on("neon")),
    in_place=(0,), pointwise=True,
)  # fmt: skip
