"""How well `explain` finds faults: networks broken by seed, and healthy ones, in which there is nothing to find.

Faults are drawn from the catalogue in tests/debug (kinds of bugs, each in one layer of one network); those that move
the worst output's SQNR by less than 1 dB are drawn again. A fault is found when the first finding names the node and a
right cause. Faults of emitted C are looked for with `compare_layers`, all others with `explain`; for rewrites that
are wrong `bisect` is asked too, which has the steps float, healthy, broken and must name the step and the node.
Totals come with the 95 % interval of Wilson (1927).

    QIR_ZOO=folder python tests/benchmarks/faults.py [SEED ...] [--count N] [--models NAME ...] [--kinds NAME ...]
    QIR_ZOO=folder python tests/benchmarks/faults.py --healthy [--target NAME]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import qir
from qir.debug.bisect import Bisection, bisect, sqnr_metric
from qir.debug.c_layers import compare_layers
from qir.debug.explain import explain
from qir.debug.findings import Explanation, Severity
from qir.evaluate import Runner
from qir.ir.graph import Graph
from qir.passmanager.manager import Step
from qir.passmanager.registry import parse_pipeline

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from demo import wilson  # noqa: E402  (found through the line above, from any working folder)

from tests.debug.c_faults import verdict  # noqa: E402
from tests.debug.faults import C_KINDS, KINDS, CFault, CSubject, Drawn, Fault, Subject, draw  # noqa: E402
from tests.zoo_tasks import Task  # noqa: E402

MODELS = ("resnet8_cifar10", "dscnn_kws", "cnn_mnist", "mlp_mnist")
HEALTHY = (*MODELS, "onnxzoo_mnist", "digits_dscnn", "ppocr_cls", "sww_tiny", "vit_mnist", "lstm_mnist", "digits_cnn")
HARM_SAMPLES, C_SAMPLES = 64, 8
SECONDS = 60.0
"""The longest that one explanation may take."""


@dataclass(frozen=True)
class Outcome:
    """What was said of one fault.

    Attributes:
        seed, kind, model, node, drop: the fault; node is "*" for the whole network.
        said: node and cause of the first findings, in order.
        right_node, right_cause: of the first.
        bisected: the node that `bisect` blames, and whether it is right; None where it was not asked.
        seconds: of the explanation.
    """

    seed: int
    kind: str
    model: str
    node: str
    drop: float
    said: tuple[tuple[str, str], ...]
    right_node: bool
    right_cause: bool
    bisected: tuple[str, bool] | None
    seconds: float

    @property
    def found(self) -> bool:
        return self.right_node and self.right_cause

    def __str__(self) -> str:
        mark = "found" if self.found else "missed"
        said = ", ".join(f"{node}: {cause}" for node, cause in self.said[:2]) or "nothing"
        return f"{mark:6} {self.kind} in {self.model} {self.node} ({self.drop:.1f} dB): {said}"

    @property
    def found_by_either(self) -> bool:
        return self.found or (self.bisected is not None and self.bisected[1])


def explained(real: Graph, quant: Graph, feeds: Mapping[str, np.ndarray]) -> Explanation:
    """The one call that is judged; networks of a fixed batch size get their samples in such batches."""
    kind = quant.tensor(quant.inputs[0])
    size = kind.shape[0] if kind.shape else None
    count = len(next(iter(feeds.values())))
    if not isinstance(size, int) or size == count:
        return explain(real, quant, feeds)
    starts = range(0, count - size + 1, size)
    return explain(real, quant, [{name: array[i : i + size] for name, array in feeds.items()} for i in starts])


def bisected(fault: Fault, feeds: Mapping[str, np.ndarray]) -> Bisection:
    """Which step broke the network, of float to healthy to broken, and which layer of it."""
    real, healthy = fault.subject.real, fault.subject.quant
    applied = parse_pipeline("round-weights,eliminate-dead-code")
    steps = [Step(1, applied[0], real, healthy, 0.0), Step(2, applied[1], healthy, fault.graph, 0.0)]
    limit = fault.subject.healthy[False] - 0.9
    return bisect(steps, feeds, sqnr_metric(Runner(real)(feeds)), limit)


def judged(fault: Fault, feeds: Mapping[str, np.ndarray], seed: int) -> Outcome:
    started = time.perf_counter()
    found = explained(fault.subject.real, fault.graph, feeds).findings
    seconds = time.perf_counter() - started
    blamed = None
    if fault.kind.structural:
        answer = bisected(fault, {name: array[:HARM_SAMPLES] for name, array in feeds.items()})
        right = answer.step is not None and answer.step.number == 2 and answer.layer in fault.nodes
        blamed = (str(answer.layer), right)
    first = found[0] if found else None
    return Outcome(
        seed, fault.kind.name, fault.subject.name, fault.name, fault.drop,
        tuple((finding.node, finding.cause) for finding in found[:4]),
        first is not None and first.node in fault.nodes, first is not None and first.cause in fault.kind.causes,
        blamed, seconds,
    )  # fmt: skip


def judged_c(fault: CFault, seed: int) -> Outcome:
    subject = fault.subject
    feeds = {name: array[:C_SAMPLES] for name, array in subject.feeds.items()}
    started = time.perf_counter()
    said = verdict(compare_layers(subject.module, subject.graph, feeds, folder=fault.folder))
    seconds = time.perf_counter() - started
    node, cause = said or ("", "")
    return Outcome(seed, fault.kind.name, subject.name, fault.node, fault.drop, (said,) if said else (),
                   node == fault.node, cause in fault.kind.causes, None, seconds)  # fmt: skip


def zoo() -> Path:
    folder = os.environ.get("QIR_ZOO")
    if not folder or not Path(folder).is_dir():
        raise SystemExit("QIR_ZOO does not name the folder of measuring models")
    return Path(folder)


def subjects(names: Sequence[str], samples: int, with_c: bool) -> tuple[list[Subject], list[CSubject], dict[str, Any]]:
    """The healthy networks, each compiled once, and the samples to explain on."""
    plain, emitted, feeds = [], [], {}
    for name in names:
        task = Task(zoo() / name)
        few = {task.input: task.samples(limit=HARM_SAMPLES)}
        feeds[name] = {task.input: task.samples(limit=samples)}
        made = qir.compile(task.model, calibration=task.samples("x_calib")).rounding
        assert made.real is not None
        assert made.quant is not None
        plain.append(Subject(name, made.real, made.quant, few))
        if with_c:
            c = qir.compile(task.model, calibration=task.samples("x_calib"), target="portable")
            assert isinstance(c, qir.CompiledC)
            assert c.rounding.real is not None
            emitted.append(CSubject(name, c.module, c.graph, c.rounding.real, few))
    return plain, emitted, feeds


def share(right: int, total: int) -> str:
    low, high = wilson(right, total)
    return f"{right} of {total}, {100 * right / total:.1f} % ({low:.1f} to {high:.1f})"


def table_of_kinds(outcomes: Sequence[Outcome], drawn: Sequence[Drawn]) -> Table:
    table = Table(title="Faults by kind")
    for head in ("kind", "drawn", "redrawn", "node", "cause", "both", "bisect", "seconds, median", "worst"):
        table.add_column(head, justify="left" if head == "kind" else "right")
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.kind].append(outcome)
    for kind in sorted({*KINDS, *C_KINDS}):
        rows, redrawn = by_kind[kind], sum(one.redrawn[kind] for one in drawn)
        if not rows and not redrawn:
            continue
        asked = [row.bisected[1] for row in rows if row.bisected is not None]
        times = [row.seconds for row in rows]
        table.add_row(
            kind, str(len(rows)), str(redrawn), str(sum(row.right_node for row in rows)),
            str(sum(row.right_cause for row in rows)), str(sum(row.found for row in rows)),
            str(sum(asked)) if asked else "", f"{statistics.median(times):.1f}" if times else "",
            f"{max(times):.1f}" if times else "",
        )  # fmt: skip
    return table


def table_of_misses(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Not found")
    for head in ("seed", "kind", "model", "node", "dB lost", "said", "bisect"):
        table.add_column(head, overflow="fold")
    for row in outcomes:
        if not row.found:
            said = "\n".join(f"{node}: {cause}" for node, cause in row.said) or "nothing"
            table.add_row(str(row.seed), row.kind, row.model, row.node, f"{row.drop:.1f}", said,
                          row.bisected[0] if row.bisected else "")  # fmt: skip
    return table


def broken(given: argparse.Namespace, console: Console) -> None:
    with_c = not given.no_c and (not given.kinds or any(name in C_KINDS for name in given.kinds))
    plain, emitted, feeds = subjects(given.models, given.samples, with_c)
    outcomes: list[Outcome] = []
    draws: list[Drawn] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in given.seeds:
            drawn = draw(seed, plain, given.count, emitted, Path(folder), kinds=given.kinds)
            draws.append(drawn)
            for fault in drawn.faults:
                if isinstance(fault, CFault):
                    outcomes.append(judged_c(fault, seed))
                else:
                    outcomes.append(judged(fault, feeds[fault.subject.name], seed))
                row = outcomes[-1]
                if given.verbose:
                    console.print(str(row), markup=False)
    console.print(table_of_kinds(outcomes, draws))
    if any(not row.found for row in outcomes):
        console.print(table_of_misses(outcomes))
    for seed in given.seeds:
        of_seed = [row for row in outcomes if row.seed == seed]
        console.print(f"seed {seed}: {share(sum(row.found for row in of_seed), len(of_seed))}")
    total = len(outcomes)
    console.print(f"node right: {share(sum(row.right_node for row in outcomes), total)}")
    console.print(f"cause right: {share(sum(row.right_cause for row in outcomes), total)}")
    console.print(f"both right: {share(sum(row.found for row in outcomes), total)}")
    console.print(f"both right, or bisect right: {share(sum(row.found_by_either for row in outcomes), total)}")
    slow = [row for row in outcomes if row.seconds > SECONDS]
    worst = max(outcomes, key=lambda row: row.seconds)
    console.print(f"longest: {worst.seconds:.1f} s ({worst.kind} in {worst.model}); over {SECONDS:.0f} s: {len(slow)}")
    console.print(f"kinds drawn: {len({row.kind for row in outcomes})} of {len(KINDS) + len(C_KINDS)}")
    never = sorted({name for one in draws for name in one.never})
    if never:
        console.print(f"without a place in these models, or never harmful: {', '.join(never)}")
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in outcomes], indent=1), encoding="utf-8")


def healthy_task(name: str) -> tuple[str, str, np.ndarray, np.ndarray]:
    """Model, input name, calibration samples, test samples."""
    if name == "digits_cnn":
        import digits

        data = digits.load()
        return str(ROOT / "models" / name / "model.onnx"), digits.INPUT, data.calibration, data.test_images
    task = Task(zoo() / name)
    return task.model, task.input, task.samples("x_calib"), task.samples()


def healthy(given: argparse.Namespace, console: Console) -> bool:
    """True where no healthy network has a finding above a note."""
    table = Table(title=f"Healthy networks, target {given.target}")
    for head in ("model", "samples", "SQNR, dB", "findings", "above note", "seconds"):
        table.add_column(head, justify="left" if head == "model" else "right")
    loud = []
    for name in given.models:
        model, entry, calibration, samples = healthy_task(name)
        made = qir.compile(model, calibration=calibration, target=given.target).rounding
        assert made.real is not None
        assert made.quant is not None
        started = time.perf_counter()
        found = explained(made.real, made.quant, {entry: samples[: given.samples]})
        seconds = time.perf_counter() - started
        above = [finding for finding in found.findings if finding.severity is not Severity.NOTE]
        loud += [(name, finding) for finding in above]
        worst = found.comparison.worst_output
        counts = (str(found.samples), f"{worst:.1f}", str(len(found.findings)), str(len(above)), f"{seconds:.1f}")
        table.add_row(name, *counts)
    console.print(table)
    for name, finding in loud:
        gain = f", repair regains {finding.fix.gain:.1f} dB" if finding.fix else ""
        said = f"{finding.severity.value} {finding.cause}: {finding.evidence}{gain}"
        console.print(f"{name} {finding.node}: {said}", markup=False)
    return not loud


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[1, 2, 3], metavar="SEED")
    parser.add_argument("--count", type=int, default=40, help="faults a seed")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="folders of the zoo")
    parser.add_argument("--kinds", nargs="+", default=(), choices=sorted({*KINDS, *C_KINDS}), metavar="NAME")
    parser.add_argument("--samples", type=int, default=128, help="to explain on")
    parser.add_argument("--no-c", action="store_true", help="leave out faults of emitted C, which need a C compiler")
    parser.add_argument("--json", type=Path, help="write every outcome there")
    parser.add_argument("--verbose", action="store_true", help="print every fault as it is judged")
    parser.add_argument("--healthy", action="store_true", help="healthy networks: nothing above a note")
    parser.add_argument("--target", default="onnx", help="of the healthy networks")
    given = parser.parse_args()
    given.models = given.models or (HEALTHY if given.healthy else MODELS)
    console = Console(width=max(Console().width, 150))
    if not given.healthy:
        broken(given, console)
    elif not healthy(given, console):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
