"""The repository's own network, as a guard on accuracy: compiled every way, measured on its 540 test images."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import qir


def logits(compiled: qir.Compiled, images: np.ndarray) -> np.ndarray:
    return np.concatenate([compiled.run({"image": image[None]})["logits"] for image in images])


@pytest.fixture(scope="module")
def real(digits: ModuleType) -> np.ndarray:
    return logits(qir.compile(str(digits.MODEL), recipe="float"), digits.load().test_images)


@pytest.mark.parametrize(
    ("target", "recipe", "calibrated"),
    [
        ("onnx", "float", False),
        ("onnx", "int8", True),
        ("onnx", "int8", False),
        ("onnx", "weights-int8", True),
        ("portable", "float", False),
        ("portable", "int8", True),
        ("portable", "int8", False),
        ("native", "int8", True),
    ],
)
def test_accuracy_is_kept(target: str, recipe: str, calibrated: bool, digits: ModuleType, real: np.ndarray) -> None:
    """At most three of 540 images fewer than the float model's 532, and the same class for 99 of 100."""
    data = digits.load()
    compiled = qir.compile(str(digits.MODEL), data.calibration if calibrated else None, target=target, recipe=recipe)
    found = logits(compiled, data.test_images)
    assert (found.argmax(1) == data.test_labels).sum() >= 529
    assert (found.argmax(1) == real.argmax(1)).mean() >= 0.99


@pytest.mark.parametrize(("recipe", "most"), [("ternary", 8), ("planes3", 3)])
def test_few_bits_cost_few_answers(recipe: str, most: int, digits: ModuleType, real: np.ndarray) -> None:
    """Of 540, beside the float model's."""
    data = digits.load()
    found = logits(qir.compile(str(digits.MODEL), data.calibration, recipe=recipe), data.test_images)
    right, wanted = ((one.argmax(1) == data.test_labels).sum() for one in (found, real))
    assert wanted - right <= most


def test_flags_of_the_processor_change_no_bit(digits: ModuleType) -> None:
    data = digits.load()
    portable, native = (
        logits(qir.compile(str(digits.MODEL), data.calibration, target=target), data.test_images[:50])
        for target in ("portable", "native")
    )
    np.testing.assert_array_equal(portable, native)


@pytest.mark.parametrize("target", ["onnx", "portable"])
def test_compiling_twice_gives_the_same_bytes(target: str, digits: ModuleType) -> None:
    data = digits.load()
    first, second = (qir.compile(str(digits.MODEL), data.calibration, target=target) for _ in range(2))
    if isinstance(first, qir.CompiledOnnx) and isinstance(second, qir.CompiledOnnx):
        assert first.module.model.SerializeToString() == second.module.model.SerializeToString()
    if isinstance(first, qir.CompiledC) and isinstance(second, qir.CompiledC):
        assert first.module.files() == second.module.files()
