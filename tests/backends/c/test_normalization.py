"""Softmax and normalizations against onnxruntime and numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import Builder, Case, case, check_cases
from onnx_results import check_with_onnxruntime
from test_conv_f32 import reals

from qir.backends.c import compile_c
from qir.errors import UnsupportedError
from qir.ir.graph import Stage


def test_softmax_family() -> None:
    extreme = np.array([[1e4, 1e4 + 1, -1e30, 0], [-np.inf, 1, 2, 2]], np.float32)
    cases = [case(op, (extreme,)) for op in ("Softmax", "LogSoftmax", "Hardmax")]
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for axis in (-1, 0, 1, 2):
            cases.append(case(op, (3 * reals(axis + 2, (3, 4, 5)),), axis=axis))
        cases += [case(op, (reals(7, (2, 1000)),)), case(op, (reals(8, (4, 3), "float64"),), axis=0)]
    check_with_onnxruntime(cases)


def batchnorm(shape: tuple[int, ...], kind: str = "float32", **attrs: Any) -> Case:
    c = shape[1]
    arrays = (
        reals(0, shape, kind),
        reals(1, (c,), kind),
        reals(2, (c,), kind),
        reals(3, (c,), kind),
        reals(4, (c,), kind) ** 2,
    )
    return case("BatchNormalization", arrays, **attrs)


def test_batch_instance_and_group_normalization() -> None:
    cases = [
        batchnorm((2, 3, 4, 5)),
        batchnorm((4, 7)),
        batchnorm((1, 3, 9), epsilon=0.1),
        batchnorm((2, 3, 2, 2, 2), "float64"),
    ]
    for op, attrs in (("InstanceNormalization", {"epsilon": 0.01}), ("GroupNormalization", {"num_groups": 3})):
        cases += [
            case(op, (reals(5, shape), reals(6, (6,)), reals(7, (6,))), given, **attrs)
            for shape in ((2, 6, 4, 5), (3, 6, 7))
            for given in ((0,), (0, 1, 2))
        ]
    check_with_onnxruntime(cases)


def test_channels_last_inputs_are_normalized_in_place() -> None:
    net = Builder()
    x = net.feed("x", reals(0, (1, 6, 8, 8)))
    pooled = net.values["x"].reshape(1, 6, 4, 2, 4, 2).max(axis=(3, 5))
    net.node("MaxPool", [x], "p", result=pooled, kernel_shape=(2, 2), strides=(2, 2))
    net.node(
        "GroupNormalization",
        ["p", net.constant("s", reals(1, (6,))), net.constant("b", reals(2, (6,)))],
        "y",
        result=pooled,
        num_groups=2,
    )
    grouped = pooled.reshape(1, 2, -1)
    flat = (grouped - grouped.mean(-1, keepdims=True)) / np.sqrt(grouped.var(-1, keepdims=True) + np.float32(1e-5))
    wanted = flat.reshape(pooled.shape) * net.values["s"].reshape(6, 1, 1) + net.values["b"].reshape(6, 1, 1)
    module = compile_c(net.graph(["y"], Stage.FLOAT), name="net")
    assert [call.op for call in module.program.calls] == ["qir.Reorder", "MaxPool", "GroupNormalization", "qir.Reorder"]
    np.testing.assert_allclose(module.run(net.feeds)["y"], wanted, rtol=1e-4, atol=1e-5)


def test_layer_and_rms_normalization() -> None:
    cases = []
    for axis, shape in ((-1, (3, 4, 40)), (1, (2, 5, 7)), (0, (3, 4)), (2, (2, 3, 4, 5)), (-1, (2, 3))):
        inner = shape[axis:]
        x, scale, bias = reals(0, shape) + 3, reals(1, inner), reals(2, inner)
        cases += [
            case("LayerNormalization", (x, scale, bias), axis=axis),
            case("LayerNormalization", (x, scale), (0, 1), axis=axis),
            case("LayerNormalization", (x, scale, bias), axis=axis, outputs=3, epsilon=0.1),
        ]
    check_with_onnxruntime(cases)
    x, scale = reals(3, (2, 3, 20)), reals(4, (20,))
    rms = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-5)) * scale
    check_cases([case("RMSNormalization", (x, scale))], [[rms]], tolerance=1e-5)


def test_other_normalizations() -> None:
    x = reals(0, (2, 7, 4, 5))
    cases = [case("LRN", (x,), size=size, alpha=0.3, beta=0.6, bias=2.0) for size in (1, 3, 5)]
    cases += [case("LpNormalization", (x,), axis=axis, p=p) for axis in (-1, 1) for p in (1, 2)]
    cases += [case("MeanVarianceNormalization", (x,)), case("MeanVarianceNormalization", (x,), axes=(1, -1))]
    check_with_onnxruntime(cases)
    zero = np.zeros((2, 3), np.float32)
    check_cases([case("LpNormalization", (zero,))], [[zero]])


def test_training_mode_is_refused() -> None:
    net = Builder()
    names = [net.feed("x", reals(0, (1, 2, 3))), *(net.constant(f"p{i}", np.ones(2, np.float32)) for i in range(4))]
    net.node("BatchNormalization", names, "y", result=net.values["x"], training_mode=1)
    with pytest.raises(UnsupportedError, match="training_mode"):
        compile_c(net.graph(["y"], Stage.FLOAT), name="net")
