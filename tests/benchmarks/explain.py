"""What `qir.explain` finds in models that onnxruntime's quantizer made, and what its repairs regain.

    QIR_ZOO=folder python tests/benchmarks/explain.py [TASK ...]

Findings are made on calibration samples alone. All repairs that help are applied; accuracies are of test samples, in
onnxruntime with its integer kernels, with 95 % intervals.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from demo import wilson  # noqa: E402  (found through the line above, from any working folder)

import qir  # noqa: E402
from qir.evaluate import session  # noqa: E402
from tests.benchmarks.measuring import quantize_onnxruntime  # noqa: E402
from tests.zoo_tasks import Task, accuracy  # noqa: E402

TASKS = ("resnet8_cifar10", "dscnn_kws", "cnn_mnist", "mlp_mnist", "ppocr_cls", "digits_dscnn")
SETTINGS: Mapping[str, Mapping[str, bool]] = {
    "per channel": {},
    "per tensor": {"per_channel": False},
    "per tensor, 7 bits": {"per_channel": False, "reduce_range": True},
    "not prepared": {"prepare": False},
}


def share(model: bytes, task: Task) -> str:
    """Top-1 accuracy on the test samples with its interval, in per cent."""
    run = session(model)
    fixed = run.get_inputs()[0].shape[0]
    size = fixed if isinstance(fixed, int) else 32
    whole = [batch for batch in task.batches(size) if len(batch) == size or not isinstance(fixed, int)]
    logits = np.concatenate([run.run(None, {task.input: batch})[0].reshape(len(batch), -1) for batch in whole])
    right = round(accuracy(logits, task.labels) * len(logits))
    low, high = wilson(right, len(logits))
    return f"{100 * right / len(logits):.2f} % ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", default=TASKS, metavar="TASK")
    parser.add_argument("--samples", type=int, default=128, help="calibration samples to explain on")
    given = parser.parse_args()
    zoo = os.environ.get("QIR_ZOO")
    if not zoo or not Path(zoo).is_dir():
        raise SystemExit("QIR_ZOO does not name the folder of measuring models")
    logging.disable(logging.WARNING)
    table = Table("model", "quantize_static", "float", "int8", "repaired", "findings", "seconds", title="explain")
    for name in given.tasks:
        task = Task(Path(zoo) / name)
        exact = share(Path(task.model).read_bytes(), task)
        for setting, options in SETTINGS.items():
            with tempfile.TemporaryDirectory() as folder:
                result = Path(folder) / "int8.onnx"
                quantize_onnxruntime(task.model, result, task.input, task.samples("x_calib"), **options)
                model = result.read_bytes()
            started = time.perf_counter()
            found = qir.explain(task.model, model, task.samples("x_calib", given.samples))
            seconds = time.perf_counter() - started
            mended = model if found.repaired is None else qir.export(found.repaired).SerializeToString()
            causes = [f"{one.node}: {one.cause}" for one in found.findings if one.severity.value != "note"]
            said = "\n".join(causes[:3]) + (f"\nand {len(causes) - 3} more" if len(causes) > 3 else "")
            table.add_row(name, setting, exact, share(model, task), share(mended, task), said or "-", f"{seconds:.1f}")
    Console(width=max(Console().width, 190)).print(table)


if __name__ == "__main__":
    main()
