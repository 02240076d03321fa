"""Calls in strips: the same bits with less memory, watched by tools, and only where it is worth it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from graphs import Builder
from networks import REQUANT, conv
from test_emitted import WARNINGS, run

import qir
import qir.backends.c.planning.strips as strips
from qir.backends.c import CModule, compile_c
from qir.backends.c.program import turns
from qir.debug.c_layers import compare_layers
from qir.errors import RecipeError
from qir.ir.graph import Graph
from tests.models import images, tiny_cnn


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of tests are small; strips may be made of all, and rows computed twice."""
    monkeypatch.setattr(strips, "USUAL", replace(strips.USUAL, least=1, twice=1))


def slid(b: Builder, rng: np.random.Generator, x: str, name: str, stride: int, pads: tuple[int, ...]) -> str:
    """A depthwise convolution."""
    channels = b.values[x].shape[1]
    w = b.constant(f"{name}.w", rng.integers(-127, 128, (channels, 1, 3, 3)).astype(np.int8))
    rest = [b.constant(f"{name}.b", rng.integers(-99, 99, channels).astype(np.int32)),
            b.constant(f"{name}.m", np.full(channels, 4e-3, np.float32))]  # fmt: skip
    return b.node("qir.IntConv", [x, w, *rest], name, strides=(stride, stride), pads=pads, dilations=(1, 1),
                  group=channels, x_zero_point=7, **REQUANT)  # fmt: skip


def average(b: Builder, x: str, name: str) -> str:
    return b.node("qir.IntAveragePool", [x], name, kernel_shape=(3, 2), strides=(2, 1), pads=(1, 1, 2, 0),
                  dilations=(1, 1), count_include_pad=1, x_zero_point=7, multiplier=1.0, **REQUANT)  # fmt: skip


def largest(b: Builder, x: str, name: str) -> str:
    padded = np.pad(b.values[x], ((0, 0), (0, 0), (1, 1), (1, 1)))
    result = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2].max((-2, -1))
    return b.node("MaxPool", [x], name, kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1), result=result)


def network(kind: str, height: int = 33, width: int = 17) -> tuple[Graph, Builder]:
    """A few layers between a small input and a small output."""
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("input", rng.integers(0, 256, (1, 3, height, width)).astype(np.uint8))
    if kind == "separable":  # pointwise, depthwise of a stride, pointwise
        wide = conv(b, rng, x, "expand", 67, kernel=1)
        out = conv(b, rng, slid(b, rng, wide, "depthwise", 2, (0, 1, 1, 0)), "project", 5, kernel=1)
    elif kind == "wide":
        wide = conv(b, rng, x, "first", 35)
        out = conv(b, rng, slid(b, rng, wide, "depthwise", 1, (1, 1, 1, 1)), "last", 4, kernel=5)
    elif kind == "residual":  # as in MobileNetV2: what is added is not in strips
        slim = conv(b, rng, x, "slim", 12, kernel=1)
        wide = slid(b, rng, conv(b, rng, slim, "expand", 48, kernel=1), "depthwise", 1, (1, 1, 1, 1))
        out = b.node("qir.IntAdd", [conv(b, rng, wide, "project", 12, kernel=1), slim], "sum", a_multiplier=0.61,
                     b_multiplier=-0.47, offset=40.3, qmin=9, qmax=250)  # fmt: skip
    elif kind == "average":
        out = average(b, conv(b, rng, x, "conv", 40, kernel=5), "pool")
    else:
        out = largest(b, conv(b, rng, x, "conv", 40), "pool")
    return b.graph([out]), b


KINDS = ("separable", "wide", "residual", "average", "largest")


def made(module: CModule) -> list[int]:
    """Calls of each chain that is in strips."""
    return [len(calls) for calls in turns(module.here.calls) if len(calls) > 1]


