"""RoiAlign on floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.float_types import float_kernel, takes_floats
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Struct

_SOURCE = Path(__file__).parent / "roi_align__portable.c"


def _bind(site: Site) -> Bound:
    x, y, node = site.input(0), site.output, site.node
    moved = node.attr("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    shape = Struct("qir_roi_align_shape", (
        ("batch", x.shape[0]), ("channels", x.shape[1]), ("in", x.shape[2:]),
        ("count", y.shape[0]), ("out", y.shape[2:]),
        ("sampling", int(node.attr("sampling_ratio", 0))), ("largest", int(node.attr("mode", "avg") == "max")),
        ("spatial_scale", float(np.float32(node.attr("spatial_scale", 1.0)))), ("offset", 0.5 if moved else 0.0),
    ))  # fmt: skip
    kernel = float_kernel(site, "qir_roi_align_T__portable", _SOURCE)
    return Bound(kernel, (shape, x.read, site.input(1).read, site.input(2).read, y.write))


FAMILY = Family(
    "roi_align", ("RoiAlign",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=takes_floats
)
