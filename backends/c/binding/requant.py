"""Parameters that the integer families share: requantization and biases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qir.backends.c.binding import RUNTIME
from qir.backends.c.binding.site import Site
from qir.backends.c.program import Arg, Field, Input, Struct
from qir.ir.graph import Node
from qir.quant.fixedpoint import fixed_sum

FIXED = RUNTIME / "qir_fixed.h"


def is_fixed(site: Site) -> bool:
    """Whether integers alone make the codes of a site."""
    return bool(site.node.attr("requantization", "float32") == "fixed")


def requant(node: Node) -> Field:
    """The qir_requant (low, high, zero_point) of a node's y_zero_point, qmin and qmax.

    A node that gives reals has none of these: its kernel never reads the struct.
    """
    zero = int(node.attr("y_zero_point", 0))
    return (int(node.attr("qmin", 0)) - zero, int(node.attr("qmax", 255)) - zero, zero)


def requant_struct(zero_point: int, qmin: int, qmax: int) -> Struct:
    """A qir_requant as an argument of its own."""
    fields: tuple[tuple[str, Field], ...] = (
        ("low", qmin - zero_point), ("high", qmax - zero_point), ("zero_point", zero_point),
    )  # fmt: skip
    return Struct("qir_requant", fields)


_FITTING = 1 << 30
"""Reals below it fit int32, what they are rounded by included."""
SUMMED = "const qir_sum *sum, const uint8_t *other,"
"""What `added` gives, as parameters of a kernel."""


def summed(site: Site) -> tuple[tuple[str, str], ...]:
    """The substitutions of QIR_SUMS, QIR_SUMMED and QIR_SUM_CODES."""
    kind = "qir_fixed_sum" if is_fixed(site) else "qir_sum"
    given = SUMMED.replace("qir_sum", kind) if site.added is not None else ""
    return (("QIR_SUMS", str(int(site.added is not None))), ("QIR_SUMMED", given), ("QIR_SUM_CODES", f"{kind}_codes"))


def own_first(site: Site) -> bool:
    """Whether the codes of a layer's own are the first term of the sum that its results are."""
    other = site.inputs[-1]
    return site.added is not None and other is not None and site.added.inputs[1] == other.name


def added(site: Site) -> tuple[Arg, ...]:
    """What a kernel takes besides where its results are sums with other codes: their numbers, and those codes."""
    if site.added is None:
        return ()
    other = site.inputs[-1]
    assert other is not None
    first = own_first(site)
    own, others = ("a_multiplier", "b_multiplier") if first else ("b_multiplier", "a_multiplier")
    beside = replace(other.read, beside=True) if isinstance(other.read, Input) else other.read
    if is_fixed(site):
        mine, beyond, offset = (np.float32(site.added.attr(key)) for key in (own, others, "offset"))
        sums = fixed_sum(mine, beyond, offset, (255, 255))
        assert sums is not None, "lowering leaves such sums in float"
        numbers = (("own_multiplier", sums.a), ("other_multiplier", sums.b), ("offset", sums.offset))
        return Struct("qir_fixed_sum", (*numbers, ("shift", sums.shift), ("requant", requant(site.node)))), beside
    fields: tuple[tuple[str, Field], ...] = (
        ("own_multiplier", float(np.float32(site.added.attr(own)))),
        ("other_multiplier", float(np.float32(site.added.attr(others)))),
        ("offset", float(np.float32(site.added.attr("offset")))), ("own_first", int(first)),
        ("requant", requant(site.node)),
    )  # fmt: skip
    return Struct("qir_sum", fields), beside


