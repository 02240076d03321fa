"""Det on floats."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.float_types import float_kernel, takes_floats
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Scalar, Scratch

_SOURCE = Path(__file__).parent / "det__portable.c"


def _bind(site: Site) -> Bound:
    x, n = site.input(0), site.input(0).shape[-1]
    room = Scratch(max(n * n, 1) * x.dtype.numpy.itemsize)
    args = (Scalar(site.output.size), Scalar(n), x.read, site.output.write, room)
    return Bound(float_kernel(site, "qir_det_T__portable", _SOURCE), args)


FAMILY = Family("det", ("Det",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=takes_floats)
