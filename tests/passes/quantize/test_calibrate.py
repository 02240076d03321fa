"""Ranges from data: methods, ragged batches, bodies, and data that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from qir.errors import DataError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe, recipe
from tests.models import images, tiny_cnn
from tests.passes.control import branches, loop, scan
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, apply, context, samples


def calibrated(graph: Graph, data: object, option: str = "{method=minmax}", recipe: Recipe | None = None) -> Graph:
    return apply(f"calibrate{option}", graph, recipe=recipe, data=data)


def test_minmax_is_the_exact_range_of_every_value_at_an_integer_operator() -> None:
    graph, data = lift(tiny_cnn()), images(50)
    found = calibrated(graph, data)
    values = evaluate(graph, {"x": data}, taps=["a", "b", "c", "d"]) | {"x": data}
    assert set(found.ranges) == {"x", "a", "b", "c", "d", "y"}
    rectified = {node.inputs[0] for node in graph.nodes if node.op == "Relu"}
    for name, (low, high) in found.ranges.items():
        least = 0.0 if name in rectified else float(values[name].min())
        assert low == pytest.approx(least, rel=1e-5, abs=1e-6)
        assert high == pytest.approx(float(values[name].max()), rel=1e-5, abs=1e-6)


def test_methods_order_as_they_should() -> None:
    graph = net("(float[N,64] x) => (float[N,3] y) { y = MatMul(x, w) }", w=normal(64, 3))
    data = normal(200, 64)
    data[0, 0] = 40
    wide = calibrated(graph, data).ranges["x"][1]
    cut = calibrated(graph, data, "{method=percentile, percentile=99}").ranges["x"][1]
    best = calibrated(graph, data, "{method=mse}").ranges["x"][1]
    assert wide == 40
    assert 2 < cut < best < wide


@pytest.mark.parametrize("method", ["auto", "minmax", "percentile", "mse", "octav", "entropy"])
def test_the_recipe_names_the_method(method: str) -> None:
    graph, data = lift(tiny_cnn()), images(20)
    recipe = Recipe(calibration=method)
    assert calibrated(graph, data, "", recipe).ranges == calibrated(graph, data, f"{{method={method}}}").ranges


@pytest.mark.parametrize("count", [3, 4, 5, 7])
def test_samples_that_only_fill_a_batch_do_not_count(count: int) -> None:
    """A model of batch 4: the last batch is filled up with repetitions."""
    fixed, free = lift(tiny_cnn(4)), lift(tiny_cnn("N"))
    data = images(count)
    data[0] *= 10  # what fills the batch would count twice
    notes = context(fixed, data=data)
    mine = run(fixed, parse_pipeline("calibrate{method=percentile, percentile=90}"), notes)
    assert f"on {count} samples" in notes.notes[-1]
    for name, wanted in calibrated(free, data, "{method=percentile, percentile=90}").ranges.items():
        assert mine.ranges[name] == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_another_method_runs_nothing_again() -> None:
    graph = lift(tiny_cnn())
    given = context(graph, data=images(8))
    first = run(graph, parse_pipeline("calibrate{method=minmax}"), given)
    kept = given.statistics
    second = run(first, parse_pipeline("calibrate{method=mse}"), given)
    assert given.statistics is kept
    assert second.ranges != first.ranges
    assert run(second, parse_pipeline("calibrate{method=mse}"), given) is second


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_is_not_finite_is_refused_by_name(bad: float) -> None:
    data = images(4)
    data[2, 0, 0, 0] = bad
    with pytest.raises(DataError) as caught:
        calibrated(lift(tiny_cnn()), data)
    assert "'x'" in str(caught.value)


def test_values_without_elements_stay_real() -> None:
    graph = net("(float[N,4] x) => (float[a,b] y) { e = Slice(x, z, z, o) y = MatMul(e, w) }", w=normal(4, 3),
                z=np.array([0]), o=np.array([0]))  # fmt: skip
    found = apply(ALL, graph)
    assert "e" not in found.ranges
    assert evaluate(found, {"x": normal(3, 4)})["y"].shape == (0, 3)


BODIES = {"if": branches, "loop": loop, "scan": scan}


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize("name", BODIES)
def test_values_inside_bodies_get_ranges_and_codes(name: str, where: str) -> None:
    graph = lift(BODIES[name]())
    data = both_branches() if name == "if" else None
    found = apply(ALL, graph, where, data=data)
    bodies = [body for body, _ in found.walk() if body is not found]
    assert bodies
    for body in {id(body): body for body in bodies}.values():
        assert body.ranges
        assert any(kind.quant is not None for kind in map(body.tensor, body.types) if kind.shape != ())
        assert any(constant.codes is not None for constant in body.constants.values())
    given = samples(graph)
    expected, mine = evaluate(graph, given), evaluate(found, given)
    for output in graph.outputs:
        scale = max(float(np.abs(expected[output]).max()), 1.0)
        assert np.abs(mine[output] - expected[output]).max() < 0.1 * scale
    assert export(found).SerializeToString() == export(apply(ALL, graph, where, data=data)).SerializeToString()


def both_branches() -> list[dict[str, np.ndarray]]:
    return [{"x": normal(4, 8, seed=i), "flag": np.array(i % 2 == 0)} for i in range(6)]


def test_a_branch_that_no_sample_takes_stays_real() -> None:
    graph = lift(branches())
    data = [{"x": normal(2, 8, seed=i), "flag": np.array(True)} for i in range(3)]
    found = apply(ALL, graph, data=data)
    (node,) = (node for node in found.nodes if node.op == "If")
    taken, other = node.subgraphs["then_branch"], node.subgraphs["else_branch"]
    assert taken.ranges
    assert not other.ranges
    assert all(constant.codes is None for constant in other.constants.values())


def test_sixteen_bits_leave_room_for_what_was_not_seen() -> None:
    """But not beyond a clamp, and not where the method is named."""
    graph = net("(float[N,8] x) => (float[N,4] y) { a = MatMul(x, w) c = Clip(a, l, h) y = MatMul(c, v) }",
                w=normal(8, 8), l=np.float32(0), h=np.float32(4), v=normal(8, 4))  # fmt: skip
    data = normal(64, 8)
    seen = float(data.min()), float(data.max())
    wide = apply("calibrate", graph, recipe=recipe("w8a16"), data=data).ranges
    assert wide["x"] == (4 * seen[0], 4 * seen[1])
    assert wide["c"] == (0, 4)
    named = apply("calibrate{method=minmax}", graph, recipe=recipe("w8a16"), data=data).ranges
    assert named["x"] == seen
    narrow = apply("calibrate", graph, data=data).ranges
    assert seen[0] <= narrow["x"][0] < narrow["x"][1] <= seen[1]
