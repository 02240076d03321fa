"""qir.IntBitConv and qir.IntBitGemm: products of packed bits with weights of few bits."""

from __future__ import annotations

from pathlib import Path

from qir.backends.c.binding.orders import Orders
from qir.backends.c.binding.requant import FIXED, is_fixed, output_types
from qir.backends.c.binding.site import Site, channels_last, plain
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.kernels.conv_bits.dsp import DSP
from qir.backends.c.kernels.conv_bits.layer import Layer, accepts, conv_shape, finish, layer_of, pairs
from qir.backends.c.kernels.conv_bits.pixels import PIXELS
from qir.backends.c.kernels.conv_bits.signs import SIGNS
from qir.backends.c.kernels.conv_bits.vectors import VARIANTS
from qir.backends.c.program import Data, Kernel, Scratch

_SOURCE = Path(__file__).parent / "conv_bits__portable.c"


def _orders(site: Site) -> Orders:
    """Packed values lie as they are; codes and reals of a convolution with their channels innermost."""
    y = site.output
    as_pixels = site.node.op == "qir.IntBitConv" and "y_bits" not in site.node.attrs
    rest = tuple(plain(x.rank) if x else None for x in site.inputs)
    return Orders(rest, (channels_last(y.rank) if as_pixels else plain(y.rank),))


def _scratch(layer: Layer) -> Scratch:
    return Scratch(8 * layer.planes * layer.words + 4 * layer.outputs)


def _bind(site: Site) -> Bound:
    layer = layer_of(site)
    how, types, bias, last = finish(site, layer)
    name = f"{how}_{site.output.short}" if how == "codes" else how
    own = "qir_conv_bits_T_codes" if how == "codes" else f"qir_bits_{how}"
    words = (*types, ("QIR_FINISH", own), *output_types(site, "")[1])
    name = f"{name}_fixed" if is_fixed(site) else name
    kernel = Kernel("qir_conv_bits_T__portable", _SOURCE, f"qir_conv_bits_{name}__portable", words,
                    (FIXED,) if is_fixed(site) else ())  # fmt: skip
    args = (conv_shape(site, layer), site.input(0).read, Data(layer.rows, "weights, in planes"),
            *bias, Data(layer.outside, "sums of single taps"), last, _scratch(layer))  # fmt: skip
    return Bound(kernel, (*args, site.output.write))


FAMILY = Family(
    "conv_bits", ("qir.IntBitConv", "qir.IntBitGemm"), _orders,
    (Variant("portable", _SOURCE, accepts, _bind, work=pairs), SIGNS, DSP, *VARIANTS, PIXELS),
)  # fmt: skip
