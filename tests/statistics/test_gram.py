"""Rows of a layer's im2col matrix: times the weight they are the layer's output."""

from __future__ import annotations

import numpy as np
import pytest

from qir.errors import DataError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passes.quantize.observed import as_rows
from qir.statistics import Gram, im2col_rows
from qir.statistics.gram import MAX_SIZE
from tests.passes.graphs import net, normal

CONVS = [
    ("", (6, 4, 3, 3)),
    ("<group=2, pads=[1,0,2,1], strides=[2,1]>", (6, 2, 3, 3)),
    ("<group=4, dilations=[2,3], pads=[2,2,2,2]>", (8, 1, 3, 2)),
    ("<auto_pad=\"SAME_LOWER\", strides=[3,2]>", (5, 4, 2, 4)),
    ("<auto_pad=\"VALID\">", (5, 4, 1, 1)),
]  # fmt: skip


def rows_of(graph: Graph, x: np.ndarray, first: int = 0) -> np.ndarray:
    found = im2col_rows(graph.nodes[0], x, graph.constants["w"].value.shape, first)
    assert found is not None
    return found


def conv(attrs: str, shape: tuple[int, ...], x: str = "N,4,7,6") -> Graph:
    return net(f"(float[{x}] x) => (float[a,b,c,d] y) {{ y = Conv {attrs} (x, w) }}", w=normal(*shape))


