"""What can hang on the hook between passes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from qir.errors import OutputError, PassError
from qir.evaluate import evaluate
from qir.ir.graph import Graph, Stage
from qir.ir.text import diff, graph_text, summary
from qir.passmanager.base import Promise
from qir.passmanager.manager import Step
from qir.quant.error import max_abs, sqnr


@dataclass
class Printer:
    """Prints graphs or differences.

    Attributes:
        before, after: names of passes around which the whole graph is printed; `all_after` prints after every pass.
        changed: print what each pass changed.
    """

    before: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    all_after: bool = False
    changed: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stdout)

    def __call__(self, step: Step) -> None:
        name = step.applied.name
        if name in self.before:
            self._say(f"// before {step.number} {step.applied}\n{graph_text(step.before)}")
        if self.all_after or name in self.after:
            self._say(f"// after {step.number} {step.applied}\n{graph_text(step.after)}")
        if self.changed:
            what = "no change" if step.after is step.before else str(diff(step.before, step.after))
            self._say(f"// {step.number} {step.applied}: {summary(step.after)}\n{what}")

    def _say(self, text: str) -> None:
        print(text, file=self.stream)


@dataclass
class Dumper:
    """Writes the graph after every pass that changed it, as text: `03-fold-batchnorm.txt`.

    Raises:
        OutputError: where the folder cannot be written.
    """

    folder: Path

    def __call__(self, step: Step) -> None:
        if step.number == 1:
            self._write("00-input.txt", step.before)
        if step.after is not step.before:
            self._write(f"{step.number:02}-{step.applied.name}.txt", step.after)

    def _write(self, name: str, graph: Graph) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(graph_text(graph) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"'{self.folder / name}' cannot be written ({error.strerror or error})",
                              fix="Choose a folder that you may write") from error  # fmt: skip


@dataclass
class Timer:
    """Keeps how long each pass took."""

    seconds: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self, step: Step) -> None:
        self.seconds.append((str(step.applied), step.seconds))

    def __str__(self) -> str:
        total = sum(s for _, s in self.seconds)
        lines = [f"{s:8.3f} s  {100 * s / max(total, 1e-9):5.1f} %  {name}" for name, s in self.seconds]
        return "\n".join([*lines, f"{total:8.3f} s  total"])


@dataclass
class Drift:
    """Tracks how far the results move from those of the first graph, on fixed sample inputs.

    Attributes:
        feeds: input name to array.
        records: (pass, worst SQNR over the outputs in dB, largest absolute difference) for every pass that changed
            something; SQNR is infinite where nothing moved.
    """

    feeds: Mapping[str, np.ndarray]
    records: list[tuple[str, float, float]] = field(default_factory=list)
    _reference: dict[str, np.ndarray] | None = None

    def __call__(self, step: Step) -> None:
        if self._reference is None:
            self._reference = evaluate(step.before, self.feeds)
        if step.after is step.before:
            return
        now = evaluate(step.after, self.feeds)
        pairs = [(self._reference[name], now[name]) for name in step.after.outputs if name in self._reference]
        numeric = [(a, b) for a, b in pairs if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.shape == b.shape]
        self.records.append((str(step.applied), min((sqnr(a, b) for a, b in numeric), default=np.inf),
                             max((max_abs(a, b) for a, b in numeric), default=0.0)))  # fmt: skip

    def __str__(self) -> str:
        return "\n".join(f"{db:8.1f} dB  {worst:10.3g} max abs  {name}" for name, db, worst in self.records)


@dataclass
class PromiseChecker:
    """Fails a pass that promised exactness (or only notes) and moved a number.

    Attributes:
        feeds: input name to array.
        tolerance: allowed difference relative to each value's largest magnitude; float rounding grows with depth.
    """

    feeds: Mapping[str, np.ndarray]
    tolerance: float = 1e-4

    def __call__(self, step: Step) -> None:
        if step.after is step.before or step.applied.promise is Promise.LOSSY or Stage.INT in _stages(step):
            return
        shared = _comparable(step.before, step.after)
        before = evaluate(step.before, self.feeds, taps=shared)
        after = evaluate(step.after, self.feeds, taps=shared)
        for name in (*shared, *step.after.outputs):
            a, b = before[name], after[name]
            if not isinstance(a, np.ndarray) or a.dtype.kind not in "fiu":
                continue
            exact = step.applied.promise is Promise.EXACT
            limit = self.tolerance * max(float(np.abs(a).max(initial=0)), 1e-6) if exact else 0.0
            if a.shape != b.shape or max_abs(a, b) > limit:
                moved = "its shape" if a.shape != b.shape else f"it by {max_abs(a, b):.3g} (allowed {limit:.3g})"
                raise PassError(
                    f"pass '{step.applied.name}' promised to be {step.applied.promise.value} but moved {moved}",
                    tensor=name, fix="Mend the pass or drop it from the pipeline",
                )  # fmt: skip


def _stages(step: Step) -> set[Stage]:
    return {step.before.stage, step.after.stage}


def _comparable(before: Graph, after: Graph) -> tuple[str, ...]:
    """Float values that both graphs make, in the order of the second one."""
    made = {name for node in before.nodes for name in node.outputs}
    names: Iterable[str] = (name for node in after.nodes for name in node.outputs)
    return tuple(n for n in names if n and n in made and n not in after.outputs and before.types[n] == after.types[n])
