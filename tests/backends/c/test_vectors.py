"""Kernels for one instruction set: the bits of the references on any shape, from any address, within their operands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from graphs import Builder, Case, case, check_cases, joined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import conv
from test_conv_u8 import convs, weighted
from test_emitted import contracting, results_of
from test_integer_families import (
    codes,
    gemms,
    matmuls,
    means,
    normalizations,
    outcomes,
    pools,
    sums_and_products,
)

from qir.backends.c import CModule, compile_c
from qir.backends.c.isas import AVX2, features, on_this_processor, require
from qir.backends.c.targets import C_TARGETS
from qir.errors import BuildError
from qir.ops.integer_rows import exponentials

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
VNNI = {"x86-avxvnni": "avxvnni", "x86-avx512vnni": "avx512vnni"}
SHARED = settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(cases=st.lists(st.one_of(convs(), convs(), convs(transposed=True)), min_size=20, max_size=20))
def test_any_convolution(vector_target: str, cases: list[Case]) -> None:
    check_cases(cases, target=vector_target)


OTHERS = st.one_of(gemms(), matmuls(), sums_and_products(), pools(), means(), normalizations())


@SHARED
@given(cases=st.lists(OTHERS, min_size=30, max_size=30))
def test_any_other_operator(vector_target: str, cases: list[Case]) -> None:
    check_cases(cases, outcomes(cases), target=vector_target)


def shaped(
    seed: int, c: int, size: tuple[int, ...], m: int, kernel: tuple[int, ...], group: int = 1, *, stride: int = 1,
    dilation: int = 1, pads: tuple[int, ...] = (), fill: str = "random", real: bool = False, zero: int = 9,
) -> Case:  # fmt: skip
    """A convolution of one sample."""
    spread = {"strides": (stride,) * len(size), "dilations": (dilation,) * len(size)}
    return weighted("qir.IntConv", seed, (1, c, *size), (m, c // group, *kernel), m, zero, fill, real, True,
                    group=group, pads=pads or (0,) * 2 * len(size), **spread)  # fmt: skip


def edges() -> list[Case]:
    """Where tiles, panels, steps and blocks end: sizes around their multiples."""
    found = [shaped(n, c, (1, n), m, (1, 1), fill=("random", "extreme")[n % 2])
             for n, c, m in zip(range(1, 26), (1, 2, 3, 4, 5, 31, 32, 33) * 4, (1, 15, 16, 17, 31, 32, 33, 48) * 4,
                                strict=False)]  # fmt: skip
    found += [shaped(m, 8, (5, n), m, (3, 3), pads=(1, 1, 1, 1), fill="extreme", zero=255)
              for n, m in zip(range(3, 16), (16, 17, 32, 40) * 4, strict=False)]  # fmt: skip
    found += [shaped(c, c, (4, 5), c, (3, 3), c, pads=(1, 1, 1, 1), fill=("extreme", "random")[c % 2], zero=c)
              for c in (2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100)]  # fmt: skip
    found += [
        shaped(n, c, (3, n), c, (3, k), c, pads=(1, k // 2) * 2, fill=("extreme", "random")[n % 2], zero=n)
        for n, (c, k) in enumerate([(2, 3), (4, 5), (8, 3), (16, 3), (8, 3), (16, 1), (4, 3), (2, 5)] * 2, 1)
    ]
    found += [
        shaped(1, 3, (17, 19), 18, (7, 7), stride=2, pads=(3, 3, 3, 3)),
        shaped(2, 1, (12, 9), 64, (10, 4), stride=2, pads=(4, 1, 5, 1), fill="extreme"),
        shaped(3, 64, (200,), 16, (3,), pads=(1, 1), fill="ties"),
        shaped(4, 24, (9, 9), 20, (3, 3), dilation=3, pads=(3, 3, 3, 3)),
        shaped(5, 12, (3, 4, 5), 20, (2, 3, 2), pads=(1, 0, 1, 0, 1, 1), real=True),
        shaped(6, 12, (9, 9), 36, (3, 3), 3, pads=(1, 2, 0, 1), real=True),
        shaped(7, 48, (6, 11), 48, (5, 5), 48, pads=(2, 2, 2, 2), stride=2, fill="extreme"),
        shaped(8, 40, (9, 7), 40, (3, 1), 40, dilation=2, pads=(2, 0, 2, 0)),
        shaped(9, 300, (2, 130), 33, (1, 1), stride=2),
        weighted("qir.IntConv", 10, (1, 3, 5, 1), (8, 3, 2, 1), 8, 9, "random", False, True, strides=(3, 2),
                 pads=(2, 1, 2, 0)),  # its only column is padding
        shaped(10, 16, (6, 7), 36, (3, 3), 2, pads=(1, 1, 1, 1), stride=2, real=True),
        shaped(11, 40, (3, 31), 33, (1, 1), stride=2, fill="extreme"),
        shaped(12, 16, (10, 9), 20, (3, 3), 2, pads=(2, 2, 2, 2), stride=2, dilation=2, fill="extreme"),
    ]
    return found


def fine_sums(n: int) -> list[Case]:
    """Sums of and to codes of 16 bits, and such codes as bytes."""
    kinds = [(np.int16, np.uint8, "int16"), (np.uint8, np.int16, "uint8"), (np.uint8, np.uint8, "int16"),
             (np.int16, np.int16, "int16")]  # fmt: skip
    found = []
    for number, (a, b, to) in enumerate(kinds):
        ends = {"qmin": n, "qmax": 255 - n} if to == "uint8" else {"qmin": -32000 - n, "qmax": 32767}
        operands = codes(n, (2, n), ("extreme", "random")[n % 2], a), codes(number, (2, n), "extreme", b)
        found.append(case("qir.IntAdd", operands, (0, 1), a_multiplier=0.013 if to == "uint8" else 0.9,
                          b_multiplier=-0.0073, offset=99.5, to=to, **ends))  # fmt: skip
    found.append(case("qir.IntMul", (codes(n, (2, n), "extreme", np.int16), codes(n, (1, 1))), (0, 1), a_zero_point=-n,
                      b_zero_point=1, multiplier=0.00003, y_zero_point=12, qmin=5, qmax=250))  # fmt: skip
    return found


def long_rows() -> list[Case]:
    """Products and sums whose rows end around the multiples of a vector."""
    found = []
    for n, (rows, depth, columns) in enumerate(
        [(1, 1, 1), (1, 7, 15), (1, 64, 16), (1, 65, 17), (1, 33, 64), (1, 130, 150), (2, 31, 65), (3, 66, 33),
         (5, 4, 16), (7, 9, 40), (13, 100, 10)]
    ):  # fmt: skip
        fill = ("random", "extreme", "ties")[n % 3]
        one = weighted("qir.IntGemm", n, (rows, depth), (columns, depth), columns, 9, fill, n % 4 == 1, True)
        x, w, bias, multiplier = one.arrays
        assert w is not None
        found.append(Case(one.node, (x, np.ascontiguousarray(w.T), bias, multiplier)))
    finish = {"y_zero_point": 12, "qmin": 5, "qmax": 250}
    for n in (1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 100):
        for shape in ((n,), (2, 1)):
            numbers = {"a_multiplier": 0.51, "b_multiplier": -0.73, "offset": 99.5, "qmin": n, "qmax": 255 - n}
            found.append(case("qir.Lookup", (codes(n, (n, *shape)), codes(n + 1, (256,)))))
            operands = (codes(n, (2, n)), codes(n + 1, shape, "extreme"))
            found.append(case("qir.IntAdd", operands, (0, 1), **numbers))
            found.append(case("qir.IntMul", operands, (0, 1), a_zero_point=n, b_zero_point=255, multiplier=0.013,
                              **(finish if n % 2 else {})))  # fmt: skip
        found.append(case("qir.IntMean", (codes(n, (2, 3 + 90 * n, n), "extreme"),), axes=(1,), x_zero_point=n,
                          multiplier=0.7, **finish))  # fmt: skip
        found.append(case("qir.IntSoftmax", (codes(n, (3, n)), exponentials(np.float32(0.01 * n))), axis=1,
                          multiplier=256.0, **(finish if n % 2 else {})))  # fmt: skip
        row = np.linspace(-90, 90, n, dtype=np.float32), np.arange(n, dtype=np.float32)
        found += [case("qir.IntLayerNorm", (codes(n, (3, n), "extreme", kind), *row), epsilon=float(n), **finish)
                  for kind in (np.uint8, np.int16)]  # fmt: skip
        found += fine_sums(n)
        found.append(case("qir.IntAveragePool", (codes(n, (1, n, 5, 4)),), kernel_shape=(3, 2), pads=(1, 0, 1, 1),
                          x_zero_point=n, multiplier=0.7, count_include_pad=n % 2, **finish))  # fmt: skip
        found.append(case("qir.IntMatMul", (codes(n, (2, 7, n)), codes(n, (n, n))), (0, 1), a_zero_point=n,
                          b_zero_point=200, multiplier=0.001, **finish))  # fmt: skip
    return found


def matrices() -> list[Case]:
    """Products of two activations: one operand shared by a batch, zero points at both ends, sizes of any kind."""
    sizes = [(1, 1, 1), (5, 7, 18), (13, 33, 40), (9, 64, 48), (8, 4, 16), (17, 100, 33), (30, 12, 70), (7, 5, 100)]
    zeros = ((0, 128), (255, 0), (7, 255))
    found = []
    for n, (rows, depth, columns) in enumerate(sizes):
        for fill, (a_zero, b_zero) in zip(("random", "extreme", "extreme"), zeros, strict=True):
            b = (3, depth, columns) if n % 2 else (2, 1, depth, columns)
            found.append(case("qir.IntMatMul", (codes(n, (2, 3, rows, depth), fill), codes(n + 5, b, fill)), (0, 1),
                              a_zero_point=a_zero, b_zero_point=b_zero, multiplier=0.001, y_zero_point=12, qmin=5,
                              qmax=250))  # fmt: skip
    return found


def test_products_of_activations(vector_target: str) -> None:
    text = check_cases(matrices(), target=vector_target).explain()
    assert vector_target not in VNNI or f"matmul_u8u8_u8__{VNNI[vector_target]}" in text


def test_ends_of_rows(vector_target: str) -> None:
    check_cases(long_rows(), target=vector_target)


def test_largest_of_many_channels(vector_target: str) -> None:
    attrs = {"kernel_shape": (3, 3), "strides": (2, 1), "pads": (1, 1, 1, 1)}
    cases = [case("MaxPool", (codes(n, (2, n, 6, 5)),), **attrs) for n in (31, 32, 33, 64, 100)]
    check_cases(cases, outcomes(cases), target=vector_target)


def test_transposed_matrices(vector_target: str) -> None:
    b, outputs = Builder(), []
    for n, (rows, depth, columns) in enumerate([(5, 7, 18), (13, 33, 40)]):
        left, right = b.feed(f"a{n}", codes(n, (2, depth, rows))), b.feed(f"b{n}", codes(n + 9, (columns, depth)))
        names = [b.transpose(left, (0, 2, 1), f"at{n}"), b.transpose(right, (1, 0), f"bt{n}")]
        outputs.append(b.node("qir.IntMatMul", names, f"y{n}", a_zero_point=255, b_zero_point=0, multiplier=1e-3))
    found = elsewhere.run(compile_c(b.graph(outputs), target=vector_target), b.feeds)
    assert all(np.array_equal(b.values[name], found[name]) for name in outputs)


def test_what_is_no_number_is_quantized_like_portable_c(vector_target: str) -> None:
    rng = np.random.default_rng(0)
    ends = [np.inf, -np.inf, np.nan, 3e38, -3e38, -0.0]
    reals = np.concatenate([rng.normal(0, 40, 77), np.arange(-40, 40) / 2, ends])
    b, outputs = Builder(), []
    for size in (1, 15, 16, 17, reals.size):
        x = b.feed(f"x{size}", np.roll(reals, size)[-size:].astype(np.float32))
        outputs.append(b.node("qir.Quantize", [x], f"y{size}", scale=0.5, zero_point=99, qmin=3, qmax=250,
                              result=np.zeros(size, np.uint8)))  # fmt: skip
    graph = b.graph(outputs)
    wanted, module = compile_c(graph).run(b.feeds), compile_c(graph, target=vector_target)
    if vector_target.startswith("x86"):
        assert "qir_convert_f32_u8__avx2" in module.explain()
    found = elsewhere.run(module, b.feeds)
    assert all(np.array_equal(wanted[name], found[name]) for name in outputs)


def test_ends_of_tiles(vector_target: str) -> None:
    module = check_cases(edges(), target=vector_target)
    isa = C_TARGETS[vector_target].isas[0]
    if isa in ("avx2", "avxvnni", "avx512vnni"):
        text = module.explain()
        assert all(f"{kernel}__{isa}" in text for kernel in ("conv_u8s8_u8", "conv_u8s8_f32"))
    if isa in ("neon", "dotprod", "i8mm"):
        text = module.explain()
        assert all(f"conv_u8s8_{kind}__{isa}" in text for kind in ("u8", "bounded_u8", "f32"))
        assert ("conv_u8s8_each_u8__neon" in text) == (isa == "neon")


def test_arm_kernels_say_what_they_refuse() -> None:
    subnormal = shaped(0, 12, (3, 4), 5, (1, 1), real=True)
    x, w, bias, scale = subnormal.arrays
    graph, _ = joined([Case(subnormal.node, (x, w, bias, np.full_like(scale, 1e-40)))])
    assert "take subnormal reals for zero" in compile_c(graph, target="armv7-neon").explain()
    assert "do not go by eights" in compile_c(graph, target="arm-neon-i8mm").explain()


def network(most: int = 128) -> tuple[Builder, list[str]]:
    """Convolutions that read the caller's own bytes and write into them: NHWC codes in and out.

    Args:
        most: weights reach from -most to most - 1.
    """
    rng = np.random.default_rng(0)
    b, outputs = Builder(), []
    for number, (c, h, w, m, k, group) in enumerate([(12, 5, 7, 20, 1, 1), (8, 6, 5, 16, 3, 1), (32, 5, 5, 32, 3, 32),
                                                      (5, 4, 4, 7, 1, 1), (40, 4, 5, 40, 3, 40),
                                                      (17, 4, 5, 18, 3, 1), (9, 4, 5, 9, 3, 9),
                                                      (18, 6, 5, 18, 5, 18)]):  # fmt: skip
        x = b.feed(f"x{number}", rng.integers(0, 256, (1, h, w, c)).astype(np.uint8))
        weight = b.constant(f"w{number}", rng.integers(-most, most, (m, c // group, k, k)).astype(np.int8))
        bias = b.constant(f"b{number}", rng.integers(-900, 900, m).astype(np.int32))
        scale = b.constant(f"s{number}", rng.uniform(1e-4, 1e-2, m).astype(np.float32))
        planes = b.transpose(x, (0, 3, 1, 2), f"p{number}")
        y = b.node("qir.IntConv", [planes, weight, bias, scale], f"y{number}", group=group, x_zero_point=0,
                   y_zero_point=100, qmin=0, qmax=255)  # fmt: skip
        if number in (0, 1, 5):
            like = b.values[y].transpose(0, 2, 3, 1).shape
            other = b.feed(f"other{number}", rng.integers(0, 256, like).astype(np.uint8))
            y = b.node("qir.IntAdd", [b.transpose(other, (0, 3, 1, 2), f"o{number}"), y], f"sum{number}", offset=3.0,
                       a_multiplier=0.5, b_multiplier=0.4, qmin=0, qmax=255)  # fmt: skip
        outputs.append(b.transpose(y, (0, 2, 3, 1), f"z{number}"))
    rows = b.feed("rows", rng.integers(0, 256, (1, 37)).astype(np.uint8))
    matrix = b.constant("matrix", rng.integers(-most, most, (37, 19)).astype(np.int8))
    bias, scale = b.constant("bias", np.arange(19, dtype=np.int32)), b.constant("scale", np.full(19, 0.01, np.float32))
    outputs.append(b.node("qir.IntGemm", [rows, matrix, bias, scale], "product", y_zero_point=9, qmin=0, qmax=255))
    left, right = (b.feed(name, rng.integers(0, 256, (1, 5, 7, 33)).astype(np.uint8)) for name in ("left", "right"))
    finish = {"y_zero_point": 9, "qmin": 0, "qmax": 255}
    pool = {"kernel_shape": (2, 2), "strides": (1, 2), "pads": (1, 0, 0, 1)}
    table = b.constant("table", rng.integers(0, 256, 256).astype(np.uint8))
    outputs += [
        b.node("qir.IntAdd", [left, right], "sum", a_multiplier=0.5, b_multiplier=0.4, offset=3.0, qmin=0, qmax=255),
        b.node("qir.IntMul", [left, right], "times", a_zero_point=3, b_zero_point=7, multiplier=0.01, **finish),
        b.node("qir.Lookup", [left, table], "looked"),
        b.node("qir.IntMean", [right], "mean", axes=(1, 2), x_zero_point=5, multiplier=0.9, **finish),
    ]
    planes = b.transpose(left, (0, 3, 1, 2), "planes")
    average = b.node("qir.IntAveragePool", [planes], "average", x_zero_point=5, multiplier=0.9, **pool, **finish)
    most = outcomes([case("MaxPool", (b.values[planes],), **pool)])[0][0]
    largest = b.node("MaxPool", [planes], "largest", result=most, **pool)
    outputs += [b.transpose(name, (0, 2, 3, 1), f"{name}s") for name in (average, largest)]
    return b, outputs


HARNESS = """#define _DEFAULT_SOURCE
#include "net.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 64 };

