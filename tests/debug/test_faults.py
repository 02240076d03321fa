"""The catalogue of faults, on a small network that has a place for every kind; and `explain` on each of them."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pytest

import qir
from qir.debug.c_layers import compare_layers
from qir.debug.explain import explain
from qir.debug.findings import Severity
from qir.verify import problems
from tests.debug.c_faults import C_KINDS, CSubject, broken_c, verdict
from tests.debug.faults import KINDS, TRIES, Fault, Kind, broken, draw
from tests.debug.small import SAMPLES, network, samples, subject


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


@pytest.mark.parametrize("equalized", [False, True])
def test_the_healthy_network_has_no_finding_above_a_note(equalized: bool) -> None:
    healthy = subject(equalized=equalized)
    found = explain(healthy.real, healthy.quant, healthy.feeds).findings
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
