"""qir.IntLayerNorm: layer normalization of rows of codes of 8 or 16 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qir.backends.c.binding.orders import ROWS
from qir.backends.c.binding.requant import is_fixed, requant
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Data, Kernel, Struct
from qir.quant.fixedpoint import FixedRow, fixed_epsilon, fixed_row, spread_fraction

_HERE = Path(__file__).parent
_SOURCE, _AVX2 = _HERE / "layernorm_u8__portable.c", _HERE / "layernorm_u8__avx2.c"
_NEON = _HERE / "layernorm_u8__neon.c"
_FIXED = _HERE / "layernorm_fixed__portable.c"


def _accepts(site: Site) -> str | None:
    if any(site.constant(slot) is None for slot in (1, 2)):
        return "scale and bias must be constants"
    return None if 0 < site.input(0).shape[-1] < 1 << 15 else "its rows are too long"


def _accepts_float(site: Site) -> str | None:
    return _accepts(site) or ("its results are to be had by integers alone" if is_fixed(site) else None)


def _row(site: Site) -> FixedRow | None:
    scale, bias = (np.asarray(site.constant(slot)) for slot in (1, 2))
    return fixed_row(scale, bias)


def _accepts_fixed(site: Site) -> str | None:
    if not is_fixed(site):
        return "its results are to be had by floats"
    return _accepts(site) or (None if _row(site) is not None else "its numbers are too large")


def _bind_fixed(site: Site) -> Bound:
    x, y, node, row = site.input(0), site.output, site.node, _row(site)
    assert row is not None
    fraction = spread_fraction(x.dtype)
    shape = Struct("qir_layernorm_fixed_shape", (
        ("rows", x.size // x.shape[-1]), ("size", x.shape[-1]),
        ("epsilon", fixed_epsilon(node.attr("epsilon"), fraction)), ("fraction", fraction), ("shift", row.shift),
        ("requant", requant(node)),
    ))  # fmt: skip
    kernel = Kernel("qir_layernorm_fixed_T__portable", _FIXED, f"qir_layernorm_fixed_{x.short}_{y.short}__portable",
                    (("QIR_X", x.ctype), ("QIR_Y", y.ctype)))  # fmt: skip
    return Bound(kernel, (shape, Data(row.scale, "scales"), Data(row.bias, "bias"), x.read, y.write))


def _accepts_vectors(site: Site) -> str | None:
    return _accepts(site) or (None if site.output.dtype.name == "uint8" else "its results are not uint8")


def _accepts_neon(site: Site) -> str | None:
    """Its rounding makes no low bound of what is no number, such as zero times the factor of a row without spread."""
    reason = _accepts_vectors(site)
    if reason is None and not float(np.float32(site.node.attr("epsilon"))) > 0:
        return "its epsilon is not positive"
    return reason


def _bind(site: Site, isa: str, source: Path) -> Bound:
    x, y, node = site.input(0), site.output, site.node
    size = x.shape[-1]
    shape = Struct("qir_layernorm_u8_shape", (
        ("rows", x.size // size), ("size", size), ("epsilon", float(np.float32(node.attr("epsilon")))),
        ("requant", requant(node)),
    ))  # fmt: skip
    stem, result = ("T", (("QIR_Y", y.ctype),)) if isa == "portable" else ("u8", ())
    kernel = Kernel(f"qir_layernorm_u8_{stem}__{isa}", source, f"qir_layernorm_{x.short}_{y.short}__{isa}",
                    (("QIR_X", x.ctype), *result))  # fmt: skip
    tables = (Data(np.ascontiguousarray(site.input(slot).value), role) for slot, role in ((1, "scales"), (2, "bias")))
    return Bound(kernel, (shape, *tables, x.read, y.write))


FAMILY = Family(
    "layernorm_u8", ("qir.IntLayerNorm",), ROWS,
    (
        Variant("portable", _FIXED, _accepts_fixed, _bind_fixed),
        Variant("portable", _SOURCE, _accepts_float, lambda site: _bind(site, "portable", _SOURCE)),
        Variant("avx2", _AVX2, _accepts_vectors, lambda site: _bind(site, "avx2", _AVX2)),
        Variant("neon", _NEON, _accepts_neon, lambda site: _bind(site, "neon", _NEON)),
    ),
    in_place=(0,),
)  # fmt: skip
