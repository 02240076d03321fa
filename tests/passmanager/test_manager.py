"""The manager's errors, and what the instruments see."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qir.errors import OutputError, PassError, QirError, VerifyError
from qir.ir.dtype import INT64
from qir.ir.graph import Constant, Graph, Stage
from qir.passmanager.base import Pass
from qir.passmanager.instruments import Drift, Dumper, Printer, PromiseChecker, Timer
from qir.passmanager.manager import Step, run, steps
from qir.passmanager.values import ValueChecker
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


def test_a_step_shows_and_runs_what_the_pass_left(source: Graph) -> None:
    idle, scaled = steps(source, [Idle(), LossyScale(2.0)], context())
    assert (False, True) == (idle.changed, scaled.changed)
    assert not idle.diff()
    assert "const %conv.weight" in str(scaled.diff())
    assert scaled.graph is scaled.after
    found = scaled.evaluate(FEEDS, taps=["b"])
    assert {"y", "b"} == set(found)
    assert not np.array_equal(found["y"], idle.evaluate(FEEDS)["y"])


def test_a_step_tells_what_its_pass_noted(source: Graph) -> None:
    def noting(graph: Graph) -> Graph:
        heard.notes.append("told")
        return graph

    heard = context()
    heard.notes.append("before")
    first, second = steps(source, [Broken(noting), Idle()], heard, first=7)
    assert (("told",), ()) == (first.notes, second.notes)
    assert (7, 8) == (first.number, second.number)


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


def test_folders_that_cannot_be_made_are_told(source: Graph, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    step = Step(1, Idle(), source, source, 0.0)
    with pytest.raises(OutputError, match="file"):
        Dumper(tmp_path / "file")(step)


def lying(name: str, **changes: object) -> Callable[[Graph], Graph]:
    def make(graph: Graph) -> Graph:
        return graph.with_(types={**graph.types, name: replace(graph.tensor(name), **changes)})  # type: ignore[arg-type]

    return make


def poisoned(graph: Graph) -> Graph:
    bias = graph.constants["conv.bias"].value.copy()
    bias[0] = np.inf
    return graph.with_(constants={**graph.constants, "conv.bias": Constant(bias)})


@pytest.mark.parametrize(
    ("broken", "node", "told"),
    [
        (lying("b", shape=("N", 4, 6, 5)), "relu", r"has shape \[2, 4, 6, 6\], its type says float32\[N,4,6,5\]"),
        (lying("b", shape=("N", 4, 36)), "relu", "has shape"),
        (lying("d", shape=(3, "N")), "flatten", "has shape"),
        (lying("b", dtype=INT64), "relu", "does not run"),
        (poisoned, "conv", "NaN or infinite"),
    ],
    ids=["size", "rank", "symbol", "element type", "not finite"],
)
def test_values_are_held_to_their_types(source: Graph, broken: Callable[[Graph], Graph], node: str, told: str) -> None:
    with pytest.raises(PassError, match=told) as caught:
        run(source, [Idle(), Broken(broken), Idle()], context(), [ValueChecker(FEEDS)])
    assert node == caught.value.node
    assert "after pass 'broken'" in str(caught.value)


def test_lies_of_the_model_are_not_blamed_on_a_pass(source: Graph) -> None:
    wrong = lying("b", shape=("N", 4, 6, 5))(source)
    run(wrong, [LossyScale(2.0)], context(), [ValueChecker(FEEDS)])
