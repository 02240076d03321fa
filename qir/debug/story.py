"""The short story of a trace, for one screen: passes, worst layers, findings, what to type next."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qir.backends.c import compile_c
from qir.backends.c.program import Program
from qir.debug.compare import Rounding, finite
from qir.debug.errors import LayerError
from qir.debug.explain import explain
from qir.debug.findings import Explanation, Finding, Severity
from qir.debug.report import ReportData, report_data
from qir.debug.report.data import StepFacts
from qir.debug.samples import batches_of
from qir.debug.sensitivity import Sensitivity, sensitivity
from qir.debug.trace import Trace
from qir.errors import DataError, PassError, UnsupportedError
from qir.ir.graph import Stage
from qir.recipe import Recipe

_LAYERS, _FINDINGS = 5, 3
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def sensitivity_of(trace: Trace, data: Any = None) -> Sensitivity:
    """What each layer of a trace does to the outputs; arguments as `story`.

    Raises:
        PassError: where nothing was rounded.
        DataError: without samples, and for data that does not fit.
    """
    rounding, samples = _rounding(trace), trace.samples if data is None else data
    if rounding.real is None or rounding.quant is None:
        raise PassError("nothing was rounded: there is nothing to compare", fix="Compile with a recipe like int8")
    if samples is None:
        raise DataError("there are no samples to compare on", fix="Give --calib, or trace a compilation with samples")
    return sensitivity(rounding.real, rounding.quant, batches_of(rounding.quant, samples))


def _rounding(trace: Trace) -> Rounding:
    rounding = Rounding()
    for step in trace:
        rounding(step)
    return rounding


def story(trace: Trace, data: Any = None) -> tuple[ReportData, Explanation | None]:
    """What a trace tells: the data of a report, and why layers are wrong, where something was rounded.

    Args:
        data: samples to judge on; those that the trace keeps by default. Without either, accuracy is left out.

    Raises:
        PassError: for a trace without steps.
        DataError: for data that does not fit.
    """
    if not trace.steps:
        raise PassError("the trace has no steps", fix="Trace a compilation that applies passes")
    rounding = _rounding(trace)
    samples = trace.samples if data is None else data
    found = None
    if rounding.real is not None and rounding.quant is not None and samples is not None:
        found = explain(rounding.real, rounding.quant, batches_of(rounding.quant, samples),
                        runtime=trace.target is None or trace.target.backend == "onnx")  # fmt: skip
    shown = report_data(
        rounding.quant or rounding.real or trace.graph,
        trace.steps,
        samples=trace.samples,
        comparison=None if found is None else found.comparison,
        findings=() if found is None else found.findings,
        target=trace.target,
        recipe=trace.recipe,
        program=_program(trace),
        notes=(*trace.notes, *(() if found is None else found.notes)),
    )
    return shown, found


def _program(trace: Trace) -> Program | None:
    """The plan of the C that the last graph becomes."""
    if trace.target is None or trace.target.backend != "c" or trace.graph.stage is Stage.QUANT:
        return None
    try:
        return compile_c(trace.graph, target=trace.target.name).here
    except UnsupportedError:
        return None  # the trace ends before the network is ready for C


def tell(data: ReportData, found: Explanation | None, folder: str, console: Console) -> None:
    """Prints the story."""
    ends = "" if found is None else f", outputs at {_db(found.comparison.worst_output)} on {found.samples} samples"
    console.print(f"[bold]{escape(data.model)}[/bold] for {data.target or 'no target'}, {data.numbers}{ends}")
    console.print(_passes(data.steps))
    if found is None:
        console.print("No layer was judged: nothing was rounded, or the trace keeps no samples.")
        console.print(f"next: qir debug {folder} --diff 1 {len(data.steps) - 1}")
        return
    console.print(_layers(found.comparison.layers))
    if not found.findings:
        console.print("No finding: every layer does as well as its number of bits lets it.")
    for finding in found.findings[:_FINDINGS]:
        console.print(_finding(finding))
    if len(found.findings) > _FINDINGS:
        console.print(f"[dim]and {len(found.findings) - _FINDINGS} more: --findings[/dim]")
    console.print(f"next: {_next(found, folder)}")


def _passes(steps: tuple[StepFacts, ...]) -> Table:
    table = _table("pass", "changed", "nodes", "worst output", "seconds")
    idle = 0
    for step in steps:
        if not step.changed and step.number:
            idle += 1
            continue
        measured = "" if step.sqnr is None or step.measured != step.number else _db(step.sqnr)
        label = escape(step.name) if not step.number else f"{step.number:2} {escape(step.name)}"
        seconds = f"{step.seconds:.2f}" if step.number else ""
        table.add_row(label, escape(step.summary), str(step.nodes), measured, seconds)
    if idle:
        table.add_row(f"[dim]and {idle} that changed nothing[/dim]")
    return table


def _layers(rows: tuple[LayerError, ...]) -> Table:
    table = _table("worst layers", "op", "accumulated", "alone", "on the output", "weight")
    worst = sorted(rows, key=lambda row: finite(row.isolated.sqnr if row.effect is None else row.effect))
    for row in worst[:_LAYERS]:
        effect = "" if row.effect is None else _db(row.effect)
        weight = "" if row.weight is None else _db(row.weight.sqnr)
        table.add_row(escape(row.node), row.op, _db(row.accumulated.sqnr), _db(row.isolated.sqnr), effect, weight)
    return table


def _table(*headers: str) -> Table:
    """A table without lines; all but the first two columns are numbers."""
    table = Table(*headers, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in table.columns[2:]:
        column.justify = "right"
    return table


def _finding(finding: Finding) -> str:
    colour = _COLOURS[finding.severity]
    text = f"[{colour}]{finding.severity.value}[/{colour}] [bold]{escape(finding.node)}[/bold]: {finding.cause}"
    text += f"\n  {escape(finding.evidence)}"
    if finding.fix is not None:
        fix = finding.fix
        text += f"\n  tried: {escape(fix.what)}: {_db(fix.before)} -> {_db(fix.after)}"
    return text


def _next(found: Explanation, folder: str) -> str:
    """The command that goes on from here."""
    fix = next((one.fix for one in found.findings if one.fix is not None and one.fix.override), None)
    if fix is not None:
        return f"qir debug {folder} --recipe fixed.toml   (the recipe with these repairs)"
    if found.comparison.layers and found.comparison.worst_output < 20:
        worst = min(found.comparison.layers, key=lambda row: finite(row.effect if row.effect is not None else 200.0))
        return f"qir compile ... --override '{worst.node}:float'"
    return f"qir debug {folder} --report report.html"


def mended(recipe: Recipe, found: Explanation) -> Recipe:
    """The recipe with the overrides of every repair that helped, the most helpful one last."""
    fixes = [finding.fix for finding in reversed(found.findings) if finding.fix is not None]
    useful = [fix.override for fix in fixes if fix.override and fix.gain > 0]
    return Recipe.from_toml("\n".join([recipe.to_toml(), *useful]))


def _db(value: float) -> str:
    return "equal" if finite(value) >= 200 else f"{finite(value):.1f} dB"
