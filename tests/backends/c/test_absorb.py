"""Clamps that become part of the product before them."""

from __future__ import annotations

import elsewhere
import numpy as np
from graphs import Builder
from test_conv_f32 import reals

from qir.backends.c import compile_c
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
