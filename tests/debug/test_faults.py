"""The catalogue of faults, on a small network that has a place for every kind; and `explain` on each of them."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import qir
from qir.debug.c_layers import compare_layers
from qir.debug.explain import explain
from qir.debug.findings import Severity
from qir.verify import problems
from tests.debug.c_faults import C_KINDS, CSubject, broken_c, verdict
from tests.debug.faults import KINDS, TRIES, Fault, Kind, Subject, broken, draw
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
def subject() -> Subject:
    made = qir.compile(network(), calibration=samples(128, 1)).rounding
    assert made.real is not None
    assert made.quant is not None
    return Subject("small", made.real, made.quant, {"x": samples(SAMPLES, 2)})


@cache
def fault_of(name: str) -> Fault:
    """The first harmful fault of a kind."""
    drawn = draw(0, [subject()], 1, kinds=(name,))
    if KINDS[name].fused and not drawn.faults:
        pytest.skip("this processor's integer kernels do not saturate")
    assert drawn.faults, f"{name} has no harmful place among {subject().places[name]}"
    (fault,) = drawn.faults
    assert isinstance(fault, Fault)
    return fault


def test_there_are_many_kinds_with_unlike_names() -> None:
    assert len(KINDS) >= 24
    assert not {*KINDS} & {*C_KINDS}
    assert all(1 <= len(kind.causes) <= 2 for kind in (*KINDS.values(), *C_KINDS.values()))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_breaks_the_network_without_touching_the_healthy_one(kind: Kind) -> None:
    fault, healthy = fault_of(kind.name), subject().quant
    types, constants, nodes = dict(healthy.types), dict(healthy.constants), healthy.nodes
    assert fault.drop >= 1
    assert not problems(fault.graph)
    assert fault.nodes <= {node.name for node in healthy.nodes} | {*healthy.inputs}
    assert broken(fault.subject, kind, fault.layer, np.random.default_rng(1)) is not None
    assert (dict(healthy.types), dict(healthy.constants), healthy.nodes) == (types, constants, nodes)


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if not kind.structural], ids=lambda kind: kind.name)
def test_faults_of_numbers_leave_the_nodes_alone(kind: Kind) -> None:
    assert fault_of(kind.name).graph.nodes == subject().quant.nodes


def test_equal_seeds_draw_equal_faults() -> None:
    first, second = (draw(5, [subject()], 4).faults for _ in range(2))
    assert [(f.kind, f.drop) for f in first] == [(f.kind, f.drop) for f in second]


def test_a_kind_that_does_too_little_harm_is_given_up() -> None:
    drawn = draw(0, [subject()], 1, kinds=("bias-lost",), least=1000)
    assert drawn.never == {"bias-lost"}
    assert drawn.redrawn["bias-lost"] + drawn.refused["bias-lost"] == TRIES


def test_the_healthy_network_has_no_finding_above_a_note() -> None:
    found = explain(subject().real, subject().quant, subject().feeds).findings
    assert [finding for finding in found if finding.severity is not Severity.NOTE] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_explain_puts_the_node_and_the_cause_first(kind: Kind) -> None:
    fault = fault_of(kind.name)
    first = explain(subject().real, fault.graph, subject().feeds).findings[0]
    assert (first.node in fault.nodes, first.cause in kind.causes) == (True, True), (fault.name, first)


@lru_cache(maxsize=1)
def c_subject() -> CSubject:
    made = qir.compile(network(1), calibration=samples(128, 1), target="portable")
    assert isinstance(made, qir.CompiledC)
    assert made.rounding.real is not None
    flexible = subject().real  # the same network with an open batch, which onnxruntime runs at once
    return CSubject("small", made.module, made.graph, flexible, {"x": samples(SAMPLES, 2)})


@pytest.mark.slow
@pytest.mark.needs("cc")
@pytest.mark.parametrize("name", C_KINDS)
def test_comparing_c_names_the_broken_call(name: str, tmp_path: Path) -> None:
    network, kind = c_subject(), C_KINDS[name]
    random = np.random.default_rng(0)
    for attempt in range(TRIES):
        number = network.places[int(random.integers(len(network.places)))]
        fault = broken_c(network, kind, number, tmp_path / str(attempt), random)
        if fault is not None and fault.drop >= 1:
            break
    else:
        pytest.fail(f"{name} has no harmful place")
    feeds = {"x": network.feeds["x"][:4]}
    found = verdict(compare_layers(network.module, network.graph, feeds, folder=fault.folder))
    assert found is not None
    assert found[0] == fault.node
    assert found[1] in kind.causes
