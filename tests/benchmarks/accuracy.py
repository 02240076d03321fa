"""How accurate quantized models are, beside those of other quantizers: `QIR_ZOO=folder make bench`.

Every variant is calibrated on the same samples, in a process of its own: `seconds` leave out imports, `MB` is the peak
of its resident memory. The test samples are read once, at the end. `change` is that of top-1 accuracy against float on
the same samples, in points, with the 95 % interval of paired answers (Agresti & Min 2005: Wald's, after one more answer
changed each way). `agree` counts equal top-1 answers, `SQNR` is that of the outputs about each output's mean. `integer`
is the share of multiplications that onnxruntime ran as 8-bit integers, read from its profile. `time` is of one sample
on one thread beside float, the variants taking turns. Models without labelled data run on pictures: no accuracy; and
those that do not classify have no answers that could agree.

    python tests/benchmarks/accuracy.py [--samples N] [--rounds N] [--only VARIANT] [--ablate | --few] [SUBJECT ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console
from rich.table import Table

import qir

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.benchmarks.measuring import (  # noqa: E402  (found through the line above, from any working folder)
    latencies,
    peak_bytes,
    processor,
    quantize_onnxruntime,
    session,
    timed,
)
from tests.end_to_end import test_packaged_models as packaged  # noqa: E402
from tests.zoo_tasks import Task  # noqa: E402

LABELLED = ("resnet8_cifar10", "dscnn_kws", "cnn_mnist", "mlp_mnist", "lstm_mnist", "vit_mnist", "onnxzoo_mnist",
            "digits_dscnn", "ppocr_cls", "sww_tiny")  # fmt: skip
PICTURES = ("mobilenetv2_imagenet",)
PACKAGED = {
    "ppocr_det": ("ch_PP-OCRv4_det_infer.onnx", 160, 160),
    "ppocr_rec": ("ch_PP-OCRv4_rec_infer.onnx", 48, 320),
}
"""Models inside wheels that the tests use too: file, height and width of printed text to run on."""
REMOVABLE = ("absorb-biases", "equalize", "round-weights", "correct-biases")
"""Passes of the default pipeline that only raise accuracy: `--ablate` leaves out one at a time."""


@dataclass(frozen=True)
class Subject:
    """A model with calibration and test samples, float32 [N, ...] each, and labels where there are some."""

    name: str
    zoo: Path

    @cached_property
    def task(self) -> Task:
        return Task(self.zoo / self.name)

    @cached_property
    def model(self) -> str:
        if self.name in PACKAGED:
            return packaged.model(packaged.OCR, PACKAGED[self.name][0])
        return str(self.zoo / self.name / "model.onnx")

    @cached_property
    def input(self) -> str:
        made = onnxruntime.InferenceSession(self.model, providers=["CPUExecutionProvider"])
        return str(made.get_inputs()[0].name)

    @property
    def labels(self) -> np.ndarray | None:
        return self.task.labels if self.name in LABELLED else None

    @property
    def classifies(self) -> bool:
        """Whether the largest output is an answer."""
        return self.name not in PACKAGED

    def calibration(self) -> np.ndarray:
        if self.name in PACKAGED:
            return self._text(0, 48)
        return self._pictures(0, 100) if self.name in PICTURES else self.task.samples("x_calib")

    def test(self, limit: int | None) -> np.ndarray:
        if self.name in PACKAGED:
            return self._text(48, min(limit or 48, 48))
        return self._pictures(1000, min(limit or 200, 200)) if self.name in PICTURES else self.task.samples(limit=limit)

    def _text(self, first: int, count: int) -> np.ndarray:
        """Pictures of printed letters."""
        _, height, width = PACKAGED[self.name]
        return packaged.text_images(height, width, first + count)[first:]

    def _pictures(self, first: int, count: int) -> np.ndarray:
        """Small pictures made seven times larger, normalised as ImageNet's."""
        pixels = np.load(self.zoo / "cifar10_train_10k.npz")["x_u8"][first : first + count].astype(np.float32)
        large = pixels.repeat(7, axis=2).repeat(7, axis=3)
        mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in ((124, 116, 104), (58.4, 57.1, 57.4)))
        return (large - mean) / std


def by_qir(
    subject: Subject, result: Path, *, without: tuple[str, ...] = (), first: str = "", **options: Any
) -> float:
    """The default pipeline, some passes left out, another put in front of quantize-weights."""
    samples = subject.calibration()
    started = time.perf_counter()
    if without or first:
        walk = qir.steps(subject.model, samples, **options)
        passes = [str(step.applied) for step in walk if step.applied.name not in without]
        started = time.perf_counter()
        options["passes"] = ",".join(f"{first},{one}" if first and one == "quantize-weights" else one for one in passes)
    qir.compile(subject.model, samples, **options).save(result)
    return time.perf_counter() - started


def by_onnxruntime(subject: Subject, result: Path, **options: Any) -> float:
    return quantize_onnxruntime(subject.model, result, subject.input, subject.calibration(), **options)


