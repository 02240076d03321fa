"""The open batch dimension gets its size everywhere that it reaches, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.onnxio.lift import lift
from qir.passes.lower.bind_batch import BindBatch
from qir.passmanager.base import Context
from qir.target import Target
from qir.verify import verify
from tests.models import tiny_cnn
from tests.passes import control
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, apply


def bound(graph: Graph, size: int = 1) -> tuple[Graph, list[str]]:
    context = Context(Target("nowhere", "c", {}))
    after = BindBatch(size=size).run(graph, context)
    verify(after)
    assert BindBatch(size=size).run(after, Context(Target("nowhere", "c", {}))) is after
    return after, context.notes


def is_static(graph: Graph) -> bool:
    return all(graph.tensor(name).is_static for node in graph.nodes for name in (*node.reads, *node.outputs) if name)


@pytest.mark.parametrize("size", [1, 3])
def test_a_symbol(size: int) -> None:
    graph, notes = bound(lift(tiny_cnn("N")), size)
    assert is_static(graph)
    assert {name: graph.tensor(name).sizes[0] for name in "xabcdy"} == dict.fromkeys("xabcdy", size)
    assert len(notes) == 1


def test_an_axis_without_a_name() -> None:
    model = tiny_cnn("N")
    model.graph.input[0].type.tensor_type.shape.dim[0].Clear()
    model.graph.output[0].type.tensor_type.shape.dim[0].Clear()
    graph, _ = bound(lift(model), 2)
    assert is_static(graph)
    assert graph.tensor("y").sizes == (2, 3)


def test_static_graphs_stay_the_same_object() -> None:
    graph = lift(tiny_cnn(4))
    after, notes = bound(graph)
    assert after is graph
    assert notes == []


def test_inputs_that_share_a_symbol_and_other_axes_that_have_it() -> None:
    text = (
        "(float[N,4] x, float[N,4] v, float[4,N] t) => (float[N,4] y, float[N,N] z) { y = Add(x, v) z = MatMul(x, t) }"
    )
    graph, _ = bound(net(text), 3)
    assert is_static(graph)
    assert graph.tensor("t").sizes == (4, 3)
    assert graph.tensor("z").sizes == (3, 3)


def test_inputs_with_symbols_of_their_own() -> None:
    graph, _ = bound(net("(float[N,4] x, float[M,4] v) => (float[N,4] y, float[M,4] z) { y = Abs(x) z = Abs(v) }"), 2)
    assert graph.tensor("y").sizes == graph.tensor("z").sizes == (2, 4)


def test_open_sizes_behind_the_first_axis_stay() -> None:
    graph, _ = bound(net("(float[N,L,4] x) => (float[N,L,4] y) { y = Relu(x) }"))
    assert graph.tensor("y").shape == (1, "L", 4)


def test_codes_stay() -> None:
    quant = apply(ALL, lift(tiny_cnn("N")), data=normal(8, 2, 6, 6))
    graph, _ = bound(quant)
    assert [graph.tensor(name).quant for name in quant.types] == [quant.tensor(name).quant for name in quant.types]
    feed = {"x": normal(1, 2, 6, 6)}
    np.testing.assert_array_equal(evaluate(graph, feed)["y"], evaluate(quant, feed)["y"])


def test_scalars_and_inputs_of_unknown_rank_are_left_alone() -> None:
    graph, _ = bound(net("(float[N,4] x, float s) => (float[N,4] y) { y = Mul(x, s) }"))
    assert graph.tensor("s").shape == ()
    assert graph.tensor("y").sizes == (1, 4)


def test_sizes_inside_bodies() -> None:
    graph, _ = bound(lift(control.branches()), 2)
    assert is_static(graph)
    for body in {id(body): body for body, _ in graph.walk()}.values():
        for node in body.nodes:
            assert all(body.tensor(name).is_static for name in node.outputs)
