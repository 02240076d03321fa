"""Islands that would be slower on codes stay float."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import helper

import qir
from qir.backends.onnx.costs import COSTS
from qir.backends.onnx.targets import ONNX
from qir.ir.dtype import FLOAT32
from qir.ir.types import TensorType
from qir.ops.weighted import with_ones
from qir.passes.quantize.islands import DropSlowIslands
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from tests.models import constant, images, model, tiny_cnn


def headed(channels: int = 32) -> tuple[object, np.ndarray]:
    """x [N, 8, 16, 16] -> large Conv -> Exp (float) -> mean -> tiny Gemm -> y [N, 2]."""
    random = np.random.default_rng(0)
    weights = [
        constant("large.weight", (random.standard_normal((channels, 8, 5, 5)) / 20).astype(np.float32)),
        constant("tiny.weight", random.standard_normal((2, channels)).astype(np.float32)),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "large.weight"], ["a"], "large", kernel_shape=[5, 5], pads=[2] * 4),
        helper.make_node("Exp", ["a"], ["b"], "exp"),
        helper.make_node("ReduceMean", ["b"], ["c"], "mean", axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["c", "tiny.weight"], ["y"], "tiny", transB=1),
    ]
    made = model(nodes, {"x": ["N", 8, 16, 16]}, {"y": ["N", 2]}, weights)
    return made, random.standard_normal((16, 8, 16, 16)).astype(np.float32)


def test_a_tiny_layer_between_conversions_stays_float_and_the_large_one_does_not() -> None:
    made, data = headed()
    net = qir.compile(made, data, recipe=qir.Recipe(calibration="minmax"), passes=passes(0.05))
    assert isinstance(net, qir.CompiledOnnx)
    assert {"QLinearConv": 1, "Exp": 1, "ReduceMean": 1, "Gemm": 1} == dict(net.operators())
    assert net.recipe.layer(("tiny",), "Gemm").is_float
    assert any("1 nodes stay float" in note and "tiny" in note for note in net.notes)
    again = qir.compile(made, data, recipe=net.recipe)
    assert dict(again.operators()) == dict(net.operators())


def passes(share: float) -> tuple[qir.Pass, ...]:
    usual = qir.default_pipeline(qir.Recipe(), ONNX, has_data=True)
    return tuple(DropSlowIslands(share) if one.name == "drop-slow-islands" else one for one in usual)


@pytest.mark.parametrize("share", [0.0, 1e-5])
def test_no_more_than_its_share_is_given_up(share: float) -> None:
    made, data = headed()
    net = qir.compile(made, data, passes=passes(share))
    assert "QGemm" in net.operators()
    assert net.recipe.overrides == ()


def test_what_an_override_names_stays_as_it_says() -> None:
    made, data = headed()
    recipe = qir.Recipe().with_override("tiny", activation_bits=8)
    assert "QGemm" in qir.compile(made, data, recipe=recipe, passes=passes(1.0)).operators()


def test_a_network_whose_codes_save_time_is_left_alone() -> None:
    costs = replace(COSTS, node=lambda node, graph, codes: 1.0 if codes else 1e9)
    graph, context = placed_graph(replace(ONNX, costs=costs))
    assert DropSlowIslands(1.0).run(graph, context) is graph
    assert context.recipe.overrides == ()


def test_a_border_is_paid_once_for_each_value_that_crosses() -> None:
    """tiny_cnn is one island: x enters, and the Gemm gives real results itself."""
    crossed: list[TensorType] = []

    def border(kind: TensorType) -> float:
        crossed.append(kind)
        return 1.0

    costs = qir.Costs(lambda node, graph, codes: 0.0, border)
    graph, context = placed_graph(replace(ONNX, costs=costs))
    DropSlowIslands(0.0).run(graph, context)
    assert [TensorType(FLOAT32, (1, 2, 6, 6))] == crossed


def placed_graph(target: qir.Target) -> tuple[qir.Graph, Context]:
    context = Context(target, feeds=qir.feeds(images(), {"x": TensorType(FLOAT32, ("N", 2, 6, 6))}))
    return run(qir.lift(tiny_cnn()), parse_pipeline("calibrate"), context), context


def test_targets_without_costs_drop_nothing() -> None:
    graph, context = placed_graph(replace(ONNX, costs=None))
    assert DropSlowIslands(1.0).run(graph, context) is graph


@pytest.mark.parametrize("codes", [False, True])
def test_more_work_costs_more_time(codes: bool) -> None:
    small, large = (with_ones(qir.lift(headed(channels)[0])) for channels in (16, 64))
    times = [[COSTS.node(node, graph, codes) for node in graph.nodes] for graph in (small, large)]
    assert all(0 < a <= b for a, b in zip(*times, strict=True))
    assert times[0][0] < times[1][0]
