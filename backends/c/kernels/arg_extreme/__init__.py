"""ArgMax and ArgMin of any element type."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.float_types import typed_kernel
from qir.backends.c.binding.orders import Orders, reduced
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.softmax import around
from qir.backends.c.program import Scalar

_SOURCE = Path(__file__).parent / "arg_extreme__portable.c"


def _axis(site: Site) -> int:
    return int(site.node.attr("axis", 0)) % site.input(0).rank


def _layout(site: Site) -> Orders:
    order = site.input(0).order
    return Orders((order,), (reduced(order, frozenset((_axis(site),)), bool(site.node.attr("keepdims", 1))),))


def _accepts(site: Site) -> str | None:
    return None if site.input(0).rank and site.input(0).shape[_axis(site)] else "there is nothing to compare"


def _bind(site: Site) -> Bound:
    x, node = site.input(0), site.node
    flags = (int(node.op == "ArgMax"), int(node.attr("select_last_index", 0)))
    args = (*(Scalar(n) for n in (*around(x, _axis(site)), *flags)), x.read, site.output.write)
    return Bound(typed_kernel(site, "qir_arg_extreme_T__portable", _SOURCE), args)


FAMILY = Family("arg_extreme", ("ArgMax", "ArgMin"), _layout, (Variant("portable", _SOURCE, _accepts, _bind),))
