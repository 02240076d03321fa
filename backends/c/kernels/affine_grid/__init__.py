"""AffineGrid on floats."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.float_types import takes_floats, typed_kernel
from qir.backends.c.binding.loops import three
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Scalar

_SOURCE = Path(__file__).parent / "affine_grid__portable.c"


def _bind(site: Site) -> Bound:
    y = site.output
    axes = y.shape[-1]
    numbers = (y.shape[0], *three(y.shape[1:-1], 1), axes, int(site.node.attr("align_corners", 0)))
    args = (*(Scalar(n) for n in numbers), site.input(0).read, y.write)
    return Bound(typed_kernel(site, "qir_affine_grid_T__portable", _SOURCE), args)


FAMILY = Family(
    "affine_grid", ("AffineGrid",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=takes_floats
)
