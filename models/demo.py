"""What `make demo` runs: the digits network as float ONNX, as QDQ ONNX and as C, side by side on the test images.

Writes build/demo/model.qdq.onnx and the folder build/demo/c.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from rich.console import Console
from rich.table import Table

import qir

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "models"))

import digits  # noqa: E402  (found through the line above, from any working folder)

OUT = ROOT / "build" / "demo"
Logits = npt.NDArray[np.float32]


def wilson(right: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a proportion after E. B. Wilson (1927), in percent."""
    p = right / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return 100 * (centre - half), 100 * (centre + half)


def accuracy(logits: Logits, labels: npt.NDArray[np.int64]) -> str:
    return f"{100 * (logits.argmax(1) == labels).mean():.2f} %"


def interval(logits: Logits, labels: npt.NDArray[np.int64]) -> str:
    low, high = wilson(int((logits.argmax(1) == labels).sum()), len(labels))
    return f"{low:.2f} to {high:.2f} %"


def agreement(logits: Logits, reference: Logits) -> str:
    same = int((logits.argmax(1) == reference.argmax(1)).sum())
    return f"{same} of {len(logits)}"


def size(n_bytes: int | None) -> str:
    return "not measured" if n_bytes is None else f"{n_bytes:,} B"


def main() -> None:
    console = Console()
    data = digits.load()
    images, labels = data.test_images, data.test_labels
    OUT.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()

    session = onnxruntime.InferenceSession(str(digits.MODEL), providers=["CPUExecutionProvider"])
    float_logits = session.run(["logits"], {digits.INPUT: images})[0]

    net = qir.compile(digits.MODEL, calibration=data.calibration)
    qdq_file = OUT / "model.qdq.onnx"
    net.save(qdq_file)
    qdq_logits = net.run({digits.INPUT: images})["logits"]

    c = qir.compile(digits.MODEL, calibration=data.calibration, target="portable", shapes={"N": 1})
    c.save(OUT / "c")
    c_logits = np.concatenate([c.run({digits.INPUT: image[None]})["logits"] for image in images])

    table = Table(title=f"digits_cnn, calibrated on {len(data.calibration)} training images")
    for heading in ("", "float ONNX", "QDQ ONNX int8", "C99 int8"):
        table.add_column(heading, justify="left" if not heading else "right")
    everything = (float_logits, qdq_logits, c_logits)
    table.add_row(f"accuracy, n = {len(labels)}", *(accuracy(logits, labels) for logits in everything))
    table.add_row("95 % interval", *(interval(logits, labels) for logits in everything))
    table.add_row("same top-1 as float", "", *(agreement(logits, float_logits) for logits in everything[1:]))
    table.add_row("same top-1 as QDQ", "", "", agreement(c_logits, qdq_logits))
    table.add_row("file", size(digits.MODEL.stat().st_size), size(qdq_file.stat().st_size), "")
    table.add_row("weights", "", "", size(c.weight_bytes))
    table.add_row("code", "", "", size(c.code_bytes))
    table.add_row("RAM (arena)", "", "", size(c.arena_bytes))
    console.print(table)
    shown = OUT.relative_to(ROOT)
    console.print(f"{time.perf_counter() - started:.1f} s. Written: {shown}/model.qdq.onnx and the C project {shown}/c")


if __name__ == "__main__":
    main()
