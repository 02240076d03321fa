"""Borders of a network: one call between the caller's arrays and codes in the order that the first kernel wants."""

from __future__ import annotations

import subprocess
from pathlib import Path

import elsewhere
import numpy as np
import pytest
from graphs import Builder
from networks import residual
from test_vectors import WARNINGS, guard

from qir.backends.c import CModule, compile_c
from qir.backends.c.kernels import _REGISTERED as REGISTERED
from qir.backends.c.kernels import Family, register_kernel
from qir.backends.c.kernels.quantize import FAMILIES
from qir.backends.c.targets import C_TARGETS
from qir.debug.c_layers import compare_layers
from qir.ir.graph import Stage


def channels_last(b: Builder, number: int, shape: tuple[int, ...]) -> str:
    """Reals to codes, an operator that wants channels last and changes nothing, and back to reals."""
    rank = len(shape) - 2
    x = b.feed(f"x{number}", np.random.default_rng(number).normal(0, 1, shape).astype(np.float32))
    q = b.node("qir.Quantize", [x], f"q{number}", scale=0.02, zero_point=117, qmin=3, qmax=250)
    y = b.node("MaxPool", [q], f"m{number}", result=b.values[q], kernel_shape=(1,) * rank, strides=(1,) * rank,
               pads=(0,) * 2 * rank)  # fmt: skip
    return b.node("qir.Dequantize", [y], f"y{number}", scale=0.1, zero_point=7)


def shapes() -> list[tuple[int, ...]]:
    """Planes and pixels around the multiples of a vector."""
    pairs = [(1, 40), (2, 16), (2, 31), (3, 2), (3, 15), (3, 17), (3, 40), (4, 4), (4, 5), (4, 33), (5, 3), (5, 16),
             (5, 31), (15, 7), (16, 16), (16, 2), (17, 18), (33, 1), (33, 4), (33, 15)]  # fmt: skip
    found: list[tuple[int, ...]] = [(1 + n % 2, c, pixels) for n, (c, pixels) in enumerate(pairs)]
    return [*found, (1, 3, 5, 7), (2, 20, 5, 5), (2, 6, 2, 3, 4), (3, 3, 3)]


def network() -> tuple[Builder, list[str]]:
    b = Builder()
    return b, [channels_last(b, n, shape) for n, shape in enumerate(shapes())]


def check_both(module: CModule, b: Builder, outputs: list[str]) -> None:
    """net_run on reals and net_run_q on codes."""
    found = module.run(b.feeds)
    assert all(np.array_equal(b.values[name], found[name]) for name in outputs)
    found = module.run_codes({name: b.values[f"q{name[1:]}"] for name in b.inputs})
    assert all(np.array_equal(b.values[f"m{name[1:]}"], found[name]) for name in outputs)


def test_one_call_at_each_border(any_target: str) -> None:
    b, outputs = network()
    module = compile_c(b.graph(outputs), target=any_target)
    check_both(module, b, outputs)
    assert ["MaxPool"] * len(outputs) == [call.op for call in module.program.calls]
    for port, shape in zip(module.program.inputs, shapes(), strict=True):
        moved = shape[1] > 1 and int(np.prod(shape[2:])) > 1
        assert moved == (port.reorder is not None)
    assert compare_layers(module, b.graph(outputs), b.feeds).ok


def test_vectors_are_used_wherever_bytes_or_reals_change_places(any_target: str) -> None:
    b, outputs = network()
    called = {call.kernel.emitted for call in compile_c(b.graph(outputs), target=any_target).program.emitted_calls}
    kinds = ("u8", "f32_u8", "u8_f32")
    moves = {f"qir_{name}_{kind}__avx2" for name in ("interleave", "transpose") for kind in kinds}
    assert (any_target != "portable") == (moves < called)
    assert (any_target == "portable") == any("strided" in name or "quantize" in name for name in called)


@pytest.mark.slow
def test_no_byte_around_the_arrays_is_touched(vector_target: str, compiler: str, tmp_path: Path) -> None:
    b, outputs = network()
    module = compile_c(b.graph(outputs), target=vector_target)
    files = {**guard(module, b, outputs), "codes.c": guarded_codes(module, b, outputs)}
    run_guarded(files, ("guard.c", "codes.c"), vector_target, compiler, tmp_path)


@pytest.mark.slow
def test_no_word_around_the_arrays_is_touched(vector_target: str, compiler: str, tmp_path: Path) -> None:
    b, outputs = words()
    module = compile_c(b.graph(outputs, Stage.FLOAT), target=vector_target)
    run_guarded(guard(module, b, outputs), ("guard.c",), vector_target, compiler, tmp_path)


