"""Whole networks, one sample, one pinned core: C for this processor, built by gcc and by clang, beside other runtimes.

All variants take turns in short rounds; a ratio is the median over the rounds of (variant / base) in one round, so that
load on the machine falls on both. int8 in onnxruntime and OpenVINO is qir's QDQ model, so the networks are the same;
LiteRT runs the model_int8.tflite beside a model where there is one. C times itself; each other runtime is a process of
its own on the same core (peers.py), in the Python that --peers names: they are no dependencies. OpenVINO runs a second
time with no instructions beyond AVX2. A model is a folder in $QIR_ZOO or a name from architectures.py.

    QIR_ZOO=folder python tests/benchmarks/latency.py [--rounds N] [--core N] [--peers /path/to/python] [MODEL ...]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

import qir
from qir.backends.c.bench.limits import processor
from qir.backends.c.isas import on_this_processor

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.architectures import ARCHITECTURES  # noqa: E402
from tests.benchmarks.kernels import TARGETS  # noqa: E402
from tests.benchmarks.measuring import TURN, latencies  # noqa: E402
from tests.benchmarks.peers import Peer  # noqa: E402

MODELS = ("resnet8_cifar10", "dscnn_kws", "speed/autoencoder_640", "speed/mobilenetv1_025_96", "speed/mobilenetv2_224",
          "resnet18", "resnet50")  # fmt: skip
CAPPED = "OpenVINO int8, AVX2"


@dataclass(frozen=True)
class Subject:
    """A model file with samples [n, ...], and where its .tflite would be."""

    model: Path
    calibration: np.ndarray
    shapes: Mapping[str, int]
    tflite: Path


def subject(name: str, zoo: Path | None, work: Path) -> Subject:
    if name in ARCHITECTURES:
        folder, model = work, work / "model.onnx"
        onnx.save(ARCHITECTURES[name](), str(model))
    else:
        if zoo is None:
            raise SystemExit("QIR_ZOO does not name the folder of measuring models")
        folder, model = zoo / name, zoo / name / "model.onnx"
    (given,) = onnx.load(str(model)).graph.input
    dims = given.type.tensor_type.shape.dim
    size = [d.dim_value or 1 for d in dims]
    samples = np.random.default_rng(0).standard_normal((8, *size[1:])).astype(np.float32)
    if (folder / "data.npz").exists() and "x_calib_u8" in (data := np.load(folder / "data.npz")):
        samples = data["x_calib_u8"][:32].astype(np.float32)
    return Subject(model, samples, {d.dim_param: 1 for d in dims if d.dim_param}, folder / "model_int8.tflite")


def emitted(what: Subject, target: str, compiler: str) -> qir.CompiledC:
    """The C, built."""
    compiled = qir.compile(str(what.model), calibration=what.calibration, target=target, shapes=what.shapes)
    assert isinstance(compiled, qir.CompiledC)
    os.environ["CC"] = compiler
    _ = compiled.module.library
    return compiled


def peers(what: Subject, python: str, work: Path, stack: ExitStack) -> tuple[dict[str, Peer], list[str]]:
    """Those that run, and why others do not."""
    qdq, sample = work / "qdq.onnx", work / "sample.npy"
    qir.compile(str(what.model), calibration=what.calibration).save(qdq)
    np.save(sample, what.calibration[:1])
    asked = {
        "onnxruntime int8": ("onnxruntime", qdq, {}),
        "onnxruntime float": ("onnxruntime", what.model, {}),
        "OpenVINO int8": ("openvino", qdq, {}),
        CAPPED: ("openvino", qdq, {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
        "LiteRT int8": ("litert", what.tflite, {}),
    }
    found: dict[str, Peer] = {}
    missing = []
    for name, (runtime, model, environment) in asked.items():
        if not model.exists():
            missing.append(f"{name}: no {model.name} beside the model")
            continue
        try:
            found[name] = Peer(python, runtime, model, sample, environment)
            stack.callback(found[name].close)
        except RuntimeError as error:
            missing.append(f"{name}: {error}")
    return found, missing


def measure(what: Subject, python: str, rounds: int, work: Path) -> tuple[dict[str, list[float]], list[str]]:
    """Seconds of every variant, round by round."""
    with ExitStack() as stack:
        found, missing = peers(what, python, work, stack)
        calls = dict(found)
        compilers = [name for name in ("gcc", "clang") if shutil.which(name)]
        for target in [TARGETS[isa] for isa in on_this_processor()]:
            for compiler in compilers:
                compiled = emitted(what, target, compiler)
                (name,) = (port.name for port in compiled.program.inputs)
                calls[f"C {target}, {compiler}"] = lambda count, run=compiled, name=name: run.benchmark(
                    {name: what.calibration[:1]}, count
                )
        return latencies(calls, rounds), missing


def ratio(seconds: list[float], base: list[float] | None) -> str:
    """The median of the ratios in single rounds."""
    return "" if base is None else f"{statistics.median(a / b for a, b in zip(seconds, base, strict=True)):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--core", type=int, default=None, help="to pin to")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="that has the other runtimes")
    parser.add_argument("models", nargs="*", default=list(MODELS), help="folders in $QIR_ZOO, architectures")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core if options.core is not None else max(os.sched_getaffinity(0))})
    zoo = Path(os.environ["QIR_ZOO"]) if os.environ.get("QIR_ZOO") else None
    table = Table(
        title=f"One sample, one core, {processor()}",
        caption=f"medians of {options.rounds} rounds of turns of {1000 * TURN:.0f} ms; ratios to others in one round",
    )
    for column in ("model", "implementation", "microseconds", "/ onnxruntime int8", f"/ {CAPPED}", "/ fastest other"):
        table.add_column(column, justify="left" if column in ("model", "implementation") else "right")
    notes = []
    for name in options.models:
        with tempfile.TemporaryDirectory() as work:
            found, missing = measure(subject(name, zoo, Path(work)), options.peers, options.rounds, Path(work))
        notes += [f"{name}: {note}" for note in missing]
        others = {key: statistics.median(seconds) for key, seconds in found.items() if not key.startswith("C ")}
        best = found.get(min(others, key=lambda key: others[key])) if others else None
        bases = (found.get("onnxruntime int8"), found.get(CAPPED), best)
        for variant, seconds in found.items():
            micro = f"{1e6 * statistics.median(seconds):.1f}"
            table.add_row(name, variant, micro, *(ratio(seconds, base) for base in bases))
            name = ""
        table.add_section()
    console = Console(width=130)
    console.print(table)
    for note in notes:
        console.print(f"left out: {note}")


if __name__ == "__main__":
    main()
