"""Channels of zeros change no result, and are added only where that is faster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper

import qir
from qir.backends.onnx.costs import COSTS
from qir.backends.onnx.targets import ONNX
from qir.passes.quantize.align import AlignChannels
from qir.passmanager.base import Context
from tests.models import constant, images, model, tiny_cnn

FAST = replace(ONNX, costs=replace(COSTS, node=lambda node, graph, codes: COSTS.node(node, graph, True)))


def block(channels: int = 24, tail: str = "Conv", inputs: int = 8) -> onnx.ModelProto:
    """x [N, inputs, 12, 12]: expand, hard-swish, 5x5 depthwise, squeeze-excite, constants a channel, then `tail`."""
    random = np.random.default_rng(0)
    weights: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def weight(name: str, *shape: int) -> str:
        fan = max(int(np.prod(shape[1:])), 1)
        weights.append(constant(name, (random.standard_normal(shape) / fan**0.5).astype(np.float32)))
        return name

    def node(op: str, name: str, *operands: str, **attrs: object) -> str:
        nodes.append(helper.make_node(op, list(operands), [f"{name}.out"], name, **attrs))
        return f"{name}.out"

    a = node("Conv", "expand", "x", weight("e.w", channels, inputs, 1, 1), weight("e.b", channels))
    a = node("Add", "shifted", node("HardSwish", "swish", a), weight("shift", channels, 1, 1))
    a = node("Conv", "deep", a, weight("d.w", channels, 1, 5, 5), weight("d.b", channels), pads=[2] * 4, group=channels)
    b = node("GlobalAveragePool", "mean", a)
    b = node("Relu", "squeezed", node("Conv", "squeeze", b, weight("s.w", 4, channels, 1, 1), weight("s.b", 4)))
    b = node("Conv", "excite", b, weight("x.w", channels, 4, 1, 1), weight("x.b", channels))
    a = node("Mul", "scaled", a, node("HardSigmoid", "gate", b))
    if tail == "Conv":
        a = node("Conv", "project", a, weight("p.w", inputs, channels, 1, 1), weight("p.b", inputs))
        a = node("Add", "residual", a, "x")
    elif tail == "Concat":
        a = node("Concat", "both", a, a, axis=1)
    nodes[-1].output[0] = "y"
    shape = {"Conv": [inputs, 12, 12], "Concat": [2 * channels, 12, 12], "none": [channels, 12, 12]}[tail]
    return model(nodes, {"x": ["N", inputs, 12, 12]}, {"y": ["N", *shape]}, weights)


def data(inputs: int = 8) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((8, inputs, 12, 12)).astype(np.float32)


def quantized(made: onnx.ModelProto, samples: np.ndarray) -> qir.Graph:
    graph = qir.compile(made, samples).rounding.quant
    assert graph is not None
    return graph


@pytest.mark.parametrize("channels", [24, 40])
def test_results_do_not_change(channels: int) -> None:
    graph = quantized(block(channels), data())
    context = Context(FAST)
    wide = AlignChannels(growth=1.0).run(graph, context)
    assert wide.tensor("shifted.out").shape == ("N", -(-channels // 16) * 16, 12, 12)
    assert wide.tensor("y").shape == graph.tensor("y").shape
    before, after = (qir.evaluate_graph(one, {"x": data()})["y"] for one in (graph, wide))
    np.testing.assert_array_equal(before, after)
    qir.verify_graph(wide)
    assert any("channels of zeros fill" in note for note in context.notes)


def test_what_is_written_does_not_change() -> None:
    graph = quantized(block(), data())
    wide = AlignChannels(growth=1.0).run(graph, Context(FAST))
    models = (qir.lift(qir.export(one)) for one in (graph, wide))
    before, after = (qir.evaluate_graph(one, {"x": data()})["y"] for one in models)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("made", "growth"), [
    (block(32), 1.0), (block(24), 0.0), (block(24, "Concat"), 1.0), (block(24, "none"), 1.0),
], ids=["whole_blocks", "no_growth", "mixed_channels", "result_of_the_model"])  # fmt: skip
def test_what_stays(made: onnx.ModelProto, growth: float) -> None:
    graph = quantized(made, data())
    wide = AlignChannels(growth).run(graph, Context(FAST))
    assert wide.tensor("shifted.out") == graph.tensor("shifted.out")


def test_values_with_codes_a_channel_stay() -> None:
    graph = quantized(block(), data())
    kind = graph.tensor("shifted.out")
    assert kind.quant is not None
    scale, zero_point = (np.repeat(part, 24) for part in (kind.quant.scale, kind.quant.zero_point))
    each = replace(kind.quant, scale=scale, zero_point=zero_point, axis=1)
    imported = graph.with_(types={**graph.types, "shifted.out": replace(kind, quant=each)})
    assert AlignChannels(1.0).run(imported, Context(FAST)).tensor("shifted.out").shape == kind.shape


def test_targets_without_costs_and_slower_kernels_stay() -> None:
    graph = quantized(block(), data())
    assert AlignChannels(1.0).run(graph, Context(replace(ONNX, costs=None))) is graph
    elements = replace(COSTS, node=lambda node, one, codes: float(np.prod(one.tensor(node.outputs[0]).sizes)))
    assert AlignChannels(1.0).run(graph, Context(replace(ONNX, costs=elements))) is graph


def stem(outputs: int, extra: bool = False) -> onnx.ModelProto:
    """x [N, 3, 16, 16] -> Conv 3x3 -> y, and another reader of x if asked for."""
    random = np.random.default_rng(0)
    weights = [constant("w", random.standard_normal((outputs, 3, 3, 3)).astype(np.float32))]
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "stem", kernel_shape=[3, 3], pads=[1] * 4)]
    results: dict[str, list[int | str]] = {"y": ["N", outputs, 16, 16]}
    if extra:
        nodes.append(helper.make_node("Exp", ["x"], ["z"], "exp"))
        results["z"] = ["N", 3, 16, 16]
    return model(nodes, {"x": ["N", 3, 16, 16]}, results, weights)


@pytest.mark.parametrize(("outputs", "extra", "padded"), [(16, False, True), (8, False, False), (16, True, False)])
def test_an_input_gets_channels_where_the_fast_kernel_then_takes_it(outputs: int, extra: bool, padded: bool) -> None:
    samples = np.random.default_rng(1).standard_normal((4, 3, 16, 16)).astype(np.float32)
    net = qir.compile(stem(outputs, extra), samples)
    assert ("Pad" in net.operators()) == padded
    assert net.graph.tensor("x").shape == ("N", 3, 16, 16)
    plain = qir.compile(stem(outputs, extra), samples, passes=[p for p in net.passes if p.name != "align-channels"])
    np.testing.assert_array_equal(plain.run({"x": samples})["y"], net.run({"x": samples})["y"])


def test_layers_are_judged_as_before() -> None:
    net = qir.compile(block(), data())
    rows = {row.node for row in net.layer_errors().layers}
    assert {"expand", "deep", "project"} <= rows
    assert all(row.weight is not None for row in net.layer_errors().layers if row.op == "Conv")


def test_a_network_without_images_stays() -> None:
    graph = quantized(tiny_cnn(), images())
    assert AlignChannels(1.0).run(graph, Context(ONNX)) is graph
