"""gemm-on-rows."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.graph import Graph
from tests.passes.graphs import apply, net, normal, ops, quantized, unchanged

GIVEN = {"k": normal(4, 5), "k2": normal(5, 4), "b": normal(5), "row": normal(1, 5), "b4": normal(4),
         "one": np.float32(0.5), "rows": normal(3, 5)}  # fmt: skip


def graph_of(body: str, shape: str = "2,3,4", result: str = "P,Q,R") -> Graph:
    words = set(body.replace(",", " ").replace("(", " ").replace(")", " ").split())
    return net(f"(float[{shape}] x) => (float[{result}] y) {{ {body} }}",
               **{name: value for name, value in GIVEN.items() if name in words})  # fmt: skip


@pytest.mark.parametrize("body", [
    "t = MatMul(x, k) y = Add(t, b)",
    "t = MatMul(x, k) y = Add(row, t)",
    "t = MatMul(x, k) y = Sub(t, one)",
])  # fmt: skip
def test_sums_become_biases(body: str) -> None:
    assert ops(apply("gemm-on-rows", graph_of(body), tolerance=5e-6)) == ["Reshape", "Gemm", "Reshape"]


def test_one_dimension_may_be_open() -> None:
    graph = graph_of("t = MatMul(x, k) y = Add(t, b)", "N,3,4", "N,3,5")
    assert ops(apply("gemm-on-rows", graph, tolerance=5e-6)) == ["Reshape", "Gemm", "Reshape"]
    assert unchanged("gemm-on-rows", graph_of("t = MatMul(x, k) y = Add(t, b)", "N,T,4", "N,T,5"))


def test_between_two_layers_all_stays_rows() -> None:
    graph = graph_of("t = MatMul(x, k) u = Add(t, b) v = Relu(u) w = MatMul(v, k2) y = Add(w, b4)")
    after = apply("gemm-on-rows,eliminate-identities,eliminate-dead-code", graph, tolerance=1e-5)
    assert ops(after) == ["Reshape", "Gemm", "Relu", "Gemm", "Reshape"]


@pytest.mark.parametrize("body", [
    "t = MatMul(x, k) y = Add(t, rows)",
    "t = MatMul(x, k) u = Add(t, b) y = Mul(u, t)",
    "t = MatMul(x, k) y = Sub(b, t)",
    "y = MatMul(x, k)",
])  # fmt: skip
def test_what_is_no_bias_stays(body: str) -> None:
    assert unchanged("gemm-on-rows", graph_of(body))


def test_a_rounding_between_stays() -> None:
    assert unchanged("gemm-on-rows", quantized(graph_of("t = MatMul(x, k) y = Add(t, b)"), "t"))
