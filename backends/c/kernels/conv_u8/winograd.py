"""Winograd's F(2x2, 3x3), also two pixels apart, and F(4x4, 3x3) in integers: which convolutions, packed weights, calls
of conv_u8_winograd__vectors.c."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.binding.requant import added, output_types, per_channel, summed, weight_sums
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.tiles import PANEL, OfSquares
from qir.backends.c.binding.weights import plane_count, weight_bits
from qir.backends.c.binding.x86 import woven_parts, x86_kernel
from qir.backends.c.kernels import Bound, Variant
from qir.backends.c.kernels.conv_u8.blocks import in_panels
from qir.backends.c.kernels.conv_u8.contract import accepts, conv_shape, conv_window
from qir.backends.c.program import Data, Kernel, Scalar, Scratch

_HERE = Path(__file__).parent
_SOURCE = _HERE / "conv_u8_winograd__vectors.c"
_FUNCTION = "qir_conv_u8s8_winograd_T__vectors"
_SMALL = 2
"""Bits of weights that are few for the sake of their room."""
_NEAR = 1 << 19
"""Bytes of weights that stay in the second cache."""
_FAR = 1 << 20
"""Bytes of weights that do not."""
_READ = 8
"""Products that could be done while a weight is read from farther away."""


@dataclass(frozen=True)
class Tile:
    """F(side x side, 3x3).

    Attributes:
        side: outputs of a tile along an axis.
        step: pixels from window to window.
        cleared: the matrix G without its fractions.
        shift: logarithm of the factor by which accumulators are too large.
        less: what is taken off every code where products are crossed.
        transforms: by instruction set, products that could be done while one input channel of a tile is transformed,
            or one output channel back.
        rooms: by instruction set, tiles of a block, some passes of as many as go together: few, whose codes and sums
            fit the first cache, where all weights stay in the second one, else more, so that weights are read less
            often.
    """

    side: int
    step: int
    cleared: tuple[tuple[int, int, int], ...]
    shift: int
    less: int
    transforms: Mapping[str, tuple[int, int]]
    rooms: Mapping[str, tuple[int, int]]

    @property
    def places(self) -> int:
        return len(self.cleared) ** 2

    @property
    def name(self) -> str:
        """Of its kernels."""
        return f"winograd{'' if self.side == 2 else self.side}{'' if self.step == 1 else f'_by{self.step}'}"

    @property
    def growth(self) -> float:
        """How many times as large as codes its weights are."""
        return 2 * self.places / 9


TILES = (
    Tile(4, 1, ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 12)), 6, 128,
         {"avx2": (170, 300), "avx2_crossed": (300, 330), "neon": (200, 380)},
         {"avx2": (6, 24), "avx2_crossed": (24, 24), "neon": (10, 25)}),
    Tile(2, 1, ((2, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 2)), 2, 0,
         {"avx2": (40, 96), "avx2_crossed": (70, 105), "neon": (40, 80)},
         {"avx2": (12, 24), "avx2_crossed": (24, 24), "neon": (10, 25)}),
    Tile(2, 2, ((1, 0, 0), (1, 0, 1), (0, 0, 1), (0, 1, 0), (0, 1, 0)), 0, 0,
         {"avx2_crossed": (100, 140)}, {"avx2_crossed": (24, 24)}),
)  # fmt: skip


@dataclass(frozen=True)
class _Vectors:
    """What an instruction set lends the kernel.

    Attributes:
        products: which file has its products.
        depth: input channels of a step.
        beside: neighbouring input channels whose weights lie side by side.
        together: tiles of a pass.
        offset, begin: where products are crossed (runtime/qir_woven.h), how many could be done while a tile's offset at
            a place is found, and while the tiles of a block are begun at a place of a panel; else 0.
        words: of the template.
    """

    products: str
    depth: int
    beside: int
    together: int
    offset: int
    begin: int
    words: Mapping[str, str]

    @property
    def crossed(self) -> bool:
        return self.offset > 0

    def padded(self, channels: int) -> int:
        """Of the input, the last step filled up."""
        return -(-channels // self.depth) * self.depth


_AVX2 = {
    "QIR_VECTORS": "QIR_EACH_2", "QIR_TURNS": "QIR_ONE_BY_ONE", "QIR_SUBTRACT": "_mm256_sub_epi32",
    "QIR_SHORTS": "__m256i", "QIR_AT_ONCE": "16",
    "QIR_CODES_AT": "qir_winograd_avx2_codes", "QIR_PLUS": "_mm256_add_epi16", "QIR_MINUS": "_mm256_sub_epi16",
    "QIR_SHORTS_4": "qir_winograd_avx2_shorts_4", "QIR_VECTOR_4": "qir_winograd_avx2_vector_4",
    "QIR_NINTH": "qir_winograd_avx2_ninth", "QIR_BOTH": "QIR_WINOGRAD_AVX2_BOTH",
}  # fmt: skip
_VECTORS = {
    "avx2": _Vectors("avx2_pairs", 2, 2, 6, 0, 0, {
        **_AVX2, "QIR_PUT": "qir_winograd_avx2_put", "QIR_PRODUCTS": "qir_winograd_avx2_products", "QIR_CROSSED": "0",
    }),
    "avx2_crossed": _Vectors("avx2_crossed", 2, 2, 4, 90, 600, {
        **_AVX2, "QIR_PUT": "qir_winograd_crossed_put", "QIR_PLACE": "qir_winograd_crossed_place", "QIR_CROSSED": "1",
        "QIR_CROSS": "qir_less_crossed", "QIR_OFFSETS": "qir_winograd_crossed_offsets",
        "QIR_ALL": "_mm256_set1_epi16", "QIR_WOVEN_SUMS": "qir_avx2_woven_words", "QIR_WEIGHTS": "qir_avx2_vector",
        "QIR_STEP_BYTES": "64", "QIR_NEXT_VECTOR": "32",
    }),
    "neon": _Vectors("neon", 8, 1, 5, 0, 0, {
        "QIR_VECTORS": "QIR_EACH_4", "QIR_TURNS": "", "QIR_SUBTRACT": "qir_winograd_neon_subtract",
        "QIR_SHORTS": "int16x8_t", "QIR_AT_ONCE": "8", "QIR_CODES_AT": "qir_winograd_neon_codes",
        "QIR_PLUS": "vaddq_s16", "QIR_MINUS": "vsubq_s16", "QIR_SHORTS_4": "qir_winograd_neon_shorts_4",
        "QIR_VECTOR_4": "qir_winograd_neon_vector_4", "QIR_NINTH": "qir_winograd_neon_ninth",
        "QIR_PUT": "vst1q_s16", "QIR_PRODUCTS": "qir_winograd_neon_products", "QIR_CROSSED": "0",
        "QIR_BOTH": "QIR_WINOGRAD_NEON_BOTH", "QIR_TARGET": "", "QIR_VECTOR": "int32x4_t",
        "QIR_REALS": "float32x4_t", "QIR_REQUANT": "qir_requant4",
        "QIR_WIDEN_REQUANT": "qir_widen_requant4", "QIR_LOAD": "vld1q_s32", "QIR_LOAD_REALS": "vld1q_f32",
        "QIR_SCALED": "qir_neon_scaled", "QIR_ADD": "qir_winograd_neon_add", "QIR_CODES": "8", "QIR_WIDTH": "4",
        "QIR_SUM": "qir_neon_sum_with", "QIR_SUM_NUMBERS": "qir_neon_sum_numbers",
        "QIR_WIDEN_SUM": "qir_neon_widen_sum", "QIR_OWN_FIRST": "b->sum->own_first",
    }),
}  # fmt: skip


def _accepts(site: Site, tile: Tile, isa: str) -> str | None:
    win, w = conv_window(site), site.input(1)
    strides = (tile.step, tile.step)
    if (win.kernel, win.strides, win.dilations) != ((3, 3), strides, (1, 1)) or int(site.node.attr("group", 1)) != 1:
        return f"not three by three neighbouring taps, windows {tile.step} apart"
    if w.shape[1] < PANEL:
        return f"fewer than {PANEL} input channels"
    if _VECTORS[isa].crossed and w.shape[1] % PANEL:
        return f"its input channels do not go by {PANEL}"
    if weight_bits(site) <= _SMALL or plane_count(site):
        return "its weights would be seven times as large, or more"
    if (reason := accepts(site)) is not None:
        return reason
    values, bias = np.asarray(site.constant(1), np.int64), np.asarray(site.constant(2), np.int64)
    most = np.maximum(bias + 255 * weight_sums(values.clip(0)), 255 * weight_sums((-values).clip(0)) - bias)
    if np.any(most >= 1 << 31 - tile.shift):
        return f"{1 << tile.shift} times an accumulator could leave int32"
    scale = np.abs(np.asarray(site.constant(3), np.float32))
    least = scale.min(initial=np.inf, where=scale > 0)
    tiny = least < (1 << tile.shift) * np.finfo(np.float32).tiny
    return f"a multiplier over {1 << tile.shift} could be subnormal" if tiny else None


def _grows(site: Site, tile: Tile, isa: str) -> float:
    """Where products are crossed each place has four bytes more for a channel of the output."""
    return tile.growth * (1 + 2 * _VECTORS[isa].crossed / site.input(1).shape[1])


def _tiles(site: Site, tile: Tile) -> int:
    high, across = conv_window(site).output
    return site.input(0).shape[0] * -(-high // tile.side) * -(-across // tile.side)


def _weights(site: Site, tile: Tile, isa: str) -> int:
    """Number of them, what fills panels and steps up included."""
    w = site.input(1)
    return tile.places * -(-w.shape[0] // PANEL) * PANEL * _VECTORS[isa].padded(w.shape[1])


def _room(site: Site, tile: Tile, isa: str) -> int:
    """Tiles of a block."""
    tiles, together = _tiles(site, tile), _VECTORS[isa].together
    most = tile.rooms[isa][2 * _weights(site, tile, isa) > _NEAR]
    return min(-(-tiles // (-(-tiles // most) * together)) * together, tiles)


def _work(site: Site, tile: Tile, isa: str) -> float:
    w, vectors = site.input(1), _VECTORS[isa]
    panels, depth = -(-w.shape[0] // PANEL), vectors.padded(w.shape[1])
    into, back = tile.transforms[isa]
    weights, tiles = _weights(site, tile, isa), _tiles(site, tile)
    least = _READ * weights if 2 * weights > _FAR else 0
    begun = vectors.begin * tile.places * panels * -(-tiles // _room(site, tile, isa))
    each = weights + into * depth + vectors.offset * tile.places + back * panels * PANEL
    return max(tiles * each + begun, least)


def transformed(w: np.ndarray, tile: Tile) -> np.ndarray:
    """G g G' without its fractions, of kernels g [M, C, 3, 3], as int16 [M, C, n, n]."""
    cleared = np.array(tile.cleared)
    result: np.ndarray = (cleared @ w.astype(np.int64) @ cleared.T).astype(np.int16)
    return result


