"""Whole networks, one sample, one pinned core: C for this processor beside onnxruntime and, if installed, others.

All variants take turns in short rounds; a ratio is the median over the rounds of (variant / onnxruntime int8) in one
round, so that load on the machine falls on both. int8 in onnxruntime and OpenVINO is qir's QDQ model, so the networks
are the same; LiteRT runs the model_int8.tflite beside a model where there is one. C times itself; the others are called
from Python, as their users do.

    QIR_ZOO=folder python tests/benchmarks/latency.py [--rounds N] [--core N] [MODEL ...]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

import qir
from qir.backends.c.isas import on_this_processor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.measuring import CALLS, latencies, processor, session, timed  # noqa: E402

MODELS = ("resnet8_cifar10", "dscnn_kws", "speed/autoencoder_640", "speed/mobilenetv1_025_96", "speed/mobilenetv2_224")
TARGETS = {"avx512vnni": "x86-avx512vnni", "avx2": "x86-avx2"}
Timed = Callable[[int], float]


def openvino(model: Path, sample: np.ndarray) -> Timed | None:
    """OpenVINO with one thread; None where it is not installed."""
    try:
        import openvino as ov
    except ImportError:
        return None
    core = ov.Core()
    compiled = core.compile_model(core.read_model(str(model)), "CPU", {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(np.ascontiguousarray(sample)))
    return timed(lambda batch: request.infer(), sample)  # type: ignore[arg-type, return-value]


def litert(model: Path) -> Timed | None:
    """LiteRT with one thread on a .tflite file; None where either is missing."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return None
    if not model.exists():
        return None
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    return timed(lambda batch: interpreter.invoke(), np.zeros(1))  # type: ignore[arg-type, return-value]


def emitted(model: Path, calibration: np.ndarray, target: str, sample: np.ndarray, shapes: dict[str, int]) -> Timed:
    """The emitted C, which times itself."""
    compiled = qir.compile(str(model), calibration=calibration, target=target, shapes=shapes)
    assert isinstance(compiled, qir.CompiledC)
    (name,) = (port.name for port in compiled.module.program.inputs)
    return lambda count: compiled.benchmark({name: sample}, count)


def variants(folder: Path, work: Path) -> dict[str, Timed]:
    """What is measured on a model."""
    model = folder / "model.onnx"
    (given,) = (value for value in onnx.load(str(model)).graph.input)
    dims = given.type.tensor_type.shape.dim
    shapes = {d.dim_param: 1 for d in dims if d.dim_param}
    size = [d.dim_value or 1 for d in dims]
    calibration = np.random.default_rng(0).standard_normal((16, *size[1:])).astype(np.float32)
    if (folder / "data.npz").exists() and "x_calib_u8" in (data := np.load(folder / "data.npz")):
        calibration = data["x_calib_u8"][:64].astype(np.float32)
    sample = calibration[:1]
    qir.compile(str(model), calibration=calibration).save(work / "qdq.onnx")
    found: dict[str, Timed | None] = {
        "onnxruntime int8": timed(session(str(work / "qdq.onnx")), sample),
        "onnxruntime float": timed(session(str(model)), sample),
        "OpenVINO int8": openvino(work / "qdq.onnx", sample),
        "LiteRT int8": litert(folder / "model_int8.tflite"),
    }
    for isa in on_this_processor():
        found[f"C {TARGETS[isa]}"] = emitted(model, calibration, TARGETS[isa], sample, shapes)
    return {name: call for name, call in found.items() if call is not None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", type=int, default=None, help="to pin to")
    parser.add_argument("models", nargs="*", default=list(MODELS), help="folders in $QIR_ZOO")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core if options.core is not None else max(os.sched_getaffinity(0))})
    zoo = Path(os.environ.get("QIR_ZOO") or parser.error("QIR_ZOO does not name the folder of measuring models"))
    console = Console(width=110)
    table = Table(title=f"One sample, one core, {processor()}",
                  caption=f"medians of {options.rounds} rounds of {CALLS} calls in turns; ratios to onnxruntime int8")
    for column in ("model", "implementation", "microseconds", "ratio"):
        table.add_column(column, justify="right" if column in ("microseconds", "ratio") else "left")
    with tempfile.TemporaryDirectory() as work:
        for name in options.models:
            found = latencies(variants(zoo / name, Path(work)), options.rounds)
            base = found["onnxruntime int8"]
            for variant, seconds in found.items():
                ratio = statistics.median(a / b for a, b in zip(seconds, base, strict=True))
                table.add_row(name, variant, f"{1e6 * statistics.median(seconds):.1f}", f"{ratio:.2f}")
                name = ""
            table.add_section()
    console.print(table)
    for peer in ("openvino", "ai_edge_litert"):
        try:
            __import__(peer)
        except ImportError:
            console.print(f"{peer} is not installed and was left out")


if __name__ == "__main__":
    main()
