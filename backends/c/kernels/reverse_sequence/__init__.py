"""ReverseSequence."""

from __future__ import annotations

from math import prod
from pathlib import Path

from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Scalar, ctype

_SOURCE = Path(__file__).parent / "reverse_sequence__portable.c"


def _bind(site: Site) -> Bound:
    x, lengths = site.input(0), site.input(1)
    ctype(x.dtype, tensor=x.name)
    time_first = int(site.node.attr("time_axis", 0)) % x.rank == 0
    bytes_each = prod(x.shape[2:]) * x.dtype.numpy.itemsize
    sizes = (Scalar(x.shape[0]), Scalar(x.shape[1]), Scalar(int(time_first)), Scalar(bytes_each, "size_t"))
    return Bound(Kernel("qir_reverse_sequence__portable", _SOURCE), (*sizes, x.read, lengths.read, site.output.write))


FAMILY = Family("reverse_sequence", ("ReverseSequence",), PLAIN,
                (Variant("portable", _SOURCE, lambda site: None, _bind),))  # fmt: skip