TABLES

/* Bytes that end (or begin) at a page that must not be touched. */
static unsigned char *guarded(size_t bytes, int at_end) {
    unsigned char *all = mmap(0, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || bytes > PAGES * PAGE || mprotect(all + PAGE, PAGES * PAGE, PROT_READ | PROT_WRITE)) {
        exit(3);
    }
    return at_end ? all + PAGE + PAGES * PAGE - bytes : all + PAGE;
}

int main(void) {
    int at_end, wrong = 0;
    for (at_end = 0; at_end < 2; ++at_end) {
        const size_t arena = (NET_ARENA_BYTES + NET_ARENA_ALIGNMENT - 1) / NET_ARENA_ALIGNMENT * NET_ARENA_ALIGNMENT;
        unsigned char *room = guarded(arena, at_end);
BODY
    }
    return wrong;
}
"""


def guard(module: CModule, b: Builder, outputs: list[str]) -> dict[str, str]:
    """The network's files with a main that runs it between guard pages."""
    tables, lines, names = [], [], []
    for name in (*b.inputs, *outputs):
        data = ", ".join(map(str, np.ascontiguousarray(b.values[name]).reshape(-1).view(np.uint8).tolist()))
        tables.append(f"static const unsigned char t_{name}[] = {{{data}}};\n")
        lines.append(f"        unsigned char *{name} = guarded(sizeof t_{name}, at_end);\n")
        names.append(name)
    lines += [f"        memcpy({name}, t_{name}, sizeof t_{name});\n" for name in b.inputs]
    lines.append(f"        wrong |= net_run(room, {', '.join(f'(void *){name}' for name in names)});\n")
    lines += [f"        wrong |= memcmp({name}, t_{name}, sizeof t_{name}) ? 2 : 0;\n" for name in outputs]
    text = HARNESS.replace("TABLES\n", "".join(tables)).replace("BODY\n", "".join(lines))
    return {**module.sources, "guard.c": text}


