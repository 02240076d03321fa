"""MaxPool of any element type, without indices."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.loops import window_fields
from qir.backends.c.binding.orders import CHANNELS_LAST
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Struct
from qir.ops.window import window

_HERE = Path(__file__).parent
_SOURCE = _HERE / "maxpool__portable.c"
_LEAST = {"avx2": 32, "neon": 16}
"""Channels that kernels on vectors need."""


def _takes(site: Site) -> str | None:
    return "indices are not computed" if len(site.outputs) > 1 and site.outputs[1] is not None else None


def _accepts(site: Site) -> str | None:
    spatial = site.input(0).rank - 2
    return None if 1 <= spatial <= 3 else f"{spatial} spatial axes, 1 to 3 are supported"


def _accepts_vectors(site: Site, isa: str) -> str | None:
    if site.input(0).dtype.name != "uint8":
        return "its elements are not uint8"
    least = _LEAST[isa]
    return f"fewer than {least} channels" if site.input(0).shape[1] < least else _accepts(site)


def _bind(site: Site, isa: str = "portable") -> Bound:
    x, node = site.input(0), site.node
    slid = window_fields(x.shape[0], window(node, x.shape[2:], node.attr("kernel_shape")))
    kernel = Kernel("qir_maxpool_T__portable", _SOURCE, f"qir_maxpool_{x.short}__portable", (("QIR_T", x.ctype),))
    if isa != "portable":
        kernel = Kernel(f"qir_maxpool_u8__{isa}", _HERE / f"maxpool_u8__{isa}.c")
    shape = Struct("qir_maxpool_shape", (("window", slid), ("channels", x.shape[1])))
    return Bound(kernel, (shape, x.read, site.output.write))


def _on(isa: str) -> Variant:
    return Variant(isa, _HERE / f"maxpool_u8__{isa}.c", lambda site: _accepts_vectors(site, isa),
                   lambda site: _bind(site, isa))  # fmt: skip


FAMILY = Family(
    "maxpool", ("MaxPool",), CHANNELS_LAST,
    (Variant("portable", _SOURCE, _accepts, _bind), _on("avx2"), _on("neon")),
    takes=_takes,
)  # fmt: skip
