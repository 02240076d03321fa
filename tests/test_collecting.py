"""One pass over the data: the same bytes wherever the blocks ran, whatever their order, and after any method."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import qir
from qir.calibration import feeds
from qir.collecting import collect, gram_of
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.onnxio.lift import lift
from qir.passes.quantize.observed import AtOperators
from qir.statistics import Gram, Statistics, fingerprints
from qir.target import target
from tests.models import images, tiny_cnn
from tests.passes.control import branches, loop
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import samples

WATCH = AtOperators(frozenset({"Conv", "Gemm", "MatMul", "Relu", "Add", "Mul"}))


def collected(graph: Graph, data: object, executor: Executor | None = None) -> Statistics:
    return collect(graph, feeds(data, {name: graph.types[name] for name in graph.inputs}), WATCH, executor=executor)


def saved(statistics: Statistics, folder: Path) -> bytes:
    statistics.save(folder / "s.npz")
    return (folder / "s.npz").read_bytes()


@contextmanager
def dask_cluster() -> Iterator[Executor]:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


EXECUTORS = {
    "threads": lambda: ThreadPoolExecutor(3),
    "processes": lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")),
    "dask": dask_cluster,
}


@pytest.mark.parametrize("where", EXECUTORS)
def test_workers_give_the_same_bytes(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qir.collecting._SHARD_BYTES", 1)  # a task for every block
    graph, data = lift(tiny_cnn()), images(150)
    expected = saved(collected(graph, data), tmp_path)
    with EXECUTORS[where]() as executor:
        assert saved(collected(graph, data, executor), tmp_path) == expected


@pytest.mark.parametrize("cut", [32, 64, 128])
def test_data_in_two_parts_merge_to_values_of_the_whole(cut: int) -> None:
    graph, data = lift(tiny_cnn()), images(150)
    whole, parts = collected(graph, data), [collected(graph, data[:cut]), collected(graph, data[cut:])]
    merged, other = parts[0].merge(parts[1]), parts[1].merge(parts[0])
    for name in whole.names("histogram"):
        np.testing.assert_array_equal(merged[name].counts, whole[name].counts)
        assert merged[name].state()[0] == other[name].state()[0]
    for name in whole.names(Gram.kind):
        assert gram_of(merged, name).matrix.tobytes() == gram_of(other, name).matrix.tobytes()


@pytest.mark.parametrize("make", [branches, loop, tiny_cnn])
def test_graphs_survive_pickling(make: object) -> None:
    graph = lift(make())  # type: ignore[operator]
    again = pickle.loads(pickle.dumps(graph))
    assert qir.graph_text(again) == qir.graph_text(graph)
    assert fingerprints(again) == fingerprints(graph)
    given = samples(graph)
    for name, value in evaluate(graph, given).items():
        np.testing.assert_array_equal(evaluate(again, given)[name], value)


def test_errors_of_workers_name_the_tensor() -> None:
    data = images(4)
    data[2, 0, 0, 0] = np.nan
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        with pytest.raises(qir.DataError) as caught:
            collected(lift(tiny_cnn()), data, executor)
    assert caught.value.tensor == "x"
    assert ".." not in str(caught.value)


@pytest.mark.parametrize("length", [1, 5, 32])
def test_samples_that_run_apart_count_once(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, data = lift(tiny_cnn()), images(40)
    monkeypatch.setattr("qir.collecting._run_length", lambda graph, watch: length)
    found = collected(graph, data)
    values = evaluate(graph, {"x": data}, taps=["b"])
    assert found["x"].count == data.size
    assert found["b"].count == values["b"].size
    assert found["b"].mean == pytest.approx(float(values["b"].mean()), rel=1e-4, abs=1e-6)


def test_gram_matrices_are_those_of_the_layers_inputs() -> None:
    graph = net("(float[N,6] x) => (float[N,4] y) { h = Relu (x) y = MatMul (h, w) }", w=normal(6, 4))
    data = normal(100, 6)
    gram = gram_of(collected(graph, data), next(node.name for node in graph.nodes if node.op == "MatMul"))
    rows = np.maximum(data, 0).astype(np.float64)
    assert gram.rows == 100
    np.testing.assert_allclose(gram.matrix[0], rows.T @ rows, rtol=1e-4)
    np.testing.assert_allclose(gram.mean[0], rows.mean(axis=0), rtol=1e-4)


class TestFingerprints:
    TEXT = "(float[N,6] x) => (float[N,4] y) { h = Mul (x, c) y = MatMul (h, w) }"

    def graph(self, c: float = 2, text: str = TEXT) -> Graph:
        return net(text, c=np.float32(c), w=normal(6, 4))

    def test_they_follow_constants_and_operators_downstream_only(self) -> None:
        first, other = fingerprints(self.graph()), fingerprints(self.graph(3))
        assert first["x"] == other["x"]
        assert first["w"] == other["w"]
        assert all(first[name] != other[name] for name in "hy")
        added = fingerprints(self.graph(text=self.TEXT.replace("Mul (x", "Add (x")))
        assert added["h"] != first["h"]

    def test_names_do_not_enter(self) -> None:
        renamed = fingerprints(self.graph(text=self.TEXT.replace("h", "hidden")))
        assert renamed["hidden"] == fingerprints(self.graph())["h"]

    def test_values_of_bodies_depend_on_what_they_capture(self) -> None:
        graph = lift(branches())
        found = fingerprints(graph)
        inside = [name for name in found if "/" in name]
        assert inside
        assert all(found[name] != found[graph.outputs[0]] for name in inside)

    def test_calibrating_notices_another_network(self) -> None:
        statistics = qir.calibrate(self.graph(), normal(20, 6))
        qir.compile(self.graph(), statistics)
        with pytest.raises(qir.PassError, match="other values"):
            qir.compile(self.graph(3), statistics)


def test_compiling_from_statistics_gives_the_same_model(tmp_path: Path) -> None:
    model, data = tiny_cnn(), images(70)
    qir.calibrate(model, data).save(tmp_path / "s.npz")
    first = qir.compile(model, data, trace=True)
    second = qir.compile(model, Statistics.load(tmp_path / "s.npz"), trace=True)
    assert first.trace is not None
    assert second.trace is not None
    at = "round-weights"  # from there on biases are corrected, by what the samples or their means tell
    assert qir.graph_text(second.trace[at].after) == qir.graph_text(first.trace[at].after)
    assert any("by their inputs' means" in note for note in second.notes)


@pytest.mark.parametrize("method", ["auto", "minmax", "percentile", "mse", "octav", "entropy"])
def test_another_method_never_runs_inference(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = tiny_cnn(), images(40)
    statistics = qir.calibrate(model, data)
    expected = qir.compile(model, data, recipe=qir.Recipe(calibration=method)).graph.ranges
    passes = [*qir.default_pipeline(qir.Recipe(), target("onnx"), has_data=True)]
    before = qir.pipeline_text(passes[: [one.name for one in passes].index("calibrate")])
    monkeypatch.setattr("qir.observe.Runner", None)
    found = qir.compile(model, statistics, passes=f"{before},calibrate{{method={method}}}").graph.ranges
    shared = found.keys() & expected.keys()  # activations that were absorbed are gone
    assert "x" in shared
    assert {name: found[name] for name in shared} == {name: expected[name] for name in shared}


def test_a_pipeline_that_does_not_calibrate_is_refused() -> None:
    with pytest.raises(qir.PassError, match="does not calibrate"):
        qir.calibrate(tiny_cnn(), images(4), recipe="float")


GUIDE = Path(qir.__file__).with_name("docs") / "calibration.md"


@pytest.mark.slow
def test_the_guides_examples_run(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    import onnx

    onnx.save(tiny_cnn(), tmp_path / "model.onnx")
    for name in ("images", "monday", "tuesday"):
        np.save(tmp_path / f"{name}.npy", images(40))
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 2
    for number, block in enumerate(blocks):
        script = tmp_path / f"example{number}.py"
        script.write_text(block, encoding="utf-8")
        done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
