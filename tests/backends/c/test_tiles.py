"""Networks are given the tiles that their calls come to, all of these and no others."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import prefer
from graphs import joined
from test_vectors import shaped

from qir.backends.c import compile_c
from qir.backends.c.binding import RUNTIME
from qir.backends.c.binding.tiles import OfSquares, Tiles, of_blocks
from qir.backends.c.build import compiler
from qir.backends.c.program import Arg, Scalar, Struct

CUTTING = f"""
#include "{RUNTIME.parent}/kernels/conv_u8/conv_u8_blocks.h"
#include "{RUNTIME}/qir_woven.h"

static int panels(int pixels, int channels, const int *tile, unsigned char *seen) {{
    const qir_heights cut = qir_cut_into_tiles(pixels, tile[0]);
    int p, places[2] = {{cut.high, cut.high - !!cut.lower}};
    for (p = 0; p < channels; p += tile[3]) {{
        const int left = channels - p < tile[3] ? channels - p : tile[3], two = left > tile[2];
        seen[2 * (tile[1] > 1 ? qir_woven_rows(places[0], tile[0]) : places[0]) + two] = 1;
        seen[2 * (tile[1] > 1 ? qir_woven_rows(places[1], tile[0]) : places[1]) + two] = 1;
    }}
    return cut.high * cut.higher + (cut.high - 1) * cut.lower == pixels;
}}

int by_blocks(const int *size, const int *tile, unsigned char *seen);
int by_blocks(const int *size, const int *tile, unsigned char *seen) {{
    qir_conv_u8_shape s = {{0}};
    qir_conv_u8_blocks b = {{0}};
    qir_conv_u8_block at;
    int pixels = 0, whole = 1;
    s.window.batch = s.window.out[0] = 1;
    s.window.out[1] = size[0];
    s.window.out[2] = size[1];
    b.rows = size[2];
    b.columns = size[3];
    for (at = qir_conv_u8_first_block(&s, &b); qir_conv_u8_block_left(&s, &at); qir_conv_u8_next_block(&s, &b, &at)) {{
        pixels += at.rows * at.columns;
        whole &= panels(at.rows * at.columns, size[4], tile, seen);
    }}
    return whole && pixels == size[0] * size[1];
}}

int by_squares(const int *size, const int *tile, unsigned char *seen);
int by_squares(const int *size, const int *tile, unsigned char *seen) {{
    const int side = size[3], all = (size[0] + side - 1) / side * ((size[1] + side - 1) / side);
    int first, whole = 1;
    for (first = 0; first < all; first += size[2]) {{
        whole &= panels(all - first < size[2] ? all - first : size[2], size[4], tile, seen);
    }}
    return whole;
}}
"""
"""The loops of the kernels around tiles, with the functions by which those cut blocks and tiles."""

KINDS = ((6, 1, 8, 16), (4, 1, 8, 16), (8, 1, 16, 32), (8, 1, 16, 16), (4, 3, 8, 16), (6, 4, 8, 16))
"""Of tiles: their most and least pixels, lanes of a vector, and channels that go together."""


def _shape(rows: int, columns: int, channels: int) -> Struct:
    window = (1, (1, 0, 0), (1, rows, columns), (1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0))
    return Struct("qir_conv_u8_shape", (("window", window), ("out_channels", channels)))


def _sizes(random: np.random.Generator, cut_by_blocks: bool) -> tuple[list[int], tuple[Arg, ...]]:
    """Rows, columns, what cuts them up and channels, as numbers and as arguments of a call."""
    rows, columns, channels = (int(random.integers(1, most)) for most in (12, 40, 50))
    if cut_by_blocks:
        block = [int(random.integers(1, size + 3)) for size in (rows, columns)]
        blocks = Struct("qir_conv_u8_blocks", tuple(zip(("rows", "columns"), block, strict=True)))
        return [rows, columns, *block, channels], (_shape(rows, columns, channels), blocks)
    room, side = int(random.integers(1, 30)), int(random.choice([2, 4]))
    return [rows, columns, room, side, channels], (_shape(rows, columns, channels), Scalar(room))


def _run(folder: Path, *command: str) -> int:
    return subprocess.run(command, cwd=folder, check=False).returncode


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("cutting")
    (folder / "cutting.c").write_text(CUTTING)
    assert not _run(folder, *compiler(), "-O1", "-w", "-shared", "-fPIC", "cutting.c", "-o", "cutting.so")
    return ctypes.CDLL(str(folder / "cutting.so"))


@pytest.mark.parametrize("function", ["by_blocks", "by_squares"])
def test_calls_come_to_the_tiles_that_are_said(library: ctypes.CDLL, function: str) -> None:
    random = np.random.default_rng(0)
    for number in range(600):
        size, args = _sizes(random, function == "by_blocks")
        kind = KINDS[number % len(KINDS)]
        products: Any = of_blocks if function == "by_blocks" else OfSquares(size[3])
        seen = (ctypes.c_ubyte * 32)()
        assert getattr(library, function)((ctypes.c_int * 5)(*size), (ctypes.c_int * 4)(*kind), seen)
        taken = {f"{place // 2}, {1 + place % 2}" for place, here in enumerate(seen) if here}
        assert taken == Tiles(products, *kind)(args), (size, kind)


def test_a_network_has_the_tiles_that_its_calls_come_to_and_ends_at_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None], need: Callable[[str], str],
) -> None:  # fmt: skip
    target = prefer("x86-avx2", monkeypatch, evidence, need)
    graph, builder = joined([shaped(0, 3, (1, 7), 24, (1, 1)), shaped(1, 5, (1, 2), 5, (1, 1))])
    results = builder.wanted(graph.outputs)
    folder = compile_c(graph, target=target, test_vectors=[(builder.feeds, results)]).save(tmp_path)
    listed = "_TILES_U8_TAKEN(each) each(2, 1) each(3, 1) each(3, 2) each(4, 1) each(4, 2)\n"
    kernels = (folder / "net_kernels.h").read_text()
    assert 1 == kernels.count(listed)
    (folder / "net_kernels.h").write_text(kernels.replace(listed, listed.replace("each(3, 2)", "")))
    assert not _run(folder, *compiler(), "-O0", "net.c", "net_weights.c", "main.c", "-o", "test")
    assert -signal.SIGILL == _run(folder, "./test")
