"""What the benchmarks share: sessions on one thread, latencies in turns, peak memory, samples for other quantizers."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from qir.backends.c.bench.limits import processor as processor_name
from qir.backends.c.isas import features

Call = Callable[[np.ndarray], np.ndarray]
TURN = 0.03
"""About the seconds of one variant before the next one's turn."""


def session(model: str | bytes, optimize: bool = True) -> Call:
    """A model in onnxruntime, one thread, as a function of one batch that gives its first output."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    made = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = made.get_inputs()[0].name
    return lambda batch: made.run(None, {name: batch})[0]  # type: ignore[no-any-return]


def latencies(calls: dict[str, Callable[[int], float]], rounds: int, turn: float = TURN) -> dict[str, list[float]]:
    """Median seconds of one run, for every variant and round; variants take turns.

    Args:
        calls: what runs a variant so often and gives the median.
        turn: about the seconds of one.
    """
    runs = {name: max(1, min(2000, int(turn / max(call(5), 1e-9)))) for name, call in calls.items()}  # warms up, too
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(call(runs[name]))
    return found


def timed(run: Call, sample: np.ndarray) -> Callable[[int], float]:
    """What `latencies` takes, of one sample."""

    def call(count: int) -> float:
        seconds = []
        for _ in range(count):
            started = time.perf_counter()
            run(sample)
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds)

    return call


def peak_bytes() -> int:
    """Peak resident memory of this process alone; not `ru_maxrss` on Linux, which begins with the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def processor() -> str:
    """The processor and which vector extensions matter to integer kernels it has."""
    return f"{processor_name()} ({', '.join(sorted(features() & {'avx2', 'avx_vnni', 'avx512_vnni'}))})"


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Samples [N, ...] as onnxruntime's quantizers read them, one at a time."""

    def __init__(self, name: str, samples: np.ndarray) -> None:
        self.rest: Iterator[dict[str, np.ndarray]] = iter([{name: samples[i : i + 1]} for i in range(len(samples))])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rest, None)


def quantize_onnxruntime(
    model: str, result: Path, name: str, samples: np.ndarray, *, method: str = "MinMax", per_channel: bool = True,
    reduce_range: bool = False, prepare: bool = True,
) -> float:  # fmt: skip
    """onnxruntime's static quantization; returns its seconds.

    Args:
        name: of the model's input.
        samples: float32 [N, ...], given one at a time.
        method: MinMax, Percentile or Entropy.
        reduce_range: weights of 7 bits, which onnxruntime advises where 8-bit products are added in 16 bits.
        prepare: its recommended preparation first.
    """
    started = time.perf_counter()
    source = model
    if prepare:
        source = str(result.with_suffix(".prepared.onnx"))
        quant_pre_process(model, source, skip_symbolic_shape=True)
    quantize_static(
        source, str(result), Reader(name, samples), quant_format=QuantFormat.QDQ, per_channel=per_channel,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=reduce_range,
        calibrate_method=CalibrationMethod[method],
    )  # fmt: skip
    return time.perf_counter() - started