def output_types(site: Site, function: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Emitted name and substitutions of a kernel template `..._T__isa` with QIR_Y, QIR_STORE and QIR_PART16."""
    short, (store, ending) = site.output.short, ("fixed", "_fixed") if is_fixed(site) else ("store", "")
    types = (("QIR_Y", site.output.ctype), ("QIR_STORE", f"qir_{store}_{short}"), ("QIR_PART16", f"qir_part16_{short}"))
    return function.replace("_T__", f"_{short}{ending}__"), types


def quotient(site: Site) -> tuple[str, str]:
    """The substitution of QIR_QUOTIENT: a float over an integer."""
    return "QIR_QUOTIENT", "qir_fixed_quotient" if is_fixed(site) else "QIR_FLOAT_QUOTIENT"


def vector_types(site: Site, vectors: str, *parts: str) -> tuple[tuple[str, str], ...]:
    """Substitutions of QIR_PART by qir_<vectors>_<part>_<type of the result>, for each part."""
    return tuple((f"QIR_{part.upper()}", f"qir_{vectors}_{part}_{site.output.short}") for part in parts)


def neon_stores(site: Site, function: str, *parts: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Name of a kernel template `..._T__isa`, and its substitutions of QIR_PART, on ARM's vectors.

    These saturate at the ends of a type, so that only results of fewer codes are clamped, by an instance of its own.
    """
    codes = site.output.short == "u8" and site.added is None
    whole = codes and int(site.node.attr("qmin", 0)) == 0 and int(site.node.attr("qmax", 255)) == 255
    name = function.replace("_T__", "_bounded_T__") if codes and not whole else function
    kind = f"{'_whole' if whole else ''}_{site.output.short}"
    return name, tuple((f"QIR_{part.upper()}", f"qir_neon_{part}{kind}") for part in parts)


def whole_codes(site: Site) -> bool:
    """Whether a product gives every code and no result leaves int32 on the way: then packing alone saturates.

    An accumulator is at most |bias| + 255 * 128 times the number of weights of a channel.
    """
    node = site.added or site.node
    if site.output.short != "u8" or (int(node.attr("qmin", 0)), int(node.attr("qmax", 255))) != (0, 255):
        return False
    if site.added is not None:
        factors = (abs(float(node.attr(key))) for key in ("a_multiplier", "b_multiplier"))
        return 255 * sum(factors) + abs(float(node.attr("offset"))) < _FITTING
    if constants_missing(site) is not None:
        return False
    bias = np.abs(np.asarray(site.constant(2), np.float64))
    most = bias.max(initial=0) + 255 * 128 * site.input(1).size / bias.size
    return bool(most * np.abs(np.asarray(site.constant(3), np.float64)).max(initial=0) < _FITTING)


def flushed(site: Site, multiplier: float | np.ndarray) -> str | None:
    """The reason to refuse real results, integers times a multiplier, of which 32-bit ARM's vectors would make zeros:
    subnormal ones."""
    least = np.abs(multiplier).min(initial=np.inf, where=np.asarray(multiplier) != 0)
    tiny = site.output.dtype.name == "float32" and least < np.finfo(np.float32).tiny
    return "its results could be subnormal" if tiny else None


def weight_sums(w: np.ndarray) -> np.ndarray:
    """int64 sums over all axes but the first."""
    sums: np.ndarray = w.reshape(w.shape[0], -1).astype(np.int64).sum(axis=1)
    return sums


def restored_bias(bias: np.ndarray, w: np.ndarray, x_zero_point: int) -> np.ndarray:
    """The int64 bias with its folded term -x_zero_point * sum(w) taken out again.

    Kernels that subtract the zero point from each activation then need no rule for taps outside the input.

    Args:
        bias: [M].
        w: [M, ...], output channels first.
    """
    restored: np.ndarray = bias.astype(np.int64) + x_zero_point * weight_sums(w)
    return restored


def overflow(bias: np.ndarray, w: np.ndarray, largest: int = 255) -> str | None:
    """The reason to refuse weights [M, ...] whose accumulators might leave int32, activations being up to `largest`."""
    most = np.abs(bias.astype(np.int64)) + largest * weight_sums(np.abs(w.astype(np.int64)))
    return "an accumulator could leave int32" if np.any(most >= 1 << 31) else None


def constants_missing(site: Site) -> str | None:
    """The reason to refuse a node whose weights, bias or multipliers (inputs 1 to 3) are not constants."""
    missing = any(site.constant(slot) is None for slot in (1, 2, 3))
    return "weights, bias and multipliers must be constants" if missing else None


def pack_blocks(w: np.ndarray, groups: int, block: int) -> np.ndarray:
    """[M, C/g, *K] to [g][ceil(M/g / block)][taps][C/g][block], zeros beyond the last channel."""
    channels, taps = w.shape[1], int(np.prod(w.shape[2:]))
    per_group = w.shape[0] // groups
    blocks = -(-per_group // block)
    padded = np.zeros((groups, blocks * block, channels, taps), w.dtype)
    padded[:, :per_group] = w.reshape(groups, per_group, channels, taps)
    return np.ascontiguousarray(padded.reshape(groups, blocks, block, channels, taps).transpose(0, 1, 4, 3, 2))


def per_channel(values: np.ndarray | None, channels: int) -> np.ndarray:
    """float32 multipliers, one a channel."""
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, np.float32), (channels,)))
