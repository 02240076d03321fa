"""How small, fast and accurate compressed networks are: `QIR_ZOO=folder python tests/benchmarks/compression.py`.

Every row is compiled in one call for the first target, calibrated on the same samples, then lowered for each. Accuracy
is top-1 of the rounded network in onnxruntime without fusions on all test samples, with the 95 % interval of the change
against float on the same samples (paired answers, Agresti & Min 2005). Bytes are the C's constants, MACs those of the
float network behind what compresses it.
Time is of one sample on one core, all rows of a model taking turns, beside the int8 row in the same round. Rows that
train take ten minutes and more of one core each; they are left out without --train.

    python tests/benchmarks/compression.py [--train] [--rounds N] [--samples N] [--row NAME] [--target NAME] [MODEL ...]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import qir
from qir.evaluate import Runner
from qir.ops.weighted import macs, with_ones
from qir.passes.train.finetune import Finetune

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.benchmarks.measuring import latencies, processor  # noqa: E402  (found from any working folder)
from tests.zoo_tasks import Task  # noqa: E402

MODELS = ("resnet8_cifar10", "dscnn_kws", "cnn_mnist", "mlp_mnist")
TARGETS = ("native", "x86-avx2")
BASE = "int8"
LOWERED = "bind-batch,fold-constants,eliminate-identities,eliminate-dead-code,lower-integer,compose-lookups"
TUNED = Finetune(steps=3200, temperature=2.0)
ROWS: Mapping[str, Mapping[str, Any]] = {
    BASE: {},
    "channels -30 %": {"compress": "prune{channels=0.3}"},
    "channels -30 %, by magnitude": {"compress": "prune{channels=0.3,method=magnitude}"},
    "channels -30 %, time 0.6": {"compress": "prune{channels=0.3,time=0.6}"},
    "channels -50 %": {"compress": "prune{channels=0.5}"},
    "half the MACs, channels": {"compress": "prune{macs=0.5}"},
    "half the MACs, low rank": {"compress": "low-rank{macs=0.5}"},
    "2:4": {"compress": "sparsify{pattern=2:4}"},
    "1:4": {"compress": "sparsify{pattern=1:4}"},
    "1x4, half": {"compress": "sparsify{pattern=1x4}"},
    "16x4, half": {"compress": "sparsify{pattern=16x4}"},
    "ternary": {"recipe": "ternary"},
    "binary": {"recipe": "binary"},
    "channels -30 %, fine-tuned": {"compress": "prune{channels=0.3}", "finetune": TUNED},
    "channels -30 %, time 0.6, fine-tuned": {"compress": "prune{channels=0.3,time=0.6}", "finetune": TUNED},
    "ternary, fine-tuned": {"recipe": "ternary", "finetune": TUNED},
    "binary, fine-tuned": {"recipe": "binary", "finetune": TUNED},
    "channels -15 %, ternary, fine-tuned": {"compress": "prune{channels=0.15}", "recipe": "ternary", "finetune": TUNED},
}
"""Name to options of qir.compile."""
AUGMENTED = {"resnet8_cifar10": ("mirror",), "dscnn_kws": ("mix",)}
"""What the samples of a model stay when they are changed; others are trained on as they are."""


def lessons(task: Task) -> np.ndarray:
    """What to fine-tune on: calibration samples, of ResNet-8 10,000 training images, without labels."""
    more = task.folder.parent / "cifar10_train_10k.npz"
    if "cifar10" not in task.folder.name or not more.exists():
        return task.samples("x_calib")
    mean, std = (np.asarray(task.meta[key], np.float32).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    with np.load(more) as found:
        return np.asarray((found["x_u8"].astype(np.float32) - mean) / std)


@dataclass
class Measured:
    """What a row gave."""

    wrong: np.ndarray
    macs: int
    bytes: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)


def interval(wrong: np.ndarray, base: np.ndarray) -> str:
    """The change in accuracy, in points, with its 95 % interval."""
    n, lost, won = len(wrong), int((wrong & ~base).sum()), int((base & ~wrong).sum())
    width = 1.96 * np.sqrt(lost + won + 2 - (won - lost) ** 2 / (n + 2)) / (n + 2)
    return f"{100 * (won - lost) / n:+.2f} ± {100 * width:.2f}"


def answers(graph: qir.Graph, task: Task, limit: int | None) -> np.ndarray:
    """Whether each test sample is answered wrongly."""
    run = Runner(graph)
    found = np.concatenate([run({task.input: batch})[graph.outputs[0]] for batch in task.batches(100, limit)])
    return np.asarray(found.reshape(len(found), -1).argmax(1) != task.labels[: len(found)])


def measure(task: Task, rows: Mapping[str, Mapping[str, Any]], targets: tuple[str, ...], limit: int | None,
            rounds: int) -> dict[str, Measured]:  # fmt: skip
    calibration, found = task.samples("x_calib"), dict[str, Measured]()
    compiled: dict[tuple[str, str], qir.CompiledC] = {}
    for name, given in rows.items():
        options = dict(given)
        if "finetune" in options:
            options["finetune"] = replace(options["finetune"], augment=AUGMENTED.get(task.folder.name, ()))
        samples = lessons(task) if "finetune" in options else calibration
        net = qir.compile(task.model, samples, target=targets[0], **options)
        quant, real = net.rounding.quant, net.rounding.real
        assert quant is not None
        assert real is not None
        found[name] = Measured(answers(quant, task, limit), total_macs(real))
        for note in net.notes:
            print(f"{task.folder.name}, {name}: {note}", file=sys.stderr)
        for target in targets:
            made = qir.compile(quant, target=target, passes=LOWERED, recipe=net.recipe)
            assert isinstance(made, qir.CompiledC)
            found[name].bytes[target] = made.module.weight_bytes
            compiled[name, target] = made
            _ = made.module.library
    sample = {task.input: calibration[:1]}
    for target in targets:
        calls = {name: lambda count, made=compiled[name, target]: made.benchmark(sample, count) for name in rows}
        for name, seconds in latencies(calls, rounds).items():
            found[name].seconds[target] = seconds
    return found


def total_macs(graph: qir.Graph) -> int:
    single = with_ones(graph)
    return sum(macs(node, single) or 0 for node in single.nodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", help="with the rows that are fine-tuned")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--samples", type=int, default=None, help="test samples at most")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="only these, beside int8")
    parser.add_argument("--target", action="append", help=f"of C, by default {', '.join(TARGETS)}")
    parser.add_argument("models", nargs="*", default=list(MODELS), help="folders in $QIR_ZOO")
    options = parser.parse_args()
    if not os.environ.get("QIR_ZOO"):
        raise SystemExit("QIR_ZOO does not name the folder of measuring models")
    wanted = options.row or [name for name in ROWS if options.train or "finetune" not in ROWS[name]]
    rows = {name: ROWS[name] for name in ROWS if name == BASE or name in wanted}
    targets = tuple(options.target or TARGETS)
    table = Table(title=f"Compressed networks, {processor()}", caption=f"medians of {options.rounds} rounds")
    for column in ("model", "row", "top-1", "against float", "MACs"):
        table.add_column(column, justify="left" if column in ("model", "row") else "right")
    for target in targets:
        table.add_column(f"{target} B", justify="right")
        table.add_column("us", justify="right")
        table.add_column("faster", justify="right")
    for model in options.models:
        task = Task(Path(os.environ["QIR_ZOO"]) / model)
        base = answers(qir.lift(task.model), task, options.samples)
        label = f"{model}, n = {len(base)}, float {100 * (1 - base.mean()):.2f}"
        for name, row in (found := measure(task, rows, targets, options.samples, options.rounds)).items():
            cells = []
            for target in targets:
                seconds, others = row.seconds[target], found[BASE].seconds[target]
                faster = statistics.median(b / a for a, b in zip(seconds, others, strict=True))
                cells += [f"{row.bytes[target]:,}", f"{1e6 * statistics.median(seconds):.1f}", f"{faster:.2f}"]
            accuracy = f"{100 * (1 - row.wrong.mean()):.2f}"
            table.add_row(label, name, accuracy, interval(row.wrong, base), f"{row.macs / 1e6:.2f} M", *cells)
            label = ""
        table.add_section()
    Console(width=170).print(table)


if __name__ == "__main__":
    main()
