"""Every rule of the IR: a valid graph passes, and each way of breaking it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from qir.errors import VerifyError
from qir.ir.dtype import FLOAT32, INT8, INT32, UINT8
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.verify import problems, verify
from tests.ir.graphs import WEIGHT, branching, layer, quantized

Break = Callable[[Graph], Graph]


@pytest.mark.parametrize("make", [layer, quantized, branching], ids=lambda make: make.__name__)
def test_valid_graphs_pass(make: Callable[[], Graph]) -> None:
    assert {} == problems(make())
    verify(make())


def nodes(*changed: Node) -> Break:
    return lambda graph: graph.with_(nodes=changed)


def typed(**types: TensorType | None) -> Break:
    def apply(graph: Graph) -> Graph:
        found = {**graph.types, **types}
        return graph.with_(types={name: kind for name, kind in found.items() if kind is not None})

    return apply


def constant(value: np.ndarray, codes: np.ndarray | None = None) -> Break:
    return lambda graph: graph.with_(constants={"w": Constant(value, codes)})


PRODUCT, CLAMP = layer().nodes
SCALE = np.array([0.25, 0.125])


def weight(quant: Affine) -> Break:
    return typed(w=TensorType(FLOAT32, (4, 2), quant))


@pytest.mark.parametrize(
    ("break_it", "where", "told"),
    [
        (nodes(PRODUCT, CLAMP.with_(name="product")), "product", "used twice"),
        (nodes(PRODUCT, CLAMP.with_(name="")), "", "empty"),
        (nodes(CLAMP, PRODUCT), "clamp", "reads %h, which nothing before it defines"),
        (nodes(PRODUCT, CLAMP, Node("Neg", ("x",), ("h",), name="again")), "again", "defines %h a second time"),
        (nodes(PRODUCT, CLAMP, Node("Neg", ("h",), ("x",), name="over")), "over", "defines %x a second time"),
        (nodes(PRODUCT, CLAMP, Node("Neg", ("h",), ("w",), name="over")), "over", "defines %w a second time"),
        (typed(h=None), "product", "%h has no type"),
        (typed(x=None), "", "%x has no type"),
        (typed(w=None), "", "%w has no type"),
        (lambda graph: graph.with_(outputs=("y", "z")), "", "output %z is not defined"),
        (constant(WEIGHT.astype(np.float64)), "", "constant %w is float64[4, 2], its type says float32[4,2]"),
        (constant(WEIGHT[:2].copy()), "", "constant %w is float32[2, 2]"),
        (constant(WEIGHT, np.zeros((4, 2), np.int8)), "", "has codes but no quantization"),
        (nodes(PRODUCT, CLAMP.with_(op="qir.Bogus", domain="qir")), "clamp", "qir.Bogus is not an operator of qir"),
        (nodes(PRODUCT, Node("qir.Lookup", ("h", "w"), ("y",), name="t")), "t", "qir.Lookup belongs to stage int"),
        (nodes(PRODUCT, Node("qir.IntConv", ("h", "w"), ("y",), name="t")), "t", "belongs to stage int"),
        (typed(h=TensorType(FLOAT32, ("N", 2), Affine(UINT8, 1, 0))), "product", "quantized in stage float"),
    ],
)  # fmt: skip
def test_broken_float_graphs(break_it: Break, where: str, told: str) -> None:
    found = problems(break_it(layer()))
    assert told in found[where]


@pytest.mark.parametrize(
    ("break_it", "where", "told"),
    [
        (constant(WEIGHT, np.full((4, 2), -128, np.int8)), "", "codes of constant %w leave"),
        (constant(WEIGHT, np.zeros((2, 4), np.int8)), "", "codes of constant %w leave"),
        (weight(Affine(INT8, SCALE, [0, 0], axis=0)), "", "%w has 2 scales along axis 0 of 4"),
        (weight(Affine(INT8, SCALE, [0, 0], axis=5)), "", "axis 5"),
        (weight(Affine(INT8, [0.5, 0.0], [0, 0], axis=1)), "", "not positive and normal"),
        (weight(Affine(INT8, [0.5, 1e-40], [0, 0], axis=1)), "", "not positive and normal"),
        (weight(Affine(INT8, [0.5, -1.0], [0, 0], axis=1)), "", "not positive and normal"),
        (typed(y=TensorType(FLOAT32, ("N", 2), Affine(UINT8, np.inf, 0))), "clamp", "not positive and normal"),
        (typed(y=TensorType(FLOAT32, ("N", 2), Affine(UINT8, np.nan, 0))), "clamp", "not positive and normal"),
        (typed(y=TensorType(FLOAT32, ("N", 2), Affine(UINT8, [0.5], [0], axis=1))), "clamp", "1 scales along axis 1"),
        (typed(x=TensorType(FLOAT32, ("N", 4), Affine(UINT8, 0.0, 0))), "", "%x has a scale"),
        (lambda graph: graph.with_(stage=Stage.INT), "clamp", "quantized in stage int"),
    ],
)  # fmt: skip
def test_broken_quantized_graphs(break_it: Break, where: str, told: str) -> None:
    found = problems(break_it(quantized()))
    assert told in found[where]


def requantized(*more: Node, outputs: tuple[str, ...] = ("z",)) -> Graph:
    graph = quantized()
    again = Node("qir.Requantize", ("y",), ("z",), name="again")
    other = TensorType(FLOAT32, ("N", 2), Affine(UINT8, 0.2, 0))
    types = {**graph.types, "z": other, "v": other}
    return graph.with_(nodes=(*graph.nodes, again, *more), types=types, outputs=outputs)


def test_requantizing_needs_another_use() -> None:
    assert "nothing else uses" in problems(requantized())["again"]
    assert {} == problems(requantized(outputs=("z", "y")))
    assert {} == problems(requantized(Node("Neg", ("y",), ("v",), name="other"), outputs=("z", "v")))
    real = requantized(outputs=("z", "y"))
    real = real.with_(types={**real.types, "y": TensorType(FLOAT32, ("N", 2))})
    assert {} == problems(real)


def test_integer_operators_are_welcome_in_their_stage() -> None:
    codes = TensorType(UINT8, (4,))
    table = Constant(np.arange(256, dtype=np.uint8))
    graph = Graph("int", ("x",), ("y",), (Node("qir.Lookup", ("x", "t"), ("y",), name="t"),),
                  {"x": codes, "y": codes, "t": TensorType(UINT8, (256,))}, {"t": table}, Stage.INT)  # fmt: skip
    assert {} == problems(graph)


def test_faults_in_bodies_are_told_at_their_node() -> None:
    graph = branching()
    choice = graph.nodes[1]
    body = choice.attrs["then_branch"]
    lost = body.with_(nodes=(body.nodes[0].with_(inputs=("nowhere",)),))
    broken = graph.with_(nodes=(graph.nodes[0], choice.with_(attrs={**choice.attrs, "then_branch": lost})))
    found = problems(broken)
    assert "reads %nowhere" in found["choice"]
    assert "in body yes, yes_Relu" in found["choice"]


def test_the_error_is_drawn_in_the_graph() -> None:
    with pytest.raises(VerifyError) as caught:
        verify(nodes(CLAMP, PRODUCT)(layer()), after="pass 'shuffle'")
    assert "clamp" == caught.value.node
    text = str(caught.value)
    assert text.startswith("node 'clamp': after pass 'shuffle', the graph is not valid: reads %h")
    assert "  ^^^ reads %h, which nothing before it defines" in text
    assert "report" in text


def test_faults_of_the_graph_itself_come_first() -> None:
    with pytest.raises(VerifyError, match="output %z is not defined"):
        verify(nodes(CLAMP, PRODUCT)(layer()).with_(outputs=("z",)))


def test_several_faults_of_a_node_are_all_told() -> None:
    twice = PRODUCT.with_(inputs=("a", "b"))
    found = problems(nodes(twice, CLAMP)(layer()))
    assert 2 == len(found["product"].splitlines())


def test_integer_constants_are_compared_by_type() -> None:
    graph = layer().with_(constants={"w": Constant(WEIGHT.astype(np.int32))})
    assert "int32" in problems(graph)[""]
    kind = replace(graph.tensor("w"), dtype=INT32)
    assert {} == problems(graph.with_(types={**graph.types, "w": kind}))
