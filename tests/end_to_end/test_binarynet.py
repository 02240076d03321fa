"""models/binarynet as it is in the repository: its accuracy, and that its middle layer runs on packed bits."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import qir

MODEL = Path(__file__).resolve().parents[2] / "models" / "binarynet" / "model.onnx"


def pictures(digits: ModuleType, images: np.ndarray) -> np.ndarray:
    """As train.py makes them: 24x24, in a border of two pixels."""
    return np.pad(digits.enlarged(images, 24), ((0, 0), (0, 0), (2, 2), (2, 2)))


@pytest.mark.needs("cc")
@pytest.mark.parametrize("target", ["onnx", "portable"])
def test_accuracy_is_kept(target: str, digits: ModuleType) -> None:
    """At least 97 % of the 540 test images, as the model itself."""
    data = digits.load()
    shapes = None if target == "onnx" else {"N": 1}
    net = qir.compile(str(MODEL), pictures(digits, data.calibration), target=target, shapes=shapes)
    images = pictures(digits, data.test_images)
    parts = [images] if target == "onnx" else [image[None] for image in images]
    found = np.concatenate([net.run({"image": part})["logits"] for part in parts])
    assert (found.argmax(1) == data.test_labels).sum() >= 524
    if target == "portable":
        assert "conv2: qir_conv_bits" in net.explain()
        assert "conv1: qir_conv_u8s8" in net.explain()  # of one channel: bits would take longer to unpack


def test_weights_and_inputs_of_the_convolutions_are_signs(digits: ModuleType) -> None:
    *_, last = qir.steps(str(MODEL), pictures(digits, digits.load().calibration[:32]), until="quantize")
    graph = last.graph
    for node in (node for node in graph.nodes if node.op == "Conv"):
        quant, codes = graph.tensor(node.inputs[0]).quant, graph.constants[node.inputs[1]].codes
        assert quant is not None
        assert codes is not None
        assert "binary" == quant.rounding
        assert {-1, 1} == set(np.unique(codes).tolist())
