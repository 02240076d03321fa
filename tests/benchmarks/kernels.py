"""Integer kernels alone: multiply-accumulates a second, and which share of what the processor can do that is.

Every row is one operator compiled for every C target of this processor, its operands in the order that the kernel
likes, one pinned core, the best of many runs: other load on the machine makes runs longer, never shorter. The peak of
an instruction set is measured in the same minutes, by its multiply-accumulate instruction on registers alone.

    python tests/benchmarks/kernels.py [--seconds S] [--core N] [--target NAME ...] [NAME ...]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "backends" / "c")]

from graphs import Builder  # noqa: E402  (found through the line above, from any working folder)

from qir.backends.c import CModule, compile_c  # noqa: E402
from qir.backends.c.build import Library, shared_library  # noqa: E402
from qir.backends.c.isas import on_this_processor  # noqa: E402
from tests.benchmarks.measuring import processor  # noqa: E402

RNG = np.random.default_rng(0)
FINISH = {"y_zero_point": 3, "qmin": 0, "qmax": 255}
TARGETS = {"avx512vnni": "x86-avx512vnni", "avx2": "x86-avx2"}
Row = tuple[Callable[[str], CModule], float]
"""What compiles it for a target, and its multiply-accumulates (elements where there are none)."""


def conv(c: int, size: tuple[int, int], m: int, kernel: tuple[int, int], stride: int = 1, group: int = 1) -> Row:
    """A padded convolution, NHWC in and out."""
    b = Builder()
    x = b.feed("x", RNG.integers(0, 256, (1, *size, c)).astype(np.uint8))
    w = b.constant("w", RNG.integers(-127, 128, (m, c // group, *kernel)).astype(np.int8))
    bias, scale = b.constant("b", np.zeros(m, np.int32)), b.constant("s", np.full(m, 1e-4, np.float32))
    out = [(n + stride - 1) // stride for n in size]
    pads = [max((o - 1) * stride + k - n, 0) for o, k, n in zip(out, kernel, size, strict=True)]
    begin = [p // 2 for p in pads]
    attrs = {"strides": (stride, stride), "pads": (*begin, *(p - q for p, q in zip(pads, begin, strict=True)))}
    y = b.node("qir.IntConv", [b.transpose(x, (0, 3, 1, 2), "planes"), w, bias, scale], "y", x_zero_point=7,
               group=group, result=np.zeros((1, m, *out), np.uint8), **attrs, **FINISH)  # fmt: skip
    graph = b.graph([b.transpose(y, (0, 2, 3, 1), "pixels")])
    macs = float(np.prod(out)) * m * c // group * np.prod(kernel)
    return (lambda target: _with_feeds(compile_c(graph, target=target), b)), float(macs)


def gemm(rows: int, depth: int, columns: int) -> Row:
    """Rows of codes times a matrix."""
    b = Builder()
    x = b.feed("x", RNG.integers(0, 256, (rows, depth)).astype(np.uint8))
    w = b.constant("w", RNG.integers(-127, 128, (depth, columns)).astype(np.int8))
    bias, scale = b.constant("b", np.zeros(columns, np.int32)), b.constant("s", np.full(columns, 1e-4, np.float32))
    y = b.node("qir.IntGemm", [x, w, bias, scale], "y", result=np.zeros((rows, columns), np.uint8), **FINISH)
    graph = b.graph([y])
    return (lambda target: _with_feeds(compile_c(graph, target=target), b)), float(rows * depth * columns)


def one(
    op: str, arrays: list[np.ndarray], result: np.ndarray, work: float, given: int = 1, perm: tuple[int, ...] = (),
    **attrs: object,
) -> Row:  # fmt: skip
    """Any other operator; `perm`: operands and result are stored so."""
    b = Builder()
    names = []
    for slot, array in enumerate(arrays):
        if slot < given and perm and array.ndim == len(perm):
            stored = b.feed(f"s{slot}", np.ascontiguousarray(array.transpose(perm)))
            names.append(b.transpose(stored, np.argsort(perm).tolist(), f"x{slot}"))
        else:
            names.append((b.feed if slot < given else b.constant)(f"x{slot}", array))
    y = b.node(op, names, "y", result=result, **attrs)
    graph = b.graph([b.transpose(y, perm, "z")] if perm else [y])
    return (lambda target: _with_feeds(compile_c(graph, target=target), b)), work


def codes(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def _with_feeds(module: CModule, builder: Builder) -> CModule:
    FEEDS[id(module)] = builder.feeds
    return module


FEEDS: dict[int, dict[str, np.ndarray]] = {}
NHWC = (0, 2, 3, 1)
ROWS: dict[str, Row] = {
    "3x3 128->128 14x14": conv(128, (14, 14), 128, (3, 3)),
    "3x3 64->64 56x56": conv(64, (56, 56), 64, (3, 3)),
    "3x3 256->256 14x14": conv(256, (14, 14), 256, (3, 3)),
    "3x3 512->512 7x7": conv(512, (7, 7), 512, (3, 3)),
    "3x3 16->16 32x32": conv(16, (32, 32), 16, (3, 3)),
    "3x3 32->64 16x16 /2": conv(32, (16, 16), 64, (3, 3), 2),
    "1x1 64->64 25x5": conv(64, (25, 5), 64, (1, 1)),
    "1x1 128->128 56x56": conv(128, (56, 56), 128, (1, 1)),
    "1x1 512->512 14x14": conv(512, (14, 14), 512, (1, 1)),
    "1x1 16->96 112x112": conv(16, (112, 112), 96, (1, 1)),
    "1x1 144->24 56x56": conv(144, (56, 56), 24, (1, 1)),
    "1x1 320->1280 7x7": conv(320, (7, 7), 1280, (1, 1)),
    "depthwise 3x3 64 25x5": conv(64, (25, 5), 64, (3, 3), group=64),
    "depthwise 3x3 128 56x56": conv(128, (56, 56), 128, (3, 3), group=128),
    "depthwise 3x3 512 14x14": conv(512, (14, 14), 512, (3, 3), group=512),
    "depthwise 3x3 96 112x112 /2": conv(96, (112, 112), 96, (3, 3), 2, group=96),
    "depthwise 5x5 240 28x28": conv(240, (28, 28), 240, (5, 5), group=240),
    "first 3x3 3->32 224x224 /2": conv(3, (224, 224), 32, (3, 3), 2),
    "first 7x7 3->64 224x224 /2": conv(3, (224, 224), 64, (7, 7), 2),
    "first 3x3 3->16 32x32": conv(3, (32, 32), 16, (3, 3)),
    "first 10x4 1->64 49x10 /2": conv(1, (49, 10), 64, (10, 4), 2),
    "gemm 196x1152x128": gemm(196, 1152, 128),
    "gemm 1x640x128": gemm(1, 640, 128),
    "gemm 1x4096x4096": gemm(1, 4096, 4096),
    "matmul 4x197x64x197": one("qir.IntMatMul", [codes(4, 197, 64), codes(4, 64, 197)], codes(4, 197, 197),
                               4.0 * 197 * 197 * 64, 2, a_zero_point=7, b_zero_point=9, multiplier=1e-4, **FINISH),
    "matmul 4x197x197x64": one("qir.IntMatMul", [codes(4, 197, 197), codes(4, 197, 64)], codes(4, 197, 64),
                               4.0 * 197 * 197 * 64, 2, a_zero_point=7, b_zero_point=9, multiplier=1e-4, **FINISH),
    "max pool 3x3 64 112x112 /2": one("MaxPool", [codes(1, 64, 112, 112)], codes(1, 64, 56, 56), 64.0 * 112 * 112,
                                      perm=NHWC, kernel_shape=(3, 3), strides=(2, 2), pads=(0, 0, 1, 1)),
    "max pool 2x2 16 24x24 /2": one("MaxPool", [codes(1, 16, 24, 24)], codes(1, 16, 12, 12), 16.0 * 24 * 24,
                                    perm=NHWC, kernel_shape=(2, 2), strides=(2, 2), pads=(0, 0, 0, 0)),
    "average pool 3x3 64 28x28": one("qir.IntAveragePool", [codes(1, 64, 28, 28)], codes(1, 64, 26, 26),
                                     64.0 * 28 * 28, perm=NHWC, kernel_shape=(3, 3), strides=(1, 1), pads=(0, 0, 0, 0),
                                     x_zero_point=3, multiplier=0.9, **FINISH),
    "mean 1280 7x7": one("qir.IntMean", [codes(1, 7, 7, 1280)], codes(1, 1, 1, 1280), 49.0 * 1280, axes=(1, 2),
                         x_zero_point=3, multiplier=0.9, **FINISH),
    "add 64 28x28": one("qir.IntAdd", [codes(1, 28, 28, 64), codes(1, 28, 28, 64)], codes(1, 28, 28, 64), 64.0 * 784,
                        2, a_multiplier=0.7, b_multiplier=0.4, offset=3.0, qmin=0, qmax=255),
    "mul 64 28x28 by channel": one("qir.IntMul", [codes(1, 28, 28, 64), codes(1, 1, 1, 64)], codes(1, 28, 28, 64),
                                   64.0 * 784, 2, a_zero_point=3, b_zero_point=0, multiplier=0.004, **FINISH),
    "lookup 50176": one("qir.Lookup", [codes(50176), codes(256)], codes(50176), 50176.0),
    "quantize 3x224x224": one("qir.Quantize", [RNG.standard_normal((3, 224, 224)).astype(np.float32)],
                              codes(3, 224, 224), 3.0 * 224 * 224, scale=0.02, zero_point=9, qmin=0, qmax=255),
    "dequantize 50176": one("qir.Dequantize", [codes(50176)], np.zeros(50176, np.float32), 50176.0, scale=0.02,
                            zero_point=9),
}

_PEAK = """#include <immintrin.h>
#include <time.h>
#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)
#define BEGIN(i) VECTOR s##i = ZERO;
#define LOOP for (k = 0; k < 10000; ++k) { EACH(STEP) }
#define KEEP(i) __asm__ volatile("" : : KIND (s##i));
__attribute__((target(TARGET))) static void work(void) {
    VECTOR a = ZERO, t = ZERO; int k; (void)t; EACH(BEGIN) LOOP EACH(KEEP) (void)a;
}
void peak(int count, double *seconds, void *unused);
void peak(int count, double *seconds, void *unused) {
    int i; struct timespec start, end; (void)unused;
    for (i = 0; i < count; ++i) {
        timespec_get(&start, TIME_UTC); work(); timespec_get(&end, TIME_UTC);
        seconds[i] = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    }
}
"""
_STEPS = {
    "avx512vnni": (64, """#define TARGET "avx512f,avx512vnni"
