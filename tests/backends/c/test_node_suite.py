"""ONNX's node suite through the C backend in float: what it takes is right, what it does not take it says so.

Each case is lifted with the shapes of its inputs; inputs that decide shapes (axes, pads, repeats, ...) are bound to the
test's values, as a user would with bind={...}. Verdicts: pass; folded (right, but nothing was left to compute);
unsupported (a QirError before anything was emitted); wrong; uncompilable; crash; failed (any other exception).

Random operators have no right answer and are left out by rule: a case that holds one is not run.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from qir.backends.c import CModule, compile_c
from qir.backends.c.build import Library, run_compiler
from qir.backends.c.emitting.emit import emit
from qir.errors import BuildError, QirError
from qir.ir.graph import Graph
from qir.onnxio.lift import lift
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.pipeline import CLEAN
from qir.target import Target
from tests.node_suite import COUNT, Case, Died, Value, cases, differences, isolated

BATCH, SECONDS = 100, 20
NOISE = 1e-6
"""Absolute tolerance: expected values near zero carry the rounding of the float32 sums that made them."""
FLAGS = ("-std=c99", "-O0", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-fPIC")
SANITIZERS = os.environ.get("QIR_SANITIZE", "")
"""Set to 1 to build with the undefined-behaviour sanitizer, which ends a case at its first finding."""

DECIDING: dict[str, tuple[int, ...]] = {
    **{op: (1,) for op in (
        "Reshape", "Expand", "Tile", "Squeeze", "Unsqueeze", "Split", "TopK", "OneHot", "CenterCropPad",
        "Compress", "CumSum", "CumProd", "Upsample", "SplitToSequence", "ReduceSum", "ReduceMean", "ReduceMax",
        "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare",
        "AffineGrid", "SequenceAt")},
    "Slice": (1, 2, 3, 4), "Pad": (1, 3), "Resize": (1, 2, 3), "Col2Im": (1, 2), "Dropout": (1, 2), "If": (0,),
    "ConstantOfShape": (0,), "Range": (0, 1, 2), "DFT": (1, 2), "STFT": (1, 3), "HannWindow": (0,),
    "HammingWindow": (0,), "BlackmanWindow": (0,), "MelWeightMatrix": (0, 1, 2, 3, 4), "NonMaxSuppression": (2, 3, 4),
    "MaxUnpool": (2,),
}  # fmt: skip
"""Operator to the inputs that decide the shape of its result or how it is computed."""
CUT = ("Shape", "Size")
CONTEXT = Context(Target("c", "c", {}))

Verdict = tuple[str, str]


@dataclass(frozen=True)
class Ready:
    """A case that was planned."""

    case: Case
    module: CModule
    files: Mapping[str, str]
    feeds: Mapping[str, np.ndarray]


def deciding_inputs(graph: Graph) -> set[str]:
    """Graph inputs whose values decide shapes, directly or through other operators."""
    wanted = [node.input(slot) for _, node in graph.walk() for slot in DECIDING.get(node.op, ())]
    seen: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name and name not in seen:
            seen.add(name)
            producer = graph.index.producer(name)
            wanted += [] if producer is None or producer.op in CUT else producer.reads
    return seen & set(graph.inputs)


def prepared(case: Case) -> Ready:
    """The case as C; raises QirError where it is not supported."""
    inputs = case.inputs()
    arrays = {
        name: value for name, value in inputs.items() if isinstance(value, np.ndarray) and value.dtype.kind != "O"
    }
    shapes = {name: array.shape for name, array in arrays.items()}
    graph = lift(case.model, shapes=shapes)
    bound = {name: arrays[name] for name in deciding_inputs(graph) if name in arrays}
    if bound:
        graph = lift(case.model, shapes={n: s for n, s in shapes.items() if n not in bound}, bind=bound)
    graph = run(graph, parse_pipeline(CLEAN), CONTEXT)
    name = re.sub(r"\W", "_", case.name)
    module = compile_c(graph, name=name)
    feeds = {name: array for name, array in arrays.items() if name in graph.inputs}
    return Ready(case, module, emit(module.program, module.name), feeds)


def build(ready: list[Ready], folder: Path) -> Path:
    """One library of several modules, all in one translation unit."""
    files = {name: text for one in ready for name, text in one.files.items()}
    sources = sorted(name for name in files if name.endswith(".c"))
    unit = "".join(f'#include "{name}"\n' for name in sources)
    folder.mkdir()
    extra = ("-fsanitize=undefined", "-fno-sanitize-recover=all") if SANITIZERS else ()
    run_compiler({**files, "all.c": unit}, [*FLAGS, *extra, "-shared", "all.c", "-o", "all.so", "-lm"], folder)
    return folder / "all.so"


def built(ready: list[Ready], folder: Path, verdicts: dict[str, Verdict]) -> list[tuple[Ready, Path]]:
    """Every module with the library that holds it; halves a batch that does not compile to find whose fault it is."""
    if not ready:
        return []
    try:
        library = build(ready, folder)
    except BuildError as error:
        if len(ready) == 1:
            verdicts[ready[0].case.name] = ("uncompilable", str(error)[:600])
            return []
        half = len(ready) // 2
        first, second = folder.with_name(f"{folder.name}a"), folder.with_name(f"{folder.name}b")
        return built(ready[:half], first, verdicts) + built(ready[half:], second, verdicts)
    return [(one, library) for one in ready]


def verdict(built: tuple[Ready, Path], say: Callable[[str], None]) -> Verdict:
    """Of a case that is compiled."""
    try:
        return checked(*built)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"[:300]


def checked(one: Ready, library: Path) -> Verdict:
    """Runs a module and compares its outputs with those of the suite."""
    one.module.__dict__["library"] = Library(library)
    found: list[Value] = list(one.module.run(one.feeds).values())
    text = differences(one.case.expected(), found, atol=NOISE)
    if text:
        return "wrong", text
    return ("pass" if any(call.op != "qir.Copy" for call in one.module.program.calls) else "folded"), ""


def batch(batch_cases: list[Case]) -> dict[str, Verdict]:
    """Verdicts of some cases."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    verdicts: dict[str, Verdict] = {}
    ready: list[Ready] = []
    for case in batch_cases:
        try:
            if case.is_random:
                verdicts[case.name] = ("random", "")
                continue
            ready.append(prepared(case))
        except QirError as error:
            verdicts[case.name] = ("unsupported", f"{type(error).__name__}: {error}")
        except Exception as error:  # the verdict says so
            verdicts[case.name] = ("failed", f"{type(error).__name__}: {error}"[:300])
    with tempfile.TemporaryDirectory() as folder:
        for (one, _), found in isolated(built(ready, Path(folder) / "x", verdicts), verdict, SECONDS):
            verdicts[one.case.name] = ("crash", found.how) if isinstance(found, Died) else found
    return verdicts


