"""Layers cut into pieces: the same bits on any number of threads, and nothing that two threads touch at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from graphs import Builder, joined
from networks import conv, residual
from test_emitted import WARNINGS, run
from test_sanitized import cases

import qir.backends.c.planning.pieces as pieces
from qir.backends.c import CModule, compile_c
from qir.backends.c.program import Program
from qir.debug.c_layers import compare_layers
from qir.errors import RecipeError

SOURCES = ("net.c", "net_weights.c", "main.c")


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers of tests are light; all are cut that can be."""
    monkeypatch.setattr(pieces, "_LEAST", 1)


def cut(program: Program) -> dict[str, int]:
    return {call.node: len(call.pieces) for call in program.calls if call.pieces}


def network(threads: int, target: str = "portable") -> CModule:
    graph, b, outputs = residual(0, 13)
    return compile_c(graph, target=target, threads=threads, test_vectors=[(b.feeds, b.wanted(outputs))])


SLID = (((2, 1), (1, 0, 0, 2), (1, 1)), ((3, 2), (2, 1, 2, 1), (2, 2)))
"""Strides, pads, dilations."""


def odd() -> Builder:
    """Windows of many kinds over odd sizes, products with many rows, batches."""
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, (1, 19, 23, 9)).astype(np.uint8))
    y = b.feed("y", rng.integers(0, 256, (3, 4, 7, 5)).astype(np.uint8))
    conv(b, rng, x, "near", 21)
    conv(b, rng, x, "alone", 19, group=19)
    conv(b, rng, x, "wide", 5, kernel=5)
    conv(b, rng, x, "point", 17, kernel=1)
    conv(b, rng, y, "batch", 6)
    for number, (strides, pads, dilations) in enumerate(SLID):
        w = b.constant(f"w{number}", rng.integers(-127, 128, (6, 19, 3, 3)).astype(np.int8))
        rest = [b.constant(f"b{number}", rng.integers(-99, 99, 6).astype(np.int32)),
                b.constant(f"m{number}", np.full(6, 1e-3, np.float32))]  # fmt: skip
        b.node("qir.IntConv", [x, w, *rest], f"slid{number}", strides=strides, pads=pads, dilations=dilations, group=1,
               x_zero_point=7, y_zero_point=7, qmin=7, qmax=255)  # fmt: skip
    for number, counted in enumerate((0, 1)):
        b.node("qir.IntAveragePool", [x], f"pool{number}", kernel_shape=(3, 2), strides=(2, 1), pads=(1, 1, 2, 0),
               dilations=(1, 1), ceil_mode=1, count_include_pad=counted, x_zero_point=7, multiplier=1.0, y_zero_point=7,
               qmin=0, qmax=255)  # fmt: skip
    rows = b.feed("rows", rng.integers(0, 256, (53, 30)).astype(np.uint8))
    w, bias = b.constant("g", rng.integers(-127, 128, (30, 9)).astype(np.int8)), b.constant("gb", np.zeros(9, np.int32))
    b.node("qir.IntGemm", [rows, w, bias, b.constant("gm", np.full(9, 1e-3, np.float32))], "product", y_zero_point=7,
           qmin=0, qmax=255)  # fmt: skip
    return b


OUTPUTS = ["near", "alone", "wide", "point", "batch", "slid0", "slid1", "pool0", "pool1", "product"]


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_pieces_give_the_same_bits(light: None, any_target: str, threads: int) -> None:
    b = odd()
    module = compile_c(b.graph(OUTPUTS), target=any_target, threads=threads)
    found = module.run(b.feeds)
    for name in OUTPUTS:
        np.testing.assert_array_equal(b.values[name], found[name], name)
    assert len(OUTPUTS) <= len(cut(module.program))


