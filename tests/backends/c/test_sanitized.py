"""Every integer kernel under the address and undefined-behaviour sanitizers, on shapes with tails, gaps and borders."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from graphs import Case, case, joined
from test_conv_u8 import weighted
from test_integer_families import codes

from qir.backends.c import compile_c
from qir.backends.c.program import ctype
from qir.ir.dtype import of_array
from qir.ops.integer_rows import exponentials

FINISH = {"y_zero_point": 255, "qmin": 0, "qmax": 255}


def cases() -> list[Case]:
    pads = {"strides": (2, 1), "dilations": (2, 1), "pads": (2, 1, 1, 0)}
    window = {"kernel_shape": (3, 2), "strides": (2, 1), "pads": (1, 1, 2, 0), "ceil_mode": 1}
    found = [
        weighted("qir.IntConv", 1, (2, 6, 7, 5), (10, 3, 3, 2), 10, 255, "extreme", False, True, group=2, **pads),
        weighted("qir.IntConv", 2, (1, 3, 4, 4, 3), (19, 3, 2, 2, 2), 19, 0, "extreme", True, True),
        weighted("qir.IntConv", 3, (1, 21, 6, 6), (21, 1, 3, 3), 21, 9, "random", False, True, group=21, **pads),
        weighted("qir.IntConv", 4, (1, 4, 9), (5, 4, 3), 5, 9, "ties", False, True),
        weighted("qir.IntConvTranspose", 5, (2, 6, 4, 5), (6, 5, 3, 2), 10, 7, "extreme", False, False, group=2,
                 **pads),
        weighted("qir.IntConv", 21, (1, 6, 7, 5), (10, 3, 3, 2), 10, 255, "extreme", False, True, 3, group=2, **pads),
        weighted("qir.IntConv", 22, (1, 21, 6, 6), (21, 1, 3, 3), 21, 9, "random", False, True, 4, group=21, **pads),
        weighted("qir.IntConv", 23, (1, 150, 3), (5, 150, 1), 5, 9, "random", False, True, 2),
        weighted("qir.IntConv", 25, (1, 8, 9), (17, 8, 3), 17, 9, "random", False, True, 1),
        weighted("qir.IntConvTranspose", 24, (1, 6, 4), (6, 5, 3), 5, 7, "extreme", False, False, 2),
        weighted("qir.IntConv", 26, (1, 6, 7, 5), (10, 3, 3, 2), 10, 0, "extreme", False, True, 16, True, group=2,
                 **pads),
        weighted("qir.IntConv", 28, (1, 21, 6, 6), (21, 1, 3, 3), 21, 0, "extreme", False, True, 8, True, group=21),
        weighted("qir.IntConv", 29, (1, 17, 5, 4), (18, 17, 3, 3), 18, 9, "extreme", False, True, pads=(1, 1, 1, 1)),
        case("qir.IntMatMul", (codes(6, (3, 1, 5, 9)), codes(7, (2, 9, 11))), (0, 1), a_zero_point=255, b_zero_point=0,
             multiplier=1e-3, **FINISH),
        case("qir.IntAdd", (codes(8, (3, 1, 37)), codes(9, (2, 1))), (0, 1), a_multiplier=2.0, b_multiplier=-3.0,
             offset=1e30, qmin=3, qmax=250),
        case("qir.IntMul", (codes(10, (37,)), codes(11, (2, 37))), (0, 1), a_zero_point=0, b_zero_point=255,
             multiplier=1e9, **FINISH),
        case("qir.IntAveragePool", (codes(12, (1, 19, 6, 7)),), x_zero_point=255, multiplier=1e20, **window, **FINISH),
        case("qir.IntMean", (codes(13, (2, 3, 19)),), axes=(0, 2), keepdims=0, x_zero_point=0, multiplier=0.5),
        case("qir.IntMean", (codes(13, (2, 300, 19), "extreme"),), axes=(1,), x_zero_point=255, multiplier=1e9,
             **FINISH),
        case("qir.IntSoftmax", (codes(13, (3, 37)), exponentials(np.float32(9))), axis=1, multiplier=1e30, **FINISH),
        case("qir.IntSoftmax", (codes(13, (3, 18)), exponentials(np.float32(0.01))), axis=0, multiplier=1.0),
        case("qir.IntLayerNorm", (codes(13, (3, 37), "extreme"), np.full(37, 1e30, np.float32),
                                  np.full(37, -1e30, np.float32)), epsilon=1e-30, **FINISH),
        case("qir.IntLayerNorm", (codes(13, (3, 37), "extreme", np.int16), np.full(37, 1e30, np.float32),
                                  np.full(37, -1e30, np.float32)), epsilon=1e-30, **FINISH),
        case("qir.IntAdd", (codes(8, (3, 37), "extreme", np.int16), codes(9, (3, 37))), (0, 1), a_multiplier=2.0,
             b_multiplier=-3.0, offset=1e30, qmin=-32768, qmax=32767, to="int16"),
        case("qir.IntMul", (codes(10, (37,), "extreme", np.int16), codes(11, ())), (0, 1), a_zero_point=-32768,
             b_zero_point=0, multiplier=1e9, **FINISH),
        case("qir.Lookup", (codes(14, (9,)), codes(15, (256,)))),
        case("qir.Quantize", (np.array([np.inf, -np.inf, 3e37, -3e37, 0.5, 1.5], np.float32),), scale=0.5,
             zero_point=3, qmin=0, qmax=255),
        case("qir.Dequantize", (codes(16, (4, 5)),), scale=0.1, zero_point=4),
    ]  # fmt: skip
    x, w, bias, multiplier = weighted("qir.IntGemm", 17, (3, 33), (21, 33), 21, 5, "extreme", False, True).arrays
    assert w is not None
    found.append(case("qir.IntGemm", (x, np.ascontiguousarray(w.T), bias, multiplier), **FINISH))
    return found


def test_no_kernel_leaves_its_bounds(compiler: str, tmp_path: Path, any_target: str) -> None:
    graph, builder = joined(cases())
    module = compile_c(graph, target=any_target, test_vectors=[(builder.feeds, builder.wanted(list(graph.outputs)))])
    flags = ["-std=c99", "-g", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    folder = module.save(tmp_path)
    subprocess.run([compiler, *flags, "net.c", "net_weights.c", "main.c", "-o", "test", "-lm"], cwd=folder, check=True)
    done = subprocess.run(["./test"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[:4000]


def test_arena_of_exact_size_is_not_left(compiler: str, tmp_path: Path) -> None:
    graph, builder = joined(cases())
    folder = compile_c(graph).save(tmp_path)
    ports = "".join(f"static {kind} v{i}[{max(size, 1)}];\n" for i, (kind, size) in enumerate(
        [(ctype(of_array(builder.values[n])), builder.values[n].size)
         for n in (*graph.inputs, *graph.outputs)]))  # fmt: skip
    arguments = ", ".join(f"v{i}" for i in range(len(graph.inputs) + len(graph.outputs)))
    (folder / "exact.c").write_text(
        f'#include "net.h"\n#include <stdint.h>\n#include <stdlib.h>\n{ports}int main(void) {{\n'
        f"    void *arena = malloc(NET_ARENA_BYTES);\n    int status = net_run(arena, {arguments});\n"
        "    free(arena);\n    return status;\n}\n"
    )
    flags = ["-std=c99", "-g", "-O0", "-fsanitize=address", "-fno-sanitize-recover=all"]
    subprocess.run([compiler, *flags, "net.c", "net_weights.c", "exact.c", "-o", "test", "-lm"], cwd=folder, check=True)
    done = subprocess.run(["./test"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[:4000]
