"""The manager's errors, and what the instruments see."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qir.errors import OutputError, PassError, QirError, VerifyError
from qir.ir.graph import Graph, Stage
from qir.onnxio.store import load_graph
from qir.passmanager.base import Pass
from qir.passmanager.instruments import Drift, Dumper, Printer, PromiseChecker, Timer
from qir.passmanager.manager import Step, run, steps
from qir.passmanager.trace import Trace
from tests.models import images
from tests.passmanager.passes import (
    Broken,
    Hungry,
    Idle,
    Liar,
    LossyScale,
    NotingScale,
    Scale,
    context,
    graph,
)

FEEDS = {"x": images(2)}


@pytest.fixture(scope="module")
def source() -> Graph:
    return graph()


def test_steps_are_numbered_and_chained(source: Graph) -> None:
    done = list(steps(source, [Idle(), LossyScale(2.0), Idle()], context()))
    assert [1, 2, 3] == [step.number for step in done]
    assert done[0].after is done[0].before is source
    assert done[1].after is done[2].before
    assert all(step.seconds >= 0 for step in done)


def test_every_instrument_sees_every_step_in_order(source: Graph) -> None:
    seen: list[tuple[str, int]] = []
    hooks = [lambda step, name=name: seen.append((name, step.number)) for name in "ab"]
    result = run(source, [Idle(), Idle()], context(), hooks)
    assert result is source
    assert [("a", 1), ("b", 1), ("a", 2), ("b", 2)] == seen


@pytest.mark.parametrize(
    ("broken", "stage", "told"),
    [
        (Idle(), Stage.INT, "'idle' takes stage float or quant, the graph is in stage int"),
        (Hungry(), Stage.FLOAT, "'hungry' needs calibration data"),
        (Liar(), Stage.FLOAT, "'liar' gave stage float instead of quant"),
        (Broken(), Stage.FLOAT, "'broken' failed: IndexError: list index out of range"),
    ],
    ids=lambda value: value.name if isinstance(value, Pass) else "",
)
def test_a_pass_that_cannot_run_is_named(source: Graph, broken: Pass, stage: Stage, told: str) -> None:
    with pytest.raises(PassError, match=told):
        run(replace(source, stage=stage), [broken], context())


def test_errors_of_a_pass_keep_their_cause(source: Graph) -> None:
    with pytest.raises(PassError) as caught:
        run(source, [Broken()], context())
    assert isinstance(caught.value.__cause__, IndexError)


def raising(error: BaseException) -> Callable[[Graph], Graph]:
    def make(graph: Graph) -> Graph:
        raise error

    return make


@pytest.mark.parametrize("error", [QirError("told by the pass"), KeyboardInterrupt()])
def test_what_a_pass_says_itself_passes_through(source: Graph, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        run(source, [Broken(raising(error))], context())
    assert caught.value is error


def test_an_invalid_graph_is_drawn_with_the_fault_and_the_pass(source: Graph) -> None:
    def cut(graph: Graph) -> Graph:
        return graph.with_(nodes=tuple(node for node in graph.nodes if node.name != "relu"))

    with pytest.raises(VerifyError) as caught:
        run(source, [Idle(), Broken(cut)], context())
    text = str(caught.value)
    assert "after pass 'broken'" in text
    assert "node 'pool'" in text
    lines = text.splitlines()
    (drawn,) = (number for number, line in enumerate(lines) if "^^^" in line)
    assert "GlobalAveragePool" in lines[drawn - 1]
    assert "reads %b, which nothing before it defines" in lines[drawn]


def test_an_exact_pass_that_moves_numbers_is_caught_at_the_first_value(source: Graph) -> None:
    with pytest.raises(PassError, match="'scale' promised to be exact but moved it by") as caught:
        run(source, [Idle(), Scale(1.01)], context(), [PromiseChecker(FEEDS)])
    assert "a" == caught.value.tensor


def test_a_noting_pass_may_not_move_anything(source: Graph) -> None:
    checker = PromiseChecker(FEEDS)
    run(source, [Scale(1 + 1e-6), NotingScale(1.0)], context(), [checker])
    with pytest.raises(PassError, match="annotate"):
        run(source, [NotingScale(1 + 1e-6)], context(), [checker])


def test_a_lossy_pass_may_move_anything(source: Graph) -> None:
    run(source, [LossyScale(3.0)], context(), [PromiseChecker(FEEDS)])


def test_drift_grows_and_is_measured_from_the_first_graph(source: Graph) -> None:
    drift = Drift(FEEDS)
    run(source, [Idle(), LossyScale(1.001), LossyScale(1.1), LossyScale(1 / 1.1)], context(), [drift])
    near, far, back = (db for _, db, _ in drift.records)
    assert near > far
    assert back == pytest.approx(near, abs=1)
    assert 3 == len(str(drift).splitlines())
    assert "lossy-scale{by=1.001}" in str(drift)


def test_drift_is_infinite_where_nothing_moves(source: Graph) -> None:
    drift = Drift(FEEDS)
    run(source, [LossyScale(1.0)], context(), [drift])
    assert [("lossy-scale", np.inf, 0.0)] == drift.records


def test_the_timer_counts_every_pass(source: Graph) -> None:
    timer = Timer()
    run(source, [Idle(), Scale()], context(), [timer])
    assert ["idle", "scale"] == [name for name, _ in timer.seconds]
    assert "total" in str(timer).splitlines()[-1]


@pytest.mark.parametrize(
    ("printer", "shown", "hidden"),
    [
        (Printer(before=frozenset({"scale"})), "// before 2 scale", "after"),
        (Printer(after=frozenset({"idle"})), "// after 1 idle", "before"),
        (Printer(all_after=True), "// after 2 scale{by=2.0}", "before"),
        (Printer(changed=True), "// 1 idle: 5 nodes, 4 constants, 0 quantized values\nno change", "graph tiny"),
        (Printer(changed=True), "+ const %conv.weight", "head.weight"),
        (Printer(), "", "graph"),
    ],
)
def test_the_printer_shows_what_was_asked_for(source: Graph, printer: Printer, shown: str, hidden: str) -> None:
    stream = io.StringIO()
    run(source, [Idle(), Scale(2.0)], context(), [replace(printer, stream=stream)])
    assert shown in stream.getvalue()
    assert hidden not in stream.getvalue()


def test_the_dumper_writes_changed_graphs(source: Graph, tmp_path: Path) -> None:
    run(source, [Idle(), Scale(2.0)], context(), [Dumper(tmp_path / "a" / "b")])
    written = {path.name: path.read_text() for path in (tmp_path / "a" / "b").iterdir()}
    assert {"00-input.txt", "02-scale.txt"} == set(written)
    assert written["00-input.txt"] != written["02-scale.txt"]


def test_the_trace_keeps_and_saves_graphs(source: Graph, tmp_path: Path) -> None:
    trace = Trace()
    last = run(source, [Idle(), Scale(2.0)], context(), [trace])
    assert 2 == len(trace)
    assert last is trace.after("scale")
    assert ["idle", "scale"] == [step.applied.name for step in trace]
    assert "no change" in str(trace).splitlines()[0]
    with pytest.raises(PassError, match="Applied were: idle, scale"):
        trace.after("quantize")
    trace.save(tmp_path / "steps")
    assert {"00-input.onnx", "02-scale.onnx"} == {path.name for path in (tmp_path / "steps").iterdir()}
    loaded = load_graph(tmp_path / "steps" / "02-scale.onnx")
    np.testing.assert_array_equal(last.constants["conv.weight"].value, loaded.constants["conv.weight"].value)


def test_folders_that_cannot_be_made_are_told(source: Graph, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    step = Step(1, Idle(), source, source, 0.0)
    with pytest.raises(OutputError, match="file"):
        Dumper(tmp_path / "file")(step)
    with pytest.raises(OutputError, match="file"):
        Trace([step]).save(tmp_path / "file" / "steps")
