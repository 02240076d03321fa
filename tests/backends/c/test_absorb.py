"""Clamps that become part of the product before them."""

from __future__ import annotations

import elsewhere
import numpy as np
import pytest
from graphs import Builder
from networks import conv
from test_conv_f32 import reals

import qir.backends.c.planning.pieces as pieces
from qir.backends.c import compile_c
from qir.backends.c.isas import on_this_processor
from qir.ir.graph import Stage


def test_clamps_join_the_product_that_nobody_else_reads(float_target: str) -> None:
    b = Builder()
    x, w = b.feed("x", reals(0, (5, 21))), b.constant("w", reals(1, (21, 21)))
    zero, six = b.constant("zero", np.array(0, np.float32)), b.constant("six", np.array(1.5, np.float32))
    first = b.node("MatMul", [x, w], "first", result=b.values["x"] @ b.values["w"])
    relu = b.node("Relu", [first], "relu", result=np.maximum(b.values["first"], 0))
    second = b.node("MatMul", [relu, w], "second", result=b.values["relu"] @ b.values["w"])
    clip = b.node("Clip", [second, zero, six], "clip", result=np.clip(b.values["second"], 0, 1.5))
    third = b.node("MatMul", [clip, w], "third", result=b.values["clip"] @ b.values["w"])
    both = b.node("Add", [b.node("Relu", [third], "kept", result=np.maximum(b.values["third"], 0)), third], "both",
                  result=np.maximum(b.values["third"], 0) + b.values["third"])  # fmt: skip
    module = compile_c(b.graph([both], Stage.FLOAT), target=float_target)
    assert ["MatMul", "MatMul", "MatMul", "Relu", "Add"] == [call.op for call in module.program.calls]
    np.testing.assert_allclose(elsewhere.run(module, b.feeds)["both"], b.values["both"], rtol=1e-5, atol=1e-4)


def test_a_clamp_that_broadcasts_stays() -> None:
    """A bound with more axes than the product gives a result of another shape."""
    b = Builder()
    x = b.feed("x", np.arange(6, dtype=np.float32).reshape(2, 3) - 3)
    product = b.node("MatMul", [x, b.constant("w", np.eye(3, dtype=np.float32))], "p", result=b.values["x"])
    zeros = b.constant("zeros", np.zeros((1, 2, 3), np.float32))
    b.node("Max", [product, zeros], "y", result=np.maximum(b.values["x"], 0)[None])
    assert np.array_equal(b.values["y"], compile_c(b.graph(["y"], Stage.FLOAT), target="portable").run(b.feeds)["y"])


def test_what_is_no_number_passes_a_clamp(float_target: str) -> None:
    b = Builder()
    x, w = b.feed("x", np.array([[np.nan, 1], [-2, 3]], np.float32)), b.constant("w", np.eye(2, dtype=np.float32))
    product = b.node("MatMul", [x, w], "product", result=b.values["x"])
    b.node("Relu", [product], "y", result=b.values["x"])
    found = elsewhere.run(compile_c(b.graph(["y"], Stage.FLOAT), target=float_target), b.feeds)["y"]
    np.testing.assert_array_equal([[np.nan, np.nan], [0, 3]], found)


def added(b: Builder, first: str, second: str, name: str) -> str:
    return b.node("qir.IntAdd", [first, second], name, a_multiplier=0.61, b_multiplier=-0.47, offset=40.3, qmin=9,
                  qmax=250)  # fmt: skip


