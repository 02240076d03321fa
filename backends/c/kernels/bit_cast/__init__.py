"""BitCast: the same bytes under another element type of the same width."""

from __future__ import annotations

from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels import copy as copy_family
from qir.backends.c.kernels.unary import same_order
from qir.backends.c.program import Kernel, Scalar, ctype

_SOURCE = copy_family.FAMILY.variants[0].source


def _takes(site: Site) -> str | None:
    x, y = site.input(0).dtype, site.output.dtype
    ctype(x, tensor=site.input(0).name)
    ctype(y, tensor=site.output.name)
    return None if x.numpy.itemsize == y.numpy.itemsize else "its types differ in width"


def _bind(site: Site) -> Bound:
    args = (site.input(0).read, site.output.write, Scalar(site.output.nbytes, "size_t"))
    return Bound(Kernel("qir_copy__portable", _SOURCE), args)


FAMILY = Family("bit_cast", ("BitCast",), same_order, (Variant("portable", _SOURCE, lambda site: None, _bind),),
                takes=_takes)  # fmt: skip
