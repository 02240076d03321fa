"""Walking through a graph gives what running it whole gives, with values kept only as long as they are read."""

from __future__ import annotations

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.walk import Walk, without_codes
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ACTIVATIONS, ALL, apply

TEXT = """(float[N,4,6,6] x) => (float[N,3,6,6] y, float[N,4,6,6] side) {
    a = Conv <pads=[1,1,1,1]> (x, w) b = Relu(a) side = Add(b, x) c = Conv <pads=[1,1,1,1]> (side, w)
    y = Conv(c, v) }"""


def graph() -> Graph:
    return net(TEXT, w=normal(4, 4, 3, 3), v=normal(3, 4, 1, 1, seed=1))


@pytest.mark.parametrize("passes", ["eliminate-dead-code", f"{ACTIVATIONS},quantize-weights", ALL])
def test_outputs_are_those_of_the_whole_graph(passes: str) -> None:
    given = apply(passes, graph(), where="onnx")
    batches = [{"x": normal(3, 4, 6, 6, seed=seed)} for seed in range(2)]
    walk = Walk(given, batches)
    for node in [node for node in given.nodes if node.op == "Conv"]:
        walk.put(node.outputs[0], walk.run(node))
    found = walk.outputs()
    for i, batch in enumerate(batches):
        wanted = evaluate(given, batch)
        for name in given.outputs:  # codes are equal; sums of reals depend on the kernels that onnxruntime chooses
            np.testing.assert_allclose(found[name][i], wanted[name], rtol=1e-5, atol=1e-4)


def test_a_replaced_value_is_seen_by_all_that_follows() -> None:
    given, x = graph(), normal(3, 4, 6, 6)
    walk = Walk(given, [{"x": x}])
    walk.run(given.nodes[0])
    walk.put("a", [np.zeros((3, 4, 6, 6), np.float32)])
    np.testing.assert_array_equal(walk.outputs()["side"][0], x)


def test_values_are_dropped_once_nothing_reads_them() -> None:
    given = graph()
    walk = Walk(given, [{"x": normal(3, 4, 6, 6)}])
    assert set(walk.values) == {"x"}
    walk.run(given.nodes[0])
    assert set(walk.values) == {"a", "x"}
    walk.run(given.nodes[3])
    assert set(walk.values) == {"c", "side"}


def test_results_come_before_rounding() -> None:
    given = apply(ALL, graph(), where="onnx")
    assert given.tensor("c").quant is not None
    node = next(node for node in given.nodes if "c" in node.outputs)
    walk = Walk(given, [{"x": normal(3, 4, 6, 6)}])
    real = walk.run(node)
    walk.put("c", real)
    assert len(np.unique(walk.values["c"][0])) <= 256 < len(np.unique(real[0]))


def test_without_codes_is_the_float_graph() -> None:
    before, x = graph(), {"x": normal(3, 4, 6, 6)}
    given = without_codes(apply(f"{ACTIVATIONS},quantize-weights", before))
    np.testing.assert_array_equal(evaluate(given, x)["y"], evaluate(before, x)["y"])
