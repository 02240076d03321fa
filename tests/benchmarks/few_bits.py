"""Layers with weights of few bits and 8-bit activations beside the same with weights of eight: what unpacking costs.

Shapes are those of qir.backends.c.bench.rows.beside_int8, small and odd ones, too. On this processor both run in turns,
each for milliseconds, and the median of the ratios of the rounds counts; elsewhere instructions do, as in
instructions.py. The int8 layer goes without the algorithm of Winograd, whose weights take many times the bytes; where
it would take that, the ratio to it stands behind.

    python tests/benchmarks/few_bits.py [--kind ternary] [--target x86-avx2] [--compiler gcc] [--most 1.05] [NAME ...]
"""

from __future__ import annotations

import argparse
import os
import statistics
from functools import partial

from instructions import ARM, counted
from measuring import latencies
from rich.console import Console
from rich.table import Table

from qir.backends.c import CModule, compile_c
from qir.backends.c.bench.rows import FEW, Row, beside_int8
from qir.backends.c.costs import DEFAULTS

TIMED = ("x86-avx2",)
TARGETS = (*TIMED, *ARM, "portable")
DIRECT = {title: cost for title, cost in DEFAULTS.items() if "winograd" not in title}
ROUNDS = 31
TURN = 0.004
"""Seconds."""


def kernel(module: CModule) -> str:
    """Of the row's own layer."""
    return next(one.variant for one in module.program.choices if one.variant.startswith(("conv", "gemm")))


def ratios(rows: list[tuple[Row, CModule]], target: str, compiler: str) -> list[float]:
    """Time, or instructions, of the first over those of each of the others."""
    if target in TIMED:
        calls = {str(i): partial(median, module, row) for i, (row, module) in enumerate(rows)}
        first, *others = latencies(calls, ROUNDS, TURN).values()
        return [statistics.median(a / b for a, b in zip(first, other, strict=True)) for other in others]
    first, *others = (counted(module, row, target, compiler) for row, module in rows)
    return [first / other for other in others]


def median(module: CModule, row: Row, runs: int) -> float:
    return statistics.median(module.timings(row.feeds, runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=tuple(FEW), default="ternary")
    parser.add_argument("--target", choices=TARGETS, action="append", help="all by default")
    parser.add_argument("--compiler", choices=("gcc", "clang"), default="gcc")
    parser.add_argument("--most", type=float, default=1.05, help="ratios above are marked")
    parser.add_argument("--core", type=int, default=None, help="to pin to")
    parser.add_argument("names", nargs="*", help="parts of the rows' names")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core if options.core is not None else max(os.sched_getaffinity(0))})
    os.environ["CC"] = options.compiler
    targets = options.target or TARGETS
    table = Table(title=f"{options.kind} weights over int8, {options.compiler}: time on {', '.join(TIMED)}, else "
                        "instructions")  # fmt: skip
    table.add_column("layer")
    for target in targets:
        table.add_column(target)
    for few, int8 in beside_int8(options.kind, options.names):
        cells = []
        for target in targets:
            own, direct, usual = (compile_c(row.graph, target=target, costs=costs)
                                  for row, costs in ((few, None), (int8, DIRECT), (int8, None)))  # fmt: skip
            rows = [(few, own), (int8, direct)]
            if kernel(usual) != kernel(direct):
                rows.append((int8, usual))
            found = ratios(rows, target, options.compiler)
            text = f"{found[0]:.3f}" + (f" ({found[1]:.2f})" if len(found) > 1 else "")
            cells.append(f"{text}{' !' if found[0] > options.most else ''}\n{kernel(own)}")
        table.add_row(int8.name, *cells)
    Console(width=24 + 34 * len(targets)).print(table)


if __name__ == "__main__":
    main()
