"""Sums whose results keep more than 8 bits: codes of 16 where integers take them, reals elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.dtype import INT16, UINT8
from qir.ir.graph import Graph
from qir.recipe import Recipe
from tests.passes.graphs import net, normal, ops
from tests.passes.quantize.quantizing import ALL, apply, error, integers, placed, quant

NORM = "LayerNormalization(s, g)"
CHAIN = f"""(float[N,6,8] x) => (float[N,6,8] y) {{
    a = MatMul(x, v)  b = MatMul(a, w)  s = Add(a, b)  n = {NORM}  c = MatMul(n, w)  t = Add(s, c)
    m = LayerNormalization(t, g)  y = MatMul(m, v)
}}"""


def sequences(body: str = CHAIN) -> Graph:
    """x [N, 6, 8]; v and w are matrices, g a scale of LayerNormalization, p is added to all samples."""
    known = {"v": normal(8, 8, seed=1), "w": normal(8, 8, seed=2), "g": normal(8, seed=3), "p": normal(1, 6, 8, seed=4)}
    return net(body, **{name: value for name, value in known.items() if f" {name})" in body})


def fine(graph: Graph, recipe: Recipe | None = None) -> list[str]:
    """Results of the sums that deserve more than 8 bits."""
    found = placed(graph, "portable", recipe).fine
    return [node.outputs[0] for node in graph.nodes if node.name in found]


def test_sums_that_are_added_to_and_normalized() -> None:
    graph = apply(ALL, sequences())
    stored = {name: kind.storage for name in "abstmnc" if (kind := quant(graph, name)) is not None}
    assert {**dict.fromkeys("abmnc", UINT8), "s": INT16, "t": INT16} == stored
    lowered = apply("lower-integer", graph)
    assert 2 == ops(lowered).count("qir.IntAdd") == ops(lowered).count("qir.IntLayerNorm")


def test_they_are_real_where_no_integer_operator_takes_16_bits() -> None:
    graph = sequences()
    assert ["a", "b", "c", "y"] == integers(graph, "onnx")
    assert "runs in float" in placed(graph, "onnx").reasons[graph.nodes[2].name]


def test_that_is_what_costs_accuracy_there() -> None:
    """Of the noise of all other values about two thirds are left."""
    bytes_alone = Recipe().with_override("Add", activation_bits=8)
    assert error(sequences(), ALL) < 0.75 * error(sequences(), ALL, bytes_alone)


READERS = {
    "a layer": ("s = Add(a, b) y = MatMul(s, w)", []),
    "a layer and a norm": (f"s = Add(a, b) n = {NORM} c = MatMul(n, w) d = MatMul(s, v) y = Add(c, d)", []),
    "a clamp": ("s = Add(a, b) r = Relu(s) t = Add(r, a) n = LayerNormalization(t, g) y = MatMul(n, w)", ["t"]),
    "nothing but moves": ("s = Add(a, b) t = Transpose<perm=[0,2,1]>(s) y = MatMul(t, u)", []),
    "a function of codes": ("s = Add(a, b) t = Sigmoid(s) y = MatMul(t, w)", []),
    "a mean": ("s = Add(a, b) t = ReduceMean<keepdims=1>(s, axes) y = MatMul(t, w)", ["s"]),
    "a mean that is normalized": ("s = Add(a, b) t = ReduceMean<keepdims=1>(s, axes) n = LayerNormalization(t, g) y = MatMul(n, w)", ["s", "t"]),  # noqa: E501
    "a constant": (f"s = Add(a, p) n = {NORM} y = MatMul(n, w)", ["s"]),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_who_reads_them(name: str) -> None:
    body, expected = READERS[name]
    head = "(float[N,6,8] x) => (float[N,c,d] y)"
    used = {"u": normal(6, 8), "axes": np.array([1])}
    text = f"{head} {{ a = MatMul(x, v) {'b = MatMul(a, w)' if '(a, b)' in body else ''} {body} }}"
    known = {"v": normal(8, 8, seed=1), "w": normal(8, 8, seed=2), "g": normal(8, seed=3), "p": normal(1, 6, 8, seed=4)}
    graph = net(text, **{key: value for key, value in {**known, **used}.items() if f" {key})" in text})
    assert expected == fine(graph)


def test_the_constant_that_is_added_has_16_bits_too() -> None:
    graph = apply(ALL, sequences(f"""(float[N,6,8] x) => (float[N,6,8] y) {{
        a = MatMul(x, v)  s = Add(a, p)  n = {NORM}  y = MatMul(n, w)
    }}"""))
    assert (INT16, INT16) == tuple(kind.storage for name in "ps" if (kind := quant(graph, name)) is not None)


def test_what_moves_them_rounds_them_to_bytes() -> None:
    graph = sequences("""(float[N,6,8] x) => (float[N,6,8] y) {
        a = MatMul(x, v)  b = MatMul(a, w)  s = Add(a, b)  r = Transpose<perm=[1,0,2]>(s)  c = MatMul(r, w)
        q = Transpose<perm=[1,0,2]>(c)  t = Add(s, q)  m = LayerNormalization(t, g)  y = MatMul(m, v)
    }""")
    graph = apply(ALL, graph)
    assert (INT16, UINT8) == tuple(kind.storage for name in "sr" if (kind := quant(graph, name)) is not None)
    lowered = apply("lower-integer", graph)
    (moved,) = [node for node in lowered.nodes if node.outputs == ("r",)]
    rounding = lowered.index.producer(moved.inputs[0])
    assert rounding is not None
    assert rounding.op == "qir.IntMul"


def test_so_does_what_splits_them() -> None:
    graph = sequences("""(float[N,6,8] x) => (float[N,6,8] y) {
        a = MatMul(x, v)  b = MatMul(a, w)  s = Add(a, b)  h, q = Split<num_outputs=2, axis=1>(s)
        r = Concat<axis=1>(q, h)  c = MatMul(r, w)  t = Add(s, c)  m = LayerNormalization(t, g)  y = MatMul(m, v)
    }""")
    graph = apply(ALL, graph)
    assert (INT16, UINT8, UINT8) == tuple(kind.storage for name in "shq" if (kind := quant(graph, name)) is not None)
    assert "qir.Dequantize" not in ops(apply("lower-integer", graph))[:-1]


def test_sums_of_images_stay_as_they_are() -> None:
    graph = net("""(float[1,4,8,8] x) => (float[1,4,8,8] y) {
        a = Conv<pads=[1,1,1,1]>(x, w)  b = Conv<pads=[1,1,1,1]>(a, w)  s = Add(a, b)  c = Conv<pads=[1,1,1,1]>(s, w)
        t = Add(s, c)  p = GlobalAveragePool(t)  y = Conv(x, v)
    }""", w=normal(4, 4, 3, 3), v=normal(4, 4, 1, 1))
    assert [] == fine(graph)


def test_the_recipe_has_the_last_word() -> None:
    assert ["s", "t"] == fine(sequences())
    assert [] == fine(sequences(), Recipe().with_override("Add", activation_bits=8))
    assert [] == fine(sequences(), Recipe().with_override("*", activation_bits=4))
