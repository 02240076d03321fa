"""A trace keeps every step, goes to disk and back, and goes on from any step."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import qir
from qir.debug.trace import Trace, layer_below
from qir.errors import DataError, ModelError, OutputError, PassError, QirError
from qir.ir.graph import Constant, Graph
from qir.ir.text import graph_text
from qir.passmanager.base import Context, Pass, Promise
from qir.passmanager.manager import Step, run
from tests.models import constant, images, model, tiny_cnn
from tests.onnxio.test_store import assert_equal
from tests.passmanager.passes import Idle, Scale, context, graph

WIDTH = 48


def wide(seed: int = 0) -> onnx.ModelProto:
    """x [N, 48] -> Gemm, Relu, Gemm -> y [N, 48]: weights that outweigh everything else in a file."""
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], "first"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Gemm", ["b", "w2", "b2"], ["y"], "second"),
    ]
    weights = [constant(f"w{n}", random.standard_normal((WIDTH, WIDTH)).astype(np.float32)) for n in (1, 2)]
    weights += [constant(f"b{n}", random.standard_normal(WIDTH).astype(np.float32)) for n in (1, 2)]
    return model(nodes, {"x": ["N", WIDTH]}, {"y": ["N", WIDTH]}, weights)


def rows(n: int = 80) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((n, WIDTH)).astype(np.float32)


def compiled(target: str) -> Trace:
    made = qir.compile(wide(), rows(), target=target, trace=True)
    assert made.trace is not None
    return made.trace


@pytest.fixture(scope="module", params=["onnx", "portable"])
def trace(request: pytest.FixtureRequest) -> Trace:
    return compiled(request.param)


@pytest.fixture(scope="module")
def traced() -> Trace:
    return compiled("onnx")


@pytest.fixture
def saved(traced: Trace, tmp_path: Path) -> Path:
    traced.save(tmp_path / "steps")
    return tmp_path / "steps"


def test_it_keeps_what_is_needed_to_go_on(trace: Trace) -> None:
    assert [step.number for step in trace] == list(range(1, len(trace) + 1))
    assert tuple(step.applied for step in trace.steps) == trace.passes
    assert trace.samples is not None
    assert 64 == len(trace.samples["x"])
    assert trace.statistics is not None
    assert any("calibrated" in note for note in trace.notes)
    assert trace["calibrate"].graph is trace.after("calibrate")
    assert trace[1].before is trace.source
    assert trace.graph is trace.steps[-1].after
    assert "no change" in str(trace)


@pytest.mark.parametrize("which", [0, -1, 1000, "quantise"])
def test_steps_that_are_not_there_are_told(traced: Trace, which: int | str) -> None:
    with pytest.raises(PassError):
        traced[which]
    with pytest.raises(PassError, match="has no steps"):
        Trace()[1]


def test_a_bare_trace_is_an_instrument_too(tmp_path: Path) -> None:
    bare = Trace()
    last = run(graph(), [Idle(), Scale(2.0)], context(), [bare])
    assert bare.graph is last
    bare.save(tmp_path / "t")
    assert {"00-input.onnx", "02-scale.onnx", "arrays.data", "trace.json"} == {
        p.name for p in (tmp_path / "t").iterdir()
    }
    with pytest.raises(PassError, match="does not know its target"):
        bare.resume(1)
    assert 2 == len(bare.resume(1, target="onnx"))


def test_it_reloads_to_the_last_bit(trace: Trace, tmp_path: Path) -> None:
    trace.save(tmp_path / "t")
    again = Trace.load(tmp_path / "t")
    assert_equal(trace.source, again.source)
    for one, other in zip(trace, again, strict=True):
        assert (one.number, one.applied, one.seconds, one.notes) == (
            other.number, other.applied, other.seconds, other.notes,
        )  # fmt: skip
        assert one.changed is other.changed
        assert_equal(one.after, other.after)
        assert str(one.diff()) == str(other.diff())
        assert (one.statistics is None) == (other.statistics is None)
    for name in ("passes", "target", "recipe", "seed", "notes"):
        assert getattr(trace, name) == getattr(again, name)
    assert trace.samples is not None
    assert again.samples is not None
    np.testing.assert_array_equal(trace.samples["x"], again.samples["x"])


def test_loaded_steps_share_what_they_have_in_common(saved: Path) -> None:
    again = Trace.load(saved)
    first, later = again.source.constants, again["collect"].after.constants
    assert first["w1"] is later["w1"]
    assert all(step.before is previous.after for previous, step in zip(again.steps, again.steps[1:], strict=False))
    statistics = [step.statistics for step in again if step.statistics is not None]
    assert 2 == len({*map(id, statistics)})  # as collected, and as equalize scaled them
    assert again.statistics is statistics[0]


def test_arrays_are_on_disk_once(trace: Trace, tmp_path: Path) -> None:
    trace.save(tmp_path / "t")
    changed = [trace.source, *(step.after for step in trace if step.changed)]
    distinct = {
        array.tobytes()
        for one in changed
        for item in one.constants.values()
        for array in (item.value, item.codes)
        if array is not None and array.nbytes >= 1024
    }
    data = (tmp_path / "t" / "arrays.data").stat().st_size
    assert data <= sum(map(len, distinct)) + 64 * len(distinct)
    full = 0
    for number, one in enumerate(changed):
        qir.save_graph(one, tmp_path / f"{number}.onnx")
        full += (tmp_path / f"{number}.onnx").stat().st_size
    models = list((tmp_path / "t").glob("*.onnx"))
    assert len(models) == len(changed)
    assert data + sum(path.stat().st_size for path in models) < full / 2


def test_every_float_graph_opens_elsewhere(saved: Path) -> None:
    for path in saved.glob("*.onnx"):
        onnx.load(path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        assert [(3, WIDTH)] == [found.shape for found in session.run(None, {"x": rows(3)})]


def test_saving_twice_gives_the_same_bytes_and_replaces(traced: Trace, tmp_path: Path) -> None:
    for name in ("a", "b", "b"):
        traced.save(tmp_path / name)
    assert {"a", "b"} == {path.name for path in tmp_path.iterdir()}
    for path in (tmp_path / "a").iterdir():
        if not path.suffix == ".npz":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_only_a_trace_is_replaced(traced: Trace, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name in ("mine", "file"):
        with pytest.raises(OutputError, match="is no trace"):
            traced.save(tmp_path / name)
    with pytest.raises(OutputError, match="cannot be written"):
        traced.save(tmp_path / "file" / "below")
    with pytest.raises(OutputError, match="is no trace"):
        qir.compile(wide(), rows(), trace=tmp_path / "mine")
    traced.save(tmp_path / "empty", text=True)
    assert graph_text(traced.source) + "\n" == (tmp_path / "empty" / "00-input.txt").read_text()
    assert {"mine", "file", "empty"} == {path.name for path in tmp_path.iterdir()}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without(key: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        index = json.loads((folder / "trace.json").read_text())
        del index[key]
        (folder / "trace.json").write_text(json.dumps(index))

    return change


def edited(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "trace.json").read_text()
        assert old in text
        (folder / "trace.json").write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("damage", "kind", "told"),
    [
        (lambda folder: (folder / "trace.json").unlink(), DataError, "no trace"),
        (lambda folder: cut(folder / "trace.json"), DataError, "damaged"),
        (lambda folder: (folder / "trace.json").write_text("[]"), DataError, "no trace"),
        (lambda folder: cut(folder / "arrays.data"), ModelError, "too short"),
        (lambda folder: (folder / "arrays.data").unlink(), ModelError, "cannot be read"),
        (lambda folder: cut(next(folder.glob("*-quantize.onnx"))), ModelError, "cut off"),
        (lambda folder: next(folder.glob("*-quantize.onnx")).unlink(), ModelError, "cannot be read"),
        (lambda folder: cut(folder / "samples.npz"), DataError, "damaged"),
        (lambda folder: (folder / "samples.npz").unlink(), DataError, "missing"),
        (lambda folder: cut(folder / "statistics.npz"), DataError, "statistics"),
        (lambda folder: (folder / "statistics.npz").unlink(), DataError, "no file"),
        (without("steps"), DataError, "steps"),
        (without("recipe"), DataError, "recipe"),
        (edited('"target": "onnx"', '"target": "abacus"'), DataError, "abacus"),
        (edited('"pass": "quantize"', '"pass": "quantize{zeal=1}"'), PassError, "zeal"),
        (edited('"qir trace": 1', '"qir trace": 99'), DataError, "another version"),
        (edited('"number": 2', '"number": 3'), DataError, "damaged"),
    ],
)  # fmt: skip
def test_damage_is_told(saved: Path, damage: Callable[[Path], None], kind: type[QirError], told: str) -> None:
    damage(saved)
    with pytest.raises(kind, match=told):
        Trace.load(saved)


@dataclass(frozen=True)
class Private(Pass):
    """Known to nobody."""

    name: ClassVar[str] = "private"

    def run(self, graph: Graph, context: Context) -> Graph:
        return graph


def test_passes_that_are_not_registered_are_named(tmp_path: Path) -> None:
    qir.compile(tiny_cnn(), passes=[Private()], trace=tmp_path / "t")
    with pytest.raises(PassError, match=r"'private'.*Import the module"):
        Trace.load(tmp_path / "t")


@pytest.mark.parametrize("step", [0, 5, "calibrate", "quantize-weights"])
@pytest.mark.parametrize("through_disk", [False, True])
def test_resuming_gives_what_compiling_gave(trace: Trace, tmp_path: Path, step: int | str, through_disk: bool) -> None:
    if through_disk:
        trace.save(tmp_path / "t")
        trace = Trace.load(tmp_path / "t")
    again = trace.resume(step)
    assert [one.number for one in trace] == [one.number for one in again]
    assert all(
        a is b for a, b in zip(trace.steps[: again.steps.index(again[step]) if step else 0], again, strict=False)
    )
    assert graph_text(trace.graph) == graph_text(again.graph)
    for name, item in trace.graph.constants.items():
        np.testing.assert_array_equal(item.value, again.graph.constants[name].value)
    assert trace.notes == tuple(again.notes) or step in (0, 5)  # statistics that are there need no note of being made


def test_resuming_does_not_calibrate_again(traced: Trace) -> None:
    again = traced.resume("fold-batchnorm")
    assert traced.statistics is again.statistics
    fewer = traced.resume("fold-batchnorm", calibration=rows(7))
    assert any("7 samples" in note for note in fewer.notes)
    assert fewer.samples is not None
    assert 7 == len(fewer.samples["x"])


def test_resuming_with_another_recipe(traced: Trace) -> None:
    again = traced.resume("collect", recipe=traced.recipe.with_override("second", float=True))
    whole = qir.compile(wide(), rows(), recipe=again.recipe, trace=True)
    assert graph_text(whole.graph) == graph_text(again.graph)
    assert again.graph.tensor("w2").quant is None
    assert traced.graph.tensor("w2").quant is not None


def test_resuming_with_other_passes_and_from_a_resumed_trace(traced: Trace) -> None:
    short = traced.resume(traced["calibrate"], "calibrate{method=minmax},quantize")
    assert "quantize" == short.steps[-1].applied.name
    assert traced["calibrate"] is short.steps[-3]
    longer = short.resume("quantize", [*traced.passes[traced["quantize"].number :]])
    assert len(longer) > len(short)
    assert longer.steps[-2:] != short.steps[-2:]
    with pytest.raises(PassError, match="not of this trace"):
        traced.resume(short.steps[-1])


def test_a_walk_that_was_cut_short_is_resumed_with_the_rest(traced: Trace) -> None:
    part = Trace(traced.steps[:4], traced.passes, traced.target, traced.recipe, 0, traced.samples)
    assert graph_text(traced.graph) == graph_text(part.resume(4, calibration=rows()).graph)


def test_steps_walk_the_pipeline_of_compile(traced: Trace) -> None:
    seen: list[Step] = []
    walk = list(qir.steps(wide(), rows(), instruments=[seen.append]))
    assert [str(step.applied) for step in traced] == [str(step.applied) for step in walk]
    assert graph_text(traced.graph) == graph_text(walk[-1].graph)
    assert walk == seen


def test_steps_are_taken_one_at_a_time() -> None:
    seen: list[Step] = []
    walk = qir.steps(wide(), passes="fold-constants,quantize-weights", instruments=[seen.append])
    assert not seen
    assert "fold-constants" == next(walk).applied.name
    assert 1 == len(seen)


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("fold-constants", "fold-constants"),
        ("quantize", "quantize"),
        (lambda step: step.statistics is not None, "collect"),
        (layer_below({"x": rows(8)}, 100), "quantize"),
    ],
)
def test_steps_stop_where_told(until: str | Callable[[Step], bool], last: str) -> None:
    walk = list(qir.steps(wide(), rows(), until=until))
    assert last == walk[-1].applied.name
    assert 1 == sum(step.applied.name == last for step in walk)


def test_mistakes_of_a_walk_show_at_once() -> None:
    with pytest.raises(PassError, match="'quantise' is not in the pipeline"):
        qir.steps(wide(), until="quantise")
    with pytest.raises(DataError):
        qir.steps(wide(), 12)


@dataclass(frozen=True)
class Spoil(Pass):
    """Adds noise to one weight."""

    name: ClassVar[str] = "spoil"
    promise: ClassVar[Promise] = Promise.LOSSY
    which: str = "w2"

    def run(self, graph: Graph, context: Context) -> Graph:
        old = graph.constants[self.which].value
        return graph.with_(constants={**graph.constants, self.which: Constant(old + np.float32(0.5))})


def test_the_first_layer_below_a_limit_is_found() -> None:
    watch = layer_below({"x": rows(8)}, 30)
    walk = list(qir.steps(wide(), passes=[Idle(), Spoil(), Spoil("w1")], until=watch))
    assert 2 == len(walk)
    assert watch.found is not None
    assert (2, "second", "y") == (watch.found.step.number, watch.found.node, watch.found.value)
    assert watch.found.sqnr < 30
    assert "node 'second', tensor 'y'" in str(watch.found)
    assert "after pass 2 spoil" in str(watch.found)


@pytest.mark.parametrize("target", ["onnx", "portable"])
def test_no_layer_is_far_below_in_a_healthy_network(target: str) -> None:
    watch = layer_below({"x": images(4)}, 15)
    steps = list(qir.steps(tiny_cnn(), images(), target=target, until=watch))
    assert watch.found is None
    assert len(steps) > 20
