"""eliminate-dead-code and merge-duplicates."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.graph import Constant
from qir.ir.types import TensorType
from tests.passes.graphs import apply, count, net, normal, ops, quantized, unchanged


def test_nodes_and_constants_without_use_go() -> None:
    graph = net("(float[2] x) => (float[2] y) { a = Exp(x) b = Add(a, c) y = Relu(x) }", c=normal(2))
    after = apply("eliminate-dead-code", graph)
    assert ops(after) == ["Relu"]
    assert not after.constants
    assert set(after.types) == {"x", "y"}


def test_idle_outputs_go_where_they_are_optional() -> None:
    graph = net("(float[1,1,4,4] x) => (float[1,1,2,2] y) { y, i = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) }")
    assert apply("eliminate-dead-code", graph).nodes[0].outputs == ("y",)
    graph = net("(float[4] x) => (int64[2] i) { v, i = TopK(x, k) }", k=[2])
    assert unchanged("eliminate-dead-code", graph)


def test_an_idle_first_output_leaves_its_slot() -> None:
    arrays = {"w": normal(1, 8, 3), "r": normal(1, 8, 2)}
    graph = net("(float[5,1,3] x) => (float[1,1,2] h) { s, h, c = LSTM<hidden_size=2>(x, w, r) }", **arrays)
    assert apply("eliminate-dead-code", graph).nodes[0].outputs == ("", "h")


def test_what_a_body_captures_lives() -> None:
    text = """(float[2] x, bool b) => (float[2] y) {
        used = Exp(x) idle = Neg(x)
        y = If (b) <then_branch = t () => (float[2] p) { dead = Neg(used) p = Relu(used) },
                    else_branch = e () => (float[2] q) { q = Add(used, k) }> }"""
    after = apply("eliminate-dead-code", net(text, k=normal(2)))
    assert count(after) == {"Exp": 1, "If": 1, "Relu": 1, "Add": 1}
    assert set(after.constants) == {"k"}


def test_nothing_to_do_returns_the_same_object() -> None:
    graph = net("(float[2] x) => (float[2] y) { y = Add(x, c) }", c=normal(2))
    assert unchanged("eliminate-dead-code,merge-duplicates", graph)


def test_unused_constants_alone_are_a_change() -> None:
    graph = net("(float[2] x) => (float[2] y) { y = Relu(x) }")
    spare = graph.with_(
        constants={"c": Constant(np.ones(2, np.float32))}, types={**graph.types, "c": graph.tensor("x")}
    )
    assert not apply("eliminate-dead-code", spare).constants


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(float[2] x) => (float[2] y) { a = Exp(x) b = Exp(x) y = Add(a, b) }", ["Exp", "Add"]),
        ("(float[2] x) => (float[2] y) { a = Add(x, c) b = Add(d, x) y = Mul(a, b) }", ["Add", "Mul"]),
        ("(float[2] x) => (float[2] y) { a = Sub(x, c) b = Sub(d, x) y = Mul(a, b) }", ["Sub", "Sub", "Mul"]),
        ("(float[2] x) => (float[2] y) { a = Sub(x, c) b = Sub(x, e) y = Mul(a, b) }", ["Sub", "Sub", "Mul"]),
        ("(float[2] x) => (float[2] y) "
         "{ a = Elu<alpha=2.0>(x) b = Elu<alpha=1.0>(x) y = Mul(a, b) }", ["Elu", "Elu", "Mul"]),
        ("(float[2] x) => (float[2] y) "
         "{ a = Exp(x) b = Exp(x) p = Neg(a) q = Neg(b) y = Add(p, q) }", ["Exp", "Neg", "Add"]),
        ("(float[2] x) => (float[2] y, float[2] z) { y = Exp(x) z = Exp(x) }", ["Exp", "Identity"]),
        ("(float[2] x) => (float[2] y) { a = Cast<to=1>(x) b = Cast<to=11>(x) d2 = Cast<to=1>(b) y = Add(a, d2) }",
         ["Cast", "Cast", "Cast", "Add"]),
    ],
)  # fmt: skip
def test_equal_computations_are_merged(text: str, expected: list[str]) -> None:
    shared = np.array([1, 2], np.float32)
    graph = net(text, **{k: v for k, v in {"c": shared, "d": shared.copy(), "e": shared + 1}.items() if f"{k}" in text})
    assert ops(apply("merge-duplicates", graph)) == expected


def test_chance_is_not_merged() -> None:
    graph = net("(float[2] x) => (float[2] y) { a = RandomNormalLike(x) b = RandomNormalLike(x) y = Sub(a, b) }")
    assert unchanged("merge-duplicates", graph)


def test_results_with_other_codes_are_not_merged() -> None:
    graph = net("(float[2] x) => (float[2] y) { a = Exp(x) b = Exp(x) y = Sub(a, b) }")
    assert unchanged("merge-duplicates", quantized(graph, "a"))
    assert ops(apply("merge-duplicates", quantized(graph, "a", "b"))) == ["Exp", "Sub"]


def test_constants_with_other_codes_are_not_merged() -> None:
    same = np.array([1, 2], np.float32)
    graph = net("(float[2] x) => (float[2] y) { a = Add(x, c) b = Add(x, d) y = Sub(a, b) }", c=same, d=same)
    rounded = quantized(graph, "c")
    assert isinstance(rounded.types["c"], TensorType)
    assert unchanged("merge-duplicates", rounded)
