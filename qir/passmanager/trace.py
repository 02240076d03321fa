"""Every step of a compilation, kept: graphs share what a pass did not change, so this costs little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qir.errors import OutputError, PassError
from qir.ir.graph import Graph
from qir.ir.text import summary
from qir.onnxio.store import save_graph
from qir.passmanager.manager import Step


@dataclass
class Trace:
    """An instrument that keeps the steps."""

    steps: list[Step] = field(default_factory=list)

    def __call__(self, step: Step) -> None:
        self.steps.append(step)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def after(self, name: str) -> Graph:
        """The graph after the last application of a pass.

        Raises:
            PassError: if no such pass was applied.
        """
        for step in reversed(self.steps):
            if step.applied.name == name:
                return step.after
        applied = ", ".join(dict.fromkeys(step.applied.name for step in self.steps))
        raise PassError(f"pass '{name}' was not applied", fix=f"Applied were: {applied}")

    def save(self, folder: Path) -> None:
        """Writes the first graph and that after every pass that changed something; `load_graph` reads them.

        Raises:
            OutputError: where the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"folder '{folder}' cannot be made ({error.strerror or error})",
                              fix="Choose a folder that you may write") from error  # fmt: skip
        if self.steps:
            save_graph(self.steps[0].before, folder / "00-input.onnx")
        for step in self.steps:
            if step.after is not step.before:
                save_graph(step.after, folder / f"{step.number:02}-{step.applied.name}.onnx")

    def __str__(self) -> str:
        lines = []
        for step in self.steps:
            change = "no change" if step.after is step.before else summary(step.after)
            lines.append(f"{step.number:3}  {step.seconds:7.3f} s  {step.applied}: {change}")
        return "\n".join(lines)
