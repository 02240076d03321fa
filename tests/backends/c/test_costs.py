"""What kernels cost: the table, what is fitted to measurements, and the choice by it."""

from __future__ import annotations

from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qir
from qir.backends.c import compile_c
from qir.backends.c.bench import Measured, fit, limits, measure, rows
from qir.backends.c.bench.limits import bandwidth
from qir.backends.c.costs import DEFAULTS, Cost, read_costs, write_costs
from qir.backends.c.isas import on_this_processor
from qir.errors import DataError, RecipeError
from tests.models import images, tiny_cnn

NUMBERS = st.floats(1e-3, 1e4)


@given(costs=st.dictionaries(st.text('abc_."\\ 1é', min_size=1), st.builds(Cost, NUMBERS, NUMBERS), min_size=1))
def test_a_table_reads_back_as_written(costs: dict[str, Cost], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("costs") / "costs.toml"
    path.write_text(write_costs(costs, 'a "fast" one', "cc"), encoding="utf-8")
    found = read_costs(path)
    assert {*DEFAULTS, *costs} == set(found)
    for title, cost in costs.items():
        assert found[title].rate == pytest.approx(cost.rate, rel=1e-3)
        assert found[title].call == pytest.approx(cost.call, abs=0.06)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'processor = "x"\n',
        "[lookup_u8__avx2\n",
        "lookup_u8__avx2 = 3\n",
        "[lookup_u8__avx2]\nrate = 0\n",
        "[lookup_u8__avx2]\nrate = nan\n",
        "[lookup_u8__avx2]\ncall = 3\n",
        "[lookup_u8__avx2]\nrate = 1\ncall = -1\n",
        '[lookup_u8__avx2]\nrate = "fast"\n',
        "[lookup_u8__avx2]\nrate = 1\nspeed = 2\n",
        "\0",
    ],
)
def test_broken_tables_are_refused_with_the_way_out(text: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"costs\.toml.*\n?.*qir bench kernels"):
        read_costs(path)


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table of costs"):
        qir.compile(tiny_cnn(), images(), target="portable", shapes={"N": 1}, costs=tmp_path / "none.toml")


def test_costs_are_for_c_alone(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="target onnx has none"):
        qir.compile(tiny_cnn(), images(), costs=tmp_path / "costs.toml")


@given(call=st.floats(0, 1000), rate=st.floats(0.1, 100), work=st.lists(st.floats(1e3, 1e7), min_size=2, unique=True))
def test_exact_measurements_give_their_costs(call: float, rate: float, work: list[float]) -> None:
    cost = Cost(rate, call)
    measured = [Measured(f"{w}", "one", w, w, cost.cycles(w) / 2e9) for w in work]
    (found,) = fit(measured, 2e9).values()
    for w in work:
        assert found.cycles(w) == pytest.approx(cost.cycles(w), rel=1e-3)


def test_costs_are_never_negative() -> None:
    """Time that grows faster than work would give calls a negative part."""
    measured = [Measured("", "one", w, w, w * w * 1e-9) for w in (10.0, 20.0, 40.0)]
    (found,) = fit(measured, 1e9).values()
    assert found.call == 0
    assert 0 < found.rate < inf


def test_the_cheapest_kernel_by_the_table_is_chosen() -> None:
    (row,) = rows(["lookup 4096"])
    chosen = {}
    for fast in ("lookup_u8__avx2", "lookup_u8__portable"):
        module = compile_c(row.graph, target="x86-avx2", costs={**DEFAULTS, fast: Cost(1000.0, 7.0)})
        (choice,) = module.program.choices
        chosen[fast] = choice.variant
        assert choice.cycles == 7.0 + 4096 / 1000
        assert "(about 11 cycles)" in module.explain()
    assert {fast: fast for fast in chosen} == chosen
    slower = compile_c(row.graph, target="x86-avx2", costs={**DEFAULTS, "lookup_u8__portable": Cost(1.6 * 2)}).explain()
    assert "not lookup_u8__avx2: 2.0 times the cycles" in slower


def test_kernels_without_costs_are_taken_only_where_no_other_is() -> None:
    (row,) = rows(["lookup 4096"])
    (choice,) = compile_c(row.graph, target="x86-avx2", costs={"lookup_u8__portable": Cost(0.001)}).program.choices
    assert choice.variant == "lookup_u8__portable"
    (choice,) = compile_c(row.graph, target="x86-avx2", costs={}).program.choices
    assert choice.variant == "lookup_u8__avx2"
    assert "cycles" not in choice.text


def test_every_row_is_compiled_for_every_instruction_set() -> None:
    """Of the largest, which differ in their weights as smaller ones do, one."""
    for row in [row for row in rows() if "4096x4096, " not in row.name]:
        assert compile_c(row.graph, target="x86-avx512vnni").program.calls or "quantize" in row.name


@pytest.mark.parametrize("cold", [False, True])
def test_readings_shorter_than_measuring_them_have_a_bandwidth(cold: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bandwidth.__globals__, "timer", lambda: 1.0)
    found = bandwidth(512, 1e-4, cold)
    assert found is None or 0 < found < inf


def test_what_is_measured_is_what_was_asked_for() -> None:
    (row,) = rows(["gemm 1x64x16"])
    most = limits("native", 1e-4)
    assert 1e8 < most.cycles < 2e10
    found = list(measure(row, "native", 1e-4))
    assert "gemm_u8__portable" in {one.variant for one in found}
    assert len(found) == len({one.variant for one in found})
    for one in found:
        assert one.work >= one.macs == 64 * 16
        assert one.read is not None
        if "avx2" in on_this_processor():
            assert None not in (one.limit, one.cold_read, one.cold_limit)
    assert np.all([cost.rate > 0 for cost in fit(found, most.cycles).values()])