@pytest.mark.parametrize("kind", KINDS)
def test_strips_give_the_same_bits_in_less_memory(
    small: None, any_target: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, b = network(kind)
    module = compile_c(graph, target=any_target)
    assert made(module)
    (name,) = graph.outputs
    np.testing.assert_array_equal(b.values[name], module.run(b.feeds)[name])
    monkeypatch.setattr(strips, "USUAL", replace(strips.USUAL, least=1 << 30))
    whole = compile_c(graph, target=any_target)
    assert not made(whole)
    assert module.arena_bytes < whole.arena_bytes


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m55"])
def test_strips_on_cores(small: None, target: str, need: Callable[[str], str]) -> None:
    """Pixels in a row, and the lines of their depthwise kernels."""
    for tool in elsewhere.needs(target):
        need(tool)
    rng, b = np.random.default_rng(0), Builder()
    x = conv(b, rng, b.feed("input", rng.integers(0, 256, (1, 3, 33, 21)).astype(np.uint8)), "first", 8)
    for number, channels in enumerate((40, 24)):
        x = conv(b, rng, x, f"point{number}", channels, kernel=1)
        x = slid(b, rng, x, f"depth{number}", 2 - number, (1, 1, 1, 1))
    tall = slid(b, rng, conv(b, rng, b.feed("tall", rng.integers(0, 256, (1, 3, 64, 5)).astype(np.uint8)), "up", 40),
                "down", 1, (1, 1, 1, 1))  # fmt: skip
    outputs = [conv(b, rng, x, "last", 4, kernel=1), conv(b, rng, tall, "end", 4, kernel=1)]
    module = compile_c(b.graph(outputs), target=target)
    assert len(made(module)) > 1
    found = elsewhere.run(module, b.feeds)
    assert all(np.array_equal(b.values[name], found[name]) for name in outputs)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_tools_see_what_is_whole(small: None, kind: str) -> None:
    graph, b = network(kind)
    module = compile_c(graph)
    (count,) = made(module)
    found = compare_layers(module, graph, b.feeds)
    assert found.ok
    assert count - 1 == len(found.parts)
    assert all(part in str(found) for part in found.parts)
    assert {row.value for row in found.rows}.isdisjoint(found.parts)


def blocks(widths: tuple[int, ...] = (6, 24, 8, 32)) -> tuple[Graph, Builder]:
    """Pointwise and depthwise layers in turn, every second of which halves the size, and one result in many."""
    rng, b = np.random.default_rng(1), Builder()
    x = conv(b, rng, b.feed("input", rng.integers(0, 256, (1, 3, 40, 24)).astype(np.uint8)), "stem", 8)
    for number, channels in enumerate(widths):
        x = conv(b, rng, x, f"point{number}", channels, kernel=1)
        x = slid(b, rng, x, f"depth{number}", 1 + number % 2, (1, 1, 1, 1))
    return b.graph([conv(b, rng, x, "last", 2, kernel=1)]), b


def test_a_limit_of_memory_is_kept() -> None:
    graph, b = blocks()
    whole = compile_c(graph)
    assert not made(whole)
    assert whole.program.repeated_macs == 0
    sizes, repeated = [whole.arena_bytes], [0]
    for share in (0.7, 0.5):
        limit = int(whole.arena_bytes * share)
        module = compile_c(graph, max_ram=limit)
        assert module.arena_bytes <= limit
        assert made(module)
        sizes.append(module.arena_bytes)
        repeated.append(module.program.repeated_macs)
        (name,) = graph.outputs
        np.testing.assert_array_equal(b.values[name], module.run(b.feeds)[name])
    assert sizes == sorted(sizes, reverse=True)
    assert repeated == sorted(repeated)
    assert repeated[-1] < 0.2 * whole.program.macs


def test_reals_become_codes_a_few_rows_at_a_time() -> None:
    """Where a limit asks for it: then their codes are never there as a whole, and net_run_q takes reals, too."""
    rng, b = np.random.default_rng(0), Builder()
    x = b.feed("input", rng.normal(0, 1, (1, 3, 40, 24)).astype(np.float32))
    codes = b.node("qir.Quantize", [x], "codes", scale=0.02, zero_point=7, qmin=0, qmax=255)
    small = conv(b, rng, slid(b, rng, conv(b, rng, codes, "stem", 6), "depth", 2, (1, 1, 1, 1)), "last", 2, kernel=1)
    graph = b.graph([small])
    limit = b.values[codes].nbytes - 100
    module = compile_c(graph, max_ram=limit)
    assert module.arena_bytes <= limit
    assert "qir.Quantize" == module.program.calls[0].op
    assert not compile_c(graph, max_ram=9000).program.calls[0].pieces
    assert compile_c(graph, max_ram=limit, target="cortex-m55").arena_bytes <= limit  # whatever other kernels it has
    for ran in (module.run, module.run_codes):
        np.testing.assert_array_equal(b.values[small], ran(b.feeds)[small])
    assert compare_layers(module, graph, b.feeds).ok
    with pytest.raises(RecipeError, match="io='native'"):
        compile_c(graph, max_ram=limit, io="arena")


def test_a_limit_that_cannot_be_kept_says_what_can() -> None:
    graph, _ = blocks()
    with pytest.raises(RecipeError, match=r"takes \d+ bytes at least, 100 were asked for") as refused:
        compile_c(graph, max_ram=100)
    (least,) = re.findall(r"max_ram=(\d+)", str(refused.value))
    assert compile_c(graph, max_ram=int(least)).arena_bytes == int(least)
    with pytest.raises(RecipeError, match="cut for threads"):
        compile_c(graph, max_ram=int(least), threads=2)


def test_strips_run_cleanly(small: None, compiler: str, tmp_path: Path) -> None:
    graph, b = network("separable")
    compile_c(graph, test_vectors=[(b.feeds, b.wanted(graph.outputs))]).save(tmp_path)
    flags = ("-std=c99", *WARNINGS, "-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    run(tmp_path, compiler, *flags, "net.c", "net_weights.c", "main.c", "-o", "test")
    assert "PASSED" in run(tmp_path, "./test")


def test_what_is_small_or_for_threads_stays_whole(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = network("average")
    assert made(compile_c(graph))
    assert not made(compile_c(graph, threads=2))
    monkeypatch.setattr(strips, "USUAL", replace(strips.USUAL, gain=1))
    assert not made(compile_c(graph))
    monkeypatch.undo()
    assert not made(compile_c(graph))


def test_max_ram_is_asked_of_compile() -> None:
    with pytest.raises(RecipeError, match="target onnx makes none"):
        qir.compile(tiny_cnn(), images(), max_ram="1k")
    with pytest.raises(RecipeError, match="max_ram is 'much'"):
        qir.compile(tiny_cnn(), images(), target="portable", shapes={"N": 1}, max_ram="much")
    with pytest.raises(RecipeError, match="100 were asked for"):
        qir.compile(tiny_cnn(), images(), target="portable", shapes={"N": 1}, max_ram=100)
