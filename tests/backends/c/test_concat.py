"""Concat without copies: inputs are written into its result where their bytes are stretches of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graphs import Builder
from networks import conv
from test_emitted import WARNINGS, run
from test_strips import slid

import qir.backends.c.planning.plan as planning
from qir.backends.c import CModule, compile_c
from qir.debug.c_layers import compare_layers
from qir.ir.graph import Graph


def joined(b: Builder, parts: list[str], name: str, axis: int) -> str:
    return b.node("Concat", parts, name, axis=axis, result=np.concatenate([b.values[x] for x in parts], axis))


def network() -> tuple[Graph, Builder]:
    """Rows of two convolutions one below the other, of which one is read by itself, too; the result nested in another
    one; and their channels side by side."""
    rng, b = np.random.default_rng(0), Builder()
    x = b.feed("x", rng.integers(0, 256, (1, 3, 6, 8)).astype(np.uint8))
    top, low = conv(b, rng, x, "top", 16), conv(b, rng, x, "low", 16, kernel=1)
    both = joined(b, [top, low], "both", 2)
    more = joined(b, [conv(b, rng, x, "more", 16), both], "all", 2)
    shrunk = slid(b, rng, conv(b, rng, more, "after", 32), "shrunk", 2, (1, 1, 1, 1))
    sides = joined(b, [low, slid(b, rng, low, "own", 1, (1, 1, 1, 1))], "sides", 1)
    return b.graph([conv(b, rng, shrunk, "y", 4), conv(b, rng, sides, "z", 4), low]), b


def check(module: CModule, graph: Graph, b: Builder) -> None:
    found = module.run(b.feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(b.values[name], found[name], name)
    watched = compare_layers(module, graph, b.feeds)
    assert watched.ok, watched


def test_inputs_are_written_where_they_belong(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, b = network()
    graph = graph.with_(outputs=graph.outputs[:2])
    module = compile_c(graph)
    assert ["sides"] == [call.writes[0] for call in module.program.calls if call.op == "Concat"]
    assert "node_both: none: its inputs are written where they belong" in module.explain()
    assert "not no copy: its inputs lie in 48 parts each, between those of others" in module.explain()
    check(module, graph, b)
    monkeypatch.setattr(planning, "join", lambda *_: ([], {}))
    copied = compile_c(graph)
    assert 3 == sum(call.op == "Concat" for call in copied.program.calls)
    assert module.arena_bytes <= copied.arena_bytes
    check(copied, graph, b)


def test_what_the_caller_has_is_copied() -> None:
    """`low` is a result, and stays where the caller wants it."""
    graph, b = network()
    module = compile_c(graph, io="native")
    assert "node_both: qir_concat_2__portable" in module.explain()
    assert "not no copy: an input is the caller's" in module.explain()
    check(module, graph, b)


def test_the_result_can_be_the_callers(compiler: str, tmp_path: Path) -> None:
    """Vectors end to end: what else there is to know of sizes, sanitizers see."""
    rng, b = np.random.default_rng(0), Builder()
    x = b.feed("x", rng.integers(0, 256, (1, 20)).astype(np.uint8))
    parts = []
    for name, columns in (("a", 16), ("b", 32), ("c", 5)):
        w = b.constant(f"{name}.w", rng.integers(-127, 128, (20, columns)).astype(np.int8))
        bias, scale = b.constant(f"{name}.b", np.zeros(columns, np.int32)), b.constant(f"{name}.m", np.full(
            columns, 0.004, np.float32))  # fmt: skip
        parts.append(b.node("qir.IntGemm", [x, w, bias, scale], name, y_zero_point=7, qmin=7, qmax=255))
    graph = b.graph([joined(b, parts, "y", 1)])
    module = compile_c(graph, test_vectors=[(b.feeds, b.wanted(graph.outputs))])
    assert {"qir.IntGemm"} == {call.op for call in module.program.calls}
    assert 0 == sum(buffer.place == "arena" and buffer.name in parts for buffer in module.program.buffers)
    check(module, graph, b)
    module.save(tmp_path)
    flags = ("-std=c99", *WARNINGS, "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    run(tmp_path, compiler, *flags, "net.c", "net_weights.c", "main.c", "-o", "test")
    assert "PASSED" in run(tmp_path, "./test")
