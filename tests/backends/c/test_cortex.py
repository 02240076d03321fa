"""Kernels for the DSP instructions of Cortex-M and for Helium: the bits of the references, on the cores, counted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from conftest import CORES
from graphs import Builder, Case, check_cases, evaluate, fixed, fixed_graph, joined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import conv
from test_absorb import added
from test_arm import depthwise, explained, windows
from test_borders import network as borders
from test_conv_u8 import convs
from test_integer_families import gemms
from test_vectors import WARNINGS, edges, long_rows, shaped

from qir.backends.c import compile_c
from qir.backends.c.bench import Row, rows
from qir.backends.c.kernels import families
from qir.backends.c.targets import C_TARGETS


def steep() -> Case:
    """Depthwise, with results far beyond the codes."""
    one = depthwise(1, 10, (5, 5), (3, 3), pads=(1, 1, 1, 1))
    return replace(one, arrays=(*one.arrays[:3], np.full(10, 0.7, np.float32)))


def clamped(one: Case) -> Case:
    """With results of fewer codes than a byte has."""
    return replace(one, node=one.node.with_(attrs={**one.node.attrs, "qmin": 3, "qmax": 250}))


def multipliers() -> list[Case]:
    """From a quarter down to what makes nothing of any sum, for the shifts of integers alone."""
    found = []
    for one in (shaped(1, 16, (5, 5), 36, (1, 1)), depthwise(2, 36, (5, 5), (3, 3)), long_rows()[3]):
        scale = np.float32(0.999) * 2.0 ** -np.arange(2, 2 + one.arrays[3].size, dtype=np.float32)
        found.append(fixed(replace(one, arrays=(*one.arrays[:3], scale))))
    return found


def lines() -> list[Case]:
    """Depthwise, along rows and columns, of many pixels; every window that lines may have."""
    return [
        depthwise(1, 20, (24, 25), (3, 3), pads=(1, 1, 1, 1)),
        depthwise(2, 11, (61, 30), (3, 3), pads=(1, 1, 1, 1), strides=(2, 2)),
        depthwise(4, 17, (40, 40), (4, 2), pads=(3, 0, 0, 1), strides=(1, 3)),
        depthwise(3, 8, (30, 31), (2, 4), pads=(0, 3, 1, 0), strides=(3, 1)),
        depthwise(6, 9, (50, 9), (1, 3), strides=(5, 4)),
        depthwise(5, 12, (300,), (3,), pads=(2, 0), strides=(2,)),
        depthwise(8, 5, (1, 1), (3, 3), pads=(1, 1, 1, 1)),
        depthwise(9, 6, (2, 7), (3, 3), pads=(1, 1, 1, 1), strides=(2, 2)),
        depthwise(10, 5, (6, 13), (3, 3), pads=(2, 0, 2, 1), strides=(1, 2)),
        depthwise(11, 7, (12, 5), (3, 3), pads=(0, 2, 1, 2), strides=(2, 1)),
    ]


def short() -> list[Case]:
    """Pixels of at most 16 codes."""
    return [shaped(50 + n, 3 * n + 1, (3, 4 + n), 4 * n + 4, (1, 1), fill=("random", "extreme")[n % 2],
                   stride=1 + n // 4) for n in range(6)]  # fmt: skip


@pytest.mark.slow
def test_ends_of_shapes(core: str) -> None:
    """Channels around multiples of four and sixteen, odd numbers of pixels, every way to lie at an edge; also by
    integers alone."""
    shapes = edges()
    cases = [*shapes[::2], *shapes[1:26:2], *windows()[::2], steep(), *long_rows()[:11], *lines(), *short()]
    cases += [*map(fixed, cases[::3]), *multipliers(), clamped(shapes[5])]
    text = check_cases(cases, target=core).explain()
    wanted = {"cortex-m4": ("conv_u8s8_u8_by4_clamped_rest__dsp", "conv_u8s8_u8_apart_each_by4_clamped_rest__dsp",
                            "conv_u8s8_u8_each_by16__dsp", "conv_u8s8_u8_each_by16_clamped__dsp",
                            "conv_u8s8_f32_apart_by4__dsp",
                            "gemm_u8s8_row_u8__dsp", "gemm_u8s8_row_f32_apart__dsp",
                            "depthwise_3x3_u8_clamped__dsp", "depthwise_3x3_u8_by2_clamped__dsp",
                            "depthwise_3x3_u8_each_clamped__dsp", "depthwise_3x3_u8_fixed_clamped__dsp",
                            "gemm_u8s8_row_u8_fixed"),
              "cortex-m55": ("conv_u8s8_u8__mve", "conv_u8s8_u8_fixed__mve", "conv_u8s8_u8_direct__mve",
                             "conv_u8s8_u8_short__mve", "conv_u8s8_u8_fixed_direct__mve",
                             "conv_u8s8_f32__mve", "depthwise_u8__mve", "depthwise_u8_by8_fixed__mve",
                             *(f"depthwise_lines_u8{kind}__mve" for kind in ("", "_by2", "_by2_few", "_by3_few")),
                             "depthwise_lines_u8_fixed__mve", "depthwise_lines_u8_fixed_few__mve"),
              }[core]  # fmt: skip
    assert not {name for name in wanted if f"qir_{name}" not in text and f"qir_conv_u8s8_{name}" not in text}


ANY = st.one_of(convs(), convs(), gemms())


@pytest.mark.slow
@settings(max_examples=1, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases=st.lists(ANY, min_size=30, max_size=30))
def test_any_shape(core: str, cases: list[Case]) -> None:
    check_cases(cases, target=core)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["float32", "fixed"])
def test_sums_join_the_convolution_before_them(core: str, mode: str) -> None:
    """In place of what is added; the convolution as the first and the second operand, channels that do not go by fours,
    an odd number of pixels, of which the last is added once."""
    rng, b, outputs = np.random.default_rng(0), Builder(), []
    for n, (c, size, m, kernel, group) in enumerate(
        [(8, 3, 8, 3, 1), (6, 3, 7, 1, 1), (3, 4, 17, 3, 1), (8, 5, 12, 3, 2), (5, 1, 5, 1, 1)]
    ):
        x = b.feed(f"x{n}", rng.integers(0, 256, (1, c, size, size)).astype(np.uint8))
        first = conv(b, rng, x, f"a{n}", m)
        second = conv(b, rng, x, f"c{n}", m, kernel, group)
        outputs.append(b.transpose(added(b, *((second, first) if n % 2 else (first, second)), f"s{n}"), (0, 2, 3, 1),
                                   f"z{n}"))  # fmt: skip
    graph = fixed_graph(b.graph(outputs)) if mode == "fixed" else b.graph(outputs)
    module, wanted = compile_c(graph, target=core), evaluate(graph, b.feeds)
    isa = C_TARGETS[core].isas[0]
    assert 5 == sum(call.kernel.emitted.endswith(f"_sum__{isa}") for call in module.program.calls)
    found = elsewhere.run(module, b.feeds)
    assert all(np.array_equal(wanted[name], found[name]) for name in outputs)


@pytest.mark.slow
def test_rows_at_a_time(core: str) -> None:
    """Of layers whose windows are pixels, and of depthwise ones, for little memory."""
    b, rng = Builder(), np.random.default_rng(0)
    x = b.feed("x", rng.integers(0, 256, (1, 3, 20, 20)).astype(np.uint8))
    wide = conv(b, rng, conv(b, rng, x, "first", 12), "wide", 24, 1)
    y = conv(b, rng, conv(b, rng, wide, "depthwise", 24, 3, 24), "narrow", 4, 1)
    graph = b.graph([y])
    arena = compile_c(graph, target=core).program.arena_bytes
    module = compile_c(graph, target=core, max_ram=arena * 3 // 4)
    assert any(call.joined for call in module.program.calls)
    np.testing.assert_array_equal(b.values[y], elsewhere.run(module, b.feeds)[y])


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m55"])
def test_quotients_round_as_a_division_does(target: str, need: Callable[[str], str]) -> None:
    """Around each half code, at what is no number, and at ends of vectors; in planes that become pixels."""
    for tool in elsewhere.needs(target):
        need(tool)
    b, outputs = borders()
    ends = np.array([0x7F800001, 0xFFC00001, 0x7F800000, 0xFF7FFFFF, 0x80000001, 0x80000000], np.uint32)
    for n, scale in enumerate((0.37, 1e-3, 2.0**-60, 0.9999999, 3e15)):
        halves = (np.arange(-300, 300) + 0.5) * np.float64(np.float32(scale))
        near = halves.astype(np.float32).view(np.int32) + np.arange(-2, 3, dtype=np.int32)[:, None]
        reals = np.concatenate([near.ravel().view(np.float32), ends.view(np.float32)])[n % 4 :]
        outputs.append(b.node("qir.Quantize", [b.feed(f"a{n}", reals)], f"b{n}", scale=scale, zero_point=99,
                              qmin=3 * n, qmax=250, result=np.zeros(reals.size, np.uint8)))  # fmt: skip
    graph = b.graph(outputs)
    module, wanted = compile_c(graph, target=target), compile_c(graph).run(b.feeds)
    assert "qir_quantize_f32_u8__mve" in module.explain()
    found = elsewhere.run(module, b.feeds)
    assert all(np.array_equal(wanted[name], found[name]) for name in outputs)


@pytest.mark.parametrize(("target", "case", "kernel"), [
    ("cortex-m4", shaped(0, 16, (5, 5), 16, (3, 3)), r"conv_u8s8_u8_\w+__dsp"),
    ("cortex-m7", depthwise(0, 8, (5, 5), (3, 3)), "conv_u8s8_depthwise_3x3_u8_clamped__dsp"),
    ("cortex-m33", depthwise(0, 8, (9, 9), (3, 3), strides=(2, 2)), "conv_u8s8_depthwise_3x3_u8_by2_clamped__dsp"),
    ("cortex-m4", depthwise(0, 8, (9, 9), (5, 5)), "conv_u8s8_depthwise_u8__portable"),
    ("cortex-m4", shaped(0, 4, (5, 5), 4, (1, 1), 2), "conv_u8s8_u8__portable"),
    ("cortex-m4", long_rows()[2], r"gemm_u8s8_row_u8\w*__dsp"),
    ("cortex-m4", long_rows()[7], r"conv_u8s8_u8_\w+__dsp"),
    ("cortex-m55", depthwise(0, 8, (9, 9), (5, 5)), "conv_u8s8_depthwise_u8_by8__mve"),
    ("cortex-m55", shaped(0, 16, (5, 5), 16, (3, 3)), "conv_u8s8_u8__mve"),
    ("cortex-m55", shaped(0, 16, (5, 5), 16, (1, 1)), "conv_u8s8_u8_short__mve"),
    ("cortex-m55", long_rows()[2], "conv_u8s8_u8_direct__mve"),
    ("cortex-m3", shaped(0, 16, (5, 5), 16, (3, 3)), "conv_u8s8_u8__portable"),
])  # fmt: skip
def test_layers_have_their_kernels(target: str, case: Case, kernel: str) -> None:
    assert re.search(f"qir_{kernel}", explained(case, target))


@lru_cache(maxsize=1)
def layers() -> tuple[Row, ...]:
    """Of common networks."""
    return rows(("3x3 16->16", "1x1 64->64", "gemm 1x640x128", "depthwise 3x3 64->64"))


@pytest.mark.slow
@pytest.mark.parametrize("target", CORES)
def test_packed_weights_are_hardly_more_than_the_codes(target: str) -> None:
    for row in layers()[:4]:
        program = compile_c(row.graph, target=target).program
        codes = next(value.value for value in row.graph.constants.values() if value.value.dtype == np.int8)
        assert codes.nbytes == next(data for data in program.data if data.role == "weights").array.nbytes


@pytest.mark.slow
@pytest.mark.parametrize(("target", "most"), [
    ("cortex-m4", {"3x3 16": 1.15, "1x1 64": 1.0, "gemm": 1.25, "depthwise": 2.25}),
    ("cortex-m55", {"3x3 16": 0.26, "1x1 64": 0.26, "gemm": 0.18, "depthwise": 1.1}),
])  # fmt: skip
def test_instructions_for_a_product(target: str, most: Mapping[str, float], need: Callable[[str], str]) -> None:
    """Optimized for size."""
    for tool in elsewhere.needs(target):
        need(tool)
    for name, limit in most.items():
        row = next(row for row in layers() if row.name.startswith(name))
        _, count = elsewhere.on_board(compile_c(row.graph, target=target), row.feeds, ("-Os",))
        assert count <= limit * row.work, name


@pytest.mark.slow
@pytest.mark.parametrize("target", CORES)
def test_kernel_files_compile_without_warnings(
    target: str, compiler: str, tmp_path: Path, need: Callable[[str], str]
) -> None:
    """Also without optimization, which leaves fewer registers, and as C++."""
    row = C_TARGETS[target]
    gcc = need(elsewhere.needs(target)[0])
    line = [gcc] if compiler.endswith("gcc") else [
        compiler, "--target=arm-none-eabi", "-isystem", "/usr/lib/arm-none-eabi/include"
    ]  # fmt: skip
    files = sorted({str(v.source) for family in families() for v in family.variants if v.isa == row.isas[0]})
    for flags in (("-std=c99", "-O0"), ("-std=c99", "-Os"), ("-x", "c++", "-std=c++17", "-Os")):
        done = subprocess.run([*line, *row.flags, *flags, *WARNINGS, "-c", *files], cwd=tmp_path, capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr[:4000]


def test_portable_c_stands_in_here_for_what_runs_on_the_core() -> None:
    graph, builder = joined([shaped(0, 16, (5, 5), 16, (3, 3))])
    module = compile_c(graph, target="cortex-m4")
    assert "__dsp" in module.explain()
    assert "__dsp" not in module.played.explain()
    assert np.array_equal(builder.values["c0_o0"], module.run(builder.feeds)["c0_o0"])
