"""qir beside float onnxruntime and onnxruntime's own quantizer, on the measuring models: `QIR_ZOO=folder make bench`.

Accuracy is top-1 on the labelled test samples, with the 95 % interval of Wilson (1927); all variants are calibrated on
the same samples. Each compilation runs in a process of its own, whose seconds and peak memory are its own: `seconds`
leaves out imports, the peak of resident memory holds everything, the interpreter too. onnxruntime's quantizer appears
twice. Without VNNI its kernels add pairs of products in 16 bits, where 8-bit weights can saturate: the figure says more
of the processor than of the quantizer, as the same model without fusions ("unfused") shows. "7 bits" is what
onnxruntime advises there (`reduce_range`). qir avoids such pairs by itself. "Its QDQ model" is the quantized graph from
which the C was lowered, run without onnxruntime's fusions. Latencies are of one sample on one thread: the variants take
turns, and the ratio is the median over the rounds. C times itself; onnxruntime is called from Python. A second float
session shows how much of a ratio is chance.

    python tests/benchmarks/zoo.py [--samples N] [--rounds N] [TASK ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

import qir

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from demo import wilson  # noqa: E402  (found through the line above, from any working folder)

from tests.benchmarks.measuring import (  # noqa: E402
    Call,
    latencies,
    peak_bytes,
    processor,
    quantize_onnxruntime,
    session,
    timed,
)
from tests.zoo_tasks import Task, accuracy, agreement  # noqa: E402

TASKS = ("resnet8_cifar10", "cnn_mnist", "mlp_mnist", "dscnn_kws")
Cost = tuple[float, float]
"""Seconds, peak resident bytes."""


def compile_onnx(task: Task, folder: Path) -> float:
    started = time.perf_counter()
    qir.compile(task.model, calibration=task.samples("x_calib")).save(folder / "qdq.onnx")
    return time.perf_counter() - started


def compile_c(task: Task, folder: Path) -> float:
    started = time.perf_counter()
    qir.compile(task.model, calibration=task.samples("x_calib"), target="portable").save(folder / "c")
    return time.perf_counter() - started


def compile_onnxruntime(task: Task, folder: Path) -> float:
    return quantize_onnxruntime(task.model, folder / "ort.onnx", task.input, task.samples("x_calib"))


def compile_onnxruntime_7(task: Task, folder: Path) -> float:
    samples = task.samples("x_calib")
    return quantize_onnxruntime(task.model, folder / "ort7.onnx", task.input, samples, reduce_range=True)


WORKERS = {
    "qir onnx": compile_onnx,
    "qir C": compile_c,
    "onnxruntime": compile_onnxruntime,
    "onnxruntime, 7 bits": compile_onnxruntime_7,
}


def cost(worker: str, task: Task, folder: Path) -> Cost:
    """Runs a compilation in its own process."""
    command = [sys.executable, __file__, "--worker", worker, "--folder", str(folder), str(task.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{worker} failed on {task.folder.name}:\n{done.stderr[-3000:]}")
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def outputs(run: Call, samples: np.ndarray) -> np.ndarray:
    """[n, classes], one sample a call."""
    return np.concatenate([run(samples[i : i + 1]).reshape(1, -1) for i in range(len(samples))])


def percent(logits: np.ndarray, labels: np.ndarray) -> str:
    right = round(accuracy(logits, labels) * len(logits))
    low, high = wilson(right, len(logits))
    return f"{100 * right / len(logits):.2f} % ({low:.2f} to {high:.2f})"


def differences(c: np.ndarray, reference: np.ndarray) -> str:
    """Share of outputs that are not equal but for float rounding, and the largest difference."""
    far, span = np.abs(c - reference), float(np.abs(reference).max())
    share = float((far > 1e-5 * span).mean())
    return f"{100 * share:.3f} %, {far.max():.3g} ({100 * far.max() / span:.2f} % of largest)"


def measure(task: Task, limit: int | None, rounds: int, folder: Path) -> dict[str, str]:
    """Every row of the table for one model."""
    costs = {name: cost(name, task, folder) for name in WORKERS}
    samples, labels = task.samples(limit=limit), task.labels[:limit]
    c = qir.compile(task.model, calibration=task.samples("x_calib"), target="portable", trace=True)
    assert isinstance(c, qir.CompiledC)
    assert c.trace is not None
    quant = next(step.before for step in c.trace if step.applied.name == "lower-integer")
    runs: dict[str, Call] = {
        "float": session(task.model),
        "qir QDQ": session(str(folder / "qdq.onnx")),
        "qir C": lambda batch: next(iter(c.run({task.input: batch}).values())),
        "onnxruntime": session(str(folder / "ort.onnx")),
        "onnxruntime, 7 bits": session(str(folder / "ort7.onnx")),
    }
    logits = {name: outputs(run, samples) for name, run in runs.items()}
    unfused = outputs(session(str(folder / "ort.onnx"), optimize=False), samples)
    same_graph = outputs(session(qir.export(quant).SerializeToString(), optimize=False), samples)

    rows = {"test samples": str(len(samples)), "calibration samples": str(len(task.samples("x_calib")))}
    rows |= {f"accuracy, {name}": percent(found, labels) for name, found in logits.items()}
    rows["accuracy, onnxruntime, unfused"] = percent(unfused, labels)
    rows |= {f"agrees with float, {name}": f"{100 * agreement(found, logits['float']):.2f} %"
             for name, found in logits.items() if name != "float"}  # fmt: skip
    rows["C agrees with its QDQ model"] = f"{100 * agreement(logits['qir C'], same_graph):.2f} %"
    rows["C differs from its QDQ model"] = differences(logits["qir C"], same_graph)
    rows |= {f"compile, {name}": f"{seconds:.2f} s, {peak / 2**20:.0f} MiB" for name, (seconds, peak) in costs.items()}
    rows["C weights, code"] = f"{c.weight_bytes:,} B, {c.code_bytes or 0:,} B"
    rows["C arena, lower bound"] = f"{c.arena_bytes:,} B, {c.sizes['arena lower bound'] or 0:,} B"

    one = samples[:1]
    calls = {name: timed(run, one) for name, run in runs.items() if name != "qir C"}
    calls["float again"] = timed(session(task.model), one)
    calls["qir C"] = lambda count: c.benchmark({task.input: one}, count)
    found = latencies(calls, rounds)
    rows["latency, float"] = f"{1e6 * statistics.median(found['float']):.1f} us"
    for name in ("float again", "qir QDQ", "onnxruntime", "onnxruntime, 7 bits", "qir C"):
        ratios = sorted(a / b for a, b in zip(found[name], found["float"], strict=True))
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        rows[f"latency / float, {name}"] = f"{statistics.median(ratios):.2f} (quartiles {low:.2f}, {high:.2f})"
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=TASKS, metavar="TASK")
    parser.add_argument("--samples", type=int, help="use only the first ones; all by default")
    parser.add_argument("--rounds", type=int, default=31, help="of the latency measurement")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        seconds = WORKERS[given.worker](Task(Path(given.tasks[0])), given.folder)
        print(json.dumps([seconds, peak_bytes()]))
        return
    zoo = os.environ.get("QIR_ZOO")
    if not zoo or not Path(zoo).is_dir():
        raise SystemExit("QIR_ZOO does not name the folder of measuring models")
    columns = {}
    for name in given.tasks:
        with tempfile.TemporaryDirectory() as folder:
            columns[name] = measure(Task(Path(zoo) / name), given.samples, given.rounds, Path(folder))
    console = Console(width=max(Console().width, 30 + 40 * len(columns)))
    table = Table(title=f"{processor()}, onnxruntime {onnxruntime.__version__}, latency: {given.rounds} rounds")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for row in next(iter(columns.values())):
        table.add_row(row, *(column[row] for column in columns.values()))
    console.print(table)


if __name__ == "__main__":
    main()
