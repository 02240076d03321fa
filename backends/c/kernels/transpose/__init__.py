"""Copies of a value into another order of axes (the operator qir.Reorder, put in by the layout step and at borders).

The vector kernels for bytes are templates that turn reals into codes, or codes into reals, on the way: `turning` gives
them to the families of qir.Quantize and qir.Dequantize, too. Others move words of 32 bits as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from qir.backends.c.binding.loops import merged_loops
from qir.backends.c.binding.orders import PLAIN
from qir.backends.c.binding.requant import requant_struct
from qir.backends.c.binding.site import Site
from qir.backends.c.binding.strides import strided, strided_fields, too_many_strides
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Arg, Data, Kernel, Scalar, Struct

_HERE = Path(__file__).parent
_SOURCE = _HERE.parent / "strided" / "strided__portable.c"
_TABLES, _PLANES = _HERE / "transpose__avx2.c", _HERE / "interleave__avx2.c"
_WORDS = _HERE / "transpose_words__vectors.c"
_MOST_PLANES = 4
_VECTORS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "avx2": {"QIR_TARGET": "QIR_AVX2", "QIR_ROWS": "8", "QIR_REALS": "__m256", "QIR_LOAD_REALS": "_mm256_loadu_ps",
             "QIR_STORE_REALS": "_mm256_storeu_ps", "QIR_TURN": "qir_turn_avx2"},
    "neon": {"QIR_TARGET": "", "QIR_ROWS": "4", "QIR_REALS": "float32x4_t", "QIR_LOAD_REALS": "vld1q_f32",
             "QIR_STORE_REALS": "vst1q_f32", "QIR_TURN": "qir_turn_neon"},
})  # fmt: skip
"""Words of the template for elements of 32 bits, by instruction set."""

Numbers: TypeAlias = Callable[[Site], tuple[float, Struct]]
"""The scale and the qir_requant of a site."""
Order: TypeAlias = Callable[[Site], tuple[Arg, ...]]
"""Further arguments: in which order bytes are put together."""


def moved_loops(site: Site) -> list[tuple[int, ...]]:
    """(size, stride in x) over the stored axes of y, which has the elements of x in an order of its own."""
    x, y = site.input(0), site.output
    return merged_loops(y.stored_shape, [x.strides[axis] for axis in y.order])


def _accepts_tables(site: Site) -> str | None:
    loops = moved_loops(site)
    if len(loops) < 2 or loops[-2][1] != 1:
        return "the innermost axes do not change places"
    return too_many_strides(loops)


def _accepts_planes(site: Site) -> str | None:
    loops = moved_loops(site)
    if _accepts_tables(site) is not None or min(loops[-2][0], loops[-1][0]) > _MOST_PLANES:
        return f"no two to {_MOST_PLANES} planes become pixels or the other way round"
    return None if loops[-1][0] <= _MOST_PLANES or loops[-1][1] == loops[-2][0] else "there are gaps between pixels"


def _byte_order(site: Site) -> tuple[Arg, ...]:
    """[planes, planes, 16] uint8: where vector j of the result finds its bytes in vector i of the operand, 128 where
    not there; and whether the result are the pixels. Byte b of plane c is number 16 c + b of the planes, and number
    planes * b + c of the pixels."""
    loops = moved_loops(site)
    to_pixels = loops[-1][0] <= _MOST_PLANES
    planes = loops[-1 if to_pixels else -2][0]
    places = np.arange(16 * planes)
    source = places.reshape(planes, 16).T if to_pixels else places.reshape(16, planes).T
    wanted, vectors = source.reshape(planes, 1, 16), np.arange(planes).reshape(1, planes, 1)
    table = np.where(wanted // 16 == vectors, wanted % 16, 128).astype(np.uint8)
    return Data(table, "order of bytes"), Scalar(int(to_pixels))


def turning(prefix: str, accepts: Callable[[Site], str | None], numbers: Numbers) -> tuple[Variant, ...]:
    """Vector kernels for sites whose operands are bytes or reals and lie in different orders.

    Args:
        prefix: of the variants' names.
        accepts: whether types and numbers suit.
    """

    def variant(stem: str, source: Path, suits: Callable[[Site], str | None], order: Order) -> Variant:
        def bind(site: Site) -> Bound:
            scale, requant = numbers(site)
            shape = Struct("qir_transpose_shape", (
                ("loops", strided_fields(0, moved_loops(site))), ("scale", scale),
                ("requant", tuple(number for _, number in requant.fields)),
            ))  # fmt: skip
            return Bound(_kernel(site, stem, source), (shape, *order(site), site.input(0).read, site.output.write))

        return Variant("avx2", source, lambda site: accepts(site) or suits(site), bind, f"{prefix}{stem}__avx2")

    return (variant("interleave", _PLANES, _accepts_planes, _byte_order),
            variant("transpose", _TABLES, _accepts_tables, lambda site: ()))  # fmt: skip


def _kernel(site: Site, stem: str, source: Path) -> Kernel:
    x, y = site.input(0), site.output
    short = x.short if x.short == y.short else f"{x.short}_{y.short}"
    return Kernel(f"qir_{stem}_T__avx2", source, f"qir_{stem}_{short}__avx2", (
        ("QIR_X", x.ctype), ("QIR_Y", y.ctype), ("QIR_LOAD16", f"qir_avx2_load16_{x.short}"),
        ("QIR_MOVE16", f"qir_avx2_move16_{y.short}"),
    ))  # fmt: skip


def _only_u8(site: Site) -> str | None:
    return None if site.input(0).dtype.name == "uint8" else "its elements are not uint8"


def _accepts_words(site: Site) -> str | None:
    bits = site.input(0).dtype.bits
    return _accepts_tables(site) if bits == 32 else f"its elements have {bits} bits, not 32"


def _bind_words(site: Site, isa: str) -> Bound:
    x, y = site.input(0), site.output
    words = (("QIR_T", x.ctype), *_VECTORS[isa].items())
    kernel = Kernel("qir_transpose_words_T__vectors", _WORDS, f"qir_transpose_{x.short}__{isa}", words,
                    (_HERE / f"turn_{isa}.h",))  # fmt: skip
    return Bound(kernel, (strided(0, moved_loops(site)), x.read, y.write))


def _bind(site: Site) -> Bound:
    x, y = site.input(0), site.output
    kernel = Kernel("qir_strided_T__portable", _SOURCE, f"qir_strided_{x.short}__portable", (("QIR_T", x.ctype),))
    return Bound(kernel, (strided(0, moved_loops(site)), x.read, y.write))


FAMILY = Family(
    "transpose", ("qir.Reorder",), PLAIN,
    (
        Variant("portable", _SOURCE, lambda site: too_many_strides(moved_loops(site)), _bind, "transpose__portable"),
        *turning("", _only_u8, lambda site: (1.0, requant_struct(0, 0, 0))),
        *(Variant(isa, _WORDS, _accepts_words, partial(_bind_words, isa=isa), f"transpose_words__{isa}")
          for isa in _VECTORS),
    ),
    reorders=True,
)  # fmt: skip
