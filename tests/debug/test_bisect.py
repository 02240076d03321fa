"""Which pass broke the network, and which layer of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import qir
from qir.debug.bisect import Bisection, agreement, bisect, sqnr_metric
from qir.debug.trace import Trace
from qir.errors import DataError
from qir.evaluate import Runner
from qir.ir.graph import Constant, Graph
from qir.passmanager.base import Context, Pass
from tests.debug.small import network, samples


@dataclass(frozen=True)
class Spoil(Pass):
    """Multiplies one constant."""

    name: ClassVar[str] = "spoil"
    needs: ClassVar[frozenset[qir.Stage]] = frozenset(qir.Stage)
    constant: str = "head.weight"
    factor: float = -1.0

    def run(self, graph: Graph, context: Context) -> Graph:
        old = graph.constants[self.constant]
        codes = None if old.codes is None else (old.codes * np.sign(self.factor)).astype(old.codes.dtype)
        value = (old.value * self.factor).astype(old.value.dtype)
        return graph.with_(constants={**graph.constants, self.constant: Constant(value, codes)})


def traced(*passes: Pass, target: str = "onnx", at: str = "quantize") -> Trace:
    """A compilation with further passes after one of the usual ones."""
    usual = qir.compile(network(), calibration=samples(64, 1), target=target, trace=True).trace
    assert usual is not None
    number = usual[at].number
    later = [step.applied for step in usual.steps[number:]]
    return usual.resume(number, (*passes, *later), calibration=samples(64, 1))


def blamed(trace: Trace, limit: float = 15) -> Bisection:
    """What takes the SQNR of the outputs below a limit."""
    x = {"x": samples(32, 4)}
    return trace.bisect(sqnr_metric(Runner(trace.source)(x)), limit, samples=x)


def test_the_guilty_pass_and_layer_are_named() -> None:
    found = blamed(traced(Spoil()))
    assert (found.step and found.step.applied.name, found.layer, found.together) == ("spoil", "head", False)
    assert found.values[-1][1] < 15 <= found.values[-2][1]
    assert f"pass {found.step and found.step.number} spoil takes the metric from" in str(found)
    assert "in it head, which alone takes it to" in str(found)


def test_exact_passes_that_lie_are_found_in_float_graphs() -> None:
    found = blamed(traced(Spoil("hidden.bias", 8.0), at="fuse-matmul-add"))
    assert (found.step and found.step.applied.name, found.layer) == ("spoil", "hidden")


def test_a_healthy_compilation_has_no_guilty_pass() -> None:
    found = traced().bisect(limit=0.8)
    assert found.step is None
    assert found.layer is None
    assert str(found).startswith("no pass takes the metric below 0.8; it ends at")


def test_any_function_of_the_outputs_is_a_metric() -> None:
    trace = traced()
    x = {"x": samples(32, 4)}
    metric = sqnr_metric(Runner(trace.source)(x))
    healthy = metric(Runner(trace.graph)(x))
    found = trace.bisect(metric, healthy + 0.5, samples=x)
    assert found.step is not None
    assert found.values[0][1] == np.inf
    assert found.layers


def test_where_no_layer_alone_is_to_blame_they_add_up() -> None:
    trace = traced()
    x = {"x": samples(32, 4)}
    reference = Runner(trace.source)(x)
    step = trace["quantize"]
    outputs = Runner(step.after)(x)
    found = bisect([step], x, sqnr_metric(reference), sqnr_metric(reference)(outputs) + 0.2)
    assert found.step is step
    assert found.together
    assert found.layers[0][1] < found.limit <= found.layers[1][1]
    assert "with all layers up to it" in str(found)


def test_lowering_that_goes_wrong_is_found_among_integers() -> None:
    trace = traced(target="portable")
    step = trace["lower-integer"]
    conv = next(node for node in step.after.nodes if node.name == "hidden")
    bias = conv.inputs[2]
    old = step.after.constants[bias].value
    broken = step.after.with_(constants={**step.after.constants, bias: Constant(old[::-1].copy() * 10)})
    healthy = blamed(trace, 0).values[-1][1]
    found = blamed(replace(trace, steps=[*trace.steps[: step.number - 1], replace(step, after=broken)]), healthy - 3)
    assert (found.step and found.step.applied.name, found.layer) == ("lower-integer", "hidden")


def test_what_cannot_be_bisected() -> None:
    trace = traced()
    with pytest.raises(DataError, match="no steps to bisect"):
        bisect([], {"x": samples(2, 1)})
    with pytest.raises(DataError, match=r"the metric is 0 before the first pass, below the limit 0\.5"):
        trace.bisect(lambda outputs: 0.0, 0.5)
    with pytest.raises(DataError, match=r"keeps no samples to bisect on\. Give samples="):
        replace(trace, samples=None).bisect()


def test_agreement_counts_top_answers_or_near_values() -> None:
    classes = {"y": np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], np.float32)}
    other = {"y": np.array([[0.4, 0.6], [0.2, 0.8], [0.1, 0.2], [2.0, 1.0]], np.float32)}
    assert agreement(classes)(other) == 0.75
    assert agreement({"y": np.array([1.0, 2.0], np.float32)})({"y": np.array([1.01, 2.5], np.float32)}) == 0.5
