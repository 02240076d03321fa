"""Col2Im."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.loops import three
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Struct

_SOURCE = Path(__file__).parent / "col2im__portable.c"


def _takes(site: Site) -> str | None:
    if site.constant(1) is None or site.constant(2) is None:
        return "its shapes are computed"
    if not site.input(0).dtype.is_float:
        return f"it is not defined for {site.input(0).dtype}"
    spatial = site.output.rank - 2
    return None if 1 <= spatial <= 3 else f"{spatial} spatial axes, 1 to 3 are supported"


def _bind(site: Site) -> Bound:
    x, y, node = site.input(0), site.output, site.node
    image, block = (np.asarray(site.constant(slot)).reshape(-1).tolist() for slot in (1, 2))
    axes = len(image)
    strides, dilations = (node.attr(key) or (1,) * axes for key in ("strides", "dilations"))
    pads = node.attr("pads") or (0,) * (2 * axes)
    windows = [
        (image[i] + pads[i] + pads[axes + i] - dilations[i] * (block[i] - 1) - 1) // strides[i] + 1 for i in range(axes)
    ]
    window = Struct("qir_window", (
        ("batch", y.shape[0] * y.shape[1]), ("in", three(image, 1)), ("out", three(windows, 1)),
        ("kernel", three(block, 1)), ("stride", three(strides, 1)), ("dilation", three(dilations, 1)),
        ("pad", three(pads[:axes], 0)),
    ))  # fmt: skip
    kernel = Kernel("qir_col2im_T__portable", _SOURCE, f"qir_col2im_{x.short}__portable", (("QIR_T", x.ctype),))
    return Bound(kernel, (window, x.read, y.write))


FAMILY = Family("col2im", ("Col2Im",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=_takes)
