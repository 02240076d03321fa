"""The measuring models: lifted and emitted they compute the same, saved they reload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from qir.ir.text import graph_text
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.onnxio.store import load_graph, save_graph


def test_every_model_survives(zoo: Path, tmp_path: Path, subtests: pytest.Subtests) -> None:
    paths = sorted(zoo.rglob("*.onnx"))
    assert paths
    for path in paths:
        with subtests.test(path.relative_to(zoo).as_posix()):
            _survives(path, tmp_path / "g.onnx")


def _survives(path: Path, saved: Path) -> None:
    graph = lift(path)
    save_graph(graph, saved)
    assert graph_text(load_graph(saved)) == graph_text(graph)
    emitted = export(graph).SerializeToString(deterministic=True)
    try:
        original = _session(path.read_bytes())
    except Exception:  # operators of QONNX, which onnxruntime does not have
        assert "qonnx" in path.parts
        return
    random = np.random.default_rng(0)
    feeds = {
        item.name: random.standard_normal([dim if isinstance(dim, int) else 2 for dim in item.shape]).astype(np.float32)
        for item in original.get_inputs()
    }
    for found, wanted in zip(_session(emitted).run(None, feeds), original.run(None, feeds), strict=True):
        np.testing.assert_array_equal(found, wanted)


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
