"""Integer arithmetic in the bodies of If, Loop and Scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Constant, Graph
from qir.onnxio.lift import lift
from tests.passes import control
from tests.passes.graphs import normal
from tests.passes.lower.test_integer import lowered, with_codes
from tests.passes.quantize.quantizing import ALL, apply, samples


def both() -> list[dict[str, np.ndarray]]:
    return [{"x": normal(4, 8, seed=i), "flag": np.array(i % 2 == 0)} for i in range(6)]


@pytest.mark.parametrize("flag", [True, False])
def test_branches_with_codes(flag: bool) -> None:
    quant = apply(ALL, lift(control.branches()), data=both())
    result = compare_bodies(quant, {"x": normal(4, 8, seed=9), "flag": np.array(flag)})
    inside = [node.op for graph, node in result.walk() if graph is not result]
    assert "qir.IntGemm" in inside
    assert "qir.Quantize" in inside


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_loops_with_codes(trips: int) -> None:
    graph = lift(control.loop(3))
    quant = apply(ALL, graph, data={"x": normal(2, 8)})
    constants = {**quant.constants, "trips": Constant(np.array(trips, np.int64))}
    result = compare_bodies(quant.with_(constants=constants), {"x": normal(2, 8, seed=4)})
    assert "qir.IntGemm" in [node.op for _, node in result.walk()]


@pytest.mark.parametrize(("backward", "axis", "out_axis"), [(0, 0, 0), (1, 2, 1)])
def test_scans_with_codes(backward: int, axis: int, out_axis: int) -> None:
    graph = lift(control.scan(backward, axis, out_axis))
    quant = apply(ALL, graph)
    compare_bodies(quant, samples(graph, seed=3))


def compare_bodies(quant: Graph, feed: dict[str, Any]) -> Graph:
    result = lowered(quant)
    expected, found = evaluate(quant, feed), evaluate(result, feed)
    for name in quant.outputs:
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name], expected[name], atol=0.05)
    return result


def test_branches_see_captured_codes_as_reals() -> None:
    """A value with codes outside is real inside, also where a layer of the branch has rounded weights."""
    graph = with_codes(lift(control.branches(first="")), h=0.05)
    quant = apply("quantize-weights,quantize-biases", graph)
    assert any(constant.codes is not None for body, _ in quant.walk() for constant in body.constants.values())
    feed = {"x": normal(4, 8, seed=9), "flag": np.array(True)}
    result = compare_bodies(quant, feed)
    (node,) = (node for node in result.nodes if node.op == "If")
    assert all(result.tensor(name).dtype == FLOAT32 for name in node.captures)
