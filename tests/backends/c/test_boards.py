"""Emitted C on the cores that it was compiled for, as an emulator plays them: the bits of this processor, counted."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from graphs import Case, case, check_cases, fixed
from networks import residual
from test_bits import FINISHES, layer
from test_conv_u8 import weighted
from test_integer_families import codes

from qir.backends.c import CModule, compile_c
from qir.backends.c.boards import BOARDS
from qir.errors import OutputError
from qir.ops.integer_rows import exponentials


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest, need: Callable[[str], str]) -> str:
    """A target that a board is there for."""
    for tool in (*elsewhere.needs(request.param), "make"):
        need(tool)
    return str(request.param)


def small(target: str, wanted: float = 0.0) -> CModule:
    """A small network with a test vector, from whose outputs `wanted` is taken off."""
    graph, builder, outputs = residual(size=4)
    answers = {name: builder.values[name] - np.float32(wanted) for name in outputs}
    return compile_c(graph, target=target, test_vectors=[(builder.feeds, answers)])


def made(module: CModule, folder: Path) -> subprocess.CompletedProcess[str]:
    """`make run` of the emitted example; no warning passes."""
    where = module.save(folder, example="qemu") / "qemu"
    line = ["make", "run", "OPTIMIZE=-O2 -Wpedantic -Wconversion -Wshadow -Werror"]
    return subprocess.run(line, cwd=where, capture_output=True, text=True, timeout=60, check=False)


def some_of_each() -> list[Case]:
    """Cases of each integer operator, in float32 and fixed; weights of few bits as lowered for small targets."""
    rng, finish = np.random.default_rng(0), {"y_zero_point": 7, "qmin": 3, "qmax": 250}
    row = [rng.normal(0, 9, 24).astype(np.float32) for _ in range(2)]
    every = [
        *(weighted("qir.IntConv", bits, (1, 5, 6, 6), (6, 5, 3, 3), 6, 9, "random", False, True, bits,
                   pads=(1, 1, 1, 1)) for bits in (8, 4, 2, 1)),
        weighted("qir.IntConv", 1, (1, 9, 6, 6), (9, 1, 3, 3), 9, 9, "ties", False, True, strides=(2, 2), group=9),
        weighted("qir.IntConv", 2, (1, 8, 4, 4), (6, 8, 1, 1), 6, 0, "extreme", False, True, wide=True),
        weighted("qir.IntConvTranspose", 3, (1, 4, 3, 3), (4, 3, 2, 2), 3, 9, "random", False, False, strides=(2, 2)),
        weighted("qir.IntGemm", 4, (3, 40), (40, 10), 10, 0, "random", False, False),
        layer(0, (1, 64, 4, 4), (16, 64, 3, 3), 1, "binary", FINISHES[1], pads=(1, 1, 1, 1)),
        layer(1, (1, 64, 4, 4), (16, 64, 3, 3), 1, "binary", FINISHES[3], pads=(1, 1, 1, 1)),
        case("qir.IntMatMul", (codes(0, (5, 9)), codes(1, (9, 6))), (0, 1), a_zero_point=4, b_zero_point=100,
             multiplier=0.003, **finish),
        case("qir.IntAdd", (codes(0, (2, 20)), codes(1, (20,))), (0, 1), a_multiplier=0.5, b_multiplier=0.7, offset=3.0,
             qmin=0, qmax=255),
        case("qir.IntMul", (codes(0, (2, 20)), codes(1, (20,))), (0, 1), a_zero_point=3, b_zero_point=200,
             multiplier=0.01, **finish),
        case("qir.IntAveragePool", (codes(0, (1, 9, 5, 5)),), kernel_shape=(3, 3), strides=(2, 2), pads=(1, 1, 1, 1),
             x_zero_point=7, multiplier=0.9, **finish),
        case("qir.IntMean", (codes(0, (1, 5, 30)),), axes=(2,), x_zero_point=25, multiplier=0.9, **finish),
        case("qir.IntSoftmax", (codes(0, (3, 20)), exponentials(np.float32(0.05))), axis=1, multiplier=256.0,
             **{**finish, "y_zero_point": 0}),
        *(case("qir.IntLayerNorm", (codes(0, (3, 24), kind=kind), *row), epsilon=0.5, **{**finish, "y_zero_point": 120})
          for kind in (np.uint8, np.int16)),
    ]  # fmt: skip
    few = [replace(one, node=one.node.with_(attrs={**one.node.attrs, "small": 1})) if "weight_bits" in one.node.attrs
           else one for one in every]  # fmt: skip
    return [*few, *map(fixed, few)]


@pytest.mark.slow
def test_the_bits_of_this_processor(board: str, evidence: Callable[[str, str], None]) -> None:
    """Of both ways to make codes of sums, as the references, and so portable C here, give them."""
    check_cases(some_of_each(), target=board)
    evidence("ran", f"int8 C on {BOARDS[board].machine}, {board}, in {BOARDS[board].emulator.partition(' ')[0]}")


@pytest.mark.slow
def test_the_example_says_what_passed(board: str, tmp_path: Path) -> None:
    passed = made(small(board), tmp_path)
    assert passed.returncode == 0, passed.stderr
    assert "vector 0: pass (0 wrong), instructions: " in passed.stdout
    assert "PASSED" in passed.stdout


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m0", "riscv32"])
def test_the_example_says_what_failed(target: str, tmp_path: Path, need: Callable[[str], str]) -> None:
    for tool in (*elsewhere.needs(target), "make"):
        need(tool)
    failed = made(small(target, 0.25), tmp_path)
    assert failed.returncode != 0
    assert "vector 0: FAIL (10 wrong)" in failed.stdout
    assert "FAILED" in failed.stdout


def test_the_files_of_an_example() -> None:
    module = replace(small("cortex-m33"), name="tiny")
    files = module.files(example="qemu")
    added = {name for name in files if name.startswith("qemu/")}
    assert {"Makefile", "board.ld", "board.h", "board.c", "start_arm.c"} == {name[5:] for name in added}
    text = "".join(str(files[name]) for name in added)
    assert "@" not in text.replace("$@", "")
    assert "-mcpu=cortex-m33" in text
    assert "../tiny.c" in text
    assert {} == {name: text for name, text in module.files().items() if name.startswith("qemu/")}


@pytest.mark.parametrize(("target", "example"), [("portable", "qemu"), ("cortex-m0", "board")])
def test_what_no_example_is_there_for(target: str, example: str) -> None:
    with pytest.raises(OutputError, match="Choose one of"):
        small(target).files(example=example)
