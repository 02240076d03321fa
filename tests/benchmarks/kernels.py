"""Integer kernels alone: the chosen ones of every C target of this processor, beside what the processor can do.

The rows are those of `qir bench kernels` (qir.backends.c.bench): one operator, its operands in the order that the
kernel likes, one pinned core, the best of many runs: other load on the machine makes runs longer, never shorter. The
peak of an instruction set is measured in the same minutes, by its multiply-accumulate instruction on registers alone.
Where one reading of the weights takes the time, bytes a second stand beside those of merely reading as many, hot (again
and again) and cold (thrown out of every cache before each run).

    python tests/benchmarks/kernels.py [--seconds S] [--core N] [--target NAME] [--compiler gcc|clang|both] [NAME ...]
"""

from __future__ import annotations

import argparse
import os

from rich.console import Console
from rich.table import Table

from qir.backends.c.bench import Limits, Measured, limits, measure, rows
from qir.backends.c.bench.limits import processor
from qir.backends.c.isas import on_this_processor

TARGETS = {"avx512vpopcntdq": "x86-avx512vpopcntdq", "avx512vnni": "x86-avx512vnni", "avxvnni": "x86-avxvnni",
           "avx2": "x86-avx2", "neon": "arm-neon",
           "dotprod": "arm-neon-dotprod", "i8mm": "arm-neon-i8mm"}  # fmt: skip


def cell(found: Measured, most: Limits) -> str:
    """GMAC/s with microseconds and shares."""
    rate = found.macs / found.seconds
    peak = most.peak(found.bits)
    share = f"; {rate / peak:.0%}" if peak is not None else ""
    text = f"{rate / 1e9:.1f} ({found.seconds * 1e6:.1f}{share})"
    for read, limit in ((found.read, found.limit), (found.cold_read, found.cold_limit)):
        if read is not None and limit is not None:
            text += f"\n{read / 1e9:.0f} of {limit / 1e9:.0f} GB/s"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--core", type=int, default=None, help="to pin to")
    parser.add_argument("--target", action="append", help="C targets; those of this processor by default")
    parser.add_argument("--compiler", choices=("gcc", "clang", "both"), help="the usual one by default")
    parser.add_argument("names", nargs="*", help="parts of the rows' names")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core if options.core is not None else max(os.sched_getaffinity(0))})
    targets = options.target or [*(TARGETS[isa] for isa in on_this_processor()), "portable"]
    compilers = ["gcc", "clang"] if options.compiler == "both" else [options.compiler or os.environ.get("CC")]
    columns = [(target, compiler) for target in targets for compiler in compilers]
    caption = "GMAC/s (microseconds; share of the peak); for weights read once: GB/s hot, then cold"
    table = Table(title=f"Integer kernels, {processor()}", caption=caption)
    table.add_column("kernel")
    for target, compiler in columns:
        table.add_column(f"{target}, {compiler}" if compiler else target, justify="right")
    most = {target: limits(target, options.seconds) for target in targets}
    for name, bits in (("peak", 0), ("peak of bits", 1)):
        peaks = {target: one.peak(bits) for target, one in most.items()}
        table.add_row(name, *(f"{(peaks[target] or 0) / 1e9:.0f}" for target, _ in columns))
    for row in rows(options.names):
        cells = []
        for target, compiler in columns:
            if compiler:
                os.environ["CC"] = compiler
            (found,) = measure(row, target, options.seconds, every=False)
            cells.append(cell(found, most[target]))
        table.add_row(row.name, *cells)
    Console(width=40 + 26 * len(columns)).print(table)


if __name__ == "__main__":
    main()
