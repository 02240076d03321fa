"""How kernels on panels are chosen and called: variants of a family, instances of their templates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from qir.backends.c.binding import RUNTIME
from qir.backends.c.binding.requant import neon_stores, output_types, summed
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.tiles import of_blocks
from qir.backends.c.binding.weights import is_packed, plane_count
from qir.backends.c.binding.x86 import FEW, TEMPLATES, x86_kernel
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.program import Data, Kernel

_FEW_NEON = RUNTIME / "qir_few_neon.h"


def panel_source(isa: str, woven: bool = False) -> Path:
    """The kernel on panels for an instruction set."""
    return Path(__file__).parent / f"conv_u8{'_woven' if woven else ''}__{'x86' if isa in TEMPLATES else isa}.c"


def panel_variant(
    isa: str, few: bool, accepts: Callable[[Site, str, bool], str | None], bind: Callable[[Site, str, bool], Bound],
    work: Callable[[Site, str, bool], float], source: Path | None = None, title: str = "conv_u8",
    sums: bool = False,
) -> Variant:  # fmt: skip
    """A kernel on panels of an instruction set, for weights stored as int8 or, where they need few bits, packed.

    Args:
        sums: its results may be sums with other codes.
    """

    def accepts_here(site: Site) -> str | None:
        if few and (not is_packed(site) or (plane_count(site) and isa not in TEMPLATES)):
            return "its weights need eight bits"
        return accepts(site, isa, few)

    return Variant(
        isa.partition("_")[0], source or panel_source(isa), accepts_here, lambda site: bind(site, isa, few),
        f"{title}{'_packed' if few and isa not in FEW else ''}__{isa}", lambda site: work(site, isa, few),
        compact=few, sums=sums,
    )  # fmt: skip


def panel_kernel(
    site: Site, name: str, isa: str, source: Path | None = None, *, weights: Sequence[Data] = (), bits: int = 8,
    planes: int = 0, sparse: bool = False, woven: bool = False,
) -> Kernel:  # fmt: skip
    """An instance of a kernel template `name__isa`, `name__x86` on x86, on panels, for the result's type.

    Args:
        weights: in panels, of every call, from which NEON's knows how it may add products.
        bits: in which these are stored.
        planes: of which they are sums, on x86; 0 where they are none.
        sparse: on x86, steps of zeros are left out.
        woven: as in Blocks.
    """
    if isa in TEMPLATES:
        function = f"{name.replace('_T', '_woven_T') if woven else name}__x86"
        return x86_kernel(function, source or panel_source(isa, woven), site, isa, bits=bits, planes=planes,
                          sparse=sparse, products=None if source else of_blocks, woven=woven)  # fmt: skip
    kind = name.replace("_T", "_sum_T") if site.added is not None else name
    kind, stores = neon_stores(site, f"{kind}__{isa}", "store16", "laid", "lay", "store_pair")
    function, types = output_types(site, kind)
    each = isa == "neon" and bits == 8 and any(_least_twice(data.array) for data in weights)
    function = function.replace("_u8s8_", "_u8s8_each_" if each else f"_u8s{bits}_")
    add = ("QIR_ADD", "qir_neon_one_by_one" if each else "qir_neon_by_twos")
    stored = (("QIR_W", "uint8_t" if bits < 8 else "int8_t"), ("QIR_BITS", str(bits)),
              ("QIR_UNPACK", f"qir_neon_unpack_s{bits}" if bits < 8 else "0"))  # fmt: skip
    types = (*types, *stores, add, *stored, *summed(site)[:2])
    return Kernel(f"{name}__{isa}", source or panel_source(isa), function, types, (_FEW_NEON,) if bits < 8 else ())


def _least_twice(weights: np.ndarray) -> bool:
    """Whether NEON's kernel would add the products of two weights of -128, which 16 bits do not always hold.

    Args:
        weights: [..., two pairs of codes, channel, code of a pair].
    """
    return bool(np.any(np.all(weights == -128, axis=-3)))
