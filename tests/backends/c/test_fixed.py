"""Codes made of sums by integers alone: what the modes share, where they part, and that no float is left."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import elsewhere
import numpy as np
import pytest
from graphs import case, check_cases, evaluate, fixed, fixed_graph, joined
from networks import residual
from test_boards import some_of_each
from test_emitted import WARNINGS
from test_formats import NET, OPERATORS, network, operators
from test_integer_families import codes

import qir
from qir.backends.c import compile_c
from qir.backends.c.binding import RUNTIME
from qir.backends.c.isas import require
from qir.errors import BuildError, RecipeError
from qir.ops.integer_rows import exponentials
from qir.target import TARGETS
from tests.end_to_end.contract import STRICT, compare_nodes
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, apply, samples

WITHOUT_FPU = [name for name, target in TARGETS.items() if target.requantization == "fixed"]


def test_targets_without_an_fpu_use_integers() -> None:
    assert {"cortex-m0", "cortex-m3", "riscv32"} == set(WITHOUT_FPU)


def test_multipliers_of_any_size() -> None:
    """Around the shifts at which the arithmetic changes, and far beyond codes on both sides."""
    products = [2.0**e * (1 + 2.0**-k) for e in (-126, -60, -40, -34, -31, -24, -16, -9, -3, -2, -1, 0, 4, 20, 90)
                for k in (1, 23)]  # fmt: skip
    cases = [
        fixed(case("qir.IntMul", (codes(2 * i, (60,), kind=kind), codes(2 * i + 1, (60,), kind=kind)), (0, 1),
                   a_zero_point=0, b_zero_point=0, multiplier=float(np.float32(m)), y_zero_point=-5, qmin=-30000,
                   qmax=32767, to="int16"))
        for i, m in enumerate(products) for kind in (np.uint8, np.int16)
    ]  # fmt: skip
    check_cases(cases)


_PRODUCTS = """#include "RUNTIME"
static uint64_t state = 88172645463325252u;
static uint32_t drawn(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

/* Multipliers from 2^-31 to 2 and their neighbours in few bits, sums at any place and around halves of codes. */
int main(void) {
    int32_t i, wrong = 0;
    for (i = 0; i < 400000; ++i) {
        const qir_requant bytes = {-128, 127, 128}, wide = {-32768, 32767, 0}, *const q = i % 3 ? &bytes : &wide;
        uint32_t bits = (96u + drawn(33)) << 23 | (drawn(1u << 23) & (i % 5 ? 0x7fffffu : 0x7f0000u));
        float multiplier;
        int32_t acc = (int32_t)drawn(0xffffffffu) >> drawn(28);
        int16_t found;
        memcpy(&multiplier, &bits, sizeof bits);
        if (i % 2) {
            const double at = ((double)drawn(512) - 255.5) / (double)multiplier;
            acc = at > -2e9 && at < 2e9 ? (int32_t)at + (int32_t)drawn(5) - 2 : 0;
        }
        qir_store_s16(acc, multiplier, q, &found);
        wrong += found != qir_code((float)acc * multiplier, q);
    }
    return wrong != 0;
}
"""


def test_products_without_an_fpu_are_those_of_float32(compiler: str, tmp_path: Path) -> None:
    """By integers, on this processor, whose floats they are compared with."""
    (tmp_path / "test.c").write_text(_PRODUCTS.replace("RUNTIME", str(RUNTIME / "qir_runtime.h")))
    line = [compiler, "-std=c99", "-O2", *WARNINGS, "-D__SOFTFP__", "-fsanitize=undefined",
            "-fno-sanitize-recover=all", "test.c", "-o", "test"]  # fmt: skip
    subprocess.run(line, cwd=tmp_path, check=True)
    assert subprocess.run(["./test"], cwd=tmp_path, check=False).returncode == 0


def test_kernels_are_clean(compiler: str, tmp_path: Path) -> None:
    """No warning as C or C++, nothing undefined, the bits of the references; also of multipliers beyond reason."""
    finish: dict[str, Any] = {"y_zero_point": 255, "qmin": 0, "qmax": 255}
    beyond = [
        case("qir.IntMul", (codes(0, (40,)), codes(1, (40,))), (0, 1), a_zero_point=0, b_zero_point=255, multiplier=1e9,
             **finish),
        case("qir.IntAveragePool", (codes(2, (1, 9, 6, 7)),), x_zero_point=255, multiplier=1e20, kernel_shape=(3, 2),
             strides=(2, 1), pads=(1, 1, 1, 0), **finish),
        case("qir.IntSoftmax", (codes(3, (3, 500)), exponentials(np.float32(0.001))), axis=1, multiplier=1e30,
             **finish),
    ]  # fmt: skip
    graph, builder = joined([fixed(one) for one in (*some_of_each(), *beyond)])
    wanted = builder.wanted(list(graph.outputs))
    folder = compile_c(graph, test_vectors=[(builder.feeds, wanted)]).save(tmp_path)
    line = [compiler, "-std=c99", *WARNINGS, "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            "net.c", "net_weights.c", "main.c", "-o", "test", "-lm"]  # fmt: skip
    subprocess.run(line, cwd=folder, check=True)
    subprocess.run(["./test"], cwd=folder, check=True)
    line = [compiler, "-x", "c++", "-std=c++17", *WARNINGS, "-fsyntax-only", "net.c"]
    subprocess.run(line, cwd=folder, check=True)


def test_no_vectors_round_otherwise() -> None:
    graph, builder, outputs = residual()
    module = compile_c(fixed_graph(graph), target="x86-avx2")
    assert "it rounds in float32, not by integers alone" in module.explain()
    assert {"portable"} == {call.kernel.emitted.rpartition("__")[2] for call in module.program.calls if call.macs}
    assert "fixed" == module.program.requantization
    assert "float32" == compile_c(graph).program.requantization
    del builder, outputs


def test_a_network_whose_sums_join_a_convolution() -> None:
    """By integers too; it parts from float32 by few codes, of 0.1 each."""
    graph, builder, (output,) = residual()
    module, wanted = compile_c(fixed_graph(graph)), evaluate(fixed_graph(graph), builder.feeds)[output]
    assert "_fixed_sum__portable" in module.explain()
    assert np.array_equal(wanted, module.run(builder.feeds)[output])
    assert np.abs(wanted - builder.values[output]).max() < 0.35


@pytest.mark.parametrize("text", [NET, OPERATORS], ids=["layers", "operators"])
def test_each_node_gives_what_its_types_say(text: str) -> None:
    """The contract of float32 holds for integers alone, too."""
    quant = apply(ALL, network() if text == NET else operators())
    integer = apply("lower-integer", quant, "cortex-m0")
    assert any(node.attr("requantization") == "fixed" for node in integer.nodes)
    for row in compare_nodes(quant, integer, [samples(quant, seed=seed) for seed in range(10)]):
        assert row.worst <= 1, row
        assert row.wrong <= max(1, (0.0005 if row.op in STRICT else 0.005) * row.elements), row


def whole() -> qir.Graph:
    """A network with every kind of layer that has an integer form."""
    return net("""(float[1,6,8,8] x) => (float[1,5] y) {
        a = Conv <pads=[1,1,1,1]> (x, w)  r = Relu(a)  d = Conv <group=12, pads=[1,1,1,1]> (r, v)  s = Add(d, r)
        p = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (s)  t = Sigmoid(p)  m = Mul(t, s)
        l = LayerNormalization (m, e, e)  g = GlobalAveragePool(l)  f = Flatten(g)  o = Gemm <transB=1> (f, u)
        y = Softmax(o)
    }""", w=normal(12, 6, 3, 3) / 7, v=normal(12, 1, 3, 3), e=normal(8), u=normal(5, 12))  # fmt: skip


def test_compiled_for_this_processor_and_another() -> None:
    """The same bits, and results that are codes."""
    graph = whole()
    here = qir.compile(graph, samples(graph), target="portable", requantization="fixed")
    there = qir.compile(graph, samples(graph), target="cortex-m0")
    feed = samples(graph, seed=5)
    assert isinstance(here, qir.CompiledC)
    assert isinstance(there, qir.CompiledC)
    assert np.array_equal(here.run(feed)["y"], there.run(feed)["y"])
    assert here.program.outputs[0].code is not None
    assert there.compare_layers(feed).ok
    plain = qir.compile(graph, samples(graph), target="portable")
    assert np.abs(here.run(feed)["y"] - plain.run(feed)["y"]).max() < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("target", WITHOUT_FPU)
def test_no_float_is_left(target: str, tmp_path: Path, need: Callable[[str], str]) -> None:
    """Of what net_run_q reaches: no floating-point arithmetic, no 64-bit division, nothing of libm."""
    for tool in elsewhere.needs(target):
        need(tool)
    graph = whole()
    c = qir.compile(graph, samples(graph), target=target)
    assert isinstance(c, qir.CompiledC)
    tools, folder = c.module.tools, c.save(tmp_path)
    assert tools is not None
    line = [f"{tools.prefix}gcc", *tools.flags, *c.module.flags, "-std=c99", "-O2", "-ffunction-sections",
            "-fdata-sections", "-nostartfiles", "-Wl,--gc-sections,-e,net_run_q", "net.c", "net_weights.c", "-o",
            "net.elf", "-lm"]  # fmt: skip
    subprocess.run(line, cwd=folder, check=True)
    listed = subprocess.run([f"{tools.prefix}nm", "net.elf"], cwd=folder, capture_output=True, text=True, check=True)
    names = {words[2] for row in listed.stdout.splitlines() if (words := row.split())[1] in "tTwW"}
    own = {"net_run_q", "net_calls", "memcpy", "memset", "__text_end"}
    helpers = {"__aeabi_lmul", "__muldi3", "__aeabi_idiv", "__aeabi_uidiv", "__aeabi_lasr", "__aeabi_llsr",
               "__aeabi_llsl"}  # fmt: skip
    assert not {name for name in names if not name.startswith("net_")} - own - helpers


def test_kernels_of_a_microcontroller_do_not_run_here() -> None:
    """Portable C stands in for them, but not where the files that hold them are built as they are."""
    with pytest.raises(BuildError, match="example='qemu'"):
        require(("dsp",), "net")


def test_unknown_modes_are_refused() -> None:
    graph = whole()
    with pytest.raises(RecipeError, match="float32, fixed"):
        qir.compile(graph, samples(graph), target="portable", requantization="double")
    with pytest.raises(RecipeError, match="onnx"):
        qir.compile(graph, samples(graph), requantization="fixed")
