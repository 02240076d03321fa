"""Watching values inside If, Loop and Scan: what was seen is what onnxruntime computes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
import pytest

from qir.control import executions
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.observe import Observer
from qir.onnxio.lift import lift
from tests.passes import control
from tests.passes.graphs import normal


def everything(graph: Graph) -> list[str]:
    return [name for node in graph.nodes for name in node.outputs if name]


def observe(graph: Graph, feed: dict[str, Any]) -> tuple[dict[str, list[np.ndarray]], list[Any]]:
    """Every value's arrays in order, and the results."""
    seen: dict[str, list[np.ndarray]] = defaultdict(list)
    watching = Observer(graph, everything)(feed)
    while True:
        try:
            name, array = next(watching)
        except StopIteration as end:
            return dict(seen), end.value
        seen[name].append(np.asarray(array))


def by_suffix(seen: dict[str, list[np.ndarray]], suffix: str) -> list[np.ndarray]:
    (found,) = (arrays for name, arrays in seen.items() if name.endswith(suffix))
    return found


@pytest.mark.parametrize("flag", [True, False])
def test_the_branch_that_is_taken(flag: bool) -> None:
    graph, feed = lift(control.branches()), {"x": normal(3, 8), "flag": np.array(flag)}
    seen, results = observe(graph, feed)
    expected = evaluate(graph, feed, taps=["z"])
    np.testing.assert_array_equal(results[0], expected["y"])
    (last,) = by_suffix(seen, "branch/a_y" if flag else "branch/b_y")
    np.testing.assert_allclose(last, expected["z"], rtol=1e-5, atol=1e-6)
    assert not any(name.endswith("/b_y" if flag else "/a_y") for name in seen)


@pytest.mark.parametrize("scalar", [True, False])
@pytest.mark.parametrize(("trips", "stop"), [(3, None), (0, None), (1, None), (10, 1.0), (10, -1e9), (10, 1e9)])
def test_loop(trips: int, stop: float | None, scalar: bool) -> None:
    graph, feed = lift(control.loop(trips, scalar, stop)), {"x": 0.1 * normal(2, 8)}
    seen, _ = observe(graph, feed)
    expected = evaluate(graph, feed)
    rows = by_suffix(seen, "body/n") if len(expected["rows"]) else []
    assert len(rows) == len(expected["rows"])
    for mine, wanted in zip(rows, expected["rows"], strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)
    if stop is not None and abs(stop) == 1e9:
        assert len(rows) == (1 if stop < 0 else 10)
    assert not seen.keys() - {"y", "rows"} or rows


@pytest.mark.parametrize("backward", [0, 1])
@pytest.mark.parametrize(("axis", "out_axis"), [(0, 0), (1, 2), (2, 1)])
def test_scan(backward: int, axis: int, out_axis: int) -> None:
    graph = lift(control.scan(backward, axis, out_axis))
    feed = {"start": normal(2, 4), "x": np.moveaxis(normal(5, 2, 8), 0, axis).copy()}
    seen, _ = observe(graph, feed)
    expected = np.moveaxis(evaluate(graph, feed)["rows"], out_axis, 0)
    for mine, wanted in zip(by_suffix(seen, "body/n"), expected[::-1] if backward else expected, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)


def nested() -> onnx.ModelProto:
    """A loop whose body holds an If on the parity of the iteration, which uses values of both graphs around it."""
    halves = []
    for prefix, op in (("a", "Add"), ("b", "Sub")):
        nodes = [control.node(op, "h x", f"{prefix}_s"), control.node("MatMul", f"{prefix}_s w", f"{prefix}_y")]
        halves.append(onnx.helper.make_graph(nodes, prefix, [], [control.value(f"{prefix}_y", control.FLOAT, [2, 8])]))
    body = onnx.helper.make_graph(
        [
            control.node("Mod", "i two", "odd"),
            control.node("Cast", "odd", "flag", to=onnx.TensorProto.BOOL),
            control.node("If", "flag", "n", then_branch=halves[0], else_branch=halves[1]),
        ],
        "body",
        [control.value("i", control.INT64, []), control.value("go", control.BOOL, []),
         control.value("h", control.FLOAT, [2, 8])],
        [control.value("go", control.BOOL, []), control.value("n", control.FLOAT, [2, 8])],
        [onnx.numpy_helper.from_array(np.array(2, np.int64), "two")],
    )  # fmt: skip
    outer = [control.node("Loop", "trips _ x", "y", body=body)]
    constants = [onnx.numpy_helper.from_array(np.array(4, np.int64), "trips"), control.weight("w", 8, 8)]
    return control.model(
        onnx.helper.make_graph(outer, "nested", [control.value("x", control.FLOAT, [2, 8])],
                               [control.value("y", control.FLOAT, [2, 8])], constants)
    )  # fmt: skip


def test_nested_bodies() -> None:
    graph, feed = lift(nested()), {"x": normal(2, 8)}
    seen, _ = observe(graph, feed)
    assert len(by_suffix(seen, "then_branch/a_y")) == len(by_suffix(seen, "else_branch/b_y")) == 2
    np.testing.assert_allclose(by_suffix(seen, "then_branch/a_y")[-1], evaluate(graph, feed)["y"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("made", "feed"),
    [
        (control.loop(3), {"x": normal(2, 8)}),
        (control.loop(0), {"x": normal(2, 8)}),
        (control.scan(1, 2, 1), {"start": normal(2, 4), "x": normal(2, 8, 5)}),
    ],
)
def test_results_of_the_node_itself(made: onnx.ModelProto, feed: dict[str, np.ndarray]) -> None:
    """Running the bodies one by one gives what the node gives."""
    graph = lift(made)
    (node,) = (node for node in graph.nodes if node.subgraphs)
    inner = node.subgraphs["body"]
    types = {**{name: graph.types[name] for name in inner.captures}, **inner.types}
    body = inner.with_(inputs=(*inner.inputs, *inner.captures), types=types, opsets=graph.opsets)
    values = feed | {name: constant.value for name, constant in graph.constants.items()}
    steps = executions(node, values)
    try:
        _, given = next(steps)
        while True:
            found = evaluate(body, {**{name: values[name] for name in inner.captures}, **given})
            _, given = steps.send([found[name] for name in body.outputs])
    except StopIteration as end:
        results = end.value
    for name, mine in zip(node.outputs, results, strict=True):
        wanted = evaluate(graph, feed)[name]
        assert np.shape(mine) == wanted.shape
        np.testing.assert_allclose(mine, wanted, rtol=1e-5, atol=1e-6)
