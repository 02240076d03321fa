"""A small network that has something of everything: what the tests of debugging run on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import onnx
from onnx import helper

import qir
from qir.pipeline import default_pipeline
from qir.target import target as find_target
from tests.debug.faults import Subject
from tests.models import constant, model

SAMPLES = 64


def network(batch: int | str = "N") -> onnx.ModelProto:
    """x [N, 3, 12, 12] -> y [N, 10]: residual Add, depthwise Conv, Concat of unlike branches, pool, square Gemms.

    Weights are random but shaped like trained ones: channels of different size, a bias that matters.
    """
    random = np.random.default_rng(0)
    weights: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def scaled(name: str, shape: tuple[int, ...], gain: float) -> str:
        spread = np.exp(random.normal(0, 0.5, (shape[0],) + (1,) * (len(shape) - 1)))
        fan = float(np.prod(shape[1:]))
        weights.append(constant(name, (random.standard_normal(shape) * spread * gain / fan**0.5).astype(np.float32)))
        return name

    def layer(
        op: str, name: str, x: str, shape: tuple[int, ...], gain: float = 1.4, relu: bool = True, **attrs: object
    ) -> str:
        weight = scaled(f"{name}.weight", shape, gain)
        weights.append(constant(f"{name}.bias", random.normal(0, 0.3, shape[0]).astype(np.float32)))
        nodes.append(helper.make_node(op, [x, weight, f"{name}.bias"], [f"{name}.out"], name, **attrs))
        return then("Relu", f"{name}_relu", f"{name}.out") if relu else f"{name}.out"

    def then(op: str, name: str, *inputs: str, **attrs: object) -> str:
        nodes.append(helper.make_node(op, list(inputs), [f"{name}.out"], name, **attrs))
        return f"{name}.out"

    def conv(name: str, x: str, shape: tuple[int, ...], **attrs: object) -> str:
        return layer("Conv", name, x, shape, pads=[shape[-1] // 2] * 4, kernel_shape=shape[2:], **attrs)

    a = conv("stem", "x", (16, 3, 3, 3))
    b = conv("depthwise", a, (16, 1, 3, 3), group=16)
    b = conv("pointwise", b, (16, 16, 1, 1), relu=False)
    a = then("Relu", "joined", then("Add", "residual", a, b))
    small, large = conv("small", a, (8, 16, 1, 1), gain=0.3), conv("large", a, (8, 16, 3, 3), gain=3.0)
    first = conv("first", a, (16, 16, 1, 1), relu=False)
    second = conv("second", a, (16, 16, 3, 3), gain=0.3, relu=False)
    a = then("Add", "sum", then("Sub", "difference", first, second), then("Concat", "both", small, large, axis=1))
    a = then("MaxPool", "pool", then("Relu", "rectified", a), kernel_shape=[2, 2], strides=[2, 2])
    a = conv("square", a, (16, 16, 3, 3))
    weights.append(constant("gate", np.exp(random.normal(0, 0.3, (16, 1, 1))).astype(np.float32)))
    a = then("Mul", "gated", then("Sigmoid", "sigmoid", a), "gate")
    a = then("Flatten", "flat", then("GlobalAveragePool", "mean", a))
    a = layer("Gemm", "hidden", a, (16, 16), gain=2.0, transB=1)
    layer("Gemm", "head", a, (10, 16), relu=False, transB=1)
    nodes[-1].output[0] = "y"
    return model(nodes, {"x": [batch, 3, 12, 12]}, {"y": [batch, 10]}, weights)


def samples(n: int, seed: int) -> np.ndarray:
    """Smooth images [n, 3, 12, 12]: neighbouring pixels are alike, as in pictures."""
    noise = np.random.default_rng(seed).standard_normal((n, 3, 14, 14))
    smooth = sum(noise[:, :, i : i + 12, j : j + 12] for i in range(3) for j in range(3))
    return (smooth / 2).astype(np.float32)


@lru_cache(maxsize=1)
def subject(*, equalized: bool = False) -> Subject:
    """Ranges of least squared error: what `explain` compares codes with, so that faults alone stand out.

    Args:
        equalized: whether channels are moved and scaled, as they are by default. Most tools do neither.
    """
    recipe = qir.Recipe(calibration="mse")
    passes = [one for one in default_pipeline(recipe, find_target("onnx"), has_data=True)
              if equalized or one.name not in ("absorb-biases", "equalize")]  # fmt: skip
    made = qir.compile(network(), calibration=samples(128, 1), recipe=recipe, passes=passes).rounding
    assert made.real is not None
    assert made.quant is not None
    return Subject("small", made.real, made.quant, {"x": samples(SAMPLES, 2)})
