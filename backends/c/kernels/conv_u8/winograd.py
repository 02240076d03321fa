"""Winograd's F(2x2, 3x3) in integers: which convolutions, packed weights, the call of conv_u8_winograd__vectors.c."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.blocks import PANEL, in_panels
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window
from qir.backends.c.program import Data, Kernel, Scalar, Scratch
from qir.backends.c.requant import added, output_types, per_channel, weight_sums
from qir.backends.c.site import Site
from qir.backends.c.weights import weight_bits
from qir.backends.c.x86 import x86_kernel

_HERE = Path(__file__).parent
_SOURCE = _HERE / "conv_u8_winograd__vectors.c"
_FUNCTION = "qir_conv_u8s8_winograd_T__vectors"
_SMALL = 2
"""Bits of weights that are few for the sake of their room."""
_NEAR = 1 << 18
"""Bytes of weights that stay in the second cache."""


@dataclass(frozen=True)
class _Vectors:
    """What an instruction set lends the kernel.

    Attributes:
        room: tiles of a block, some passes of as many as go together: few, whose codes and sums fit the first cache,
            where all weights stay in the second one, else more, so that weights are read less often.
        depth: input channels of a step.
        beside: neighbouring input channels whose weights lie side by side.
        transforms: products that could be done while one input channel of a tile is transformed, or one output channel
            back.
        words: of the template.
    """

    room: tuple[int, int]
    depth: int
    beside: int
    transforms: tuple[int, int]
    words: Mapping[str, str]

    def padded(self, channels: int) -> int:
        """Of the input, the last step filled up."""
        return -(-channels // self.depth) * self.depth


_VECTORS = {
    "avx2": _Vectors((12, 24), 2, 2, (40, 96), {
        "QIR_VECTORS": "QIR_EACH_2", "QIR_SUBTRACT": "_mm256_sub_epi32", "QIR_SHORTS": "__m256i", "QIR_AT_ONCE": "16",
        "QIR_CODES_AT": "qir_winograd_avx2_codes", "QIR_CODES_PLUS": "_mm256_add_epi16",
        "QIR_CODES_MINUS": "_mm256_sub_epi16", "QIR_PLUS": "_mm256_add_epi16", "QIR_MINUS": "_mm256_sub_epi16",
        "QIR_PUT": "qir_winograd_avx2_put", "QIR_PRODUCTS": "qir_winograd_avx2_products",
        "QIR_BOTH": "QIR_WINOGRAD_AVX2_BOTH",
    }),
    "neon": _Vectors((10, 25), 8, 1, (40, 80), {
        "QIR_VECTORS": "QIR_EACH_4", "QIR_SUBTRACT": "vsubq_s32", "QIR_SHORTS": "int16x8_t", "QIR_AT_ONCE": "8",
        "QIR_CODES_AT": "vld1_u8", "QIR_CODES_PLUS": "qir_winograd_neon_plus",
        "QIR_CODES_MINUS": "qir_winograd_neon_minus", "QIR_PLUS": "vaddq_s16", "QIR_MINUS": "vsubq_s16",
        "QIR_PUT": "vst1q_s16", "QIR_PRODUCTS": "qir_winograd_neon_products", "QIR_BOTH": "QIR_WINOGRAD_NEON_BOTH",
        "QIR_TARGET": "", "QIR_VECTOR": "int32x4_t", "QIR_REALS": "float32x4_t", "QIR_REQUANT": "qir_requant4",
        "QIR_WIDEN_REQUANT": "qir_widen_requant4", "QIR_LOAD": "vld1q_s32", "QIR_LOAD_REALS": "vld1q_f32",
        "QIR_SCALED": "qir_neon_scaled", "QIR_ADD": "vaddq_s32", "QIR_TAKEN": "uint8x8_t", "QIR_CODES": "8",
        "QIR_WIDTH": "4", "QIR_SUMS": "0", "QIR_SUMMED": "",
    }),
}  # fmt: skip


def _accepts(site: Site) -> str | None:
    win, w = conv_window(site), site.input(1)
    if (win.kernel, win.strides, win.dilations) != ((3, 3), (1, 1), (1, 1)) or int(site.node.attr("group", 1)) != 1:
        return "not three by three neighbouring taps one pixel apart"
    if w.shape[1] < PANEL:
        return f"fewer than {PANEL} input channels"
    if weight_bits(site) <= _SMALL:
        return "its weights would be fourteen times as large, or more"
    if (reason := accepts(site)) is not None:
        return reason
    values = np.asarray(site.constant(1), np.int64)
    most = np.abs(np.asarray(site.constant(2), np.int64)) + 255 * weight_sums(np.abs(values))
    if np.any(most >= 1 << 29):
        return "four times an accumulator could leave int32"
    scale = np.abs(np.asarray(site.constant(3), np.float32))
    least = scale.min(initial=np.inf, where=scale > 0)
    return "a quarter of a multiplier could be subnormal" if least < 4 * np.finfo(np.float32).tiny else None


def _tiles(site: Site) -> int:
    high, across = conv_window(site).output
    return site.input(0).shape[0] * -(-high // 2) * -(-across // 2)


def _work(site: Site, isa: str) -> float:
    w, vectors = site.input(1), _VECTORS[isa]
    columns, depth = -(-w.shape[0] // PANEL) * PANEL, vectors.padded(w.shape[1])
    into, back = vectors.transforms
    return _tiles(site) * (16.0 * columns * depth + into * depth + back * columns)


def transformed(w: np.ndarray) -> np.ndarray:
    """4 G g G' of kernels [M, C, 3, 3] as int16 [M, C, 4, 4]."""
    doubled = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]])
    result: np.ndarray = (doubled @ w.astype(np.int64) @ doubled.T).astype(np.int16)
    return result


