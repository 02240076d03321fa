"""Trained models through the whole house: accuracy, agreement, and C against the QDQ model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import qir
from qir.evaluate import Runner
from tests.end_to_end.contract import STRICT, compare_nodes
from tests.zoo_tasks import Task, accuracy, agreement

TASKS = ("resnet8_cifar10", "cnn_mnist", "mlp_mnist", "dscnn_kws")
LIMIT = None  # all test samples: differences are a few in a thousand


def outputs(run: object, task: Task, samples: np.ndarray, size: int) -> np.ndarray:
    assert callable(run)
    batches = (samples[i : i + size] for i in range(0, len(samples), size))
    return np.concatenate([next(iter(run({task.input: batch}).values())) for batch in batches])


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_accuracy_and_agreement(name: str, zoo: Path) -> None:
    """Defaults keep QDQ and C within half a point of float; resnet8 agrees with float on at least 98.4 %."""
    task = Task(zoo / name)
    samples, calibration = task.samples(limit=LIMIT), task.samples("x_calib")
    size = 1 if name == "dscnn_kws" else 50
    real = qir.compile(task.model, recipe="float")
    qdq = qir.compile(task.model, calibration)
    c = qir.compile(task.model, calibration, target="portable")
    reference = outputs(real.run, task, samples, size)
    for result in (outputs(qdq.run, task, samples, size), outputs(c.run, task, samples, 1)):
        assert accuracy(result, task.labels) >= accuracy(reference, task.labels) - 0.005 - 1e-9
        assert agreement(result, reference) >= 0.98
        if name == "resnet8_cifar10":
            assert agreement(result, reference) >= 0.984


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_c_equals_the_qdq_model(name: str, zoo: Path) -> None:
    """Node by node within the contract; end to end the same class in 999 of 1000 samples."""
    task = Task(zoo / name)
    samples = task.samples(limit=LIMIT)
    c = qir.compile(task.model, task.samples("x_calib"), target="portable", trace=True)
    assert c.trace is not None
    steps = {step.applied.name: step for step in c.trace}
    quant, integer = steps["lower-integer"].before, c.graph
    rows = compare_nodes(quant, integer, [{task.input: sample[None]} for sample in samples[:8]])
    for row in rows:
        assert row.worst <= 1, row
        allowed = 0.0005 if row.op in STRICT else 0.005
        assert row.wrong <= max(allowed * row.elements, 1), row
    reference = outputs(Runner(quant), task, samples, 1)
    assert agreement(outputs(c.run, task, samples, 1), reference) >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_c_is_its_integer_graph_bit_for_bit(name: str, zoo: Path) -> None:
    task = Task(zoo / name)
    c = qir.compile(task.model, task.samples("x_calib", 64), target="portable")
    for sample in task.samples(limit=8):
        feed = {task.input: sample[None]}
        mine, wanted = c.run(feed), qir.evaluate_graph(c.graph, feed)
        for output in c.graph.outputs:
            np.testing.assert_allclose(mine[output], wanted[output], rtol=1e-5, atol=1e-6)
