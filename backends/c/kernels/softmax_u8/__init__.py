"""qir.IntSoftmax: softmax of rows of uint8 codes; codes or reals out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import only_bytes, typed
from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.requant import quotient, requant, vector_types
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Struct

_HERE = Path(__file__).parent
_SOURCE, _AVX2 = _HERE / "softmax_u8__portable.c", _HERE / "softmax_u8__avx2.c"
_ASIMD = _HERE / "softmax_u8__asimd.c"


def _layout(site: Site) -> Orders:
    """The axis innermost."""
    order, axis = site.input(0).order, int(site.node.attr("axis"))
    wanted = (*(one for one in order if one != axis), axis)
    return Orders((wanted, (0,)), (wanted,))


def _accepts(site: Site) -> str | None:
    table = site.constant(1)
    return None if table is not None and table.shape == (256,) else "the table must be a constant of 256 entries"


def _bind(site: Site, isa: str, source: Path) -> Bound:
    x, y, node = site.input(0), site.output, site.node
    size = x.shape[int(node.attr("axis"))]
    shape = Struct("qir_softmax_u8_shape", (
        ("rows", x.size // max(size, 1)), ("size", size), ("multiplier", float(np.float32(node.attr("multiplier")))),
        ("requant", requant(node)),
    ))  # fmt: skip
    kernel = typed(site, f"qir_softmax_u8_T__{isa}", source, ("u8", "u8"),
                   (quotient(site), *vector_types(site, "neon" if isa == "asimd" else "avx2", "store16")))  # fmt: skip
    table = Data(np.ascontiguousarray(site.input(1).value), "exponentials")
    return Bound(kernel, (shape, table, x.read, y.write))


FAMILY = Family(
    "softmax_u8", ("qir.IntSoftmax",), _layout,
    (
        Variant("portable", _SOURCE, _accepts, lambda site: _bind(site, "portable", _SOURCE)),
        *(Variant(isa, source, lambda site: _accepts(site) or only_bytes(site), partial(_bind, isa=isa, source=source))
          for isa, source in (("avx2", _AVX2), ("asimd", _ASIMD))),
    ),
    in_place=(0,),
)  # fmt: skip
