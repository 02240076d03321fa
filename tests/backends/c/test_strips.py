"""Calls in strips: the same bits with less memory, watched by tools, and only where it is worth it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import Builder
from networks import REQUANT, conv
from test_emitted import WARNINGS, run

import qir.backends.c.strips as strips
from qir.backends.c import CModule, compile_c
from qir.backends.c.program import turns
from qir.debug.c_layers import compare_layers
from qir.ir.graph import Graph


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of tests are small; strips may be made of all, and rows computed twice."""
    monkeypatch.setattr(strips, "_LEAST", 1)
    monkeypatch.setattr(strips, "_TWICE", 1)


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
    elif kind == "average":
        out = average(b, conv(b, rng, x, "conv", 40, kernel=5), "pool")
    else:
        out = largest(b, conv(b, rng, x, "conv", 40), "pool")
    return b.graph([out]), b


KINDS = ("separable", "wide", "average", "largest")


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
    monkeypatch.setattr(strips, "_LEAST", 1 << 30)
    whole = compile_c(graph, target=any_target)
    assert not made(whole)
    assert module.arena_bytes < whole.arena_bytes


@pytest.mark.parametrize("kind", KINDS[:2])
def test_tools_see_what_is_whole(small: None, kind: str) -> None:
    graph, b = network(kind)
    module = compile_c(graph)
    (count,) = made(module)
    found = compare_layers(module, graph, b.feeds)
    assert found.ok
    assert count - 1 == len(found.parts)
    assert all(part in str(found) for part in found.parts)
    assert {row.value for row in found.rows}.isdisjoint(found.parts)


def test_strips_run_cleanly(small: None, compiler: str, tmp_path: Path) -> None:
    graph, b = network("separable")
    compile_c(graph, test_vectors=[(b.feeds, b.wanted(graph.outputs))]).save(tmp_path)
    flags = ("-std=c99", *WARNINGS, "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    run(tmp_path, compiler, *flags, "net.c", "net_weights.c", "main.c", "-o", "test")
    assert "PASSED" in run(tmp_path, "./test")


def test_what_is_small_or_for_threads_stays_whole(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = network("average")
    assert made(compile_c(graph))
    assert not made(compile_c(graph, threads=2))
    monkeypatch.setattr(strips, "_GAIN", 1)
    assert not made(compile_c(graph))
    monkeypatch.undo()
    assert not made(compile_c(graph))
