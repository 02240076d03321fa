"""Portable kernels for weights in bytes and for packed ones: where these would take long to unpack, they are bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qir.backends.c.binding.site import Site
from qir.backends.c.binding.weights import in_bytes, is_packed, is_small, weight_bits
from qir.backends.c.kernels import Bound, Variant


def on_bytes_or_packed(
    source: Path, accepts: Callable[[Site], str | None], bind: Callable[[Site], Bound], work: Callable[[Site], float],
    unpacking: Callable[[Site], float], sums: bool = False,
) -> tuple[Variant, Variant]:  # fmt: skip
    """A portable kernel for weights in bytes or more, and the same for packed ones.

    Args:
        source, accepts, bind, work, sums: as a Variant has them; by `weight_bits` of a site.
        unpacking: the share of the work that packed weights add.
    """

    def accepts_bytes(site: Site) -> str | None:
        if is_packed(site) and is_small(site):
            return "bytes of memory count for more than time"
        return accepts(in_bytes(site))

    def accepts_packed(site: Site) -> str | None:
        return accepts(site) if is_packed(site) else "its weights need eight bits"

    return (
        Variant("portable", source, accepts_bytes, lambda site: bind(in_bytes(site)), work=work, sums=sums,
                grows=lambda site: max(8 / weight_bits(site), 1)),
        Variant("portable", source, accepts_packed, bind, source.stem.replace("__", "_packed__"),
                lambda site: work(site) * (1 + unpacking(site)), compact=True, sums=sums),
    )  # fmt: skip
