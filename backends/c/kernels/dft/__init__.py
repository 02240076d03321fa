"""DFT on floats."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np

from qir.backends.c.binding.float_types import takes_floats, typed_kernel
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Struct

_SOURCE = Path(__file__).parent / "dft__portable.c"


def _takes(site: Site) -> str | None:
    if any(site.optional(slot) is not None and site.constant(slot) is None for slot in (1, 2)):
        return "length and axis must be constants"
    return takes_floats(site)


def _bind(site: Site) -> Bound:
    x, y, node = site.input(0), site.output, site.node
    chosen, length = site.constant(2), site.constant(1)
    axis = (-2 if chosen is None else int(chosen.reshape(-1)[0])) % x.rank
    inverse, one_sided = bool(node.attr("inverse", 0)), bool(node.attr("onesided", 0))
    hermitian = inverse and one_sided
    n = (y.shape[axis] if hermitian else x.shape[axis]) if length is None else int(length.reshape(-1)[0])
    shape = Struct("qir_dft_shape", (
        ("outer", prod(x.shape[:axis])), ("given", x.shape[axis]), ("inner", prod(x.shape[axis + 1 : -1])),
        ("x_parts", x.shape[-1]), ("results", y.shape[axis]), ("y_parts", y.shape[-1]), ("n", n),
        ("inverse", int(inverse)), ("hermitian", int(hermitian)),
    ))  # fmt: skip
    angles = 2 * np.pi * np.arange(n) / n
    table = Data(np.concatenate([np.cos(angles), np.sin(angles)]), "twiddles")
    return Bound(typed_kernel(site, "qir_dft_T__portable", _SOURCE), (shape, x.read, table, y.write))


FAMILY = Family("dft", ("DFT",), PLAIN, (Variant("portable", _SOURCE, lambda site: None, _bind),), takes=_takes)
