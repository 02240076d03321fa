"""Emitted C on the cores that it was compiled for, as an emulator plays them: the bits of this processor, counted."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from networks import residual

from qir.backends.c import CModule, compile_c
from qir.backends.c.boards import BOARDS
from qir.errors import OutputError


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


@pytest.mark.slow
def test_the_bits_of_this_processor(board: str, evidence: Callable[[str, str], None]) -> None:
    graph, builder, outputs = residual()
    found, count = elsewhere.on_board(compile_c(graph, target=board), builder.feeds)
    assert all(np.array_equal(builder.values[name], found[name]) for name in outputs)
    assert 50_000 < count < 5_000_000
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
