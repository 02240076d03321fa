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
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

import qir

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from demo import wilson  # noqa: E402  (found through the line above, from any working folder)

from tests.zoo_tasks import Task, accuracy, agreement  # noqa: E402

TASKS = ("resnet8_cifar10", "cnn_mnist", "mlp_mnist", "dscnn_kws")
CALLS = 20
"""Calls of one variant before the next one's turn."""
Call = Callable[[np.ndarray], np.ndarray]
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


def quantize_onnxruntime(task: Task, folder: Path, reduce_range: bool = False) -> float:
    """onnxruntime's static quantization with its recommended preparation.

    Args:
        reduce_range: weights of 7 bits, which onnxruntime advises where 8-bit products are added in 16 bits.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    samples, name = task.samples("x_calib"), task.input

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter([{name: samples[i : i + 1]} for i in range(len(samples))])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.rest, None)

    started = time.perf_counter()
    quant_pre_process(task.model, str(folder / "prepared.onnx"), skip_symbolic_shape=True)
    result = folder / ("ort7.onnx" if reduce_range else "ort.onnx")
    quantize_static(
        str(folder / "prepared.onnx"), str(result), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=reduce_range,
    )  # fmt: skip
    return time.perf_counter() - started


def quantize_onnxruntime_7(task: Task, folder: Path) -> float:
    return quantize_onnxruntime(task, folder, reduce_range=True)


WORKERS = {
    "qir onnx": compile_onnx,
    "qir C": compile_c,
    "onnxruntime": quantize_onnxruntime,
    "onnxruntime, 7 bits": quantize_onnxruntime_7,
}


def cost(worker: str, task: Task, folder: Path) -> Cost:
    """Runs a compilation in its own process."""
    command = [sys.executable, __file__, "--worker", worker, "--folder", str(folder), str(task.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{worker} failed on {task.folder.name}:\n{done.stderr[-3000:]}")
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def session(model: str | bytes, optimize: bool = True) -> Call:
    """A model in onnxruntime, one thread, as a function of one batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    made = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = made.get_inputs()[0].name
    return lambda batch: made.run(None, {name: batch})[0]  # type: ignore[no-any-return]


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


def latencies(calls: dict[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Median seconds of `CALLS` calls, for every variant and round; variants take turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            seconds = call(CALLS)
            if number:  # the first round warms up
                found[name].append(seconds)
    return found


def timed(run: Call, sample: np.ndarray) -> Callable[[int], float]:
    def call(count: int) -> float:
        seconds = []
        for _ in range(count):
            started = time.perf_counter()
            run(sample)
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds)

    return call


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


def peak_bytes() -> int:
    """Peak resident memory of this process alone; not `ru_maxrss` on Linux, which begins with the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


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


def processor() -> str:
    """The processor and which vector extensions matter to integer kernels it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    isas = [isa for isa in fields.get("flags", "").split() if isa in ("avx2", "avx_vnni", "avx512_vnni")]
    return f"{fields.get('model name', platform.machine())} ({', '.join(isas)})"


if __name__ == "__main__":
    main()
