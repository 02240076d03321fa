"""What `qir.explain` finds: data only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

from qir.debug.errors import Comparison
from qir.ir.graph import Graph


class Severity(Enum):
    """How much a finding matters: it ruins the result, it costs accuracy that a fix regains, or it is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Fix:
    """A repair that was tried.

    Attributes:
        what: one sentence.
        override: TOML that a recipe takes, to be pasted; "" where no recipe can express the repair.
        before, after: SQNR of the network's worst output without and with the repair, in dB.
    """

    what: str
    override: str
    before: float
    after: float

    @property
    def gain(self) -> float:
        """dB regained."""
        return self.after - self.before

    def as_json(self) -> dict[str, Any]:
        """Everything as plain numbers and text."""
        return {**vars(self), "gain": self.gain}


@dataclass(frozen=True)
class Finding:
    """One cause of lost accuracy.

    Attributes:
        node: name of the guilty node, in the quantized model.
        op: its operator.
        origin: names of the nodes of the user's model that it stands for.
        cause: a name of the table of causes, such as range-clipped.
        severity: how much it matters.
        evidence: what was measured, one or two sentences with figures.
        effect: SQNR of the worst output when only this node's layer is taken from the quantized model, in dB.
        fix: the best repair that was tried; None where nothing helped or nothing can be repaired from here.
    """

    node: str
    op: str
    origin: tuple[str, ...]
    cause: str
    severity: Severity
    evidence: str
    effect: float
    fix: Fix | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text."""
        plain = {key: getattr(self, key) for key in ("node", "op", "cause", "evidence")}
        effect = self.effect if math.isfinite(self.effect) else None
        fixed = None if self.fix is None else self.fix.as_json()
        return {**plain, "origin": list(self.origin), "severity": self.severity.value, "effect": effect, "fix": fixed}


@dataclass(frozen=True)
class Explanation:
    """Everything `qir.explain` says.

    Attributes:
        findings: the most harmful first.
        comparison: the errors of every layer.
        samples: how many samples were run.
        together: every repair that helps by itself, tried at once; None for fewer than two.
        repaired: the quantized network with these repairs, `qir.export` makes it a model; None where there are none.
        notes: what could not be judged, and why.
    """

    findings: tuple[Finding, ...]
    comparison: Comparison
    samples: int
    together: Fix | None = None
    repaired: Graph | None = None
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text; None stands for what JSON cannot hold."""
        return {
            "samples": self.samples,
            "outputs": {name: error.as_json() for name, error in self.comparison.outputs.items()},
            "findings": [finding.as_json() for finding in self.findings],
            "together": None if self.together is None else self.together.as_json(),
            "layers": [row.as_json() for row in self.comparison.layers],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        errors = ", ".join(f"{name} {_decibels(e.sqnr)}" for name, e in self.comparison.outputs.items())
        lines = [f"outputs against the float model on {self.samples} samples: {errors}"]
        lines += ["nothing found that a repair would mend"] if not self.findings else []
        for finding in self.findings:
            lines += ["", f"{finding.severity.value}: {finding.node} ({finding.op}): {finding.cause}",
                      f"  {finding.evidence}"]  # fmt: skip
            lines += _tried(finding.fix)
        if self.together is not None:
            lines += ["", *_tried(self.together)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _tried(fix: Fix | None) -> list[str]:
    if fix is None:
        return []
    paste = [f"    {line}" for line in fix.override.splitlines() if line]
    return [f"  tried: {fix.what}: {_decibels(fix.before)} -> {_decibels(fix.after)}", *paste]


def _decibels(value: float) -> str:
    return "equal" if value >= 200 else f"{value:.1f} dB"
