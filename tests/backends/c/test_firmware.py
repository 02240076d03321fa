"""What firmware asks of the emitted C: little stack, and MISRA C:2012 but for the deviations that it lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import elsewhere
import pytest
from networks import residual
from test_emitted import run
from test_fixed import whole

import qir
from qir.backends.c import CModule, compile_c
from qir.backends.c.bench.rows import beside_int8
from qir.backends.c.emitting.misra import DEVIATIONS
from tests.passes.quantize.quantizing import samples

COMPILERS = {"cortex-m4": "arm-none-eabi-gcc", "riscv32": "riscv64-unknown-elf-gcc"}


def module(recipe: str, target: str = "portable") -> CModule:
    """A network with every kind of layer that has an integer form."""
    graph = whole()
    made = qir.compile(graph, samples(graph), target=target, recipe=recipe)
    assert isinstance(made, qir.CompiledC)
    return made.module


@pytest.mark.parametrize(("target", "recipe"), [
    ("cortex-m4", "w4a8"), ("cortex-m4", "float"), ("riscv32", "int8"),
])  # fmt: skip
def test_the_stack_is_small_and_bounded(
    recipe: str, target: str, tmp_path: Path, need: Callable[[str], str]
) -> None:
    need(COMPILERS[target])
    made = module(recipe, target)
    folder, told = made.save(tmp_path), 0
    flags = (*made.flags, *(made.tools.flags if made.tools else ()))
    for level in ("-Os", "-O2"):
        run(folder, COMPILERS[target], *flags, "-std=c99", level, "-fcallgraph-info=su", "-c", "net.c")
        told = elsewhere.check_stack(folder, folder / "net.ci")
    assert told <= (3072 if recipe == "w4a8" else 2048)


def test_tiles_of_packed_weights_count(tmp_path: Path) -> None:
    ((row, _),) = beside_int8("3 planes", ["3x3 8->8"])
    folder = compile_c(row.graph, target="portable", max_bytes=1).save(tmp_path)
    run(folder, "gcc", "-std=c99", "-O2", "-fcallgraph-info=su", "-c", "net.c")
    assert elsewhere.check_stack(folder, folder / "net.ci") < 1 << 14


def test_stack_of_vectors_is_not_told() -> None:
    assert "STACK_BYTES" not in str(compile_c(residual()[0], target="x86-avx2").files()["net.h"])


@pytest.mark.needs("cppcheck")
@pytest.mark.parametrize(("target", "choices"), [("portable", ("--max-configs=1",)), ("riscv32", ())])
def test_misra_rules_are_kept_but_for_those_that_are_listed(
    target: str, choices: tuple[str, ...], tmp_path: Path
) -> None:
    """Under every choice of macros on one target: that takes seven times as long."""
    folder = module("int8", target).save(tmp_path)
    checked = ("cppcheck", "--addon=misra", "--enable=style", "--std=c99", "-q", "--suppress=*:net_weights.c",
               *choices, "--output-file=found", "net.c")  # fmt: skip
    run(folder, *checked)
    found = set(re.findall(r"\[misra-c2012-([\d.]+)\]", (folder / "found").read_text()))
    assert found
    assert not found - set(DEVIATIONS)
    kernels = (folder / "net_kernels.h").read_text()
    assert all(f"     {rule} " in kernels for rule in DEVIATIONS)
