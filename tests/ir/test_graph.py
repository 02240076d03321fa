"""Graphs, nodes, types and look-ups."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.ir.dtype import BY_NAME, FLOAT32, INT4, INT8, UINT8, UINT16, of_array
from qir.ir.graph import Constant, EmptyList, Graph, Node
from qir.ir.order import topological_order
from qir.ir.types import Affine, SequenceType, TensorType
from tests.ir.graphs import X, branching, layer, quantized


def test_graphs_and_their_parts_are_frozen() -> None:
    graph = layer()
    with pytest.raises(FrozenInstanceError):
        graph.name = "other"  # type: ignore[misc]
    for table in (graph.types, graph.constants, graph.nodes[0].attrs):
        with pytest.raises(TypeError):
            table["new"] = None  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        graph.constants["w"].value[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        Affine(UINT8, 0.5, 0).scale[...] = 1


def test_tables_are_copied() -> None:
    types = {"x": X}
    graph = Graph("g", ("x",), ("x",), (), types)
    types["y"] = X
    assert {"x"} == set(graph.types)


def test_node_look_ups() -> None:
    attrs = {"axes": EmptyList("ints"), "k": 3}
    node = Node("com.microsoft.Gelu", ("x", "", "z"), ("y",), attrs, domain="com.microsoft")
    assert "Gelu" == node.op_type
    assert ("x", "", "z", "") == tuple(node.input(slot) for slot in range(4))
    assert ("x", "z") == node.reads
    assert () == node.attr("axes", (1,))
    assert 3 == node.attr("k")
    assert 7 == node.attr("absent", 7)
    assert "qir" == Node("qir.IntConv", (), ()).domain


def test_bodies_capture_outer_values() -> None:
    graph = branching()
    choice = graph.nodes[1]
    assert ("h",) == choice.captures
    assert ("flag", "h") == choice.reads
    assert () == graph.captures
    assert ["double", "choice", "yes_Relu", "no_Neg"] == [node.name for _, node in graph.walk()]


def test_values_and_types_by_name() -> None:
    graph = layer()
    assert X == graph.tensor("x")
    assert graph.value("x") is None
    np.testing.assert_array_equal(graph.constants["w"].value, graph.value("w"))
    with pytest.raises(TypeError, match="not a tensor"):
        graph.with_(types={"x": SequenceType(X)}).tensor("x")


def test_index() -> None:
    graph = branching()
    index = graph.index
    assert index is graph.index
    double, choice = graph.nodes
    assert double is index.producer("h")
    assert index.producer("x") is None
    assert (choice,) == index.consumers("h")
    assert () == index.consumers("y")
    assert index.is_output("y")
    assert not index.is_output("h")
    assert choice is index.sole_consumer("h")
    assert index.sole_consumer("x") is None, "read twice by one node"
    assert index.sole_consumer("y") is None


def test_a_result_has_no_sole_consumer() -> None:
    graph = layer().with_(outputs=("y", "h"))
    assert graph.index.sole_consumer("h") is None


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[Node], list[int]]:
    """Nodes in execution order, and a shuffle of their positions."""
    count = draw(st.integers(1, 8))
    nodes = []
    for number in range(count):
        reads = draw(st.sets(st.integers(-1, number - 1), max_size=3))
        nodes.append(Node("Sum", tuple(f"v{i}" for i in sorted(reads)), (f"v{number}",), name=f"n{number}"))
    return nodes, draw(st.permutations(range(count)))


@given(orders())
def test_topological_order_puts_producers_first_and_keeps_what_is_in_order(case: tuple[list[Node], list[int]]) -> None:
    nodes, shuffle = case
    assert nodes == topological_order(nodes)
    known = {"v-1"}
    found = topological_order([nodes[i] for i in shuffle])
    for node in found:
        assert set(node.reads) <= known
        known.update(node.outputs)
    assert {node.name for node in nodes} == {node.name for node in found}


def test_topological_order_refuses_cycles() -> None:
    with pytest.raises(ValueError, match="form a cycle"):
        topological_order([Node("A", ("b",), ("a",), name="1"), Node("B", ("a",), ("b",), name="2")])


def test_topological_order_counts_captures() -> None:
    double, choice = branching().nodes
    assert [double, choice] == topological_order([choice, double])


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_element_types(name: str) -> None:
    dtype = BY_NAME[name]
    assert name == str(dtype)
    if dtype.is_integer:
        assert dtype.max - dtype.min + 1 == 2**dtype.bits
        assert (dtype.min < 0) == (dtype.kind == "int")
    assert dtype == of_array(np.zeros(1, dtype.numpy))


def test_arrays_without_an_element_type_are_refused() -> None:
    with pytest.raises(KeyError):
        of_array(np.zeros(1, "datetime64[s]"))


def test_codes_take_the_range_of_their_storage() -> None:
    assert (0, 255) == (Affine(UINT8, 1, 0).qmin, Affine(UINT8, 1, 0).qmax)
    assert (-8, 7) == (Affine(INT4, 1, 0).qmin, Affine(INT4, 1, 0).qmax)
    assert (-127, 127) == (Affine(INT8, 1, 0, qmin=-127).qmin, Affine(INT8, 1, 0, qmin=-127).qmax)


@pytest.mark.parametrize(
    "other",
    [
        Affine(UINT8, 0.25, 3), Affine(UINT8, 0.5, 4), Affine(UINT16, 0.5, 3), Affine(UINT8, [0.5], [3], axis=0),
        Affine(UINT8, 0.5, 3, qmax=127),
    ],
    ids=str,
)  # fmt: skip
def test_codes_are_equal_by_value(other: Affine) -> None:
    codes = Affine(UINT8, 0.5, 3)
    assert codes == Affine(UINT8, np.float64(0.5), np.int64(3))
    assert hash(codes) == hash(Affine(UINT8, 0.5, 3))
    assert codes != other
    assert TensorType(FLOAT32, (1,), codes) != TensorType(FLOAT32, (1,), other)


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        (Affine(UINT8, 0.5, 3), "<uint8 scale=0.5 zero_point=3>"),
        (Affine(INT8, [0.5, 0.25], [0, 0], axis=1, qmin=-127),
         "<int8 scale=[2: 0.25..0.5] zero_point=0 axis=1 codes=-127..127>"),
        (Affine(INT4, np.ones((2, 3)), np.arange(6).reshape(2, 3), 0, 32),
         "<int4 scale=[6: 1..1] zero_point=0..5 axis=0 block=32>"),
    ],
)  # fmt: skip
def test_codes_as_text(codes: Affine, text: str) -> None:
    assert text == str(codes)


def test_static_types() -> None:
    assert (2, 3) == TensorType(FLOAT32, (2, 3)).sizes
    assert () == TensorType(FLOAT32, ()).sizes
    for shape in (None, ("N", 3), (None,)):
        kind = TensorType(FLOAT32, shape)
        assert not kind.is_static
        with pytest.raises(ValueError, match="not static"):
            kind.sizes  # noqa: B018


def test_constants_share_their_arrays() -> None:
    value = np.zeros(3)
    assert Constant(value).value is value
    assert quantized().with_(name="b").constants["w"].codes is not None