@pytest.mark.parametrize(("attrs", "shape"), CONVS)
def test_rows_times_weights_are_outputs(attrs: str, shape: tuple[int, ...]) -> None:
    """Every sampled row gives the output of one place, all its channels together; places of a sample differ."""
    graph, x = conv(attrs, shape), normal(3, 4, 7, 6)
    expected = evaluate(graph, {"x": x})["y"]
    rows = rows_of(graph, x)
    groups = np.split(as_rows(graph.nodes[0], graph.constants["w"].value), len(rows))
    found = np.concatenate([part @ weight.T for part, weight in zip(rows, groups, strict=True)], axis=1)
    places = expected.transpose(0, 2, 3, 1)
    per_sample = found.reshape(3, -1, shape[0])
    assert per_sample.shape[1] == min(32, max(8, rows.shape[2] // 2), places[0, ..., 0].size)
    for sample, wanted in zip(per_sample, places, strict=True):
        distance = np.abs(sample[:, None] - wanted.reshape(1, -1, shape[0])).max(axis=2)
        assert distance.min(axis=1).max() < 1e-4
        assert len(set(distance.argmin(axis=1))) == len(sample)


def test_one_axis_and_three() -> None:
    one = net("(float[N,2,9] x) => (float[a,b,c] y) { y = Conv <strides=[2]> (x, w) }", w=normal(3, 2, 3))
    three = net("(float[N,2,4,4,4] x) => (float[a,b,c,d,e] y) { y = Conv (x, w) }", w=normal(3, 2, 2, 3, 1))
    for graph, shape in ((one, (2, 2, 9)), (three, (2, 2, 4, 4, 4))):
        x = normal(*shape)
        expected = np.moveaxis(evaluate(graph, {"x": x})["y"], 1, -1).reshape(-1, 3)
        (rows,) = rows_of(graph, x)
        found = rows @ as_rows(graph.nodes[0], graph.constants["w"].value).T
        distance = np.abs(found[:, None] - expected[None]).max(axis=2).min(axis=1)
        assert distance.max() < 1e-4


@pytest.mark.parametrize(
    ("text", "shape", "weight"),
    [
        ("Gemm (x, w)", "N,6", (6, 5)),
        ("Gemm <transB=1> (x, w)", "N,6", (5, 6)),
        ("MatMul (x, w)", "N,6", (6, 5)),
        ("MatMul (x, w)", "N,3,6", (6, 5)),
    ],
)
def test_rows_of_matrices(text: str, shape: str, weight: tuple[int, ...]) -> None:
    out = "float[a,b] y" if shape == "N,6" else "float[a,b,c] y"
    graph = net(f"(float[{shape}] x) => ({out}) {{ y = {text} }}", w=normal(*weight))
    x = normal(4, *(int(d) for d in shape.split(",")[1:]))
    (rows,) = rows_of(graph, x)
    found = rows @ as_rows(graph.nodes[0], graph.constants["w"].value).T
    np.testing.assert_allclose(
        np.sort(found.reshape(-1)), np.sort(evaluate(graph, {"x": x})["y"].reshape(-1)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("text", "shape", "weight"),
    [
        ("Gemm <transA=1> (x, w)", "6,4", (6, 5)),
        ("ConvTranspose (x, w)", "N,4,5,5", (4, 2, 3, 3)),
    ],
)
def test_layers_without_a_gram(text: str, shape: str, weight: tuple[int, ...]) -> None:
    graph = net(f"(float[{shape}] x) => (float y) {{ y = {text} }}", w=normal(*weight))
    x = normal(*(4 if d == "N" else int(d) for d in shape.split(",")))
    assert im2col_rows(graph.nodes[0], x, weight, 0) is None


def test_the_choice_depends_on_the_number_seen_alone() -> None:
    graph, x = conv("<pads=[1,1,1,1]>", (6, 4, 3, 3), "N,4,9,9"), normal(2, 4, 9, 9)
    np.testing.assert_array_equal(rows_of(graph, x, 8), rows_of(graph, x, 8))
    assert not np.array_equal(rows_of(graph, x, 8), rows_of(graph, x, 9))
    assert rows_of(graph, x, 200).shape[1] < rows_of(graph, x, 8).shape[1]


def test_the_matrix_is_the_sum_of_products() -> None:
    rows = normal(2, 40, 5)
    whole = Gram.of(rows)
    np.testing.assert_allclose(whole.matrix, np.einsum("gnk,gnl->gkl", rows, rows), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(whole.diagonal, (rows**2).sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(whole.mean, rows.mean(axis=1), rtol=1e-4, atol=1e-5)
    joined = Gram.of(rows[:, :13]).merge(Gram.of(rows[:, 13:]))
    np.testing.assert_allclose(joined.matrix, whole.matrix, rtol=1e-4, atol=1e-4)
    assert joined.rows == whole.rows == 40
    np.testing.assert_allclose(whole.scaled(3).matrix, Gram.of(rows * 3).matrix, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(whole.scaled(3).mean, 3 * whole.mean, rtol=1e-5)
    fields, arrays = whole.state()
    assert Gram.from_state(fields, arrays).matrix.tobytes() == whole.matrix.tobytes()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-3, 1e30])
def test_any_float32_can_be_squared(scale: float) -> None:
    rows = normal(1, 9, 4).astype(np.float64)
    matrix = Gram.of((rows * scale).astype(np.float32)).matrix
    expected = np.einsum("gnk,gnl->gkl", rows, rows) * scale**2
    if scale > 1e-30:  # products below 1e-45 are no float32
        np.testing.assert_allclose(matrix, expected, rtol=1e-3, atol=1e-3 * scale**2)
    assert np.isfinite(matrix).all()


def test_large_layers_are_block_diagonal() -> None:
    rows = normal(1, 6, 2 * MAX_SIZE + 1)
    gram = Gram.of(rows)
    assert not gram.is_whole
    assert gram.diagonal.shape == gram.mean.shape == (1, rows.shape[2])
    np.testing.assert_allclose(gram.diagonal, (rows**2).sum(axis=1), rtol=1e-3, atol=1e-4)
    stop = 0
    for columns, part in gram.blocks():
        assert columns.start == stop
        stop = columns.stop
        assert part.shape == (1, stop - columns.start, stop - columns.start)
        assert stop - columns.start <= MAX_SIZE
        inside = rows[0][:, columns]
        np.testing.assert_allclose(part[0][:4], inside.T[:4] @ inside, rtol=1e-3, atol=1e-3)
    assert stop == rows.shape[2]
    fields, arrays = gram.state()
    assert Gram.from_state(fields, arrays).diagonal.tobytes() == gram.diagonal.tobytes()


def test_layers_of_other_shapes_do_not_merge() -> None:
    with pytest.raises(DataError, match="differ"):
        Gram.of(normal(1, 4, 5)).merge(Gram.of(normal(1, 4, 6)))