#define VECTOR __m512i
#define ZERO _mm512_setzero_si512()
#define KIND "v"
#define STEP(i) __asm__ volatile("vpdpbusd %1,%1,%0" : "+v"(s##i) : "v"(a));
"""),
    "avx2": (16, """#define TARGET "avx2"
#define VECTOR __m256i
#define ZERO _mm256_setzero_si256()
#define KIND "x"
#define STEP(i) __asm__ volatile("vpmaddwd %2,%2,%1\\n\\tvpaddd %1,%0,%0" : "+x"(s##i), "=&x"(t) : "x"(a));
"""),
}  # fmt: skip


def peak(isa: str, seconds: float) -> float:
    """Multiply-accumulates a second of an instruction set on registers alone."""
    lanes, head = _STEPS[isa]
    library = Library(shared_library({"peak.c": head + _PEAK}))
    return lanes * 12 * 10000 / best(library, "peak", [0], seconds)


def best(library: Library, function: str, arguments: list[int], seconds: float) -> float:
    """Seconds of the fastest run."""
    once = min(library.seconds(function, 3, arguments))
    return min(library.seconds(function, max(5, min(int(seconds / max(once, 1e-9)), 20000)), arguments))


def run(module: CModule, seconds: float) -> float:
    arrays, arguments, _ = module._arguments(FEEDS[id(module)], codes=False)
    found = best(module.library, f"{module.names.prefix}_bench", arguments, seconds)
    del arrays
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--core", type=int, default=None, help="to pin to")
    parser.add_argument("--target", action="append", help="C targets; those of this processor by default")
    parser.add_argument("names", nargs="*", help="parts of the rows' names")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core if options.core is not None else max(os.sched_getaffinity(0))})
    here = on_this_processor()
    targets = options.target or [*(TARGETS[isa] for isa in here), "portable"]
    table = Table(title=f"Integer kernels, {processor()}", caption="GMAC/s (microseconds; share of the peak)")
    table.add_column("kernel")
    for target in targets:
        table.add_column(target, justify="right")
    peaks = {TARGETS[isa]: peak(isa, options.seconds) for isa in here}
    table.add_row("peak", *(f"{peaks[target] / 1e9:.0f}" if target in peaks else "" for target in targets))
    for name, (compiled, macs) in ROWS.items():
        if options.names and not any(part in name for part in options.names):
            continue
        cells = []
        for target in targets:
            seconds = run(compiled(target), options.seconds)
            share = f"; {macs / seconds / peaks[target]:.0%}" if target in peaks else ""
            cells.append(f"{macs / seconds / 1e9:.1f} ({seconds * 1e6:.1f}{share})")
        table.add_row(name, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
