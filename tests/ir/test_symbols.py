"""Sizes that are computed from dimension symbols."""

from __future__ import annotations

import pytest

import qir
from qir.ir.symbols import size, symbols
from qir.onnxio.bind import bind_shapes
from qir.ops.weighted import with_ones
from tests.passes.graphs import net, normal


@pytest.mark.parametrize(
    ("dim", "expected"),
    [("N", 3), ("2*N", 6), ("(N + 1)//2 - 1", 1), ("past + N", 8), ("Max(N, past)", 5), ("-N % past", 2), ("M", None),
     ("N*M", None), ("N/2", None), ("N//(N - 3)", None), ("Sqrt(N)", None), ("unk 7", None), ("", None),
     ("seq-len", 7)],
)  # fmt: skip
def test_a_dimension_is_arithmetic_of_symbols(dim: str, expected: int | None) -> None:
    assert expected == size(dim, {"N": 3, "past": 5, "seq-len": 7})


def test_computed_sizes_follow_their_symbols() -> None:
    graph = net("(float[N,4] x) => (float[N,2] y) { y = MatMul(x, w) }", w=normal(4, 2))
    kind = graph.tensor("y")
    graph = graph.with_(types={**graph.types, "y": qir.TensorType(kind.dtype, ("3*N", 2))})
    assert symbols(graph) == ("N",)
    assert with_ones(graph).tensor("y").sizes == (3, 2)
    assert bind_shapes(graph, {"N": 2}).tensor("y").sizes == (6, 2)