def fitting_flags(target: str, flags: tuple[str, ...]) -> tuple[str, ...]:
    """Compiler flags for a target: those of x86 mean nothing to others, which need their own."""
    if target.startswith("x86"):
        return flags
    return (*(flag for flag in flags if not flag.startswith("-m")), *C_TARGETS[target].flags)


UNDEFINED = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
"""Stops a program at undefined behaviour, also in an emulator, without a library."""


@pytest.mark.parametrize("flags", [("-std=gnu11", "-O3", "-mfma"), ("-std=c99", "-O0", *UNDEFINED)],
                         ids=["-O3", "-O0"])  # fmt: skip
def test_no_byte_around_the_operands_is_touched(
    vector_target: str, compiler: str, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    """Built without a warning and, on x86, without flags for the instruction set, which the kernels bring along."""
    b, outputs = network()
    for name, text in guard(compile_c(b.graph(outputs), target=vector_target), b, outputs).items():
        (tmp_path / name).write_text(text)
    line = [*elsewhere.command(vector_target, compiler), *fitting_flags(vector_target, flags)]
    subprocess.run([*line, *WARNINGS, "-c", "net.c", "net_weights.c"], cwd=tmp_path, check=True)
    subprocess.run([*line, "-static", "net.o", "net_weights.o", "guard.c", "-o", "guard"], cwd=tmp_path, check=True)
    assert subprocess.run(elsewhere.started(vector_target, "./guard"), cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("flags", [("-std=gnu11", "-O3", "-mfma", "-mavx2"), ("-O3", "-mfma", "-ffp-contract=fast")],
                         ids=" ".join)  # fmt: skip
def test_no_flag_fuses_products_and_sums(compiler: str, tmp_path: Path, flags: tuple[str, ...]) -> None:
    if "avx2" not in on_this_processor():
        pytest.skip("this processor cannot run avx2")
    b, outputs = contracting()
    module = compile_c(b.graph(outputs), target="x86-avx2")
    assert "qir_add_u8u8_u8__avx2" in module.explain()
    got = results_of(tmp_path, module.files(), compiler, flags, b, outputs)
    assert all(np.array_equal(got[name], b.values[name]) for name in outputs)


def test_networks_build_without_a_warning(vector_target: str, compiler: str, tmp_path: Path) -> None:
    """Calls among buffers of one arena, some of which need no room of their own."""
    rng = np.random.default_rng(0)
    b = Builder()
    name = b.node("qir.Quantize", [b.feed("x", rng.normal(0, 1, (1, 3, 12, 12)).astype(np.float32))], "q", scale=0.02,
                  zero_point=7, qmin=0, qmax=255)  # fmt: skip
    for number, (channels, kernel, group) in enumerate([(32, 3, 1), (32, 3, 32), (48, 1, 1), (48, 5, 48), (16, 1, 1)]):
        name = conv(b, rng, name, f"c{number}", channels, kernel, group)
    graph = b.graph([b.node("qir.Dequantize", [name], "y", scale=0.1, zero_point=7)])
    module = compile_c(graph, target=vector_target)
    found = elsewhere.run(module, b.feeds, compiler=compiler, flags=WARNINGS)  # what is emulated is built with -O2
    assert np.array_equal(b.values["y"], found["y"])
    for file, text in module.sources.items():
        (tmp_path / file).write_text(text)
    here = [] if vector_target in elsewhere.MACHINES else [("-O2", *C_TARGETS[vector_target].flags)]
    for flags in (fitting_flags(vector_target, ("-O3",)), *here):
        command = [*elsewhere.command(vector_target, compiler), "-std=c99", *flags, *WARNINGS, "-c", "net.c",
                   "net_weights.c"]  # fmt: skip
        subprocess.run(command, cwd=tmp_path, check=True)


def test_a_processor_without_the_instructions_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qir.backends.c.isas.features", lambda: frozenset({"sse2"}))
    b, outputs = network()
    module = compile_c(b.graph(outputs), target="x86-avx2")
    with pytest.raises(BuildError, match="this processor lacks avx2, fma"):
        module.run(b.feeds)


def test_features_are_known_where_linux_tells_them() -> None:
    if not Path("/proc/cpuinfo").exists():
        pytest.skip("no /proc/cpuinfo")
    assert features()
    require(["portable", "of_a_user"], "net")
    if AVX2.features <= features():
        require(["avx2"], "net")


def test_explanations_say_what_slower_kernels_cost() -> None:
    b, outputs = network()
    lines = compile_c(b.graph(outputs), target="x86-avx512vnni").explain().splitlines()
    assert any(line.startswith("node_y3: qir_conv_u8s8_u8__avx512vnni (about ") for line in lines)
    assert any(line.startswith("    not conv_u8__avx2: ") and line.endswith(" times the cycles") for line in lines)
