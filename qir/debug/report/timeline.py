"""What every pass did: sizes, the lines it changed, and the error after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qir.debug.report.data import StepFacts, Texts
from qir.debug.report.drift import Drift, work
from qir.ir.graph import Constant, Graph
from qir.ir.text import constant_text, graph_text, node_text
from qir.ir.types import TensorType
from qir.passmanager.manager import Step

_PIXELS = "fold-preprocess"
"""The pass that changes what inputs mean: results are compared from there on."""


def parameter_bytes(graph: Graph) -> int:
    """Bytes of the constants as a file would store them: codes where they are rounded."""
    return sum(constant_bytes(constant, graph.types.get(name)) for name, constant in graph.constants.items())


def constant_bytes(constant: Constant, kind: object) -> int:
    """Bytes of one constant; codes count with the bits of their storage."""
    quant = kind.quant if isinstance(kind, TensorType) else None
    return -(-constant.value.size * quant.storage.bits // 8) if quant is not None else constant.value.nbytes


def timeline(steps: Sequence[Step], samples: Mapping[str, Any] | None) -> tuple[tuple[StepFacts, ...], Texts, int]:
    """The facts of every step, that of the model before any pass first; printed graphs; on how many samples errors are.

    Args:
        steps: in order.
        samples: inputs by name, as the compiled graph takes them; None measures no errors.
    """
    if not steps:
        return (), Texts((), ()), 0
    lines = _Lines()
    # Those before the inputs became pixels take other samples.
    start = max((step.number for step in steps if step.applied.name == _PIXELS), default=0)
    judged = [step.after for step in steps if step.number >= start]
    drift = None if samples is None else Drift(judged if start else [steps[0].before, *judged], samples)
    first = steps[0].before
    error = None if drift is None or start else drift.after(0, first)
    facts = [_facts(0, "model", "", first, 0.0, "", lines.state(first), error)]
    for step in steps:
        before = facts[-1].state
        state = before if step.after is step.before else lines.state(step.after)
        said = "no change" if state == before else lines.summary(before, state)
        error = None if drift is None or step.number < start else drift.after(step.number, step.after)
        made = _facts(step.number, str(step.applied), step.applied.promise.value, step.after, step.seconds, said,
                      state, error)  # fmt: skip
        facts.append(replace(made, notes=step.notes))
    return tuple(facts), lines.texts, 0 if drift is None else drift.samples


def _facts(
    number: int, name: str, promise: str, graph: Graph, seconds: float, summary: str, state: int,
    error: tuple[float, int] | None
) -> StepFacts:  # fmt: skip
    return StepFacts(
        number=number, name=name, promise=promise, stage=graph.stage.value, seconds=seconds,
        changed=summary not in ("", "no change"), summary=summary, nodes=len(graph.nodes),
        constants=len(graph.constants), parameter_bytes=parameter_bytes(graph), macs=work(graph),
        sqnr=None if error is None else error[0], measured=None if error is None else error[1], state=state,
    )  # fmt: skip


class _Lines:
    """Printed graphs; a line that several have is kept once, an array that several have is printed once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._states: dict[tuple[int, ...], int] = {}
        self._printed: dict[int, tuple[Constant, str]] = {}

    @property
    def texts(self) -> Texts:
        return Texts(tuple(self._numbers), tuple(self._states))

    def state(self, graph: Graph) -> int:
        """The number of the graph's printed form."""
        found = tuple(self._numbers.setdefault(line, len(self._numbers)) for line in self._printed_lines(graph))
        return self._states.setdefault(found, len(self._states))

    def _printed_lines(self, graph: Graph) -> Iterable[tuple[str, str, str]]:
        head = graph_text(graph.with_(nodes=(), constants={}, ranges={}))
        yield "graph", "", head
        for node in graph.nodes:
            text = node_text(node, graph)
            bodies = [f"{key}:\n{graph_text(body)}" for key, body in node.subgraphs.items()]
            yield "node", node.name, "\n".join([text, *bodies])
        for name, constant in sorted(graph.constants.items()):
            yield "constant", name, f"%{name}: {graph.types.get(name, '?')} = {self._constant(constant)}"
        for name, (low, high) in sorted(graph.ranges.items()):
            yield "range", name, f"%{name}: {low:.6g}..{high:.6g}"

    def _constant(self, constant: Constant) -> str:
        known = self._printed.get(id(constant))
        if known is None:
            known = self._printed[id(constant)] = constant, constant_text(constant)
        return known[1]

    def summary(self, before: int, after: int) -> str:
        """How many lines of each kind came, went and changed."""
        every, states = tuple(self._numbers), tuple(self._states)
        said = []
        for kind in ("node", "constant", "range"):
            old, new = ({every[i][1]: i for i in states[state] if every[i][0] == kind} for state in (before, after))
            counts = {
                "added": len(new.keys() - old.keys()),
                "removed": len(old.keys() - new.keys()),
                "changed": sum(new[name] != old[name] for name in new.keys() & old.keys()),
            }
            parts = [f"{count} {what}" for what, count in counts.items() if count]
            said += [f"{kind}s: {', '.join(parts)}"] if parts else []
        return "; ".join(said) or "the interface changed"
