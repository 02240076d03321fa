"""Errors of attention whose scores are masked."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from onnx import helper

import qir
from qir.debug.explain.probe import Probe
from qir.debug.pairing import pair
from qir.evaluate import Runner
from tests.models import constant, model


@pytest.mark.parametrize("fill", [-np.inf, -1e9])
def test_a_mask_is_no_error_of_its_layer(fill: float) -> None:
    random = np.random.default_rng(0)
    weights = [constant(name, random.standard_normal((8, 8)).astype(np.float32) / 3) for name in ("w", "v")]
    mask = constant("mask", np.where(np.tril(np.ones((6, 6))) > 0, 0, fill).astype(np.float32))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["k"], "k"),
             helper.make_node("Transpose", ["x"], ["t"], "t", perm=[0, 2, 1]),
             helper.make_node("MatMul", ["k", "t"], ["s"], "s"), helper.make_node("Add", ["s", "mask"], ["m"], "m"),
             helper.make_node("Softmax", ["m"], ["p"], "p"), helper.make_node("MatMul", ["p", "x"], ["a"], "a"),
             helper.make_node("MatMul", ["a", "v"], ["y"], "y")]  # fmt: skip
    proto = model(nodes, {"x": ["N", 6, 8]}, {"y": ["N", 6, 8]}, [*weights, mask])
    net = qir.compile(proto, random.standard_normal((32, 6, 8)).astype(np.float32))
    masked = next(layer for layer in net.layer_errors().layers if layer.node == "m")
    assert 20 < masked.isolated.sqnr < 60

    pairing = pair(qir.lift(proto), net.graph)
    x = random.standard_normal((4, 6, 8)).astype(np.float32)
    values = Runner(pairing.real, ["s", "m"])({"x": x})
    probe = Probe(pairing, "m", {"s": values["s"]}, values["m"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 1 < probe.signal < 1e3
        assert probe.structure_noise < 1e-3 * probe.signal
        assert probe.rounding_noise < 1e-2 * probe.signal
        assert probe.clipping_noise < 1e-2 * probe.signal
