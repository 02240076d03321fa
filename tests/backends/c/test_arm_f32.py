"""Float kernels on 64-bit ARM: against onnxruntime, between guard pages, and nothing of them on 32 bits."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from conftest import prefer
from graphs import Case, case, check_cases, joined
from onnx_results import results
from test_conv_f32 import reals
from test_recurrent import recurrent
from test_vectors import WARNINGS, guard

from qir.backends.c import compile_c


def cases() -> list[Case]:
    """Every family, with tails of rows, columns, segments and channels."""
    same, gaps = {"pads": (1, 1, 1, 1)}, {"strides": (2, 1), "dilations": (2, 1), "pads": (2, 1, 1, 0)}
    found = [
        case("Conv", (reals(0, (2, 6, 7, 5)), reals(1, (10, 3, 3, 2)), reals(2, (10,))), group=2, **gaps),
        case("Conv", (reals(3, (1, 3, 4, 4, 3)), reals(4, (19, 3, 2, 2, 2)))),
        case("Conv", (reals(5, (1, 21, 6, 9)), reals(6, (21, 1, 3, 3))), group=21, **same),
        case("Conv", (reals(7, (1, 68, 6, 6)), reals(8, (68, 1, 3, 3))), group=68, **gaps),
        case("Conv", (reals(9, (1, 5, 9)), reals(10, (11, 5, 1)))),
        case("Gemm", (reals(11, (7, 5)), reals(12, (7, 13)), reals(13, (13,))), transA=1),
        case("MatMul", (reals(14, (3, 1, 5, 9)), reals(15, (2, 9, 11))), (0, 1)),
        case("Softmax", (reals(16, (2, 6, 5, 3)),), axis=1),
        case("LayerNormalization", (reals(17, (3, 13)), reals(18, (13,)), reals(19, (13,)))),
        recurrent("GRU", 50, linear_before_reset=1, given=(0,), leave_out="lh"),
        recurrent("LSTM", 51, hidden=70, steps=3, leave_out="l"),
    ]  # fmt: skip
    found += [recurrent(op, 52, direction="bidirectional", clip=2.0) for op in ("LSTM", "GRU", "RNN")]
    for size in range(1, 20):
        found.append(case("MatMul", (reals(size, (size, 21 - size)), reals(20, (21 - size, 3 * size)))))
        found.append(case(("Sigmoid", "Gelu", "Add")[size % 3], [reals(size, (size,))] * (1 + (size % 3 == 2))))
    return found


@pytest.mark.slow
def test_every_family(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> None:  # fmt: skip
    """Built again, without warnings and with leave to fuse, it gives the same bits and touches nothing else."""
    target = prefer("arm-neon", monkeypatch, evidence, need)
    wanted = [results(one) for one in cases()]
    module = check_cases(cases(), wanted, target=target, tolerance=2e-5, compiler=compiler)
    kernels = {call.kernel.emitted for call in module.program.calls}
    others = {name for name in kernels if not name.endswith("__asimd")}
    assert others == {"qir_transpose_f32__neon"}  # which moves alone
    graph, b = joined(cases(), wanted)
    b.values |= elsewhere.run(module, b.feeds, compiler=compiler)
    for name, text in guard(module, b, list(graph.outputs)).items():
        (tmp_path / name).write_text(text)
    line = [*elsewhere.command(target, compiler), "-std=gnu11", "-O3", "-ffp-contract=fast"]
    subprocess.run([*line, *WARNINGS, "-c", "net.c", "net_weights.c"], cwd=tmp_path, check=True)
    files = ("net.o", "net_weights.o", "guard.c", "-o", "guard", "-lm")
    subprocess.run([*line, "-static", *files], cwd=tmp_path, check=True)
    assert 0 == subprocess.run(elsewhere.started(target, "./guard"), cwd=tmp_path, check=False).returncode


@pytest.mark.parametrize(("target", "isa"), [
    ("armv7-neon", "portable"), ("arm-neon", "asimd"), ("arm-neon-i8mm", "asimd"),
])  # fmt: skip
def test_floats_on_vectors_of_64_bits_alone(target: str, isa: str) -> None:
    """Those of 32 bits take subnormal numbers for zero and neither fuse nor divide."""
    graph, _ = joined([case("MatMul", (reals(0, (5, 9)), reals(1, (9, 7))))], [[np.zeros((5, 7), np.float32)]])
    (call,) = compile_c(graph, target=target).program.calls
    assert call.kernel.emitted.endswith(f"__{isa}")
