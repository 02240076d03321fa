"""Reports: what is gathered from a compilation, and its JSON and Markdown."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qir
from qir.debug.compare import compare
from qir.debug.report import ReportData, check_report, report_data, write_report
from qir.debug.report.layout import draw
from qir.debug.report.markdown import markdown
from qir.errors import OutputError
from tests.debug.reports import HOSTILE, sample
from tests.models import images, tiny_cnn


@pytest.fixture(scope="module", params=["onnx", "portable"])
def compiled(request: pytest.FixtureRequest) -> qir.CompiledOnnx | qir.CompiledC:
    return qir.compile(tiny_cnn(), calibration=images(), target=request.param, trace=True)


@pytest.fixture(scope="module")
def data(compiled: qir.CompiledOnnx | qir.CompiledC) -> ReportData:
    real, quant = compiled.rounding.real, compiled.rounding.quant
    assert real is not None
    assert quant is not None
    assert compiled.trace is not None
    feeds = {"x": images()[:1]}
    return report_data(
        quant, compiled.trace.steps, samples={"x": images()}, comparison=compare(real, quant, feeds),
        target=compiled.target, recipe=compiled.recipe, sizes=compiled.sizes, notes=compiled.notes,
        program=compiled.module.program if isinstance(compiled, qir.CompiledC) else None,
    )  # fmt: skip


def test_every_pass_has_its_sizes_and_error(data: ReportData) -> None:
    by_name = {step.name: step for step in data.steps}
    assert [*range(len(data.steps))] == [step.number for step in data.steps]
    assert 200.0 == by_name["collect"].sqnr
    assert by_name["calibrate"].sqnr == by_name["equalize"].sqnr
    assert by_name["equalize"].sqnr is not None
    assert by_name["equalize"].sqnr > 120
    assert by_name["quantize"].sqnr is not None
    assert 15 < by_name["quantize"].sqnr < 80
    assert by_name["quantize-weights"].parameter_bytes < data.steps[0].parameter_bytes
    assert all(step.measured is not None and step.measured <= step.number for step in data.steps)
    assert 8 == data.step_samples
    assert data.steps[0].macs == 4 * 6 * 6 * 2 * 9 + 4 * 3


def test_passes_that_change_nothing_share_their_lines(data: ReportData) -> None:
    for before, after in pairwise(data.steps):
        assert (before.state == after.state) == (not after.changed)
    assert len(data.texts.states) == len({step.state for step in data.steps})
    assert len(data.texts.lines) == len(set(data.texts.lines))


def test_nodes_and_edges_are_the_graph(data: ReportData) -> None:
    names = [node.name for node in data.nodes]
    assert len(names) == len(set(names))
    assert ("Input", "Output") == (data.nodes[0].op, data.nodes[-1].op)
    assert all(first < second for first, second, _ in data.edges)
    conv = next(node for node in data.nodes if node.op == "Conv")
    assert conv.runs_as
    assert ("conv", "relu") == conv.origin
    assert conv.parameters == 4 * 2 * 9 + 4


def test_histograms_hold_every_element_and_the_range(data: ReportData) -> None:
    conv = next(node for node in data.nodes if node.op == "Conv")
    assert conv.weight is not None
    assert sum(conv.weight.counts) == 4 * 2 * 9
    assert conv.weight.range is not None
    assert conv.weight.range[0] <= conv.weight.low + 1e-6
    assert conv.weight.high - 1e-6 <= conv.weight.range[1]
    assert conv.activation is not None
    assert conv.activation.range is not None
    assert sum(conv.activation.counts) > 1000  # of equalized values, those of a sample
    assert len(conv.activation.counts) <= 97


def test_only_c_has_a_memory_plan(data: ReportData) -> None:
    assert (data.memory is None) == (data.backend == "onnx")
    if data.memory is not None:
        assert data.memory.arena_bytes == max(block.offset + block.nbytes for block in data.memory.blocks)
        assert all(block.node for block in data.memory.blocks)


def test_inputs_that_become_pixels_are_compared_from_there_on() -> None:
    preprocess = qir.Preprocess(mean=(10.0,), std=(50.0,))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 2, 6, 6)).astype(np.float32)
    made = qir.compile(tiny_cnn(), calibration=pixels, preprocess=preprocess, trace=True)
    assert made.trace is not None
    steps = report_data(made.graph, made.trace.steps, samples={"x": pixels}).steps
    folded = next(step.number for step in steps if step.name.startswith("fold-preprocess"))
    assert all(step.sqnr is None for step in steps[:folded])
    assert 200.0 == steps[folded].sqnr
    assert steps[-1].sqnr is not None
    assert 10 < steps[-1].sqnr < 90


def test_a_graph_alone_is_enough(tmp_path: Path) -> None:
    data = report_data(qir.lift(tiny_cnn()))
    assert () == data.steps
    assert data.worst_output is None
    for name in ("bare.md", "bare.json"):
        assert write_report(data, tmp_path / name).stat().st_size


def test_json_is_plain_and_complete(tmp_path: Path) -> None:
    read = json.loads(write_report(sample(), tmp_path / "report.json").read_text(encoding="utf-8"))
    assert 21 == read["worst_output"]
    assert 200 == read["layers"][1]["effect"]
    assert read["layers"][3]["effect"] is None
    assert {"before": 12.5, "after": 31.25, "gain": 18.75} == {
        key: read["findings"][0]["fix"][key] for key in ("before", "after", "gain")
    }
    assert HOSTILE == read["nodes"][2]["name"]
    assert "error" == read["findings"][0]["severity"]


def test_markdown(golden: Callable[[str], None]) -> None:
    golden(markdown(sample()))


def test_names_cannot_break_markdown_tables() -> None:
    for line in markdown(sample("a|b\n<i>")).splitlines():
        assert "<i>" not in line.replace("\\<i\\>", "")
        if line.startswith("| a"):
            assert line.replace("\\|", "").count("|") == line.replace("\\|", "").count(" |") + 1


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.htm"])
def test_other_endings_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"\.html, \.md, \.json"):
        write_report(sample(), tmp_path / name)
    with pytest.raises(OutputError, match=r"\.html, \.md, \.json"):
        check_report(tmp_path / name)
    assert [] == os.listdir(tmp_path)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(sample(), tmp_path / "absent" / "report.json")
    (tmp_path / "taken.json").mkdir()
    with pytest.raises(OutputError, match=r"taken\.json"):
        write_report(sample(), tmp_path / "taken.json")
    assert ["taken.json"] == os.listdir(tmp_path)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[float], list[tuple[int, int]]]:
    count = draw(st.integers(1, 14))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] < pair[1])
    edges = draw(st.lists(pairs, max_size=24)) if count > 1 else []
    return draw(st.lists(st.floats(40, 200), min_size=count, max_size=count)), edges


@given(graphs())
def test_drawn_nodes_never_touch_and_edges_go_down(graph: tuple[list[float], list[tuple[int, int]]]) -> None:
    widths, edges = graph
    drawing = draw(widths, edges, height=40, gap=(20, 30))
    boxes = [(x - w / 2, x + w / 2, y) for (x, y), w in zip(drawing.centres, widths, strict=True)]
    for i, (left, right, y) in enumerate(boxes):
        assert -0.2 <= left
        assert right <= drawing.width + 0.2
        assert all(y != other[2] or right + 19.5 < other[0] or other[1] + 19.5 < left for other in boxes[i + 1 :])
    for (source, sink), bends in zip(edges, drawing.bends, strict=True):
        heights = [drawing.centres[source][1], *(y for _, y in bends), drawing.centres[sink][1]]
        assert [70.0] * (len(heights) - 1) == [b - a for a, b in pairwise(heights)]


def test_a_chain_is_drawn_straight_and_a_diamond_without_crossings() -> None:
    chain = draw([50, 150, 80], [(0, 1), (1, 2)], height=40, gap=(20, 30))
    assert 1 == len({x for x, _ in chain.centres})
    diamond = draw([50] * 5, [(0, 1), (0, 2), (1, 4), (2, 3), (3, 4)], height=40, gap=(20, 30))
    assert (diamond.centres[1][0] < diamond.centres[2][0]) == (diamond.bends[2][0][0] < diamond.centres[3][0])


def test_edges_that_go_back_are_refused() -> None:
    with pytest.raises(ValueError, match="does not go forward"):
        draw([1.0, 1.0], [(1, 0)], height=1, gap=(1, 1))