def _packed(w: np.ndarray, tile: Tile, vectors: _Vectors) -> Data:
    """[M, C, 3, 3] to [panel][place][channels / beside][16][beside], zeros where there is nothing; where products are
    crossed each place begins with what is to be taken off its sums for the products of weights that these hold: of
    every four weights the first two times the last two, [16] of 32 bits."""
    beside, places = vectors.beside, tile.places
    panels, channels = -(-w.shape[0] // PANEL), vectors.padded(w.shape[1])
    padded = np.zeros((panels * PANEL, channels, places), np.int16)
    padded[: w.shape[0], : w.shape[1]] = transformed(w, tile).reshape(*w.shape[:2], places)
    cut = padded.reshape(panels, PANEL, channels // beside, beside, places).transpose(0, 4, 2, 1, 3)
    laid = np.ascontiguousarray(cut).reshape(panels, places, -1)
    if vectors.crossed:
        fours = padded.reshape(panels, PANEL, channels // 4, 2, 2, places).astype(np.int64)
        crossed = -fours.prod(axis=3).sum(axis=(2, 3)).transpose(0, 2, 1)
        laid = np.concatenate([np.ascontiguousarray(crossed.astype(np.int32)).view(np.int16), laid], axis=2)
    return Data(laid, "weights, transformed")


def _kernel(site: Site, tile: Tile, isa: str) -> Kernel:
    words = (*_VECTORS[isa].words.items(), ("QIR_SIDE", str(tile.side)), ("QIR_BY", str(tile.step)),
             ("QIR_WINDOW", str(len(tile.cleared))))  # fmt: skip
    header = _HERE / f"conv_u8_winograd_{_VECTORS[isa].products}.h"
    if isa != "neon":
        kernel, parts = x86_kernel(_FUNCTION, _SOURCE, site, "avx2"), None
        if _VECTORS[isa].crossed:
            parts = woven_parts("avx2", _VECTORS[isa].words["QIR_WOVEN_SUMS"], OfSquares(tile.side))
            words = (*words, ("QIR_WOVEN_TAKEN", parts.macro))
        return replace(kernel, parts=parts,
                       name=kernel.name.replace("winograd", tile.name).replace("__avx2", f"__{isa}"),
                       substitutions=(*words, *kernel.substitutions), headers=(*kernel.headers, header))  # fmt: skip
    function = _FUNCTION.replace("vectors", isa).replace("winograd", tile.name)
    name, types = output_types(site, function.replace("_T__", "_sum_T__") if site.added is not None else function)
    words = (*words, *types, *summed(site)[:2], ("QIR_PAIR", f"qir_neon_reals16_{site.output.short}"))
    return Kernel(_FUNCTION, _SOURCE, name, words, (header,))


def _bind(site: Site, tile: Tile, isa: str) -> Bound:
    w, bias = np.asarray(site.constant(1), np.int8), np.asarray(site.constant(2), np.int32)
    vectors, factor = _VECTORS[isa], 1 << tile.shift
    room, depth = _room(site, tile, isa), vectors.padded(w.shape[1])
    held = room + 2 * vectors.crossed
    bias = bias + tile.less * vectors.crossed * weight_sums(w)
    data = (_packed(w, tile, vectors), in_panels((factor * bias).astype(np.int32), 1, f"bias, {factor} times"),
            in_panels(per_channel(site.constant(3), w.shape[0]) / np.float32(factor), 1,
                      f"multipliers over {factor}"))  # fmt: skip
    scratch = Scratch(tile.places * held * (PANEL * 4 + depth * 2 + vectors.crossed * 4) + w.shape[1])
    args = (conv_shape(site), Scalar(room), site.input(0).read, *data, *added(site), scratch, site.output.write)
    return Bound(_kernel(site, tile, isa), args)


WINOGRAD = tuple(
    Variant(isa.partition("_")[0], _SOURCE, partial(_accepts, tile=tile, isa=isa), partial(_bind, tile=tile, isa=isa),
            f"conv_u8_{tile.name}__{isa}", partial(_work, tile=tile, isa=isa), sums=True,
            grows=partial(_grows, tile=tile, isa=isa))
    for isa in _VECTORS
    for tile in TILES
    if isa in tile.rooms
)  # fmt: skip
