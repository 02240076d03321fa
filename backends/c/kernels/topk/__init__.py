"""TopK of any element type."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.float_types import typed_kernel
from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.site import Site, plain
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.softmax import around
from qir.backends.c.program import Arg, Scalar, Scratch

_SOURCE = Path(__file__).parent / "topk__portable.c"


def _layout(site: Site) -> Orders:
    order = site.input(0).order
    return Orders((order, plain(site.input(1).rank)), tuple(order if y else None for y in site.outputs))


def _bind(site: Site) -> Bound:
    x, node = site.input(0), site.node
    axis = int(node.attr("axis", -1))
    known = next(y for y in site.outputs if y is not None)
    outer, size, inner = around(x, axis)
    found = [site.outputs[slot] if slot < len(site.outputs) else None for slot in (0, 1)]
    sizes = (x.dtype.numpy.itemsize, 8)
    results: list[Arg] = [
        y.write if y else Scratch(max(known.size, 1) * size) for y, size in zip(found, sizes, strict=True)
    ]
    numbers = (outer, size, inner, known.shape[axis], int(node.attr("largest", 1)))
    kernel = typed_kernel(site, "qir_topk_T__portable", _SOURCE)
    return Bound(kernel, (*(Scalar(n) for n in numbers), x.read, *results))


FAMILY = Family("topk", ("TopK",), _layout, (Variant("portable", _SOURCE, lambda site: None, _bind),))