def by_nncf(subject: Subject, result: Path) -> float:
    import nncf
    import onnx

    samples = subject.calibration()
    data = nncf.Dataset([{subject.input: samples[i : i + 1]} for i in range(len(samples))])
    started = time.perf_counter()
    made = nncf.quantize(onnx.load(subject.model), data, preset=nncf.QuantizationPreset.MIXED, subset_size=len(samples))
    onnx.save(made, str(result))
    return time.perf_counter() - started


VARIANTS: Mapping[str, Callable[[Subject, Path], float]] = {
    "qir": by_qir,
    "onnxruntime min-max": by_onnxruntime,
    "onnxruntime min-max, 7 bits": lambda subject, result: by_onnxruntime(subject, result, reduce_range=True),
    "onnxruntime percentile": lambda subject, result: by_onnxruntime(subject, result, method="Percentile"),
    "onnxruntime entropy": lambda subject, result: by_onnxruntime(subject, result, method="Entropy"),
    "nncf": by_nncf,
}
ABLATION: Mapping[str, Callable[[Subject, Path], float]] = {
    **{
        f"qir without {name}": (lambda subject, result, name=name: by_qir(subject, result, without=(name,)))
        for name in REMOVABLE
    },
    **{
        f"qir, {method} ranges": (
            lambda subject, result, method=method: by_qir(subject, result, recipe=qir.Recipe(calibration=method))
        )
        for method in ("minmax", "percentile", "mse")
    },
}

FEW: Mapping[str, Callable[[Subject, Path], float]] = {
    "int8": by_qir,
    **{
        recipe: (lambda subject, result, recipe=recipe: by_qir(subject, result, recipe=recipe))
        for recipe in ("ternary", "planes2", "planes3", "planes4", "binary", "w2a8", "w4a4")
    },
    **{
        name: (
            lambda subject, result, recipe=recipe, first=first: by_qir(
                subject, result, recipe=recipe, first=first, without=REMOVABLE
            )
        )
        for name, recipe, first in (
            ("TWN", "ternary", "ternarize{method=twn}"), ("XNOR", "binary", "binarize{method=xnor}"),
        )
    },
}  # fmt: skip
"""Recipes of few bits; TWN and XNOR are those of the textbook, with the same ends but nothing else around them."""


