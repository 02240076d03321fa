"""Ranges chosen by what they do to the layers that read a value."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.graph import Graph
from qir.recipe import Recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import apply


def chosen(graph: Graph, data: np.ndarray) -> tuple[float, float]:
    return apply("calibrate{method=auto}", graph, data=data).ranges["x"]


def outliers_in_one_column(rows: int = 4000) -> np.ndarray:
    """Mostly small numbers; the first input alone is large, now and then."""
    data = normal(rows, 16)
    data[:, 0] = np.where(np.arange(rows) % 100 == 0, 60.0, data[:, 0])
    return data.astype(np.float32)


@pytest.mark.parametrize("through", ["", "Relu", "Reshape"])
def test_inputs_that_the_weights_hardly_use_may_be_clipped(through: str) -> None:
    """The same data for two layers: only one of them makes use of the column with the outliers."""
    data = outliers_in_one_column()
    if through == "Relu":
        data = np.abs(data)
    ignored, used = normal(16, 8).astype(np.float32), normal(16, 8).astype(np.float32)
    ignored[0], used[0] = 0.0, 3.0
    body = {"": "y = MatMul(x, w)", "Relu": "r = Relu(x) y = MatMul(r, w)",
            "Reshape": "r = Reshape(x, s) y = MatMul(r, w)"}[through]  # fmt: skip
    shape = {"s": np.array([-1, 16])} if through == "Reshape" else {}
    found = [chosen(net(f"(float[N,16] x) => (float[N,8] y) {{ {body} }}", w=w, **shape), data)[1]
             for w in (ignored, used)]  # fmt: skip
    assert found[0] < 40
    assert found[1] > 55


def test_values_that_no_layer_reads_are_judged_by_themselves() -> None:
    data = normal(4000, 16).astype(np.float32)
    graph = net("(float[N,16] x) => (float[N,16] y) { s = Sigmoid(x) y = Add(s, x) }")
    low, high = chosen(graph, data)
    assert data.min() <= low < -3
    assert 3 < high <= data.max()


def test_every_value_gets_a_range_inside_what_was_observed() -> None:
    graph = net(
        """(float[N,4,8,8] x) => (float[N,6,8,8] y) {
            a = Conv<pads=[1,1,1,1]>(x, w) r = Relu(a) b = Conv<group=2, pads=[1,1,1,1]>(r, v) y = Add(b, a)
        }""", w=normal(6, 4, 3, 3), v=normal(6, 3, 3, 3),
    )  # fmt: skip
    data = normal(12, 4, 8, 8).astype(np.float32)
    wide = apply("calibrate{method=minmax}", graph, data=data).ranges
    found = apply("calibrate", graph, recipe=Recipe(calibration="auto"), data=data).ranges
    assert set(found) == set(wide)
    for name, (low, high) in found.items():
        assert wide[name][0] <= low < high <= wide[name][1]


def test_what_a_clamp_alone_reads_takes_the_range_behind_it() -> None:
    graph = net("(float[N,4] x) => (float[N,3] y) { a = MatMul(x, w) r = Relu(a) y = MatMul(r, v) }",
                w=normal(4, 4), v=normal(4, 3))  # fmt: skip
    found = apply("calibrate{method=minmax}", graph, data=normal(50, 4).astype(np.float32)).ranges
    assert found["a"] == found["r"]
    assert found["a"][0] == 0.0
