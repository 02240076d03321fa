"""Plain copies, where a result must have bytes of its own (the operator qir.Copy)."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Scalar

_SOURCE = Path(__file__).parent / "copy__portable.c"


def _bind(site: Site) -> Bound:
    args = (site.input(0).read, site.output.write, Scalar(site.output.nbytes, "size_t"))
    return Bound(Kernel("qir_copy__portable", _SOURCE), args)


FAMILY = Family("copy", ("qir.Copy",), FOLLOW, (Variant("portable", _SOURCE, lambda site: None, _bind),))
