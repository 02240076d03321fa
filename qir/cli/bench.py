"""`qir bench kernels`: how fast the C kernels are on this machine, as a table of costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from qir.cli import options
from qir.cli.paths import check_writable, make_parent

if TYPE_CHECKING:
    from qir.backends.c.bench import Limits, Measured
    from qir.backends.c.costs import Costs

_EPILOG = options.example(
    "qir bench kernels",
    "qir bench kernels --target x86-avx2 depthwise",
    "qir bench kernels --save costs.toml",
    "qir compile model.onnx --calib images.npz --target native --costs costs.toml",
)


_GROUP = options.example("qir bench kernels", "qir bench kernels --help")


@click.group("bench", epilog=_GROUP, short_help="Measure this machine.")
def bench_command() -> None:
    """Measure this machine."""


@bench_command.command("kernels", epilog=_EPILOG, short_help="Measure the C kernels.")
@click.argument("names", nargs=-1, panel=options.SHOW, help="Only rows whose names hold one of these.")
@options.target("native")
@click.option("--seconds", default=0.05, show_default=True, type=click.FloatRange(min=0.0), panel=options.SHOW,
              metavar="S", help="Of each measurement.")  # fmt: skip
@click.option("--save", metavar="FILE", panel=options.OUTPUT,
              help="Write what the kernels cost to this .toml file, for 'qir compile --costs'.")  # fmt: skip
@options.as_json
@options.debug
def kernels_command(names: tuple[str, ...], target: str, seconds: float, save: str | None, as_json: bool) -> None:
    """Measure every kernel of a target on shapes of common networks, on one core of this machine.

    Prints multiply-accumulates (elements, where there are none) a second and their share of what the instruction set
    can do on registers alone, measured in the same run; then what a call costs, fitted to that: cycles = call + work /
    rate.
    """
    from qir.backends.c.bench import fit, limits, measure, rows
    from qir.backends.c.bench.limits import processor
    from qir.backends.c.build import compiler
    from qir.backends.c.costs import write_costs
    from qir.errors import RecipeError

    if save:
        check_writable(Path(save))
    chosen = rows(names)
    if not chosen:
        known = ", ".join(row.name for row in rows())
        raise RecipeError(f"no row is named like {', '.join(names)}", fix=f"The rows are {known}")
    most = limits(target, seconds)
    found = [one for row in chosen for one in measure(row, target, seconds)]
    costs = fit(found, most.cycles)
    if save:
        make_parent(Path(save))
        Path(save).write_text(write_costs(costs, processor(), " ".join(compiler())), encoding="utf-8")
    facts: dict[str, Any] = {
        "processor": processor(),
        "cycles_per_second": most.cycles,
        "peak_per_second": most.macs,
        "peak_of_bits_per_second": most.bits,
        "measured": [asdict(one) for one in found],
        "costs": {title: asdict(cost) for title, cost in costs.items()},
    }
    click.echo(json.dumps(facts, indent=2) if as_json else _text(processor(), most, found, costs, save))


def _text(where: str, most: Limits, found: list[Measured], costs: Costs, save: str | None) -> str:
    width = max(len(one.row) for one in found)
    titles = max(len(title) for title in costs)
    top = "" if most.macs is None else f", at most {most.macs / 1e9:.0f} GMAC/s on registers"
    lines = [f"{where}: {most.cycles / 1e9:.2f} GHz{top}", ""]
    for one in found:
        peak = most.peak(one.bits)
        share = "" if peak is None else f"  {one.macs / one.seconds / peak:4.0%} of the peak"
        rate = f"{one.macs / one.seconds / 1e9:8.2f} G/s{share}"
        lines.append(f"{one.row:<{width}}  {one.variant:<{titles}}  {one.seconds * 1e6:10.2f} us  {rate}{_read(one)}")
    lines += ["", "cycles = call + work / rate"]
    for title, cost in costs.items():
        off = sorted(abs(cost.cycles(m.work) / m.seconds / most.cycles - 1) for m in found if m.variant == title)
        error = f"off by {off[len(off) // 2]:.0%}, at most {off[-1]:.0%}, in {len(off)} rows"
        lines.append(f"{title:<{titles}}  call {cost.call:8.0f}  rate {cost.rate:8.3g}  {error}")
    return "\n".join([*lines, *([f"wrote {save}"] if save else [])])


def _read(one: Measured) -> str:
    parts = [
        f"{word} {read / 1e9:.0f} of {limit / 1e9:.0f} GB/s"
        for word, read, limit in (("hot", one.read, one.limit), ("cold", one.cold_read, one.cold_limit))
        if read is not None and limit is not None
    ]
    return f"  ({', '.join(parts)})" if parts else ""
