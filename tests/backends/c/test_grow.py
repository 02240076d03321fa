"""Larger weights for faster kernels, as far as a limit on the constants allows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from graphs import Builder
from networks import conv

from qir.backends.c import CModule, compile_c
from qir.ir.graph import Graph


def network() -> Graph:
    """Convolutions of as much work, whose weights are the larger the smaller the image; the last one shares weights."""
    rng, b = np.random.default_rng(0), Builder()
    outputs = []
    for channels, size in ((64, 8), (16, 32), (32, 16)):
        x = b.feed(f"x{channels}", rng.integers(0, 256, (1, channels, size, size)).astype(np.uint8))
        outputs.append(conv(b, rng, x, f"c{channels}", channels))
    shared = ["x16", *(f"c16.{name}" for name in "wbm")]
    outputs.append(b.node("qir.IntConv", shared, "again", pads=(1,) * 4, x_zero_point=9, qmin=0, qmax=255))
    return b.graph(outputs)


def grown(module: CModule) -> set[str]:
    return {call.node[5:] for plan in module.program.plans for call in plan.calls if "winograd" in call.kernel.emitted}


@pytest.mark.parametrize("target", ["x86-avx2", "x86"])
def test_weights_grow_where_that_saves_most_until_the_limit(target: str) -> None:
    graph = network()
    most, least = compile_c(graph, target=target), compile_c(graph, target=target, max_bytes=1)
    assert ({"c64", "c16", "c32", "again"}, set()) == (grown(most), grown(least))
    assert most.weight_bytes > least.weight_bytes
    seen = []
    for limit in np.linspace(least.weight_bytes, most.weight_bytes, 12).astype(int).tolist():
        module = compile_c(graph, target=target, max_bytes=limit)
        assert least.weight_bytes <= module.weight_bytes <= limit
        seen.append(grown(module))
    assert all(before <= after for before, after in pairwise(seen))
    order = [next(number for number, names in enumerate(seen) if name in names) for name in ("c16", "c32", "c64")]
    assert 0 < order[0] < order[1] < order[2]


def test_the_choice_says_why_weights_do_not_grow() -> None:
    lines = compile_c(network(), target="x86-avx2", max_bytes=1).explain().splitlines()
    assert lines.count("    not conv_u8_winograd__avx2: its larger weights are more bytes than are to be had") == 4
