"""The printed form of graphs and their differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from qir.ir.dtype import FLOAT32, STRING, UINT8
from qir.ir.graph import Constant, EmptyList, Graph, Node
from qir.ir.text import attr_text, constant_text, diff, graph_text, node_text, summary
from qir.ir.types import Affine, TensorType
from tests.ir.graphs import WEIGHT, branching, layer, quantized


@pytest.mark.parametrize("make", [layer, quantized, branching], ids=lambda make: make.__name__)
def test_printed_graph(make: Callable[[], Graph], golden: Callable[[str], None]) -> None:
    golden(graph_text(make()) + "\n")


def test_notes_are_drawn_under_their_node(golden: Callable[[str], None]) -> None:
    golden(graph_text(layer(), notes={"product": "first line\nsecond line", "absent": "not shown"}) + "\n")


def test_printed_difference(golden: Callable[[str], None]) -> None:
    golden(str(diff(layer(), quantized())) + "\n")


def test_text_does_not_depend_on_the_order_of_tables() -> None:
    graph = quantized()
    turned = graph.with_(types=dict(reversed(graph.types.items())), ranges=dict(reversed(graph.ranges.items())))
    assert graph_text(graph) == graph_text(turned)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (0.1, "0.1"),
        (1 / 3, "0.333333"),
        ("NCHW", "NCHW"),
        ((1, 2), "[1,2]"),
        ((0.5, "a"), "[0.5,a]"),
        (EmptyList("ints"), "[]"),
        (np.array([1.0, 2.5], np.float32), "[1,2.5]"),
        (np.array(7), "[7]"),
    ],
)
def test_attributes(value: object, text: str) -> None:
    assert text == attr_text(value)


@pytest.mark.parametrize(
    ("constant", "starts"),
    [
        (Constant(np.array([1.5, -2], np.float32)), "[1.5,-2]"),
        (Constant(np.array(["a", "b"], object)), "['a', 'b']"),
        (Constant(np.arange(20.0)), "0..19 "),
        (Constant(np.array([1.0], np.float32), np.array([4], np.int8)), "[1] codes [4]"),
        (Constant(np.zeros((0, 3), np.float32)), "[]"),
        (Constant(np.array([True, False])), "[1,0]"),
    ],
    ids=["few", "text", "many", "codes", "none", "bool"],
)
def test_constants(constant: Constant, starts: str) -> None:
    assert constant_text(constant).startswith(starts)


def test_large_constants_differ_by_digest() -> None:
    first, second = np.arange(100.0), np.arange(100.0)
    second[50] += 1e-9
    assert constant_text(Constant(first)) != constant_text(Constant(second))


def test_omitted_operands_are_shown() -> None:
    node = Node("Clip", ("x", "", "high"), ("", "y"), name="clip")
    graph = layer().with_(nodes=(node,))
    assert "_, %y: float32[N,2] = Clip(%x, _, %high)  # clip" == node_text(node, graph)


def test_types() -> None:
    assert "float32[N,4]" == str(TensorType(FLOAT32, ("N", 4)))
    assert "float32[*]" == str(TensorType(FLOAT32))
    assert "string[?]" == str(TensorType(STRING, (None,)))
    assert "float32[2]<uint8 scale=0.5 zero_point=3>" == str(TensorType(FLOAT32, (2,), Affine(UINT8, 0.5, 3)))


def test_a_graph_does_not_differ_from_itself() -> None:
    graph = quantized()
    assert not diff(graph, graph)
    assert "no change" == str(diff(graph, graph))
    assert not diff(graph, quantized().with_(constants={"w": replace(graph.constants["w"])}))


def test_added_removed_and_changed_nodes() -> None:
    before = layer()
    after = before.with_(nodes=(before.nodes[0].with_(op="Gemm"), Node("Tanh", ("h",), ("y",), name="squash")))
    found = diff(before, after)
    assert ("squash",) == tuple(line.rpartition("# ")[2] for line in found.added)
    assert 1 == len(found.removed)
    ((old, new),) = found.changed
    assert "MatMul" in old
    assert "Gemm" in new


def test_changes_inside_bodies_are_seen() -> None:
    before = branching()
    choice = before.nodes[1]
    body = choice.attrs["then_branch"]
    other = body.with_(nodes=(body.nodes[0].with_(op="Abs"),))
    after = before.with_(nodes=(before.nodes[0], choice.with_(attrs={**choice.attrs, "then_branch": other})))
    assert 1 == len(diff(before, after).changed)


def test_a_change_of_the_interface_is_seen() -> None:
    before, after = layer(), layer().with_(outputs=("h", "y"))
    ((old, new),) = diff(before, after).changed
    assert "-> (%y)" in old
    assert "-> (%h, %y)" in new


def test_constants_and_ranges_are_compared() -> None:
    before = quantized()
    doubled = before.with_(constants={"w": Constant(WEIGHT * 2, before.constants["w"].codes)}, ranges={"y": (0.0, 1.0)})
    found = diff(before, doubled)
    assert 1 == len(found.constants)
    assert 2 == found.ranges
    gone = diff(before, before.with_(constants={}))
    assert "(absent)" in gone.constants[0][1]


def test_summary_counts() -> None:
    assert "2 nodes, 1 constants, 3 quantized values" == summary(quantized())
