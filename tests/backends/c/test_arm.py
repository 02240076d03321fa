"""Kernels for ARM are chosen where they can be, and leave what their vectors would get wrong to portable C."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import elsewhere
import numpy as np
import pytest
from conftest import prefer
from graphs import Case, case, check_cases, joined
from test_emitted import contracting
from test_integer_families import codes

from qir.backends.c import compile_c
from qir.ops.integer_rows import exponentials

FINISH = {"y_zero_point": 12, "qmin": 5, "qmax": 250}
FACTORS = {"a_zero_point": 3, "b_zero_point": 200}
POOL = {"kernel_shape": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)}
ELEMENTWISE: dict[str, Case] = {
    "qir_add_u8u8_u8__neon": case("qir.IntAdd", (codes(0, (2, 40)), codes(1, (40,))), (0, 1), a_multiplier=0.5,
                                  b_multiplier=0.7, offset=3.0, qmin=0, qmax=255),
    "qir_add_s16u8_s16__neon": case("qir.IntAdd", (codes(0, (2, 40), kind=np.int16), codes(1, (2, 40))), (0, 1),
                                    a_multiplier=0.5, b_multiplier=0.7, offset=3.0, qmin=-32768, qmax=32767,
                                    to="int16"),
    "qir_mul_u8u8_u8__neon": case("qir.IntMul", (codes(0, (2, 40)), codes(1, (2, 1))), (0, 1), multiplier=0.01,
                                  **FACTORS, **FINISH),
    "qir_mul_u8u8_f32__neon": case("qir.IntMul", (codes(0, (40,)), codes(1, (40,))), (0, 1), multiplier=0.01,
                                   **FACTORS),
    "qir_lookup_u8_u8__neon": case("qir.Lookup", (codes(0, (40,)), codes(1, (256,)))),
    "qir_maxpool_u8__neon": case("MaxPool", (codes(0, (1, 16, 4, 4)),), **POOL),
    "qir_pool_u8_u8__neon": case("qir.IntAveragePool", (codes(0, (1, 9, 4, 4)),), x_zero_point=7, multiplier=0.9,
                                 **POOL, **FINISH),
    "qir_mean_u8_f32__neon": case("qir.IntMean", (codes(0, (1, 5, 300, 9)),), axes=(1, 2), x_zero_point=255,
                                  multiplier=0.9),
    "qir_quantize_f32_u8__neon": case("qir.Quantize", (np.arange(40, dtype=np.float32),), scale=0.3, zero_point=4,
                                      qmin=0, qmax=255),
    "qir_layernorm_s16_u8__neon": case("qir.IntLayerNorm",
                                       (codes(0, (3, 40), kind=np.int16), *np.ones((2, 40), np.float32)),
                                       epsilon=3.0, **FINISH),
    "qir_dequantize_u8_f32__neon": case("qir.Dequantize", (codes(0, (3, 17)),), scale=0.1, zero_point=9),
}  # fmt: skip
"""One case for every kernel, which is not the only thing that it takes."""


def depthwise(
    seed: int, channels: int, size: tuple[int, ...], kernel: tuple[int, ...], *, pads: tuple[int, ...] = (),
    strides: tuple[int, ...] = (), dilations: tuple[int, ...] = (), least: int = -127, real: bool = False,
    zero: int = 9, whole: bool = False,
) -> Case:  # fmt: skip
    """Codes and weights at the ends of their ranges, every other time random ones.

    Args:
        least: weights of every other tap reach it, the others -127.
        whole: results may be all codes of their type.
    """
    rng, ones, flat = np.random.default_rng(seed), (1,) * len(size), (channels, int(np.prod(kernel)))
    w = rng.choice([-127, 127], flat) if seed % 2 else rng.integers(-127, 128, flat)
    w[:, ::2] = np.where(w[:, ::2] == -127, least, w[:, ::2])
    x = rng.choice([0, 255], (2, channels, *size)) if seed % 2 else rng.integers(0, 256, (2, channels, *size))
    bias = rng.integers(-4000, 4000, channels) - zero * w.sum(axis=1)
    arrays = (x.astype(np.uint8), w.reshape(channels, 1, *kernel).astype(np.int8), bias.astype(np.int32),
              rng.uniform(1e-4, 1e-2, channels).astype(np.float32))  # fmt: skip
    finish = {} if real else {**FINISH, "qmin": 0, "qmax": 255} if whole else FINISH
    return case("qir.IntConv", arrays, group=channels, x_zero_point=zero, pads=pads or (0,) * 2 * len(size),
                strides=strides or ones, dilations=dilations or ones, **finish)  # fmt: skip


def windows() -> list[Case]:
    """Depthwise windows of three by three taps, and of others, around the ends of blocks and of the input."""
    sizes, channels, zeros = ((3, 3), (4, 5), (5, 4), (9, 7), (1, 1), (6, 2)), (8, 9, 16, 24, 31), (0, 128, 255)
    near = [
        depthwise(n, channels[n % 5], size, (3, 3), pads=(1, 1, 1, 1), strides=strides, zero=zeros[n % 3],
                  least=(-127, -128)[n % 4 == 1], real=n % 7 == 0, whole=n % 3 == 2)
        for n, (size, strides) in enumerate(product(sizes, ((1, 1), (2, 2), (1, 2), (2, 1))))
    ]  # fmt: skip
    near += [
        depthwise(1, 8, (7, 9), (3, 3)), depthwise(3, 8, (3, 8), (3, 3), pads=(0, 2, 0, 1), least=-128),
        depthwise(5, 17, (9, 6), (3, 3), pads=(2, 1, 2, 1), dilations=(2, 1)),
        depthwise(7, 12, (8, 8), (3, 3), pads=(2, 2, 2, 2), zero=255),
    ]  # fmt: skip
    others = [
        depthwise(n, (16, 17, 33, 40)[n % 4], size, kernel, pads=pads, strides=strides, dilations=dilations,
                  zero=zeros[n % 3], least=(-127, -128)[n % 4 == 1], real=n == 3, whole=n % 2 == 0)
        for n, (size, kernel, pads, strides, dilations) in enumerate([
            ((7, 8), (5, 5), (2, 2, 2, 2), (1, 1), (1, 1)), ((7, 8), (5, 5), (2, 2, 2, 2), (2, 2), (1, 1)),
            ((12, 3), (9, 1), (4, 0, 4, 0), (1, 1), (1, 1)), ((6, 6), (3, 3), (2, 2, 2, 2), (1, 1), (2, 2)),
            ((20,), (3,), (1, 1), (1,), (1,)), ((3, 4, 5), (2, 3, 2), (1, 0, 1, 0, 1, 1), (1, 2, 1), (1, 1, 1)),
            ((5, 5), (1, 1), (0, 0, 0, 0), (2, 1), (1, 1)), ((4, 4), (7, 7), (3, 3, 3, 3), (1, 1), (1, 1)),
            ((9, 9), (3, 3), (1, 1, 1, 1), (3, 3), (1, 1)),
        ])
    ]  # fmt: skip
    return near + others


ARM = ("armv7-neon", "arm-neon", "arm-neon-dotprod")


@pytest.mark.slow
@pytest.mark.parametrize("target", ARM)
def test_depthwise_windows_at_the_ends_of_ranges(
    target: str, compiler: str, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> None:  # fmt: skip
    prefer(target, monkeypatch, evidence, need)
    text = check_cases(windows(), target=target, compiler=compiler).explain()
    wanted = {f"{name}_{kind}__neon" for name in ("3x3", "depthwise") for kind in ("u8", "bounded_u8", "f32")}
    if target == "arm-neon-dotprod":  # whose other kernel, made for any convolution, comes before those of NEON
        wanted = {"3x3_u8__dotprod", "3x3_bounded_u8__dotprod", "3x3_f32__dotprod"}
    assert not {name for name in wanted if name not in text}


@pytest.mark.parametrize(("one", "kernel"), [
    (depthwise(0, 8, (5, 5), (3, 3), whole=True), "3x3_u8__dotprod"),
    (depthwise(0, 8, (3, 5), (3, 3), whole=True), "3x3_u8__neon"),
    (depthwise(0, 8, (5, 5), (3, 3), strides=(2, 2)), "3x3_bounded_u8__neon"),
    (depthwise(0, 16, (5, 5), (3, 3), strides=(1, 3), whole=True), "depthwise_u8__neon"),
    (depthwise(0, 16, (5, 5), (5, 5)), "depthwise_bounded_u8__neon"),
    (depthwise(0, 7, (5, 5), (3, 3)), "depthwise_u8__portable"),
])  # fmt: skip
def test_windows_have_their_kernels(one: Case, kernel: str) -> None:
    assert f"qir_conv_u8s8_{'depthwise_' * ('3x3' in kernel)}{kernel}" in explained(one, "arm-neon-dotprod")


def test_two_weights_that_16_bits_cannot_take_together() -> None:
    one = depthwise(1, 8, (5, 5), (3, 3))
    assert one.arrays[1] is not None
    one.arrays[1][3, 0, 0, :2] = -128
    assert "two weights side by side are -128" in explained(one, "arm-neon")
    assert "3x3_bounded_u8__dotprod" in explained(one, "arm-neon-dotprod")


def test_softmax_has_its_kernel_on_64_bits() -> None:
    one = case("qir.IntSoftmax", (codes(0, (3, 40)), exponentials(np.float32(0.05))), axis=1, multiplier=256.0)
    assert "qir_softmax_u8_f32__asimd" in explained(one, "arm-neon")
    assert "qir_softmax_u8_f32__portable" in explained(one, "armv7-neon")


def test_rows_that_may_give_what_is_no_number_are_left_to_portable_c() -> None:
    one = case("qir.IntLayerNorm", (codes(0, (3, 40)), *np.ones((2, 40), np.float32)), epsilon=0.0, **FINISH)
    text = explained(one, "arm-neon")
    assert "qir_layernorm_u8_u8__portable" in text
    assert "its epsilon is not positive" in text


def explained(one: Case, target: str) -> str:
    """What a plan says of a case whose result nobody needs."""
    results = [[np.zeros((1, 16, 2, 2), np.uint8)]] if one.node.op == "MaxPool" else None
    return compile_c(joined([one], results)[0], target=target).explain()


@pytest.mark.parametrize("target", ["arm-neon", "armv7-neon", "arm-neon-dotprod"])
@pytest.mark.parametrize("kernel", ELEMENTWISE)
def test_every_operator_has_its_kernel(kernel: str, target: str) -> None:
    assert kernel in explained(ELEMENTWISE[kernel], target)


@pytest.mark.parametrize("one", [
    case("qir.IntMul", (codes(0, (40,)), codes(1, (40,))), (0, 1), multiplier=1e-39, **FACTORS),
    case("qir.IntAveragePool", (codes(0, (1, 9, 4, 4)),), x_zero_point=7, multiplier=2e-38, **POOL),
    case("qir.IntMean", (codes(0, (1, 5, 3, 9)),), axes=(1, 2), x_zero_point=0, multiplier=2e-38),
    case("qir.Dequantize", (codes(0, (40,)),), scale=1e-39, zero_point=9),
], ids=lambda one: one.node.op)  # fmt: skip
def test_what_32_bit_vectors_would_flush_is_left_to_portable_c(one: Case) -> None:
    text = explained(one, "armv7-neon")
    assert "its results could be subnormal" in text
    assert "__portable" in text


@pytest.mark.slow
def test_no_flag_fuses_products_and_sums(compiler: str, need: Callable[[str], str]) -> None:
    machine = elsewhere.MACHINES["arm-neon"]
    need(machine.emulator[0]), need(machine.compilers["gcc"][0])
    b, outputs = contracting()
    module = compile_c(b.graph(outputs), target="arm-neon")
    assert "qir_add_u8u8_u8__neon" in module.explain()
    found = elsewhere.run(module, b.feeds, compiler=compiler, flags=("-ffp-contract=fast",))
    assert all(np.array_equal(found[name], b.values[name]) for name in outputs)
