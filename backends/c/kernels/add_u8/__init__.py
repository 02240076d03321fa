"""qir.IntAdd: a weighted sum of two tensors of codes of 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from qir.backends.c.binding.integer_types import only_bytes
from qir.backends.c.binding.loops import broadcast_loops, broadcast_struct, steps_apart, too_many_loops
from qir.backends.c.binding.orders import FOLLOW
from qir.backends.c.binding.requant import is_fixed, requant
from qir.backends.c.binding.site import Site
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Scalar, Struct
from qir.ir.dtype import UINT8
from qir.ops.integer import FEW_SUMS
from qir.ops.registry import OPS
from qir.ops.weighted import FEW_CODES
from qir.quant.fixedpoint import FixedSum, fixed_sum, largest_code

_FIXED = Path(__file__).parent / "add_fixed__portable.c"
_FEW = Path(__file__).parent / "add_few__avx2.c"


def _source(isa: str) -> Path:
    return Path(__file__).parent / f"add_u8__{isa}.c"


def _wide(isa: str) -> Path:
    return Path(__file__).parent / f"add_wide__{isa}.c"


def _accepts(site: Site) -> str | None:
    return too_many_loops(broadcast_loops(site.input(0), site.input(1), site.output))


def numbers(site: Site) -> Struct:
    """The qir_add_u8_numbers of a site."""
    keys = ("a_multiplier", "b_multiplier", "offset")
    reals = tuple((key, float(np.float32(site.node.attr(key)))) for key in keys)
    return Struct("qir_add_u8_numbers", (*reals, ("requant", requant(site.node))))


def _accepts_fixed(site: Site) -> str | None:
    if not is_fixed(site):
        return "its sums are to be rounded as floats"
    return _accepts(site) or (None if _fixed(site) is not None else "its multipliers are too large")


def _fixed(site: Site) -> FixedSum | None:
    a, b, offset = (np.float32(site.node.attr(key)) for key in ("a_multiplier", "b_multiplier", "offset"))
    return fixed_sum(a, b, offset, (largest_code(site.input(0).dtype), largest_code(site.input(1).dtype)))


def _accepts_float(site: Site) -> str | None:
    return _accepts(site) or ("its sums are to be rounded by integers alone" if is_fixed(site) else None)


def _bind_fixed(site: Site) -> Bound:
    a, b, y, sums = site.input(0), site.input(1), site.output, _fixed(site)
    assert sums is not None
    numbers = Struct("qir_add_fixed_numbers", (
        ("a_multiplier", sums.a), ("b_multiplier", sums.b), ("offset", sums.offset), ("shift", sums.shift),
        ("requant", requant(site.node)),
    ))  # fmt: skip
    acc = "int32_t" if a.dtype == b.dtype == UINT8 else "int64_t"
    kernel = Kernel("qir_add_fixed_u8u8_u8__portable", _FIXED, f"qir_add_fixed_{a.short}{b.short}_{y.short}__portable",
                    (("QIR_A", a.ctype), ("QIR_B", b.ctype), ("QIR_Y", y.ctype), ("QIR_ACC", acc)))  # fmt: skip
    return Bound(kernel, (broadcast_struct(a, b, y), numbers, a.read, b.read, y.write))


def _accepts_vectors(site: Site) -> str | None:
    return _accepts(site) or only_bytes(site) or steps_apart(broadcast_loops(site.input(0), site.input(1), site.output))


def _bind(site: Site, isa: str) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    args = (broadcast_struct(a, b, y), numbers(site), a.read, b.read, y.write)
    types = (("QIR_A", a.ctype), ("QIR_B", b.ctype), ("QIR_Y", y.ctype)) if isa == "portable" else ()
    name = f"qir_add_{a.short}{b.short}_{y.short}__{isa}"
    return Bound(Kernel(f"qir_add_u8u8_u8__{isa}", _source(isa), name, types), args)


def _few(site: Site) -> tuple[int, np.ndarray] | None:
    """The slot of the operand of few codes, and all sums, [its codes, 256]; None where lowering knows of none."""
    given = site.node.attr("few")
    if given is None or only_bytes(site) is not None:
        return None
    slot, least, most = given
    pair = np.arange(256, dtype=np.uint8)[None], np.arange(least, most + 1, dtype=np.uint8)[:, None]
    reference = OPS[site.node.op].reference
    assert reference is not None
    sums = reference(site.node, pair if slot == 1 else pair[::-1])[0]
    return slot, sums.astype(np.int64)


def _accepts_few(site: Site) -> str | None:
    found = _few(site)
    if found is None:
        return "no operand of few codes, or too many sums"
    return _apart(site) or ("its sums fall where an operand rises" if (np.diff(found[1], axis=1) < 0).any() else None)


def _apart(site: Site) -> str | None:
    """The reason to refuse operands of which one is broadcast, or lies otherwise."""
    loops = broadcast_loops(site.input(0), site.input(1), site.output)
    if loops[1:] or site.input(0).size != site.input(1).size:
        return "its operands do not lie side by side"
    return None


def _accepts_wide(site: Site) -> str | None:
    return "its codes have 8 bits" if only_bytes(site) is None else _apart(site)


def _bind_wide(site: Site, isa: str) -> Bound:
    a, b, y = site.input(0), site.input(1), site.output
    kernel = Kernel(f"qir_add_wide_T__{isa}", _wide(isa), f"qir_add_{a.short}{b.short}_{y.short}__{isa}",
                    (("QIR_A", a.ctype), ("QIR_B", b.ctype), ("QIR_Y", y.ctype)))  # fmt: skip
    return Bound(kernel, (numbers(site), Scalar(y.size, "size_t"), a.read, b.read, y.write))


def _bind_few(site: Site) -> Bound:
    found = _few(site)
    assert found is not None
    slot, sums = found
    low, levels = int(sums.min()), int(sums.max() - sums.min())
    thresholds, added = (np.zeros((FEW_SUMS - 1, FEW_CODES), np.int64) for _ in range(2))
    for level in range(levels):
        reached = (sums > low + level).sum(axis=1)
        thresholds[level, : len(sums)] = (256 - reached).clip(0, 255)
        added[level, : len(sums)] = reached > 0
    numbers = Struct("qir_add_few_numbers", (
        ("threshold", tuple(map(tuple, thresholds.tolist()))), ("added", tuple(map(tuple, added.tolist()))),
        ("levels", levels), ("few_low", int(site.node.attr("few")[1])), ("y_low", low),
    ))  # fmt: skip
    args = (numbers, Scalar(site.output.size, "size_t"), site.input(1 - slot).read, site.input(slot).read,
            site.output.write)  # fmt: skip
    return Bound(Kernel("qir_add_few_u8u8_u8__avx2", _FEW), args)


def _on(isa: str, accepts: Callable[[Site], str | None]) -> Variant:
    return Variant(isa, _source(isa), accepts, lambda site: _bind(site, isa))


FAMILY = Family(
    "add_u8", ("qir.IntAdd",), FOLLOW,
    (_on("portable", _accepts_float), Variant("portable", _FIXED, _accepts_fixed, _bind_fixed),
     _on("avx2", _accepts_vectors), _on("neon", _accepts_vectors),
     *(Variant(isa, _wide(isa), _accepts_wide, partial(_bind_wide, isa=isa)) for isa in ("avx2", "neon")),
     Variant("avx2", _FEW, _accepts_few, _bind_few, fixed=True)),
    in_place=(0, 1),
)  # fmt: skip
