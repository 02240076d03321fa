"""Packed bits: the kernels give exactly what the references give, for every width, shape and kind of result."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import elsewhere
import numpy as np
import pytest
from conftest import BITS
from graphs import Case, case, check_cases, joined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_emitted import WARNINGS
from test_vectors import guard

from qir.backends.c import CModule, compile_c
from qir.backends.c.kernels import Variant
from qir.backends.c.targets import C_TARGETS
from qir.ops.integer_bits import pack, unpack

FINISHES: tuple[dict[str, Any], ...] = (
    {},
    {"y_zero_point": 3, "qmin": 0, "qmax": 255},
    {"y_levels": 2, "qmin": 127, "y_step": 2},
    {"y_levels": 2, "y_bits": 1},
    {"y_levels": 3, "y_bits": 2},
    {"y_levels": 4, "y_bits": 2},
)
"""Reals, codes, codes of two numbers, packed numbers."""
WEIGHTS = ("binary", "ternary", "2 bits", "3 bits", "4 bits")


def weights(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    low, high = {"binary": (0, 2), "ternary": (-1, 2), "2 bits": (-2, 2), "3 bits": (-4, 4), "4 bits": (-8, 8)}[kind]
    w = rng.integers(low, high, shape)
    return (2 * w - 1 if kind == "binary" else w).astype(np.int8)


def layer(number: int, shape: tuple[int, ...], w_shape: tuple[int, ...], x_bits: int, kind: str,
          finish: dict[str, Any], **attrs: Any) -> Case:  # fmt: skip
    """A convolution of numbers [N, C, ...] with weights [M, C, ...], or a product of [..., K] with [K, N]."""
    rng = np.random.default_rng(number)
    is_conv = len(w_shape) > 2
    x = pack(np.moveaxis(rng.integers(0, 1 << x_bits, shape), 1 if is_conv else -1, -1).astype(np.uint8), x_bits)
    w, outputs = weights(kind, w_shape, rng), w_shape[0] if is_conv else w_shape[1]
    bias = rng.integers(-9, 9, outputs).astype(np.int32)
    last = rng.uniform(0.05, 0.2, outputs).astype(np.float32)
    if "y_levels" in finish:
        last = np.sort(rng.integers(-12, 12, (finish["y_levels"] - 1, outputs)), axis=0).astype(np.int32)
        last[..., :1] = np.iinfo(np.int32).max  # never reached
    codes = {"step": 2, "x_zero_point": 1} if x_bits == 1 else {"step": 1, "x_zero_point": number % 3}
    op = "qir.IntBitConv" if is_conv else "qir.IntBitGemm"
    return case(op, (x, w, bias, last), bits=x_bits, **codes, **attrs, **finish)


SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((1, 64, 5, 6), (16, 64, 3, 3), {"pads": (1, 1, 1, 1)}),
    ((2, 32, 6, 5), (19, 32, 3, 2), {"strides": (2, 1), "pads": (0, 1, 1, 0)}),
    ((1, 40, 7, 7), (8, 40, 3, 3), {"dilations": (2, 2), "pads": (2, 2, 2, 2)}),
    ((1, 9, 4, 4), (33, 9, 1, 1), {}),
    ((1, 128, 9), (5, 128, 3), {"pads": (1, 1)}),
    ((1, 16, 3, 4, 3), (3, 16, 2, 2, 2), {"pads": (1, 0, 1, 0, 1, 0)}),
    ((3, 200), (200, 17), {}),
    ((2, 3, 64), (64, 64), {}),
    ((1, 784), (784, 10), {}),
    ((70, 1152), (1152, 32), {}),
)


def layers() -> Iterator[Case]:
    """Every shape with binary weights and numbers, and with others in turn."""
    yield layer(0, *SHAPES[0][:2], 2, "binary", FINISHES[1], **SHAPES[0][2])
    yield layer(1, *SHAPES[6][:2], 2, "binary", FINISHES[5])
    for place, (shape, w_shape, attrs) in enumerate(SHAPES):
        for x_bits, kind in ((1, "binary"), (2 - place % 2, WEIGHTS[1 + place % 4])):
            number = 5 * place + x_bits
            yield layer(number, shape, w_shape, x_bits, kind, FINISHES[number % len(FINISHES)], **attrs)


PIXELS: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((1, 16, 20, 33), (16, 16, 3, 3), {"pads": (1, 1, 1, 1)}),
    ((2, 32, 9, 16), (24, 32, 3, 3), {"pads": (0, 0, 1, 1), "strides": (2, 2)}),
    ((1, 8, 9, 70), (8, 8, 3, 5), {"pads": (2, 3, 1, 4), "dilations": (2, 3), "strides": (3, 2)}),
    ((1, 40, 5, 7), (32, 40, 3, 3), {"pads": (3, 3, 3, 3)}),
    ((1, 1024, 4, 9), (8, 1024, 3, 3), {"pads": (1, 1, 1, 1)}),
    ((1, 64, 8, 8), (16, 64, 1, 1), {"strides": (2, 2)}),
    ((2, 24, 50), (8, 24, 5), {"pads": (2, 20)}),
    ((2, 24, 5, 13), (8, 24, 1, 1), {}),
    ((150, 136), (136, 16), {}),
)
"""More pixels than a vector has lanes, and less; planes that fill one block of rows and more; pixels of one, two, four
bytes and any other number, side by side and apart; steps that are whole threes and not."""


def pixels() -> Iterator[Case]:
    """Binary layers whose lanes are pixels: signs, and bits without a zero in the middle."""
    for number, (shape, w_shape, attrs) in enumerate(PIXELS):
        for finish in (FINISHES[2 + number % 2], FINISHES[4 + number % 2]):
            one = layer(number, shape, w_shape, 1, "binary", finish, **attrs)
            codes = {"step": 1, "x_zero_point": 0} if number % 3 == 0 else {}
            yield replace(one, node=one.node.with_(attrs={**one.node.attrs, **codes}))
    one = layer(9, *PIXELS[0][:2], 1, "binary", {**FINISHES[5], "y_bits": 0}, **PIXELS[0][2])
    yield replace(one, node=one.node.with_(attrs={k: v for k, v in one.node.attrs.items() if k != "y_bits"}))


def few_sums() -> Iterator[Case]:
    """Sums of few codes of which an operand has few, too, on either side; some are never reached."""
    rng = np.random.default_rng(2)
    for count, slot, (least, most), sums, (many_step, few_step) in (
        (77, 1, (127, 129), 1, (0.016, 0.51)), (64, 0, (0, 15), 3, (0.02, -0.1)), (5, 1, (250, 255), 2, (0.001, 0.01)),
    ):  # fmt: skip
        many = rng.integers(0, 256, count).astype(np.uint8)
        few = rng.integers(least, most + 1, count).astype(np.uint8)
        (a, b), (first, second) = (pair[:: 2 * slot - 1] for pair in ((many, few), (many_step, few_step)))
        yield case("qir.IntAdd", (a, b), (0, 1), a_multiplier=first, b_multiplier=second, offset=-few_step * most,
                   qmin=7, qmax=7 + sums, few=(slot, least, most))  # fmt: skip


def packs() -> Iterator[Case]:
    rng = np.random.default_rng(1)
    for shape, axis in (((2, 3), -1), ((1, 40, 3, 5), 1), ((2, 8, 7), 1), ((1, 64, 4, 4), 1), ((5, 784), -1)):
        for bits, step in ((1, 2), (1 + axis % 2, 1)):
            codes = (127 + step * rng.integers(0, 1 << bits, shape)).astype(np.uint8)
            yield case("qir.IntPackBits", (codes,), bits=bits, step=step, qmin=127, axis=axis)


def compares() -> Iterator[Case]:
    some = [0.5, 0.49999, -0.5, -0.50001, 0, -0.0, 3, np.nan, np.inf, -np.inf, 1e-40, -1e-40]
    attrs = {"scale": 1.0, "zero_point": 128, "qmin": 127, "qmax": 129}
    for rounding in ("binary", "ternary"):
        for threshold in (0.0, 0.5):
            for count in (1, 5):
                yield case("qir.Quantize", (np.array(some * count, np.float32),), rounding=rounding,
                           threshold=threshold, **attrs)  # fmt: skip


def test_packing_is_lossless() -> None:
    rng = np.random.default_rng(0)
    for bits, channels in ((1, 1), (1, 8), (2, 13), (2, 64)):
        numbers = rng.integers(0, 1 << bits, (3, channels)).astype(np.uint8)
        packed = pack(numbers, bits)
        assert packed.shape == (3, bits * -(-channels // 8))
        np.testing.assert_array_equal(numbers, unpack(packed, bits, channels))


@pytest.mark.parametrize("bits_target", ["portable", "x86-avx2", BITS], indirect=True)
def test_every_instruction_set_gives_the_same(bits_target: str) -> None:
    """On this processor; for others the test of operands tells it too."""
    module = check_cases([*layers(), *packs(), *compares()], target=bits_target)
    called = [call.kernel.emitted for call in module.program.emitted_calls if "Bit" in call.op]
    assert {name.endswith("portable") for name in called} == {bits_target == "portable"}


@pytest.mark.slow
@pytest.mark.parametrize("bits_target", ["x86-avx2", BITS], indirect=True)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_layers(bits_target: str, data: st.DataObject) -> None:
    cases = []
    for _ in range(8):
        c, m, taps, size = (data.draw(st.integers(1, most)) for most in (70, 70, 3, 6))
        pads = tuple(data.draw(st.lists(st.integers(0, 2), min_size=4, max_size=4)))
        if min(size + pads[0] + pads[2], size + pads[1] + pads[3]) >= taps:
            number, kind = data.draw(st.integers(0, 999)), data.draw(st.sampled_from(WEIGHTS))
            cases.append(layer(number, (2, c, size, size), (m, c, taps, taps), 1 + number % 2, kind,
                               data.draw(st.sampled_from(FINISHES)), pads=pads))  # fmt: skip
    check_cases(cases or [next(layers())], target=bits_target)


def check_guarded(cases: list[Case], target: str, compiler: str, folder: Path) -> CModule:
    """Builds without a warning, nothing optimized, and, on x86, without flags for the instruction set; compares."""
    graph, builder = joined(cases)
    module = compile_c(graph, target=target)
    for name, text in guard(module, builder, list(graph.outputs)).items():
        (folder / name).write_text(text)
    emulated = target in elsewhere.MACHINES
    flags = (*C_TARGETS[target].flags, "-O1", "-static") if emulated else ("-O0", "-fsanitize=address,undefined")
    line = [*elsewhere.command(target, compiler), "-std=c99", *flags]
    subprocess.run([*line, *WARNINGS, "-c", "net.c", "net_weights.c"], cwd=folder, check=True)
    subprocess.run([*line, "-std=gnu99", "net.o", "net_weights.o", "guard.c", "-o", "guard"], cwd=folder, check=True)
    done = subprocess.run(elsewhere.started(target, "./guard"), cwd=folder, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[:4000]
    return module


@pytest.mark.slow
def test_no_byte_around_the_operands_is_touched(bits_target: str, compiler: str, tmp_path: Path) -> None:
    check_guarded([*layers(), *packs(), *compares()], bits_target, compiler, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("bits_target", ["x86-avx2"], indirect=True)
def test_pixels_in_the_lanes(
    bits_target: str, compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = ("conv_bits_pixels__avx2", "add_few__avx2")
    monkeypatch.setattr(Variant, "cycles", lambda self, *_: 1.0 + (self.title not in titles))
    module = check_guarded([*pixels(), *few_sums()], bits_target, compiler, tmp_path)
    taken = {choice.variant for choice in module.program.choices}
    assert set(titles) == {title for title in taken if title.startswith(("conv", "add"))}


def signs() -> Iterator[Case]:
    """Binary layers that give single bits: few pixels, whole vectors, ends of panels, 18 steps at once, both steps."""
    shapes = [*SHAPES, *(((pixels, depth), (depth, outputs), {}) for pixels, depth, outputs in (
        (1, 128, 32), (2, 256, 40), (3, 384, 64), (5, 128, 70), (6, 584, 9), (9, 2304, 33)))]  # fmt: skip
    for number, (shape, w_shape, attrs) in enumerate(shapes):
        one = layer(number, shape, w_shape, 1, "binary", FINISHES[3], **attrs)
        yield replace(one, node=one.node.with_(attrs={**one.node.attrs, "step": 1 + number % 2}))


@pytest.mark.slow
@pytest.mark.needs("qemu-aarch64", "aarch64-linux-gnu-gcc")
def test_signs_of_products(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None]
) -> None:
    monkeypatch.setattr(Variant, "cycles", lambda self, *_: 1.0 + (self.title != "conv_bits_signs__asimd"))
    module = check_guarded(list(signs()), "arm-neon", compiler, tmp_path)
    assert {"qir_conv_bits_signs__asimd"} == {
        call.kernel.emitted for call in module.program.emitted_calls if "Bit" in call.op
    }
    evidence("ran", "kernels for asimd of arm-neon, in qemu-aarch64")


def test_binary_weights_take_hardly_more_than_a_bit(bits_target: str) -> None:
    """A threshold a channel is all that stands beside them."""
    one = layer(1, (1, 1152), (1152, 128), 1, "binary", FINISHES[3])
    program = compile_c(joined([one])[0], target=bits_target).program
    assert 8 * program.weight_bytes < 1.03 * 1152 * 128
