"""qir.IntPackBits: codes of few levels to packed bits."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.site import Site, plain
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Struct

_HERE = Path(__file__).parent


def _channels_innermost(site: Site) -> Orders:
    """The operand with the packed axis innermost, the others in their order, as they lie in the result."""
    rank, axis = site.input(0).rank, int(site.node.attr("axis")) % site.input(0).rank
    order = (*(other for other in range(rank) if other != axis), axis)
    return Orders((order,), (plain(rank),))


def pack_shape(site: Site) -> Struct:
    """The qir_pack_bits_shape of a site; single bits that fill bytes follow each other as if they were one pixel's."""
    x, node = site.input(0), site.node
    channels, bits = x.shape[int(node.attr("axis"))], int(node.attr("bits"))
    channels = x.size if bits == 1 and channels % 8 == 0 else channels
    return Struct("qir_pack_bits_shape", (
        ("pixels", x.size // channels), ("channels", channels), ("bits", bits),
        ("low", int(node.attr("qmin"))), ("step", int(node.attr("step", 1))),
    ))  # fmt: skip


def _bind(site: Site, isa: str) -> Bound:
    kernel = Kernel(f"qir_pack_bits_u8__{isa}", _source(isa))
    return Bound(kernel, (pack_shape(site), site.input(0).read, site.output.write))


def _source(isa: str) -> Path:
    return _HERE / f"pack_bits__{isa}.c"


FAMILY = Family(
    "pack_bits", ("qir.IntPackBits",), _channels_innermost,
    tuple(Variant(isa, _source(isa), lambda site: None, partial(_bind, isa=isa),
                  work=lambda site: site.input(0).size * int(site.node.attr("bits")))
          for isa in ("portable", "avx2", "neon")),
)  # fmt: skip
