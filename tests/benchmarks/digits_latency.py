"""Latency of the digits network, one image, one thread, on this machine: `make bench`.

C programs time themselves (median of their own loop); onnxruntime is timed from Python, so its figures contain the call
through Python. Targets that this machine cannot build or run are listed with the reason.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

import qir
from qir.errors import QirError
from qir.target import TARGETS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models"))

import digits  # noqa: E402  (found through the line above, from any working folder)

RUNS = 2000


def onnxruntime_seconds(model: str | bytes, image: np.ndarray) -> float:
    """Median seconds of one call, one thread, after a tenth of the runs for warming up."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    seconds = []
    for _ in range(RUNS + RUNS // 10):
        started = time.perf_counter()
        session.run(None, {digits.INPUT: image})
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[RUNS // 10 :])


def main() -> None:
    data = digits.load()
    image = data.test_images[:1]
    out = ROOT / "build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    table = Table(title=f"digits_cnn, one thread, {platform.machine()}", caption=f"median of {RUNS} runs of one image")
    table.add_column("implementation")
    table.add_column("microseconds", justify="right")

    table.add_row("float ONNX, onnxruntime", f"{1e6 * onnxruntime_seconds(str(digits.MODEL), image):.1f}")
    qir.compile(digits.MODEL, calibration=data.calibration).save(out / "model.qdq.onnx")
    table.add_row("QDQ ONNX, onnxruntime", f"{1e6 * onnxruntime_seconds(str(out / 'model.qdq.onnx'), image):.1f}")
    for target in sorted(name for name, target in TARGETS.items() if target.backend == "c"):
        try:
            c = qir.compile(digits.MODEL, calibration=data.calibration, target=target, shapes={"N": 1})
            shown = f"{1e6 * c.benchmark({digits.INPUT: image}, RUNS):.1f}"
        except QirError as error:
            shown = str(error).splitlines()[0]
        table.add_row(f"C, {target}", shown)
    Console().print(table)


if __name__ == "__main__":
    main()
