"""Samples made of others: what they are, and that the teacher is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from qir.calibration import feeds
from qir.errors import PassError
from qir.evaluate import evaluate
from qir.passes.train.augment import lesson
from qir.passes.train.finetune import Finetune
from qir.passes.train.samples import Lesson, Samples, taught
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from tests.passes.train.networks import context, convolutions, pictures, quantized

PLACES = np.arange(32)


def known(batch: int | str = "N", labels: np.ndarray | None = None) -> Samples:
    graph = convolutions(batch)
    data = feeds(pictures(), {name: graph.types[name] for name in graph.inputs})
    return taught(graph, graph, data, labels, features=False, keeps=False)


def changed(samples: Samples, *ways: str, seed: int = 0) -> Lesson:
    return lesson(samples, PLACES, ways, np.random.default_rng(seed), features=False)


@pytest.mark.parametrize("batch", ["N", 4])
@pytest.mark.parametrize("ways", [("mirror",), ("shift",), ("mix",), ("mirror", "shift", "mix"), ()])
def test_the_teacher_answers_what_was_made(ways: Sequence[str], batch: int | str) -> None:
    made = changed(known(batch), *ways)
    np.testing.assert_allclose(evaluate(convolutions(), made.inputs)["y"], made.wanted["y"], rtol=1e-4, atol=1e-5)
    assert bool(ways) != np.array_equal(pictures()[:32], made.inputs["x"])
    again = changed(known(batch), *ways)
    np.testing.assert_array_equal(again.inputs["x"], made.inputs["x"])


def test_mirrored_images_are_flipped_along_their_width() -> None:
    x, made = pictures()[:32], changed(known(), "mirror").inputs["x"]
    flipped = np.array([not np.array_equal(one, other) for one, other in zip(x, made, strict=True)])
    assert 0 < flipped.sum() < 32
    np.testing.assert_array_equal(x[flipped][..., ::-1], made[flipped])


def test_shifted_images_hold_what_was_there() -> None:
    """One of eight pixels along each axis; what comes in is what lies as far within the edge."""
    x, made = pictures()[:32], changed(known(), "shift").inputs["x"]
    wide = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="reflect")
    for one, result in zip(wide, made, strict=True):
        cuts = [one[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
        assert any(np.array_equal(cut, result) for cut in cuts)


def test_mixed_samples_lie_between_two_and_have_the_labels_of_both() -> None:
    x, labels = pictures()[:32], np.arange(96) % 4
    made = changed(known(labels=labels), "mix")
    (own, shares), (other, rest) = made.labels
    np.testing.assert_array_equal(labels[:32], own)
    np.testing.assert_allclose(shares + rest, 1)
    assert 0 < (shares < 1).sum() < 32
    for i in range(32):
        found = [np.allclose(shares[i] * x[i] + rest[i] * x[j], made.inputs["x"][i], atol=1e-6)
                 for j in range(32) if labels[j] == other[i]]  # fmt: skip
        assert any(found)


@pytest.mark.needs("module:torch")
def test_networks_are_trained_on_them() -> None:
    graph = convolutions(1)
    tuning = Finetune(steps=6, batch_size=16, augment=("mirror", "mix"), features=0.1)
    given = context(graph, "ternary")
    run(quantized(graph, given), (tuning,), given)
    assert any(note.startswith("finetune: 6 steps on 96 samples") for note in given.notes)
    assert (replace(tuning, features=0.1),) == parse_pipeline(str(tuning))


def test_other_ways_are_refused() -> None:
    with pytest.raises(PassError, match="mirror, shift, mix"):
        parse_pipeline("finetune{augment=[turn]}")
