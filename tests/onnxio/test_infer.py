"""Types of single nodes, as passes ask for them, and of whole graphs."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.dtype import FLOAT16, FLOAT32, INT64, UINT8
from qir.ir.graph import Constant, Node
from qir.ir.types import UNKNOWN, Affine, TensorType
from qir.onnxio.infer import infer_graph, infer_types
from qir.onnxio.lift import lift
from tests.onnxio.running import parse

X = TensorType(FLOAT32, ("N", 4))


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (Node("Relu", ("x",), ("y",)), (X,)),
        (Node("MatMul", ("x", "w"), ("y",)), (TensorType(FLOAT32, ("N", 5)),)),
        (Node("Reshape", ("x", "shape"), ("y",)), (TensorType(FLOAT32, (2, 2)),)),
        (Node("TopK", ("x", "one"), ("v", "i")), (TensorType(FLOAT32, ("N", 1)), TensorType(INT64, ("N", 1)))),
        (Node("Split", ("x",), ("a", "", "b"), {"axis": 1, "num_outputs": 3}),
         (TensorType(FLOAT32, ("N", 2)), UNKNOWN, TensorType(FLOAT32, ("N", 0)))),
        (Node("qir.Requantize", ("q",), ("y",)), (X,)),
        (Node("my.Odd", ("x",), ("a", "b")), (UNKNOWN, UNKNOWN)),
        (Node("Reshape", ("h", "unknown"), ("y",)), (TensorType(FLOAT16),)),
    ],
)  # fmt: skip
def test_one_node(node: Node, wanted: tuple[TensorType, ...]) -> None:
    types = {
        "x": X, "w": TensorType(FLOAT32, (4, 5)), "shape": TensorType(INT64, (2,)), "one": TensorType(INT64, (1,)),
        "q": TensorType(FLOAT32, ("N", 4), Affine(UINT8, np.float32(1), np.int32(0))), "h": TensorType(FLOAT16),
        "unknown": TensorType(INT64),
    }  # fmt: skip
    constants = {"shape": Constant(np.array([2, 2])), "one": Constant(np.array([1]))}
    found = infer_types(node, types, constants, {"": 21})
    assert [kind for kind, name in zip(found, node.outputs, strict=True) if name] == [
        kind for kind, name in zip(wanted, node.outputs, strict=True) if name
    ]


def test_a_node_with_bodies() -> None:
    graph = lift(parse("g (float[2,3] x, bool c) => (float[2,3] y) { y = If(c) <then_branch = t () => (r) {"
                       " a = Neg(x) r = Transpose(a) },"
                       " else_branch = e () => (r) { r = Transpose(x) }> }"))  # fmt: skip
    (node,) = graph.nodes
    assert infer_types(node, graph.types, graph.constants, graph.opsets) == (TensorType(FLOAT32, (3, 2)),)
    assert node.attrs["then_branch"].types["a"] == TensorType(FLOAT32, (2, 3))


def test_shapes_go_on_behind_unknown_operators_where_the_model_states_them() -> None:
    graph = lift(parse("g (float[2,3] x) => (y) <float[3,2] a> { a = my.Odd(x) y = Relu(a) }", imports=', "my": 1'))
    assert graph.types["y"] == TensorType(FLOAT32, (3, 2))


def test_a_complete_graph_comes_back_as_it_is_in_content() -> None:
    graph = lift(parse("g (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = Neg(a) }"))
    quant = TensorType(FLOAT32, (2, 3), Affine(UINT8, np.float32(1), np.int32(0)))
    graph = graph.with_(types={**graph.types, "a": quant})
    assert dict(infer_graph(graph).types) == dict(graph.types)
