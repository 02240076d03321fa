"""Every model of ONNX's node suite, lifted and emitted without passes, computes what it computed before.

Original and emitted model run in the same engine: onnxruntime where it loads the original, else ONNX's reference. The
emitted one must match the suite's expected outputs wherever the original does, and the original's own otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator

from qir.errors import ModelError
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from tests.node_suite import COUNT, Case, Died, Value, cases, differences, isolated

SECONDS = 60
TOO_OLD = {"test_scan_sum"}
"""Scan of opset 8 has another meaning than that of 9, the oldest that is lifted."""

Run = Callable[[bytes, dict[str, Value]], list[Value]]


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _in_onnxruntime(model: bytes, inputs: dict[str, Value]) -> list[Value]:
    return _session(model).run(None, inputs)


def _in_reference(model: bytes, inputs: dict[str, Value]) -> list[Value]:
    return ReferenceEvaluator(onnx.load_model_from_string(model)).run(None, inputs)


ENGINES: dict[str, Run] = {"onnxruntime": _in_onnxruntime, "reference": _in_reference}


def _check(case: Case, engines: list[str], say: Callable[[str], None]) -> tuple[str, str]:
    """(engine, what is wrong or "")."""
    original = case.model.read_bytes()
    inputs, expected = case.inputs(), case.expected()
    try:
        emitted = export(lift(case.model)).SerializeToString(deterministic=True)
    except ModelError as error:
        return ("refused", "" if case.name in TOO_OLD and "opset 8" in str(error) else str(error))
    for engine in engines:
        run = ENGINES[engine]
        say(engine)
        try:
            before = run(original, inputs)
        except Exception:  # whatever an engine says of a model it cannot run, or of element types it cannot be fed
            if engine == "onnxruntime" and _loads(original) and not _loads(emitted):
                return engine, "onnxruntime loads the original only"
            continue
        say(f"emitted in {engine}")
        after = run(emitted, inputs)
        if case.is_random:  # the kind is all there is to compare
            return engine, "" if [_kind(a) for a in before] == [_kind(b) for b in after] else "another kind of result"
        reference = expected if differences(expected, before) is None else before
        return engine, differences(reference, after) or ""
    onnx.checker.check_model(emitted)
    return "none", ""


def _loads(model: bytes) -> bool:
    try:
        return _session(model) is not None
    except Exception:  # as above
        return False


def _kind(value: Value) -> Any:
    return [_kind(item) for item in value] if isinstance(value, list) else (np.asarray(value).dtype, np.shape(value))


def _verdict(todo: tuple[Case, list[str]], say: Callable[[str], None]) -> tuple[str, str]:
    try:
        return _check(*todo, say)
    except Exception as error:  # the verdict says so
        return "failed", f"{type(error).__name__}: {error}"[:500]


def _run_all(todo: list[tuple[Case, list[str]]]) -> dict[str, tuple[str, str]]:
    """Verdicts. Where an engine died of the original, the case runs again in the engines behind it."""
    results: dict[str, tuple[str, str]] = {}
    again: list[tuple[Case, list[str]]] = []
    for (case, engines), found in isolated(todo, _verdict, SECONDS):
        if not isinstance(found, Died):
            results[case.name] = found
        elif found.stage in engines:
            again.append((case, engines[engines.index(found.stage) + 1 :]))
        else:
            results[case.name] = "failed", f"{found.how} in: {found.stage or 'lift and export'}"
    return results | (_run_all(again) if again else {})


@pytest.mark.slow
def test_every_model_computes_the_same_after_lift_and_export(capsys: pytest.CaptureFixture[str]) -> None:
    results = _run_all([(case, list(ENGINES)) for case in cases()])
    engines = Counter(engine for engine, _ in results.values())
    wrong = {name: f"[{engine}] {text}" for name, (engine, text) in sorted(results.items()) if text}
    with capsys.disabled():
        print(f"\nnode suite: {len(results)} models, {dict(engines)}, {len(wrong)} wrong")
    assert len(results) == COUNT
    assert not wrong, "\n".join(f"{name}: {text}" for name, text in wrong.items())
