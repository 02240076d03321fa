"""Products of packed bits by the DSP instructions of Cortex-M: what conv_bits__dsp.c wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import FIXED, is_fixed, output_types
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_bits.layer import Layer, accepts, bit_window, conv_shape, finish, layer_of, window_bits
from qir.backends.c.program import Data, Kernel, Scratch

_SOURCE = Path(__file__).parent / "conv_bits__dsp.c"


def _words(layer: Layer) -> int:
    """Of 32 bits, in one plane of a window: multiples of three."""
    return 3 * -(-int(layer.bits[0, 0].size) // 96)


def _rows(layer: Layer) -> np.ndarray:
    """uint32 [M, planes, words]."""
    bits = layer.bits.reshape(*layer.bits.shape[:2], -1)
    filled = np.zeros((*bits.shape[:2], 32 * _words(layer)), bool)
    filled[..., : bits.shape[-1]] = bits
    return np.packbits(filled, axis=-1, bitorder="little").view("<u4")


def _bind(site: Site) -> Bound:
    layer = layer_of(site)
    how, types, bias, last = finish(site, layer)
    name = (f"{how}_{site.output.short}" if how == "codes" else how) + "_fixed" * is_fixed(site)
    own, join = "qir_conv_bits_T_dsp_codes" if how == "codes" else f"qir_bits_{how}", _join(layer)
    words = (*types, ("QIR_FINISH", own), ("QIR_COUNT", f"qir_bits_dsp_{join}"), *output_types(site, "")[1])
    kernel = Kernel("qir_conv_bits_T__dsp", _SOURCE, f"qir_conv_bits_{join}_{name}__dsp", words,
                    (FIXED,) if is_fixed(site) else ())  # fmt: skip
    doubles = -(-_words(layer) // 2)
    args = (conv_shape(site, layer, doubles), site.input(0).read, Data(_rows(layer), "weights, in planes"),
            *bias, Data(layer.outside, "sums of single taps"), last,
            Scratch(8 * layer.planes * doubles + 4 * layer.outputs))  # fmt: skip
    return Bound(kernel, (*args, site.output.write))


def _join(layer: Layer) -> str:
    return "unlike" if layer.binary else "both"


def _work(site: Site) -> float:
    """Instructions, as counted: of three words, of sums, of windows and results."""
    layer = layer_of(site)
    pixels, planes = layer.batch * np.prod(bit_window(site)[1].output), layer.planes * len(layer.values)
    channel = planes * (28 * _words(layer) / 3 + 15) + 25
    return float(pixels * (layer.outputs * channel + 3 * window_bits(site) / 8 + 250))


def _accepts(site: Site) -> str | None:
    if (reason := accepts(site)) is not None:
        return reason
    return "portable code counts single words as fast" if window_bits(site) <= 64 else None


DSP = Variant("dsp", _SOURCE, _accepts, _bind, "conv_bits__dsp", _work, fixed=True)
