"""Normalisation of pixels as part of the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import qir
from qir.ir.types import TensorType

MEAN, STD = (123.0, 117.0, 104.0), (58.0, 57.0, 56.0)
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 3, 8, 8)).astype(np.uint8)


def model(pads: int) -> object:
    weight = RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[pads] * 4),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def normalised(pixels: np.ndarray) -> np.ndarray:
    mean, std = (np.asarray(numbers, np.float32).reshape(1, 3, 1, 1) for numbers in (MEAN, STD))
    return (pixels.astype(np.float32) - mean) / std


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    for number, pixels in enumerate(PIXELS):
        image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize(("pads", "left"), [(0, []), (1, ["Sub"])])
def test_what_is_exact_is_folded_and_the_rest_stays(pads: int, left: list[str]) -> None:
    """With padding the mean cannot move into the bias: zeros at the border are not pixels."""
    source = model(pads)
    compiled = qir.compile(source, recipe="float", preprocess=qir.Preprocess(mean=MEAN, std=STD))
    assert [node.op for node in compiled.graph.nodes] == [*left, "Conv", "Relu"]
    (wanted,) = qir.evaluate_graph(qir.lift(source), {"x": normalised(PIXELS)}).values()
    (found,) = compiled.run({"x": PIXELS.astype(np.float32)}).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_codes_of_the_input_are_its_pixels(folder: Path) -> None:
    prepare = qir.Preprocess(mean=MEAN, std=STD)
    compiled = qir.compile(model(0), folder, preprocess=prepare, target="portable", trace=True)
    assert isinstance(compiled, qir.CompiledC)
    assert compiled.trace is not None
    kind = compiled.trace.after("quantize").types["x"]
    assert isinstance(kind, TensorType)
    assert kind.quant is not None
    assert (float(kind.quant.scale), int(kind.quant.zero_point)) == (1.0, 0)
    (real,) = compiled.run({"x": PIXELS[:1].astype(np.float32)}).values()
    (codes,) = compiled.module.run_codes({"x": PIXELS[:1]}).values()
    assert codes.shape == real.shape
    assert len(np.unique(real)) <= len(np.unique(codes))


def test_numbers_must_fit_the_channels() -> None:
    with pytest.raises(qir.DataError, match="3 numbers for 1 channels"):
        qir.compile(one_channel(), recipe="float", preprocess=qir.Preprocess(mean=MEAN, std=STD))


def one_channel() -> object:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
