"""Values that are paired, and networks that run in any mixture."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

import qir
from qir.debug.compare import compare
from qir.debug.hybrid import Hybrid
from qir.debug.pairing import pair
from qir.errors import DataError, ModelError
from qir.evaluate import Runner
from tests.debug.small import samples, subject
from tests.models import constant, images, model, tiny_cnn


def hybrid() -> Hybrid:
    return Hybrid(pair(subject().real, subject().quant))


def test_every_value_is_paired_and_clamps_are_followed() -> None:
    pairing = pair(subject().real, subject().quant)
    made = {name for node in subject().quant.nodes for name in node.outputs}
    assert set(pairing.values) == made
    assert pairing.values["stem_relu.out"] == "stem_relu.out"
    assert [node.name for node in pairing.real_region("stem_relu.out")] == ["stem", "stem_relu"]
    assert [node.name for node in pairing.region("stem_relu.out")] == ["stem"]
    assert pairing.rounded_inputs == ("x",)


def test_a_result_is_followed_through_nodes_that_only_the_float_model_has() -> None:
    """Other tools merge a Relu into a Conv and keep the Conv's name for what comes out."""
    weights = [constant("w", np.ones((2, 2, 1, 1), np.float32))]
    conv = helper.make_node("Conv", ["x", "w"], ["a"], "conv")
    relu = helper.make_node("Relu", ["a"], ["b"], "relu")
    shapes = {"x": ["N", 2, 4, 4]}, {"y": ["N", 2, 4, 4]}
    float_model = qir.lift(model([conv, relu, helper.make_node("Sigmoid", ["b"], ["y"], "s")], *shapes, weights))
    merged = qir.lift(model([conv, helper.make_node("Sigmoid", ["a"], ["y"], "s")], *shapes, weights))
    assert pair(float_model, merged).values == {"a": "b", "y": "y"}
    assert pair(float_model, float_model).values == {"a": "a", "b": "b", "y": "y"}


def test_all_switches_off_is_the_float_model_and_all_on_the_quantized_one() -> None:
    both, x = hybrid(), {"x": samples(8, 5)}
    off, on = both.outputs(x, ()), both.outputs(x, both.pairing.layers)
    assert np.array_equal(off["y"], Runner(subject().real)(x)["y"])
    assert np.array_equal(on["y"], Runner(subject().quant)(x)["y"])


def test_integer_inputs_stay_integers() -> None:
    table = constant("table", np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32))
    nodes = [helper.make_node("Gather", ["table", "i"], ["e"], "e"), helper.make_node("MatMul", ["e", "w"], ["y"], "m")]
    inputs = [helper.make_tensor_value_info("i", TensorProto.INT64, ["N", 3])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3, 4])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, [table, constant("w", np.eye(4, dtype=np.float32))])
    net = qir.compile(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10),
                      calibration=np.random.default_rng(1).integers(0, 9, (16, 3)))  # fmt: skip
    assert " dB" in net.report()


def test_one_switch_replaces_one_layer() -> None:
    both, x = hybrid(), {"x": samples(4, 5)}
    alone = both.outputs(x, ("square_relu.out",))["y"]
    real, mine = both.layers(x, ())["square_relu.out"]
    tapped = Runner(subject().real, ["square_relu.out"])(x)
    assert np.array_equal(real, tapped["square_relu.out"])
    assert not np.array_equal(mine, real)
    assert not np.array_equal(alone, tapped["y"])
    assert both.layers(x, both.pairing.layers)["square_relu.out"][1].shape == mine.shape


def test_models_that_do_not_belong_together_are_refused() -> None:
    other = qir.lift(tiny_cnn())
    renamed = qir.lift(model([helper.make_node("Relu", ["z"], ["y"])], {"z": ["N", 3]}, {"y": ["N", 3]}))
    with pytest.raises(ModelError, match=r"different inputs: x and z\. Compare a model"):
        pair(other, renamed)


def test_errors_do_not_depend_on_how_samples_are_batched() -> None:
    x = samples(12, 3)
    whole = compare(subject().real, subject().quant, {"x": x}, effects=0)
    parts = compare(subject().real, subject().quant, ({"x": x[i : i + 5]} for i in (0, 5, 10)), effects=0)
    assert (whole.samples, parts.samples) == (12, 12)
    assert [row.value for row in whole.layers] == [row.value for row in parts.layers]
    for mine, other in zip(whole.layers, parts.layers, strict=True):
        assert mine.isolated.sqnr == pytest.approx(other.isolated.sqnr)
        assert mine.accumulated.sqnr == pytest.approx(other.accumulated.sqnr)
        assert mine.effect is None


def test_rows_name_nodes_origins_weights_and_effects() -> None:
    compared = compare(subject().real, subject().quant, {"x": samples(16, 3)})
    rows = {row.node: row for row in compared.layers}
    assert list(rows)[:2] == ["x", "stem"]
    assert rows["stem"].origin == ("stem", "stem_relu")
    assert rows["stem"].weight is not None
    assert 30 < rows["stem"].weight.sqnr < 60
    assert rows["residual"].weight is None
    assert all(row.effect is not None for row in rows.values())
    assert compared.worst_output == compared.outputs["y"].sqnr < min(row.effect or 0 for row in rows.values()) + 0.1
    first = rows["x"]
    assert first.accumulated == first.isolated
    assert all(row.accumulated.sqnr <= row.isolated.sqnr + 3 for row in rows.values() if row.node != "x")


def test_no_samples_is_an_error() -> None:
    with pytest.raises(DataError, match="no sample to compare on"):
        compare(subject().real, subject().quant, [])


def test_a_compiled_network_compares_itself() -> None:
    net = qir.compile(tiny_cnn(), calibration=images())
    assert next(row.node for row in net.layer_errors().layers) == "x"
    assert net.layer_errors(images(40, seed=9), effects=0).samples == 40
    with pytest.raises(DataError, match=r"no samples to compare on.*compile with calibration="):
        qir.compile(tiny_cnn(), recipe="weights-int8").layer_errors()
    with pytest.raises(qir.PassError, match="nothing was rounded"):
        qir.compile(tiny_cnn(), recipe="float").layer_errors(images())
