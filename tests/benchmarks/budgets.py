"""Whether `max_drop` holds on labelled test samples, and what it costs: `QIR_ZOO=folder make bench`.

The budget is judged without labels, on the calibration samples; `drop` is that of top-1 accuracy against float on all
test samples, in points, `moved` the share of them whose answer changed. It is kept where the drop is at most 0.1 point
or one sample above the budget. `integer` is the share of multiplications that onnxruntime ran as 8-bit integers.

    python tests/benchmarks/budgets.py [--samples N] [--recipes w8a8,w4a8] [--drops 0.005,0.02] [SUBJECT ...]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import qir

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.benchmarks.accuracy import LABELLED, Subject, integer_share, outputs  # noqa: E402
from tests.benchmarks.measuring import session  # noqa: E402


def row(subject: Subject, recipe: str, budget: float, limit: int | None, folder: Path) -> list[str]:
    """One budget of one model."""
    samples, labels = subject.test(limit), subject.labels
    assert labels is not None
    started = time.perf_counter()
    net = qir.compile(subject.model, subject.calibration(), recipe=recipe, max_drop=budget)
    seconds = time.perf_counter() - started
    result = net.save(folder / "result.onnx")
    answers = [outputs(session(str(model), optimize=False), samples).argmax(1) for model in (subject.model, result)]
    wanted, found = ((answer == labels[: len(samples)]).mean() for answer in answers)
    drop = float(wanted - found)
    kept = drop <= budget + max(0.001, 1 / len(samples))
    share = integer_share(str(result), subject.input, samples[:1], folder)
    (told,) = (note for note in net.notes if note.startswith("max_drop"))
    moved = 100 * (answers[0] != answers[1]).mean()
    return [
        subject.name, recipe, f"{100 * budget:g}", f"{100 * drop:+.2f}", f"{moved:.2f}",
        "yes" if kept else "NO", f"{100 * share:.0f}", f"{result.stat().st_size / 1000:.0f}", f"{seconds:.0f}",
        told.split(": ", 1)[1],
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", default=LABELLED, metavar="SUBJECT")
    parser.add_argument("--samples", type=int, help="test on the first ones only; all by default")
    parser.add_argument("--recipes", default="w8a8,w4a8")
    parser.add_argument("--drops", default="0.005,0.02")
    given = parser.parse_args()
    zoo = os.environ.get("QIR_ZOO")
    if not zoo or not Path(zoo).is_dir():
        raise SystemExit("QIR_ZOO does not name the folder of measuring models")
    table = Table("", "recipe", "budget", "drop", "moved %", "kept", "integer %", "kB", "seconds", "what the note says")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.subjects:
            for recipe in given.recipes.split(","):
                for drop in map(float, given.drops.split(",")):
                    cells = row(Subject(name, Path(zoo)), recipe, drop, given.samples, Path(folder))
                    print(*cells, sep=" | ", file=sys.stderr, flush=True)
                    table.add_row(*cells)
    Console(width=max(Console().width, 180)).print(table)


if __name__ == "__main__":
    main()
