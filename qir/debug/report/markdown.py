"""report.md: the short story in tables that are read as text, too."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from qir.debug.findings import Finding
from qir.debug.report.data import MOST_DECIBELS, ReportData, decibels
from qir.debug.report.text import bytes_text
from qir.debug.report.words import count_text, decibels_text, number_text, plural, seconds_text, short_bytes

_SHOWN_LAYERS = 20


def markdown(data: ReportData) -> str:
    """The report as Markdown: summary, findings, worst layers, passes, sizes, notes."""
    parts = [f"# {_text(data.model or 'model')}", _summary(data)]
    if data.findings:
        parts += ["## Findings", *(_finding(number, one) for number, one in enumerate(data.findings, 1))]
    if data.layers:
        parts += ["## Worst layers", _layers(data)]
    if data.steps:
        parts += ["## Passes", _passes(data)]
    if data.sizes:
        rows = [(label, bytes_text(value)) for label, value in data.sizes.items()]
        parts += ["## Sizes", _table(("what", "size"), rows, "lr")]
    floats = [(row.node, row.op, row.runs_as, "; ".join(why for _, why in row.refused))
              for row in data.kernels if row.integer is False]  # fmt: skip
    if floats:
        parts += ["## Computed in float", _table(("node", "operator", "runs as", "why"), floats, "llll")]
    if data.notes:
        parts += ["## Notes", "\n".join(f"- {_text(note)}" for note in data.notes)]
    return "\n\n".join(parts) + "\n"


def severity_counts(findings: Iterable[Finding]) -> str:
    """How many there are of each severity, in words."""
    found = Counter(one.severity.value for one in findings)
    parts = [plural(found[name], name) for name in ("error", "warning", "note") if found[name]]
    return ", ".join(parts) or "none"


def _summary(data: ReportData) -> str:
    rows = [("target", data.target or "not known")]
    if data.worst_output is not None:
        rows.append(("worst output", f"{decibels_text(data.worst_output)} on {plural(data.samples, 'sample')}"))
    rows.append(("findings", severity_counts(data.findings)))
    inner = sum(node.op not in ("Input", "Output") for node in data.nodes)
    per = f" with {', '.join(f'{symbol} = 1' for symbol in data.symbols)}" if data.symbols else ""
    rows += [("nodes", str(inner)), ("multiply-accumulates", count_text(data.macs) + per)]
    if data.seconds is not None:
        rows.append(("compiled in", seconds_text(data.seconds)))
    return _table(("", data.model or "model"), rows, "ll")


def _finding(number: int, one: Finding) -> str:
    lines = [f"### {number}. {_text(one.node)} ({_text(one.op)}): {one.cause}, {one.severity.value}", ""]
    lines.append(_text(one.evidence))
    alone = decibels(one.effect)
    lines.append("Alone it does not change the outputs." if alone >= MOST_DECIBELS
                 else f"Alone it leaves the worst output at {decibels_text(alone)}.")  # fmt: skip
    if one.fix is not None:
        before, after = (decibels_text(decibels(value)) for value in (one.fix.before, one.fix.after))
        lines += ["", f"Tried: {_text(one.fix.what)} {before} → {after}."]
        if one.fix.override:
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", one.fix.override)), default=0))
            lines += ["", f"{fence}toml", one.fix.override.rstrip("\n"), fence]
    return "\n".join(lines)


def _layers(data: ReportData) -> str:
    rows = [
        (one.node, one.op, decibels_text(None if one.effect is None else decibels(one.effect)),
         decibels_text(decibels(one.isolated.sqnr)), decibels_text(decibels(one.accumulated.sqnr)),
         decibels_text(None if one.weight is None else decibels(one.weight.sqnr)),
         number_text(one.accumulated.max_abs) if math.isfinite(one.accumulated.max_abs) else "infinite")
        for one in data.worst_layers[:_SHOWN_LAYERS]
    ]  # fmt: skip
    head = ("layer", "operator", "effect on output", "isolated", "accumulated", "weight", "max abs")
    left = len(data.layers) - len(rows)
    return _table(head, rows, "llrrrrr") + (f"\n\n{left} more layers are not shown." if left > 0 else "")


def _passes(data: ReportData) -> str:
    rows = []
    for step in data.steps:
        if not (step.changed or step.number == 0):
            continue
        estimated = "" if step.measured in (step.number, None) else f" (after pass {step.measured})"
        rows.append((
            str(step.number), step.name, step.summary, str(step.nodes), short_bytes(step.parameter_bytes),
            count_text(step.macs), decibels_text(step.sqnr) + estimated, seconds_text(step.seconds),
        ))  # fmt: skip
    idle = sum(not step.changed for step in data.steps[1:])
    head = ("no.", "pass", "changed", "nodes", "parameters", "MACs", "worst output", "time")
    said = [f"The worst output was measured on {plural(data.step_samples, 'sample')}."] if data.step_samples else []
    said += [f"{plural(idle, 'further pass', 'further passes')} changed nothing."] if idle else []
    return "\n\n".join([_table(head, rows, "rllrrrrr"), *([" ".join(said)] if said else [])])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> str:
    bars = ["---:" if side == "r" else "---" for side in sides]
    lines = [[_text(cell) for cell in head], bars, *([_text(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(value: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    flat = " ".join(value.split())
    return re.sub(r"([\\`*\[\]<>|#~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", flat)