def check_sums(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels around the widths of vectors, sizes around those of tiles, in pieces and as one; the convolution as the
    first and the second operand; with what is ready before it and with what is not."""
    monkeypatch.setattr(pieces, "_LEAST", 1)
    rng, b, outputs, early = np.random.default_rng(0), Builder(), [], 0
    shapes = [(16, 5, 7, 16, 3, 1), (17, 7, 3, 65, 3, 1), (20, 6, 5, 40, 3, 1), (16, 4, 4, 19, 3, 1),
              (3, 5, 5, 8, 3, 1), (5, 3, 9, 33, 1, 1), (8, 1, 13, 17, 1, 1), (12, 6, 6, 12, 3, 3),
              (40, 3, 31, 64, 1, 1), (7, 4, 4, 5, 3, 1), (24, 9, 9, 32, 5, 1)]  # fmt: skip

    def planes(name: str, shape: tuple[int, ...]) -> str:
        return b.transpose(b.feed(name, rng.integers(0, 256, shape).astype(np.uint8)), (0, 3, 1, 2), f"{name}t")

    for n, (c, high, across, m, kernel, group) in enumerate(shapes):
        x, other = (planes(f"{name}{n}", (1 + n % 2, high, across, size)) for name, size in (("x", c), ("o", m)))
        y = conv(b, rng, x, f"c{n}", m, kernel, group)
        if n % 4 == 3:
            other = b.node("qir.Lookup", [other, b.constant(f"t{n}", rng.permutation(256).astype(np.uint8))], f"l{n}")
        else:
            early += 1
        total = added(b, *((y, other) if n % 2 else (other, y)), f"s{n}")
        outputs.append(b.transpose(total, (0, 2, 3, 1), f"z{n}"))
    module = compile_c(b.graph(outputs), target=target, threads=3)
    kernels = [call.kernel.emitted for call in module.program.calls]
    counts = (sum("_sum_" in name for name in kernels), sum("_add_" in name for name in kernels))
    assert (early, len(shapes) - early) == counts
    by_winograd = any("winograd" in name and "_sum_" in name for name in kernels)
    assert by_winograd == (target in ("x86-avx2", "arm-neon", "armv7-neon"))
    assert {0, 2, 3} == {len(call.pieces) for call in module.program.calls if "_sum_" in call.kernel.emitted}
    found = elsewhere.run(module, b.feeds)
    assert all(np.array_equal(b.values[name], found[name]) for name in outputs)


def test_sums_join_the_convolution_before_them(any_target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_sums(any_target, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("vector_target", ["arm-neon", "arm-neon-i8mm", "armv7-neon"], indirect=True)
def test_sums_join_convolutions_on_arm(vector_target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not go by eights is computed by dot products on the second of them."""
    check_sums(vector_target, monkeypatch)


def test_a_sum_takes_over_the_bytes_of_what_is_added_but_of_no_input_of_the_product() -> None:
    b, rng = Builder(), np.random.default_rng(0)
    x = conv(b, rng, b.feed("x", rng.integers(0, 256, (1, 16, 6, 6)).astype(np.uint8)), "first", 16)
    y = added(b, x, conv(b, rng, x, "second", 16), "one")
    z = added(b, conv(b, rng, conv(b, rng, y, "third", 16), "fourth", 16), y, "two")
    rows = b.reshape(b.transpose(z, (0, 2, 3, 1), "moved"), (36, 16), "rows")
    w = b.constant("w", rng.integers(-127, 128, (16, 16)).astype(np.int8))
    rest = b.constant("bias", np.zeros(16, np.int32)), b.constant("scale", np.full(16, 1e-3, np.float32))
    looked = b.node("qir.Lookup", [rows, b.constant("t", np.arange(255, -1, -1, np.uint8))], "looked")
    product = b.node("qir.IntGemm", [rows, w, *rest], "product", y_zero_point=7, qmin=7, qmax=255)
    module = compile_c(b.graph([added(b, product, looked, "y")]), target="x86-avx2")
    program = module.program
    assert sum("_sum_" in call.kernel.emitted for call in program.calls) == 3
    assert program.values["one"] != program.values["first"]
    assert program.values["two"] == program.values["one"]
    if "avx2" in on_this_processor():
        np.testing.assert_array_equal(b.values["y"], module.run(b.feeds)["y"])
