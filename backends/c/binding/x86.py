"""What templates on the vectors of x86 are filled with, by instruction set (runtime/qir_x86_words.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from qir.backends.c.binding import RUNTIME
from qir.backends.c.binding.requant import SUMMED, own_first, whole_codes
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.tiles import PANEL, Products, Tiles
from qir.backends.c.program import Kernel, Parts
from qir.quant.planes import FITTED


@dataclass(frozen=True)
class Vectors:
    """Vectors of an instruction set, as a template sees them.

    Attributes:
        codes: of a step: four or eight as they are, or two of 16 bits.
        lanes: of 32 bits.
        words: identifier of the template to the C text for it.
    """

    codes: int
    lanes: int
    words: Mapping[str, str]


_WORDS = {"QIR_VECTOR": "__m256i", "QIR_REALS": "__m256", "QIR_REQUANT": "qir_requant8", "QIR_LOAD": "qir_avx2_vector",
          "QIR_LOAD_REALS": "_mm256_loadu_ps", "QIR_SPREAD": "_mm256_set1_epi32", "QIR_ADD": "_mm256_add_epi32",
          "QIR_WIDEN_REQUANT": "qir_widen_requant8", "QIR_ROWS": "6", "QIR_WOVEN_ROWS": "6", "QIR_TAKEN": "__m256i",
          "QIR_TAKE": "qir_avx2_take_four", "QIR_SCALED": "qir_avx2_scaled", "QIR_MM": "QIR_MM256",
          "QIR_RUNS1": "QIR_ONE_RUN", "QIR_RUNS1_END": "QIR_ONE_RUN_END",
          "QIR_RUNS2": "QIR_ONE_RUN", "QIR_RUNS2_END": "QIR_ONE_RUN_END"}  # fmt: skip
_STORES = {"QIR_FOUR": "four", "QIR_PAIR": "pair", "QIR_ROW": "row"}
_WIDER = {name: text.replace("256", "512").replace("requant8", "requant16") for name, text in _WORDS.items()}

X86: Mapping[str, Vectors] = MappingProxyType({
    "avx512vnni": Vectors(4, 16, {
        **_WIDER, "QIR_LOAD": "_mm512_loadu_si512", "QIR_TAKE": "qir_avx512_take_four",
        "QIR_SCALED": "qir_avx512_scaled",
        "QIR_TARGET": "QIR_AVX512VNNI", "QIR_DOT": "QIR_DOT4",
        "QIR_WEIGHTS": "_mm512_loadu_si512", "QIR_NEXT_VECTOR": "t->panel", "QIR_ROWS": "8",
    }),
    "avxvnni": Vectors(4, 8, {
        **_WORDS, "QIR_TARGET": "QIR_AVXVNNI", "QIR_DOT": "QIR_DOT4_AVX", "QIR_WEIGHTS": "qir_avx2_vector",
        "QIR_NEXT_VECTOR": "32",
    }),
    "avx2": Vectors(2, 8, {
        **_WORDS, "QIR_TARGET": "QIR_AVX2", "QIR_DOT": "QIR_DOT2", "QIR_WEIGHTS": "qir_avx2_widened",
        "QIR_NEXT_VECTOR": "16", "QIR_WOVEN_ROWS": "4",
    }),
})  # fmt: skip

PROVEN: Mapping[str, Vectors] = MappingProxyType({
    "avx2_pairs": Vectors(4, 8, {
        **_WORDS, "QIR_TARGET": "QIR_AVX2", "QIR_DOT": "QIR_DOT_PAIRS", "QIR_WEIGHTS": "qir_avx2_vector",
        "QIR_NEXT_VECTOR": "32",
    }),
    "avx2_fours": Vectors(8, 8, {
        **_WORDS, "QIR_TARGET": "QIR_AVX2", "QIR_DOT": "QIR_DOT_FOURS", "QIR_WEIGHTS": "qir_avx2_fours",
        "QIR_NEXT_VECTOR": "32", "QIR_ROWS": "4", "QIR_WOVEN_ROWS": "4", "QIR_TAKEN": "qir_avx2_eight",
        "QIR_TAKE": "qir_avx2_take_eight",
    }),
})  # fmt: skip
"""Words of AVX2 for weights of which two, or four, times codes fit 16 bits in sum (kernels/conv_u8/proof.py)."""
FEW: Mapping[str, Vectors] = MappingProxyType({
    "avx2_few": Vectors(4, 8, {
        **_WORDS, "QIR_TARGET": "QIR_AVX2", "QIR_DOT": "QIR_DOT_RUN", "QIR_WEIGHTS": "qir_avx2_vector",
        "QIR_NEXT_VECTOR": "32", "QIR_RUNS1": "QIR_SHORT_RUNS1", "QIR_RUNS1_END": "QIR_SHORT_RUNS1_END",
        "QIR_RUNS2": "QIR_SHORT_RUNS2", "QIR_RUNS2_END": "QIR_SHORT_RUNS2_END",
    }),
})  # fmt: skip
"""Words of AVX2 for weights so small that many products with codes fit 16 bits in sum."""
TEMPLATES: Mapping[str, Vectors] = MappingProxyType({**X86, **PROVEN, **FEW})


_TAKEN = "const int32_t *QIR_RESTRICT first_step, const uint16_t *QIR_RESTRICT taken,"
"""Arguments of kernels for sparse weights."""


def table_bytes(planes: int) -> int:
    """That a panel of 16 channels begins with, where its weights are sums of planes: four numbers of each channel for
    the first two planes, and four for the others."""
    return (0, 64, 128)[-(-planes // 2)]


def x86_words(isa: str, *, sums: bool, first: bool = False) -> dict[str, str]:
    """The words of a template, those for sums with other codes included.

    Args:
        isa: key of TEMPLATES.
        sums: results are such sums.
        first: of which a layer's own codes are the first term.
    """
    found = TEMPLATES[isa]
    return {
        **found.words, "QIR_CODES": str(found.codes), "QIR_WIDTH": str(found.lanes), "QIR_SUMS": str(int(sums)),
        "QIR_SUMMED": SUMMED if sums else "", "QIR_OWN_FIRST": str(int(first)), "QIR_SUM": f"qir_{isa}_sum_with",
        "QIR_SUM_NUMBERS": f"qir_{isa}_sum_numbers", "QIR_WIDEN_SUM": f"qir_{isa}_widen_sum",
    }  # fmt: skip


def woven_rows(isa: str) -> tuple[int, int]:
    """Pixels of a tile of woven codes: as many as there are at most, and at least (qir_woven_rows)."""
    most = int(TEMPLATES[isa].words["QIR_WOVEN_ROWS"])
    return most, 4 if most > 4 else 3


def woven_parts(isa: str, sums: str, products: Products) -> Parts:
    """Tiles of woven codes that calls take.

    Args:
        isa: key of TEMPLATES.
        sums: the template's QIR_WOVEN_SUMS.
        products: of a call.
    """
    return Parts(_listing(sums), Tiles(products, *woven_rows(isa), TEMPLATES[isa].lanes, PANEL))


def _listing(function: str) -> str:
    """The macro that lists the tiles of a function."""
    return f"{function.upper()}_TAKEN"


def x86_kernel(function: str, source: Path, site: Site, isa: str, *, offsets: bool = False, bits: int = 8,
               planes: int = 0, sparse: bool = False, products: Products | None = None,
               woven: bool = False) -> Kernel:  # fmt: skip
    """An instance of a template for an instruction set and the type of a site's result.

    Args:
        function: in the file; its name has a T for the type.
        isa: key of TEMPLATES.
        offsets: its pixels have offsets.
        bits: in which weights are stored; fewer than eight are unpacked first.
        planes: of which weights are sums, each in a bit; 0 where they are none.
        sparse: steps whose weights are all zero are left out.
        products: that its calls compute by tiles; None where there are none.
        woven: these are of woven codes.
    """
    found, sums = TEMPLATES[isa], site.added is not None
    first, short = own_first(site), site.output.short
    whole = "whole_" if whole_codes(site) else ""
    family = "avx512" if found.lanes == 16 else "avx2"
    stores = {word: f"qir_{family}_{part}_{whole}{short}" for word, part in _STORES.items()}
    stores["QIR_PART"] = f"qir_{family}_first_{short}"
    short = short if whole or short != "u8" else f"bounded_{short}"
    short = f"sum_{'' if first else 'last_'}{short}" if sums else short
    tiles, sums_of_woven = f"qir_{isa}_{'offset_' if offsets else ''}tiles_{short}", f"qir_{isa}_woven"
    own = {
        "QIR_Y": site.output.ctype, "QIR_BY_TILES": tiles, "QIR_TILES_TAKEN": _listing(tiles),
        "QIR_START": "QIR_WITH_OFFSET" if offsets else "QIR_WITHOUT_OFFSET", "QIR_STEP_BYTES": str(16 * found.codes),
        "QIR_AGAIN": "const int32_t *QIR_RESTRICT again," if found.codes == 8 else "",
        "QIR_W": "int8_t" if bits == 8 else "uint8_t", "QIR_BITS": str(bits), "QIR_PLANES": str(planes),
        "QIR_UNPACK": f"qir_{family}_unpack{'_planes' if planes else ''}",
        "QIR_SUM_OF_PLANES": f"qir_{family}_sum_of_planes", "QIR_TABLE": str(table_bytes(planes)),
        "QIR_RUN": str(64 // (FITTED[planes] if planes else (1 << min(bits, 6)) - 1)),
        "QIR_FEW": f"qir_{family}_few", "QIR_SPARSE": str(int(sparse)),
        "QIR_TAKEN_STEPS": _TAKEN if sparse else "", "QIR_WOVEN_SUMS": sums_of_woven,
        "QIR_WOVEN_TAKEN": _listing(sums_of_woven), "QIR_WOVEN_CONV": f"{sums_of_woven}_conv",
    }  # fmt: skip
    stored = f"u8{'p' if planes else 's'}{bits}{'_sparse' if sparse else ''}"
    name = f"{function.split('__')[0].replace('_T', f'_{short}').replace('u8s8', stored)}__{isa}"
    headers = [f"qir_{family}.h", *([f"qir_few_{family}.h"] if bits < 8 else []), *(["qir_sum_x86.h"] if sums else [])]
    parts = None
    if products and woven:
        parts = woven_parts(isa, sums_of_woven, products)
    elif products:
        together = PANEL if sparse else max(2 * found.lanes, PANEL)
        parts = Parts(_listing(tiles), Tiles(products, int(found.words["QIR_ROWS"]), 1, found.lanes, together))
    return Kernel(function, source, name, tuple({**x86_words(isa, sums=sums, first=first), **stores, **own}.items()),
                  tuple(RUNTIME / header for header in headers), parts)  # fmt: skip