def reason(text: str) -> str:
    """A message without what differs between cases."""
    text = re.sub(r"(node|tensor) '[^']*',? ?", "", text)
    return re.sub(r"'[^']*'", "..", text).split(". ")[0][:110]


def run_suite(chosen: list[Case]) -> dict[str, Verdict]:
    batches = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    verdicts: dict[str, Verdict] = {}
    for part in batches:
        verdicts.update(batch(part))
    return verdicts


def table(verdicts: Mapping[str, Verdict]) -> str:
    """Verdicts and the most frequent reasons as text."""
    counts = Counter(verdict for verdict, _ in verdicts.values())
    lines = [f"node suite through C: {dict(counts)}"]
    reasons = Counter(reason(text) for verdict, text in verdicts.values() if verdict == "unsupported")
    lines += [f"  {count:4} {text}" for text, count in reasons.most_common(60)]
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="cases run in forked children")
def test_every_case_is_right_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = run_suite(cases())
    with capsys.disabled():
        print(f"\n{table(verdicts)}")
    bad = {name: v for name, v in sorted(verdicts.items()) if v[0] not in ("pass", "folded", "unsupported", "random")}
    assert not bad, "\n".join(f"{name}: {verdict}: {text}" for name, (verdict, text) in bad.items())
    assert len(verdicts) == COUNT
    assert sum(verdict == "pass" for verdict, _ in verdicts.values()) >= 1240
