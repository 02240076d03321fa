"""Several plans of one network in one program: which of them a processor runs, and the C that finds out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qir.backends.c.emitting.source import prefixed
from qir.backends.c.isas import ISAS
from qir.backends.c.program import Program
from qir.backends.c.targets import CTarget

_BITS = {
    "fma": "basic[2] >> 12", "avx2": "wide[1] >> 5", "avx512f": "wide[1] >> 16", "avx512dq": "wide[1] >> 17",
    "avx512bw": "wide[1] >> 30", "avx512vl": "wide[1] >> 31", "avx512_vnni": "wide[2] >> 11",
    "avx512_vpopcntdq": "wide[2] >> 14", "avx_vnni": "wider[0] >> 4",
}  # fmt: skip
"""Where CPUID tells of a feature: leaf 1, leaf 7, or leaf 7 subleaf 1; registers from eax on."""


def choices(target: CTarget) -> tuple[CTarget, ...]:
    """The targets whose plans go into one program, best first: each instruction set with those that it includes."""
    if not target.dispatch:
        return (target,)
    needs = {isa.name: isa.features for isa in ISAS}
    rows = [tuple(other for other in target.isas[place:] if needs[other] <= needs[isa])
            for place, isa in enumerate(target.isas)]  # fmt: skip
    return tuple(replace(target, isas=isas) for isas in (*rows, ()))


def joined(plans: Sequence[Program]) -> Program:
    """One program of several plans of one network, best first, without those that gain nothing over a later one.

    The last one, which every processor runs, is the program itself. The caller's arena serves each.
    """
    last = plans[-1]
    called: dict[tuple[str, ...], Program] = {}
    for plan in reversed(plans):
        called.setdefault(tuple(call.kernel.emitted for call in plan.emitted_calls), plan)
    kept = tuple(plan for plan in reversed(called.values()) if plan is not last)
    return replace(
        last, alternatives=kept, arena_bytes=max(plan.arena_bytes for plan in (*kept, last)),
        arena_lower_bound=max(plan.arena_lower_bound for plan in (*kept, last)),
    )  # fmt: skip


def choosing(plans: Sequence[Program], prefix: str) -> str:
    """C of a function that gives the number of the first of `plans` whose instructions this processor has."""
    needs = [next(isa for isa in ISAS if isa.name == plan.processor).features for plan in plans[:-1]]
    texts = {
        "LISTED": ", ".join(f"{number} {plan.processor}" for number, plan in enumerate(plans)),
        "LAST": str(len(plans) - 1),
        "KNOWN": "\n".join(_known(number, features) for number, features in enumerate(needs)),
        "ASKED": "\n".join(_asked(number, features) for number, features in enumerate(needs)),
    }
    text = _CHOOSING
    for mark, words in texts.items():
        text = text.replace(mark, words)
    return prefixed(text, prefix)


def _known(number: int, features: frozenset[str]) -> str:
    tests = [f'__builtin_cpu_supports("{name.replace("_", "")}")' for name in sorted(features)]
    text = _TEST.format(tests=" &&\n        ".join(tests), number=number)
    # Older ones do not know its name.
    return f"#if !defined(__clang__) || __clang_major__ >= 20\n{text}\n#endif" if "avx_vnni" in features else text


def _asked(number: int, features: frozenset[str]) -> str:
    saved = "0xe6" if any(name.startswith("avx512") for name in features) else "0x06"
    tests = [f"(state & {saved}) == {saved}", *(f"({_BITS[name]} & 1)" for name in sorted(features))]
    return _TEST.format(tests=" &&\n        ".join(tests), number=number)


_TEST = """    if ({tests}) {{
        return {number};
    }}"""

_CHOOSING = """#if defined(_MSC_VER) && !defined(__clang__) && (defined(_M_X64) || defined(_M_IX86))
#include <intrin.h>
#endif

/* The number of the first plan whose instructions this processor has and the system saves: LISTED.
   -DQIR_PLAN=number takes one for good. Nothing is kept between runs, so each asks; gcc and clang look up what
   the processor said when the program started. */
static int qir_plan(void) {
#if defined(QIR_PLAN)
    return QIR_PLAN;
#elif defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    __builtin_cpu_init();
KNOWN
    return LAST;
#elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    int basic[4], wide[4], wider[4] = {0, 0, 0, 0};
    unsigned state;
    __cpuidex(basic, 0, 0);
    if (basic[0] < 7) {
        return LAST;
    }
    __cpuidex(basic, 1, 0);
    if ((basic[2] >> 27 & 1) == 0) {
        return LAST;
    }
    state = (unsigned)_xgetbv(0);
    __cpuidex(wide, 7, 0);
    if (wide[0] > 0) {
        __cpuidex(wider, 7, 1);
    }
ASKED
    return LAST;
#else
    return LAST;
#endif
}
"""