def run_guarded(files: dict[str, str], mains: tuple[str, ...], target: str, compiler: str, folder: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    flags = ("-O0", "-g", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    line = [*elsewhere.command(target, compiler), *C_TARGETS[target].flags]
    line += ["-O1", "-static"] if target in elsewhere.MACHINES else flags
    subprocess.run([*line, *WARNINGS, "-c", "net.c", "net_weights.c"], cwd=folder, check=True)
    for main in mains:
        subprocess.run([*line, "net.o", "net_weights.o", main, "-o", "test"], cwd=folder, check=True)
        command = elsewhere.started(target, "./test")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:4000]


def words() -> tuple[Builder, list[str]]:
    """Tables of words around the multiples of a vector, whole ones and slices of what lies deeper."""
    b, rng, outputs = Builder(), np.random.default_rng(0), []
    sizes = [(1, 9, 9), (2, 3, 8), (1, 4, 5), (2, 8, 8), (1, 7, 16), (1, 17, 9), (2, 16, 33), (1, 40, 20)]
    for n, shape in enumerate(sizes):
        x = b.feed(f"x{n}", rng.integers(-(2**31), 2**31, shape).astype(np.int32).view((np.float32, np.int32)[n % 2]))
        outputs.append(b.transpose(x, (0, 2, 1), f"y{n}"))
    deep = b.feed("deep", rng.standard_normal((3, 11, 2, 13)).astype(np.float32))
    return b, [*outputs, b.transpose(deep, (0, 2, 3, 1), "shallow"), b.transpose(deep, (2, 3, 0, 1), "turned")]


def test_words_change_places_bit_by_bit(any_target: str) -> None:
    b, outputs = words()
    module = compile_c(b.graph(outputs, Stage.FLOAT), target=any_target)
    found = module.run(b.feeds)
    assert all(np.array_equal(b.values[name].view(np.int32), found[name].view(np.int32)) for name in outputs)
    kernels = {call.kernel.emitted.split("__")[0] for call in module.program.emitted_calls}
    assert kernels == ({"qir_strided_f32", "qir_strided_s32"} if any_target == "portable"
                       else {"qir_transpose_f32", "qir_transpose_s32"})  # fmt: skip


def guarded_codes(module: CModule, b: Builder, outputs: list[str]) -> str:
    """The main that runs net_run_q between guard pages."""
    codes, results = [f"q{name[1:]}" for name in b.inputs], [f"m{name[1:]}" for name in outputs]
    inner = Builder()
    inner.inputs, inner.values = codes, b.values
    return guard(module, inner, results)["guard.c"].replace("net_run(", "net_run_q(")


def test_values_that_others_share_keep_bytes_of_their_own(any_target: str) -> None:
    """An input read in two orders, and one result given as reals twice and as codes."""
    b = Builder()
    channels_last(b, 0, (1, 3, 4, 5))
    table = b.constant("table", np.arange(256, dtype=np.uint8)[::-1].copy())
    plain = b.reshape(b.node("qir.Lookup", ["q0", table], "other"), (3, 20), "flat")
    outputs = ["y0", b.node("qir.Dequantize", ["m0"], "again", scale=0.5, zero_point=3), plain,
               b.transpose("m0", (0, 2, 3, 1), "pixels")]  # fmt: skip
    module = compile_c(b.graph(outputs), target=any_target)
    found = module.run(b.feeds)
    assert all(np.array_equal(b.values[name], found[name]) for name in outputs)
    codes = module.run_codes({"x0": b.values["q0"]})
    assert np.array_equal(b.values["m0"], codes["y0"])
    assert np.array_equal(b.values["m0"], codes["again"])
    assert all(np.array_equal(b.values[name], codes[name]) for name in outputs[2:])


def test_hook_numbers_both_ways_over_a_border_alike(tmp_path: Path) -> None:
    _, b, outputs = residual()
    module = compile_c(b.graph(outputs))
    text = module.sources["net.c"]
    assert module.program.inputs[0].reorder is not None
    assert 'QIR_LAYER(0, "input/codes"'.replace("QIR", "NET") in text
    assert f'NET_LAYER(0, "{module.program.entry[0].node}"' in text
    assert "input/codes: qir_strided_u8__portable" in module.explain()


def test_kernels_of_users_are_not_asked_to_reorder() -> None:
    """One that does not say that it can gets its operands in one order, and a copy is made."""
    shipped = next(family for family in FAMILIES if family.name == "quantize")
    register_kernel(Family("own", shipped.ops, shipped.layout, shipped.variants))
    try:
        b = Builder()
        outputs = [channels_last(b, 0, (1, 3, 4, 5))]
        module = compile_c(b.graph(outputs))
    finally:
        REGISTERED.pop(0)
    check_both(module, b, outputs)
    assert ["qir.Reorder", "MaxPool"] == [call.op for call in module.program.calls]