def cost(variant: str, subject: Subject, result: Path) -> tuple[float, float] | str:
    """Seconds and peak bytes of a quantization in its own process, or why it failed."""
    command = [sys.executable, __file__, "--worker", variant, "--result", str(result), subject.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not result.exists():
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        return lines[-1]
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def outputs(run: Callable[[np.ndarray], np.ndarray], samples: np.ndarray) -> np.ndarray:
    """[n, ...], one sample a call."""
    return np.concatenate([run(samples[i : i + 1]) for i in range(len(samples))]).reshape(len(samples), -1)


def sqnr(wanted: np.ndarray, found: np.ndarray) -> float:
    """In dB, the signal taken about each output's mean over the samples."""
    signal = float(((wanted - wanted.mean(axis=0)) ** 2).sum())
    noise = float(((wanted - found) ** 2).sum())
    return float("inf") if noise == 0 else 10 * float(np.log10(signal / noise))


def change(labels: np.ndarray, wanted: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Difference in accuracy and half its 95 % interval, in points, of answers to the same samples."""
    right = (found.argmax(1) == labels).astype(float), (wanted.argmax(1) == labels).astype(float)
    difference, count = right[0] - right[1], len(labels)
    changed = float((difference != 0).sum()) + 2
    spread = max(changed - float(difference.sum()) ** 2 / count, 0.0) ** 0.5 / count
    return 100 * float(difference.mean()), 196 * spread


_PRODUCTS = {"Conv": 1, "FusedConv": 1, "NhwcFusedConv": 1, "ConvTranspose": 1, "QLinearConv": 3, "ConvInteger": 1}
_MATRICES = {"MatMul": 0, "FusedMatMul": 0, "Gemm": 0, "FusedGemm": 0, "MatMulNBits": 0, "QLinearMatMul": 0, "QGemm": 0,
             "MatMulIntegerToFloat": 0, "DynamicQuantizeMatMul": 0, "MatMulInteger": 0}  # fmt: skip
_RECURRENT = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")
_INTEGER = ("QLinearConv", "ConvInteger", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat", "MatMulInteger",
            "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")  # fmt: skip


def integer_share(model: str, name: str, sample: np.ndarray, folder: Path) -> float:
    """Share of the multiplications of one sample that onnxruntime runs on 8-bit codes, from its profile's shapes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights have no shapes in a profile
    made = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    made.run(None, {name: sample})
    events = json.loads(Path(made.end_profiling()).read_text(encoding="utf-8"))
    work = {True: 0, False: 0}
    for event in events:
        facts = event.get("args", {})
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and "op_name" in facts:
            work[facts["op_name"] in _INTEGER] += _products(facts)
    return work[True] / max(sum(work.values()), 1)


def _products(facts: Mapping[str, Any]) -> int:
    op = facts["op_name"]
    keys = ("input_type_shape", "output_type_shape")
    given, made = ([next(iter(one.values())) for one in facts[key]] for key in keys)
    if op in _PRODUCTS:
        per = int(np.prod(given[_PRODUCTS[op]][1:]))
        return per * int(np.prod(given[0] if op == "ConvTranspose" else made[0]))
    if op in _MATRICES:
        return int(np.prod(made[0])) * int(given[0][-1])
    if op in _RECURRENT:
        return int(np.prod(given[0][:2])) * sum(int(np.prod(shape)) for shape in given[1:3])
    return 0


def measure(subject: Subject, variants: Mapping[str, Any], limit: int | None, rounds: int, folder: Path) -> Table:
    """One model's table."""
    files = {name: folder / f"{number}.onnx" for number, name in enumerate(variants)}
    costs = {name: cost(name, subject, file) for name, file in files.items()}
    samples, labels = subject.test(limit), subject.labels
    labels = None if labels is None else labels[: len(samples)]
    runs = {"float": session(subject.model)}
    for name in variants:
        if not isinstance(costs[name], str):
            try:
                run = session(str(files[name]))
                run(samples[:1])
                runs[name] = run
            except Exception as error:  # onnxruntime raises its own types, with no common base of use
                costs[name] = f"onnxruntime: {error}"
    found = latencies({name: timed(run, samples[:1]) for name, run in runs.items()}, rounds)
    real = outputs(runs["float"], samples)
    accuracy = "" if labels is None else f", float {100 * float((real.argmax(1) == labels).mean()):.2f} %"
    title = f"{subject.name}: {len(samples)} test, {len(subject.calibration())} calibration samples{accuracy}"
    table = Table("", "top-1 %", "change", "agree %", "SQNR dB", "integer %", "kB", "time / float", "seconds", "MB",
                  title=title, title_justify="left")  # fmt: skip
    failures = []
    for name in variants:
        spent = costs[name]
        if isinstance(spent, str):
            table.add_row(name, "failed")
            failures.append(f"{name}: {spent[:200]}")
            continue
        got = outputs(runs[name], samples)
        judged = ("", "")
        if labels is not None:
            moved, half = change(labels, real, got)
            judged = f"{100 * float((got.argmax(1) == labels).mean()):.2f}", f"{moved:+.2f} ± {half:.2f}"
        same = f"{100 * float((got.argmax(1) == real.argmax(1)).mean()):.2f}" if subject.classifies else ""
        share = integer_share(str(files[name]), subject.input, samples[:1], folder)
        ratio = statistics.median(a / b for a, b in zip(found[name], found["float"], strict=True))
        table.add_row(
            name, *judged, same, f"{sqnr(real, got):.1f}", f"{100 * share:.0f}",
            f"{files[name].stat().st_size / 1000:.0f}", f"{ratio:.2f}", f"{spent[0]:.1f}", f"{spent[1] / 2**20:.0f}",
        )  # fmt: skip
    table.caption = "\n".join(failures)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", default=(*LABELLED, *PICTURES, *PACKAGED), metavar="SUBJECT")
    parser.add_argument("--samples", type=int, help="test on the first ones only; all by default")
    parser.add_argument("--rounds", type=int, default=11, help="of the latency measurement")
    parser.add_argument("--only", action="append", metavar="VARIANT", help="variants whose name begins so")
    parser.add_argument("--ablate", action="store_true", help="also qir with one technique left out, or other ranges")
    parser.add_argument("--few", action="store_true", help="recipes of few bits, beside TWN and XNOR")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    zoo = os.environ.get("QIR_ZOO")
    if not zoo or not Path(zoo).is_dir():
        raise SystemExit("QIR_ZOO does not name the folder of measuring models")
    if given.worker:
        seconds = {**VARIANTS, **ABLATION, **FEW}[given.worker](Subject(given.subjects[0], Path(zoo)), given.result)
        print(json.dumps([seconds, peak_bytes()]))
        return
    variants = dict(FEW) if given.few else {**VARIANTS, **(ABLATION if given.ablate else {})}
    console = Console(width=max(Console().width, 140))
    console.print(f"{processor()}, onnxruntime {onnxruntime.__version__}, latency: {given.rounds} rounds")
    if importlib.util.find_spec("nncf") is None:
        variants.pop("nncf", None)
        console.print("nncf is not installed: left out")
    if given.only:
        variants = {name: run for name, run in variants.items() if name.startswith(tuple(given.only))}
    for name in given.subjects:
        with tempfile.TemporaryDirectory() as folder:
            console.print(measure(Subject(name, Path(zoo)), variants, given.samples, given.rounds, Path(folder)))


if __name__ == "__main__":
    main()
