"""AveragePool, LpPool and the global pools on floats."""

from __future__ import annotations

from math import prod
from pathlib import Path

from qir.backends.c.binding.float_types import float_kernel, takes_floats
from qir.backends.c.binding.loops import three, window_fields
from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Struct
from qir.ops.window import Window, window

_SOURCE = Path(__file__).parent / "pool_f32__portable.c"
_NORMS = {1: 1, 2: 2}


def _window(site: Site) -> Window:
    """The window; a global pool's covers the spatial axes as one."""
    x, node = site.input(0), site.node
    if not node.op.startswith("Global"):
        return window(node, x.shape[2:], node.attr("kernel_shape"))
    count = (prod(x.shape[2:]),)
    return Window(count, (1,), (1,), (0,), (0,), (0,), count, (1,))


def _form(site: Site) -> int:
    if "Lp" in site.node.op:
        return _NORMS.get(int(site.node.attr("p", 2)), 3)
    return 4 if site.node.op == "GlobalMaxPool" else 0


def _accepts(site: Site) -> str | None:
    spatial = site.input(0).rank - 2
    if not site.node.op.startswith("Global") and not 1 <= spatial <= 3:
        return f"{spatial} spatial axes, 1 to 3 are supported"
    return None if spatial >= 0 else "batch and channels are missing"


def _bind(site: Site) -> Bound:
    x, win = site.input(0), _window(site)
    ends = [size + end for size, end in zip(win.input, win.declared_end, strict=True)]
    shape = Struct("qir_pool_f32_shape", (
        ("window", window_fields(x.shape[0], win)), ("channels", x.shape[1]), ("form", _form(site)),
        ("p", int(site.node.attr("p", 2))), ("counts_padding", int(site.node.attr("count_include_pad", 0))),
        ("counted_end", three(ends, 1)),
    ))  # fmt: skip
    return Bound(float_kernel(site, "qir_pool_T__portable", _SOURCE), (shape, x.read, site.output.write))


FAMILY = Family(
    "pool_f32",
    ("AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
    CHANNELS_LAST,
    (Variant("portable", _SOURCE, _accepts, _bind),),
    takes=takes_floats,
)
