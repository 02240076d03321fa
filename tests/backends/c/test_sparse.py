"""Weights with blocks of zeros: kernels that skip these give the bits of the references, and touch nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from graphs import Builder, Case, check_cases
from test_vectors import WARNINGS, edges, fitting_flags, guard, long_rows

from qir.backends.c import compile_c


def with_blocks(w: np.ndarray, number: int) -> np.ndarray:
    """Half of the blocks of 16 outputs by 4 inputs zero; now and then whole panels, or everything."""
    rng, found = np.random.default_rng(number), w.copy()
    if w.ndim == 2:
        found = found.T
    for first in range(0, len(found), 16):
        kept = rng.random((-(-found.shape[1] // 4), *found.shape[2:])) < (0 if number % 5 == 4 and first else 0.5)
        found[first : first + 16] *= np.repeat(kept, 4, axis=0)[: found.shape[1]].astype(np.int8)
    found[:] *= np.int8(number % 7 != 6)
    return np.ascontiguousarray(found.T if w.ndim == 2 else found)


@pytest.mark.slow
def test_convolutions_and_products(sparse_target: str) -> None:
    isa, cases = sparse_target.removeprefix("x86-"), []
    rows = [one for one in long_rows() if one.node.op == "qir.IntGemm"]
    for number, one in enumerate([*edges()[::3], *rows]):
        x, w, *rest = one.arrays
        assert w is not None
        cases.append(Case(one.node, (x, with_blocks(w, number), *rest)))
    module = check_cases(cases, target=sparse_target)
    taken = {choice.variant for choice in module.program.choices}
    assert taken >= {f"conv_u8_sparse__{isa}", f"gemm_u8_sparse_row__{isa}"}


def test_no_byte_around_the_operands_is_touched(sparse_target: str, compiler: str, tmp_path: Path) -> None:
    b, outputs, rng = Builder(), [], np.random.default_rng(0)
    for number, (rows, depth, columns) in enumerate([(1, 40, 19), (1, 64, 70), (9, 36, 19), (7, 40, 16), (98, 40, 33)]):
        x = b.feed(f"x{number}", rng.integers(0, 256, (rows, depth)).astype(np.uint8))
        codes = with_blocks(rng.integers(-127, 128, (depth, columns)).astype(np.int8), number)
        w, bias = b.constant(f"w{number}", codes), b.constant(f"b{number}", np.arange(columns, dtype=np.int32))
        scale = b.constant(f"s{number}", np.full(columns, 1e-3, np.float32))
        outputs.append(b.node("qir.IntGemm", [x, w, bias, scale], f"y{number}", y_zero_point=9, qmin=0, qmax=255))
    module = compile_c(b.graph(outputs), target=sparse_target)
    assert all("sparse" in choice.variant for choice in module.program.choices)
    for name, text in guard(module, b, outputs).items():
        (tmp_path / name).write_text(text)
    line = [*elsewhere.command(sparse_target, compiler), *fitting_flags(sparse_target, ("-std=c99", "-O1"))]
    subprocess.run([*line, *WARNINGS, "-c", "net.c", "net_weights.c"], cwd=tmp_path, check=True)
    subprocess.run([*line, "-static", "net.o", "net_weights.o", "guard.c", "-o", "guard"], cwd=tmp_path, check=True)
    assert subprocess.run(elsewhere.started(sparse_target, "./guard"), cwd=tmp_path, check=False).returncode == 0
