"""Reductions over axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from qir.backends.c.binding.expressions import filled
from qir.backends.c.binding.loops import led, merged_loops, too_many_loops
from qir.backends.c.binding.orders import Orders, reduced
from qir.backends.c.binding.site import Site, plain
from qir.backends.c.kernels import Bound, Family, Variant
from qir.backends.c.program import Kernel, Struct
from qir.ir.dtype import FLOAT32

_HERE = Path(__file__).parent
_SOURCE, _LOGSUMEXP = _HERE / "reduce__portable.c", _HERE / "logsumexp__portable.c"


@dataclass(frozen=True)
class _Rule:
    """C text of one reduction over acc and v, for reals and for integers, whose sums go into a uint64_t."""

    initial: str
    real: str
    integer: str
    real_finish: str = "acc"
    integer_finish: str = "acc"


_RULES = {
    "ReduceSum": _Rule("0", "acc + v", "acc + (uint64_t)v"),
    "ReduceMean": _Rule("0", "acc + v", "acc + (uint64_t)v", "acc / (QIR_ACC)s->count",
                        "s->count ? (QIR_SUM)acc / (QIR_SUM)s->count : 0"),
    "ReduceProd": _Rule("1", "acc * v", "acc * (uint64_t)v"),
    "ReduceMax": _Rule("LOWEST", "v > acc || v != v ? v : acc", "v > acc ? v : acc"),
    "ReduceMin": _Rule("HIGHEST", "v < acc || v != v ? v : acc", "v < acc ? v : acc"),
    "ReduceSumSquare": _Rule("0", "acc + v * v", "acc + (uint64_t)v * (uint64_t)v"),
    "ReduceL1": _Rule("0", "acc + fabs#(v)", "v > 0 ? acc + (uint64_t)v : acc - (uint64_t)v"),
    "ReduceL2": _Rule("0", "acc + v * v", "acc + (uint64_t)v * (uint64_t)v", "sqrt#(acc)", "sqrt((double)acc)"),
    "ReduceLogSum": _Rule("0", "acc + v", "acc + (uint64_t)v", "log#(acc)", "acc ? log((double)(QIR_SUM)acc) : 0"),
}  # fmt: skip
_EXTREMES = ("ReduceMax", "ReduceMin")


def _axes(site: Site) -> frozenset[int] | None:
    """Which axes go; None where they are computed."""
    given = site.optional(1)
    if given is not None and given.value is None:
        return None
    rank = site.input(0).rank
    listed = [] if given is None or given.value is None else [int(axis) % rank for axis in given.value.reshape(-1)]
    if not listed and not site.node.attr("noop_with_empty_axes", 0):
        listed = list(range(rank))
    return frozenset(listed)


def _takes(site: Site) -> str | None:
    x = site.input(0).dtype
    if _axes(site) is None:
        return "its axes are computed"
    if x.kind == "bool" and site.node.op in _EXTREMES:
        return None
    return None if x.is_float or x.is_integer else f"it is not defined for {x}"


def _layout(site: Site) -> Orders:
    order, axes = site.input(0).order, _axes(site)
    assert axes is not None, "refused by takes"
    rest = tuple(plain(x.rank) if x else None for x in site.inputs[1:])
    return Orders((order, *rest), (reduced(order, axes, bool(site.node.attr("keepdims", 1))),))


def _loops(site: Site, wanted: bool) -> list[tuple[int, ...]]:
    """Loops over the reduced (or the kept) axes as stored."""
    x, axes = site.input(0), _axes(site) or frozenset()
    chosen = [axis for axis in x.order if (axis in axes) == wanted]
    return merged_loops([x.shape[axis] for axis in chosen], [x.strides[axis] for axis in chosen])


def _count(site: Site) -> int:
    return prod(site.input(0).shape[axis] for axis in _axes(site) or ())


def _accepts(site: Site) -> str | None:
    return too_many_loops(_loops(site, True)) or too_many_loops(_loops(site, False))


def _accepts_logsumexp(site: Site) -> str | None:
    return _accepts(site) if site.node.op == "ReduceLogSumExp" else "it is another reduction"


def _shape(site: Site) -> Struct:
    kept, gone = _loops(site, False), _loops(site, True)
    return Struct("qir_reduce_shape", (
        ("kept", led(kept, 0, 1)), ("kept_stride", led(kept, 1, 0)),
        ("reduced", led(gone, 0, 1)), ("reduced_stride", led(gone, 1, 0)), ("count", _count(site)),
    ))  # fmt: skip


def _bind(site: Site) -> Bound:
    x, y, op = site.input(0), site.output, site.node.op
    rule, real = _RULES[op], x.dtype.is_float
    step, finish = (rule.real, rule.real_finish) if real else (rule.integer, rule.integer_finish)
    texts = (("QIR_STEP", step), ("QIR_FINISH", finish), ("QIR_INITIAL", rule.initial))
    kernel = Kernel("qir_reduce_T__portable", _SOURCE, f"qir_{op.lower()}_{x.short}__portable", (
        *((word, filled(text, x.dtype)) for word, text in texts), ("QIR_X", x.ctype), ("QIR_Y", y.ctype),
        ("QIR_ACC", x.ctype if real or op in _EXTREMES else "uint64_t"),
        ("QIR_SUM", "int64_t" if x.dtype.kind == "int" else "uint64_t"),
    ))  # fmt: skip
    return Bound(kernel, (_shape(site), x.read, y.write))


def _bind_logsumexp(site: Site) -> Bound:
    x, y = site.input(0), site.output
    suffix = "f" if x.dtype == FLOAT32 else ""
    kernel = Kernel("qir_logsumexp_T__portable", _LOGSUMEXP, f"qir_reducelogsumexp_{x.short}__portable", (
        ("QIR_X", x.ctype), ("QIR_Y", y.ctype), ("QIR_ACC", "float" if suffix else "double"),
        ("QIR_EXP", f"exp{suffix}"), ("QIR_LOG", f"log{suffix}"),
    ))  # fmt: skip
    return Bound(kernel, (_shape(site), x.read, y.write))


FAMILY = Family("reduce", (*_RULES, "ReduceLogSumExp"), _layout, (
    Variant("portable", _LOGSUMEXP, _accepts_logsumexp, _bind_logsumexp),
    Variant("portable", _SOURCE, _accepts, _bind),
), takes=_takes)  # fmt: skip
