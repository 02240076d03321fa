"""Gemm and MatMul against onnxruntime and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Builder, Case, case, check_cases
from hypothesis import given
from hypothesis import strategies as st
from onnx_results import check_with_onnxruntime
from test_conv_f32 import SHARED, reals

from qir.backends.c import compile_c
from qir.ir.graph import Stage


@st.composite
def gemms(draw: st.DrawFn) -> Case:
    m, k, n, seed = (
        draw(st.integers(1, 9)),
        draw(st.integers(1, 30)),
        draw(st.integers(1, 20)),
        draw(st.integers(0, 2**31)),
    )
    a_turned, b_turned = draw(st.integers(0, 1)), draw(st.integers(0, 1))
    arrays = [reals(seed, (k, m) if a_turned else (m, k)), reals(seed + 1, (n, k) if b_turned else (k, n))]
    shape = draw(st.sampled_from([None, (), (1,), (n,), (1, n), (m, 1), (m, n)]))
    if shape is not None:
        arrays.append(reals(seed + 2, shape))
    attrs = {
        "transA": a_turned,
        "transB": b_turned,
        "alpha": draw(st.sampled_from([1.0, 0.5])),
        "beta": draw(st.sampled_from([1.0, -2.5])),
    }
    return case("Gemm", arrays, draw(st.sampled_from([(0,), (0, 1), (1,)])), **attrs)


@SHARED
@given(st.lists(gemms(), min_size=30, max_size=30))
def test_any_gemm(any_float_target: str, cases: list[Case]) -> None:
    check_with_onnxruntime(cases, target=any_float_target)


SHAPES = [
    ((3,), (3,)),
    ((4,), (2, 4, 3)),
    ((2, 4, 3), (3,)),
    ((3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 1, 3, 4), (1, 2, 4, 2)),
    ((70, 33), (33, 17)),
    ((2, 70, 9), (9, 17)),
    ((1, 40), (40, 12)),
    ((5, 1, 40), (40, 12)),
    ((2, 2, 7), (1, 7, 8)),
    ((1, 70), (70, 300)),
    ((3, 37, 21), (3, 21, 70)),
]


@pytest.mark.parametrize("given_slots", [(0,), (0, 1), (1,)])
def test_matmul(any_float_target: str, given_slots: tuple[int, ...]) -> None:
    cases, wanted = [], []
    for seed, (a, b) in enumerate(SHAPES):
        for kind in ("float32", "float64", "int32", "uint64"):
            pair = (
                (reals(seed, a), reals(seed + 50, b))
                if kind[0] == "f"
                else (10 * reals(seed, a), 10 * reals(seed + 50, b))
            )
            pair = (
                np.abs(pair[0]).astype(kind),
                pair[1].astype(kind) if kind != "uint64" else np.abs(pair[1]).astype(kind),
            )
            cases.append(case("MatMul", pair, given_slots))
            wanted.append([np.asarray(np.matmul(*pair))])
    check_cases(cases, wanted, target=any_float_target, tolerance=2e-5)


def test_transposed_operands_need_no_copy() -> None:
    net = Builder()
    x = net.feed("x", reals(0, (2, 6, 4, 5)))
    left, right = net.transpose(x, (0, 2, 1, 3), "left"), net.transpose(x, (0, 2, 3, 1), "right")
    product = net.values["left"] @ net.values["right"]
    net.node("MatMul", [left, right], "y", result=product)
    module = compile_c(net.graph(["y"], Stage.FLOAT), name="net")
    assert [call.op for call in module.program.calls] == ["MatMul"]
    np.testing.assert_allclose(module.run(net.feeds)["y"], product, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("op", ["Gemm", "MatMul"])
def test_flattened_channels_permute_the_weights(op: str) -> None:
    net = Builder()
    x, w = net.feed("x", reals(0, (2, 3, 6, 6))), net.constant("w", reals(1, (3 * 9, 5)))
    pooled = net.values["x"].reshape(2, 3, 3, 2, 3, 2).max(axis=(3, 5))
    net.node("MaxPool", [x], "p", result=pooled, kernel_shape=(2, 2), strides=(2, 2))
    flat = net.reshape("p", (2, 27), "flat", "Flatten")
    net.node(op, [flat, w], "y", result=net.values["flat"] @ net.values["w"])
    module = compile_c(net.graph(["y"], Stage.FLOAT), name="net")
    assert [call.op for call in module.program.calls] == ["qir.Reorder", "MaxPool", op]
    np.testing.assert_allclose(module.run(net.feeds)["y"], net.values["y"], rtol=1e-5, atol=1e-5)
