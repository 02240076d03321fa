"""GridSample on floats."""

from __future__ import annotations

from math import prod
from pathlib import Path

from qir.backends.c.binding.float_types import float_kernel, takes_floats
from qir.backends.c.binding.loops import three
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Struct

_SOURCE = Path(__file__).parent / "grid_sample__portable.c"
_FORMS = {"nearest": 0, "linear": 1, "bilinear": 1, "cubic": 2, "bicubic": 2}
_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}


def _accepts(site: Site) -> str | None:
    x, grid = site.input(0), site.input(1)
    if x.rank not in (4, 5):
        return f"{x.rank - 2} spatial axes, 2 or 3 are supported"
    if x.rank == 5 and _FORMS.get(site.node.attr("mode", "linear")) == 2:
        return "cubic interpolation takes two spatial axes"
    return None if x.dtype == grid.dtype else "image and grid have different types"


def _bind(site: Site) -> Bound:
    x, node, y = site.input(0), site.node, site.output
    shape = Struct("qir_grid_sample_shape", (
        ("batch", x.shape[0]), ("channels", x.shape[1]), ("axes", x.rank - 2), ("in", three(x.shape[2:], 1)),
        ("points", prod(y.shape[2:])), ("form", _FORMS[node.attr("mode", "linear")]),
        ("padding", _PADDINGS[node.attr("padding_mode", "zeros")]), ("aligned", int(node.attr("align_corners", 0))),
    ))  # fmt: skip
    kernel = float_kernel(site, "qir_grid_sample_T__portable", _SOURCE)
    return Bound(kernel, (shape, x.read, site.input(1).read, y.write))


FAMILY = Family(
    "grid_sample", ("GridSample",), PLAIN, (Variant("portable", _SOURCE, _accepts, _bind),), takes=takes_floats
)