def _packed(w: np.ndarray, vectors: _Vectors) -> Data:
    """[M, C, 3, 3] to [panel][place][channels / beside][16][beside], zeros where there is nothing."""
    places, beside = transformed(w), vectors.beside
    panels, channels = -(-w.shape[0] // PANEL), vectors.padded(w.shape[1])
    padded = np.zeros((panels * PANEL, channels, 16), np.int16)
    padded[: w.shape[0], : w.shape[1]] = places.reshape(*w.shape[:2], 16)
    cut = padded.reshape(panels, PANEL, channels // beside, beside, 16).transpose(0, 4, 2, 1, 3)
    return Data(np.ascontiguousarray(cut), "weights, transformed")


def _kernel(site: Site, isa: str) -> Kernel:
    words, header = tuple(_VECTORS[isa].words.items()), _HERE / f"conv_u8_winograd_{isa}.h"
    if isa == "avx2":
        kernel = x86_kernel(_FUNCTION, _SOURCE, site, isa)
        return replace(kernel, substitutions=(*kernel.substitutions, *words), headers=(*kernel.headers, header))
    name, types = output_types(site, _FUNCTION.replace("vectors", isa))
    words = (*words, *types, ("QIR_PAIR", f"qir_neon_reals16_{site.output.short}"))
    return Kernel(_FUNCTION, _SOURCE, name, words, (header,))


def _bind(site: Site, isa: str) -> Bound:
    w, bias = np.asarray(site.constant(1), np.int8), np.asarray(site.constant(2), np.int32)
    vectors = _VECTORS[isa]
    packed, depth = _packed(w, vectors), vectors.padded(w.shape[1])
    room = min(vectors.room[packed.array.nbytes > _NEAR], _tiles(site))
    data = (packed, in_panels(4 * bias, 1, "bias, four times"),
            in_panels(per_channel(site.constant(3), w.shape[0]) / 4, 1, "multipliers, a quarter"))  # fmt: skip
    scratch = Scratch(16 * room * (PANEL * 4 + depth * 2) + w.shape[1])
    args = (conv_shape(site), Scalar(room), site.input(0).read, *data, *added(site), scratch, site.output.write)
    return Bound(_kernel(site, isa), args)


WINOGRAD = tuple(
    Variant(isa, _SOURCE, _accepts, partial(_bind, isa=isa), f"conv_u8_winograd__{isa}", partial(_work, isa=isa),
            sums=isa == "avx2", grows=32 / 9)
    for isa in _VECTORS
)  # fmt: skip
