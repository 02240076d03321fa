"""Kernels: which C function computes which operator.

How to add a family (one folder `kernels/<family>/`; it is discovered, nothing else is to be edited):

1. `<family>.h`: the contract: equation, layouts, ranges, why nothing overflows; parameter structs. Starts with an
   include guard and `#include "../../runtime/qir_runtime.h"`; other local headers may be included the same way.
2. `<name>__portable.c`: C99, includes the header, defines one function `void qir_<op>_<types>__portable(...)` (not
   static). Own helpers are static and their names start with the function's name left of "__". It must compile alone
   under gcc and clang with -std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror and as C++17.
   *Templates*: identifiers such as QIR_T get defaults in a block
       /* template: begin */
       #define QIR_T float
       /* template: end */
   which is dropped on emission with what it includes, when `Kernel.substitutions` (("QIR_T", "int32_t"), ...) replaces
   whole identifiers by text; `Kernel.name` gives the instance its own function name, `Kernel.headers` what the text
   needs.
   No libc but memcpy, memset and, in float kernels, math.h. `restrict` must be spelt QIR_RESTRICT, and only on
   pointers that `in_place` does not let alias.
3. `__init__.py`: `FAMILY = Family(name, ops, layout, variants)`, or `FAMILIES = (...)`.
   - layout: a rule of qir.backends.c.binding.orders (CHANNELS_LAST, FOLLOW, PLAIN) or your own function of its type.
   - Variant(isa, source, accepts, bind): `accepts(site)` returns None or the reason why not; `bind(site)` returns
     `Bound(kernel, args)`. Both see a `Site` (qir/backends/c/binding/site.py): operands with logical shape, stored
     order, strides, constant values. Arguments (qir/backends/c/program.py) come in the order of the C parameters:
     `x.read`, `y.write`, `Data(array, role)`, `Scalar(value, ctype)`, `Struct("qir_..", fields)`, `Scratch(bytes)`.
   - Variant.work and the variant's rate in qir/backends/c/costs.py: by them the cheapest is chosen. A row for it in
     qir/backends/c/bench/rows.py lets `qir bench kernels` measure it.
   - in_place: input slots whose bytes the output may take over (same shape, order and element type; the kernel reads
     element i before it writes element i).
   - pointwise: True where y[i] depends on x[i] of slot 0 alone whatever the axes mean.
   - permuted_rows: True where bind honours `site.input(0).rows`.
   - reorders: True where the output may lie in another order than the input (conversions at the network's borders).

How to add a variant for an instruction set: one file `<name>__<isa>.c` with the same contract, and its Variant in the
family's table. It equals the portable kernel bit for bit and touches no byte outside its operands. On x86 functions
carry the attribute that qir_x86.h defines, so that no compiler flag is needed; ARM's need those of their target, and
say so by #error. Helpers are named after the instruction set too, because a network may use several variants. What
several instruction sets do alike is one template (`<name>__x86.c`, in words that qir.backends.c.binding.x86 fills in).
A variant may bind several calls that do its work together (Bound.pieces), and take over what follows it (clamps, sums).

Codes are made of sums in float32, or, where the node's `requantization` is fixed, by integers alone (qir_fixed.h):
portable templates that store through QIR_STORE follow; other variants say by `fixed` that they do.

Float kernels are written once for all of them: `<name>__vectors.c` in the words of runtime/qir_f32_words.h, which
qir.backends.c.binding.vectors fills in. They differ from portable C by rounding; tests hold them to 1e-5.

Test: tests/backends/c/graphs.py builds one-node graphs, compiles many at once and compares with the references.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from pathlib import Path

from qir.backends.c.binding.orders import LayoutRule
from qir.backends.c.binding.site import Site
from qir.backends.c.costs import DEFAULTS, Costs
from qir.backends.c.program import Arg, Kernel
from qir.errors import UnsupportedError


@dataclass(frozen=True)
class Bound:
    """A kernel with its arguments, in the order of the C parameters.

    Attributes:
        kernel, args: what is called with what.
        pieces: arguments of calls of the kernel that together do what is to be done, and may run at once; () where one
            call with `args` does it. What a piece writes, and its scratch, no other piece touches.
    """

    kernel: Kernel
    args: tuple[Arg, ...]
    pieces: tuple[tuple[Arg, ...], ...] = ()


@dataclass(frozen=True)
class Variant:
    """One implementation of a family.

    Attributes:
        isa: portable, avx2, neon, ...
        source: its C file.
        accepts: None where it can take the site, else the reason why not.
        bind: the call; packs constants.
        name: distinguishes variants of one ISA in explanations and in the table of costs; its file's name by default.
        work: multiply-accumulates, or elements, that it goes through, padding of its tiles included; with its entry
            in qir.backends.c.costs they give the cycles by which variants are compared.
        clamps: bind honours `Site.bounds`.
        sums: bind honours `Site.added`; element i of what is added is read before element i is written.
        grows: how many times as large as its codes, in their few bits, its weights are.
        compact: it stores weights in fewer bytes than others of its ISA.
        fixed: it also takes nodes whose `requantization` is fixed, as portable ones do.
    """

    isa: str
    source: Path
    accepts: Callable[[Site], str | None]
    bind: Callable[[Site], Bound]
    name: str = ""
    work: Callable[[Site], float] = field(default=lambda site: site.output.size)
    clamps: bool = False
    sums: bool = False
    grows: Callable[[Site], float] = field(default=lambda site: 1.0)
    compact: bool = False
    fixed: bool = False

    @property
    def title(self) -> str:
        return self.name or self.source.stem

    def refuses(self, site: Site, growth: float = inf) -> str | None:
        """Why it cannot take a site, with what was joined to it; weights that grow must grow less than `growth`."""
        if site.added is not None and not self.sums:
            return "it cannot add other codes to its own"
        if site.added is not None and site.added.attr("requantization") != site.node.attr("requantization"):
            return "the sum rounds in another way than its terms"
        if site.bounds != (-inf, inf) and not self.clamps:
            return "it cannot clamp its results"
        if site.node.attr("requantization") == "fixed" and self.isa != "portable" and not self.fixed:
            return "it rounds in float32, not by integers alone"
        grown = self.grows(site)
        larger = grown > 1 and grown >= growth
        return "its larger weights are more bytes than are to be had" if larger else self.accepts(site)

    def cycles(self, site: Site, costs: Costs = DEFAULTS) -> float:
        """By a table of costs; infinite for variants that are not in it."""
        cost = costs.get(self.title)
        return cost.cycles(self.work(site)) if cost else inf


@dataclass(frozen=True)
class Family:
    """Kernels that compute the same operators over the same data layout.

    Attributes:
        name: of its folder.
        ops: operators it computes.
        layout: rule for the orders of its operands.
        variants: of those that accept a site the cheapest is taken; in this order, by ISA, where costs are equal.
        takes: whether the family is meant for this node at all (element types); seen before orders are chosen, with
            every operand in plain order. Of several families for one operator the first that takes it is used.
        in_place: input slots whose bytes the first output may take over.
        pointwise: y[i] depends on x[i] alone.
        permuted_rows: honours Operand.rows of input 0.
        reorders: input and output may lie in orders that differ, as at the borders of a network.
    """

    name: str
    ops: tuple[str, ...]
    layout: LayoutRule
    variants: tuple[Variant, ...]
    takes: Callable[[Site], str | None] = field(default=lambda site: None)
    in_place: tuple[int, ...] = ()
    pointwise: bool = False
    permuted_rows: bool = False
    reorders: bool = False


@dataclass(frozen=True)
class Selection:
    """What `select` chose, its cycles by the table of costs, and why not the others."""

    variant: Variant
    cycles: float
    refused: tuple[tuple[str, str], ...]


_REGISTERED: list[Family] = []
"""Added by users, the latest first."""


def register_kernel(family: Family) -> Family:
    """Adds a family; those added by users are asked before qir's own.

    Use as `qir.backends.c.register_kernel(Family(...))`; sources may lie anywhere.
    """
    _REGISTERED.insert(0, family)
    return family


@lru_cache(maxsize=1)
def _shipped() -> Mapping[str, tuple[Family, ...]]:
    """Operator to the families in the folders beside this file."""
    found: dict[str, tuple[Family, ...]] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for family in getattr(module, "FAMILIES", None) or (module.FAMILY,):
            for op in family.ops:
                found[op] = (*found.get(op, ()), family)
    return found


def operators() -> tuple[str, ...]:
    """Every operator that some family computes."""
    return tuple(sorted({*_shipped(), *(op for family in _REGISTERED for op in family.ops)}))


def families() -> tuple[Family, ...]:
    """Every family once."""
    every = [*_REGISTERED, *(family for found in _shipped().values() for family in found)]
    return tuple({id(family): family for family in every}.values())


def families_of(op: str) -> tuple[Family, ...]:
    """Those that compute an operator, in the order in which they are asked."""
    return (*(family for family in _REGISTERED if op in family.ops), *_shipped().get(op, ()))


def family_of(site: Site) -> Family:
    """The family that is meant for a node.

    Args:
        site: operands in plain order.

    Raises:
        UnsupportedError: where none is, with what each said.
    """
    reasons = []
    for family in families_of(site.node.op):
        reason = family.takes(site)
        if reason is None:
            return family
        reasons.append(f"{family.name}: {reason}")
    why = f" ({'; '.join(reasons)})" if reasons else ""
    raise UnsupportedError(
        f"the C backend has no kernel for {site.node.op} with {site.types}{why}",
        node=site.node.name,
        fix="Register a kernel with qir.register_kernel, or keep this part of the model out of the C code",
    )


_COMPACT = 1.05
"""How many times the cycles of the cheapest variant a compact one may take."""


def select(
    family: Family, site: Site, isas: tuple[str, ...], costs: Costs = DEFAULTS, *, growth: float = inf
) -> Selection:
    """The cheapest variant that accepts the site, or a compact one that is nearly as cheap; of equal ones the first by
    ISA in the order given, portable last.

    Args:
        growth: only such whose weights do not grow, or less than so many times.

    Raises:
        UnsupportedError: where no variant does, with every reason.
    """
    refused: list[tuple[str, str]] = []
    accepted: list[tuple[float, Variant]] = []
    for isa in dict.fromkeys((*isas, "portable")):
        for variant in family.variants:
            if variant.isa == isa:
                reason = variant.refuses(site, growth)
                if reason is None:
                    accepted.append((variant.cycles(site, costs), variant))
                elif isa != "portable" or not variant.compact:  # few weights could be packed
                    refused.append((variant.title, reason))
    if accepted:
        least, chosen = min(accepted, key=lambda one: one[0] / (_COMPACT if one[1].compact else 1.0))
        slower = [(v.title, f"{cost / least:.1f} times the cycles") for cost, v in accepted
                  if v is not chosen and (v.isa != "portable" or v.compact) and least < cost < inf]  # fmt: skip
        return Selection(chosen, least, (*refused, *slower))
    why = "; ".join(f"{name}: {reason}" for name, reason in refused) or "no variant for this target"
    raise UnsupportedError(
        f"no kernel of family {family.name} accepts {site.node.op} with {site.types} ({why})",
        node=site.node.name,
        fix="Register a kernel with qir.register_kernel, or keep this part of the model out of the C code",
    )
