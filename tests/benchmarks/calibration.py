"""How long calibration takes beside onnxruntime's percentile calibration, on the same images, in turns.

    QIR_ZOO=... python tests/benchmarks/calibration.py --images 200 --rounds 1
    python tests/benchmarks/calibration.py --memory resnet50.onnx --images 500

Both start from the float model file. qir's time includes lifting, fusing, histograms of all values that integers could
carry, bounds of channels and Gram matrices of all layers; onnxruntime's is that of `collect_data` (batches of one, as
its examples do) and of computing the ranges. With --memory the peak of resident memory is told instead, beyond what
the model takes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

import qir
from qir.evaluate import Runner


def images(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Smooth noise, [3, 224, 224] each."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        coarse = random.standard_normal((3, 28, 28)).astype(np.float32)
        fine = random.standard_normal((3, 224, 224)).astype(np.float32)
        yield np.kron(coarse, np.ones((8, 8), np.float32)) + fine / 4


class Reader(CalibrationDataReader):
    """The same images for onnxruntime."""

    def __init__(self, name: str, data: np.ndarray) -> None:
        self._items = iter([{name: image[None]} for image in data])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._items, None)


def clocks() -> np.ndarray:
    """Seconds on the wall and of the processors."""
    return np.array([time.perf_counter(), time.process_time()])


def theirs(model: str, name: str, data: np.ndarray) -> np.ndarray:
    start = clocks()
    with tempfile.TemporaryDirectory() as folder:
        calibrator = create_calibrator(
            model, augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=CalibrationMethod.Percentile,
        )  # fmt: skip
        calibrator.collect_data(Reader(name, data))
        calibrator.compute_data()
    return clocks() - start


def ours(model: str, data: np.ndarray) -> np.ndarray:
    start = clocks()
    qir.calibrate(model, data)
    return clocks() - start


def resident() -> int:
    """Bytes of this process in memory, mapped files included."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_memory(model: str, count: int) -> tuple[int, int]:
    """Peak of resident bytes beyond the model, lifted and loaded in onnxruntime, and seconds."""
    graph = qir.lift(model)
    runner = Runner(graph, optimize=True, arena=False)
    runner({graph.inputs[0]: next(images(1))[None]})
    before, peak, running = resident(), 0, True
    del runner  # calibration loads it again

    def watch() -> None:
        nonlocal peak
        while running:
            peak = max(peak, resident())
            time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    start = time.perf_counter()
    qir.calibrate(graph, lambda: images(count))
    seconds = time.perf_counter() - start
    running = False
    thread.join()
    return peak - before, round(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory", metavar="MODEL")
    given = parser.parse_args()
    if given.memory:
        extra, seconds = peak_memory(given.memory, given.images)
        print(f"{given.images} images: at most {extra / 2**20:.0f} MB beyond the model, {seconds} s")
        return
    model = str(Path(os.environ["QIR_ZOO"]) / "mobilenetv2_imagenet" / "model.onnx")
    name = qir.lift(model).inputs[0]
    data = np.stack(list(images(given.images)))
    ratios = []
    for number in range(given.rounds):
        mine, other = ours(model, data), theirs(model, name, data)
        ratios.append(other / mine)
        told = [f"{wall:.2f} s ({processors:.2f} s of processors)" for wall, processors in (mine, other)]
        print(f"round {number + 1}: qir {told[0]}, onnxruntime percentile {told[1]}")
    wall, processors = np.median(ratios, axis=0)
    print(f"median ratio {wall:.1f}, of processor time {processors:.1f} ({given.images} images, {os.cpu_count()} CPUs)")


if __name__ == "__main__":
    main()