def test_every_kernel_that_is_cut_gives_the_same_bits(light: None, any_target: str) -> None:
    graph, b = joined(cases())
    module = compile_c(graph, target=any_target, threads=3)
    assert cut(module.program)
    found = module.run(b.feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(b.values[name], found[name], name)


def test_nothing_changes_without_threads(light: None) -> None:
    graph, b, outputs = residual(0, 13)
    plain = compile_c(graph, test_vectors=[(b.feeds, b.wanted(outputs))])
    assert plain.files() == network(1).files()
    assert not any("context" in str(text) or "pool_" in name for name, text in plain.files().items())
    assert not cut(plain.program)


def test_light_layers_stay_whole() -> None:
    assert not cut(network(4).program)
    assert "net_run_on" in network(4).files()["net.h"]


def test_pieces_have_scratch_of_their_own(light: None) -> None:
    program = network(3).program
    shared = [call for call in program.calls if call.pieces and call.scratch]
    assert shared
    for call in shared:
        places = sorted((b.offset, b.offset + b.nbytes) for b in program.buffers if b.name in call.scratch)
        assert len(places) == len(call.pieces)
        assert all(first[1] <= second[0] for first, second in pairwise(places))


@pytest.mark.parametrize("pool", ["pthread", "openmp", ""])
def test_threads_run_the_network_cleanly(
    light: None, compiler: str, tmp_path: Path, pool: str, need: Callable[[str], str]
) -> None:
    folder = network(3).save(tmp_path)
    option = {"pthread": "-pthread", "openmp": "-fopenmp"}
    flags = ("-DNET_POOL", option[pool], f"net_pool_{pool}.c") if pool else ()
    if pool == "openmp":
        need(f"openmp:{compiler}")
    run(folder, compiler, "-std=c99", *WARNINGS, "-O1", *SOURCES, *flags, "-o", "test")
    assert "PASSED" in run(folder, "./test")
    run(folder, compiler, "-x", "c++", "-std=c++17", *WARNINGS, "-fsyntax-only", "-DNET_POOL", *SOURCES[:2])


@pytest.mark.parametrize("flags", ["-fsanitize=thread", "-fsanitize=address,undefined"])
def test_threads_pass_the_sanitizers(light: None, compiler: str, tmp_path: Path, flags: str) -> None:
    folder = network(3).save(tmp_path)
    pool = ("-DNET_POOL", "-pthread", "net_pool_pthread.c")
    run(folder, compiler, "-std=c99", "-g", "-O1", flags, "-fno-sanitize-recover=all", *SOURCES, *pool, "-o", "test")
    for _ in range(5):
        found = run(folder, "./test")
        assert "3 threads" in found
        assert "PASSED" in found


@pytest.mark.needs("cmake")
@pytest.mark.parametrize("pool", ["pthread", "openmp"])
def test_cmake_adds_the_threads(light: None, tmp_path: Path, pool: str) -> None:
    folder = network(2).save(tmp_path)
    run(folder, "cmake", "-S", ".", "-B", "build", f"-DNET_POOL={pool}", "-DCMAKE_C_COMPILER=gcc")
    run(folder, "cmake", "--build", "build")
    assert "100% tests passed" in run(folder / "build", "ctest")


def test_tools_see_whole_layers(light: None) -> None:
    graph, b, _ = residual(0, 13)
    module = compile_c(graph, threads=3)
    found = compare_layers(module, graph, b.feeds)
    assert found.ok
    assert len(found.rows) == len(compare_layers(compile_c(graph), graph, b.feeds).rows)


def test_x86_shares_too(light: None, need: Callable[[str], str]) -> None:
    graph, b, outputs = residual(0, 13)
    module = compile_c(graph, target="x86", threads=2)
    assert all(cut(plan) for plan in module.program.plans)
    assert np.array_equal(b.values[outputs[0]], module.run(b.feeds)[outputs[0]])


def test_no_threads_are_refused() -> None:
    with pytest.raises(RecipeError, match="0 threads"):
        network(0)
    assert replace(network(2).program, threads=1).threads == 1
