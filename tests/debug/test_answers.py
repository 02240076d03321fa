"""How many answers move, without labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qir
from qir.debug.answers import Judge
from tests.models import model

GRAPH = qir.lift(model([], {"x": ["N", 3]}, {"x": ["N", 3]}))
"""Only its inputs are looked at."""


def judged(reference: np.ndarray) -> Judge:
    return Judge.of(GRAPH, {"y": reference})


@given(st.integers(2, 40), st.integers(4, 8), st.floats(0.01, 2), st.integers(0, 2**32 - 1))
def test_the_bound_holds_what_was_observed_and_what_is_expected(n: int, classes: int, spread: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    reference = 3 * random.standard_normal((n, classes)).astype(np.float32)
    found = reference + random.normal(0, spread, reference.shape).astype(np.float32)
    drop = judged(reference).drop({"y": found})
    assert drop.changed == (reference.argmax(-1) != found.argmax(-1)).mean()
    assert 0 <= drop.expected <= drop.most + 1e-12
    assert drop.changed <= drop.most
    assert drop.samples == n


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.5))
def test_predicted_moves_are_those_of_other_samples(seed: int, spread: float) -> None:
    """What 400 samples predict holds for 4000 others, within four standard deviations of both."""
    random = np.random.default_rng(seed)

    def moved(n: int) -> tuple[np.ndarray, np.ndarray]:
        reference = 2 * random.standard_normal((n, 5))
        return reference, reference + random.normal(0, spread, reference.shape)

    few, many = moved(400), moved(4000)
    judge = judged(few[0])
    predicted = judge.predicted(judge.noise({"y": few[1]}))
    share = (many[0].argmax(-1) != many[1].argmax(-1)).mean()
    assert share <= predicted + 4 * (predicted / 4000) ** 0.5 + 4 * (predicted / 400) ** 0.5


def test_less_noise_moves_fewer_answers() -> None:
    judge = judged(np.random.default_rng(0).standard_normal((64, 5)))
    bounds = [judge.predicted({"y": noise}) for noise in (0.0, 1e-4, 1e-2, 1.0, 100.0)]
    assert bounds[0] == 0
    assert bounds == sorted(set(bounds))


def test_equal_outputs_lose_nothing() -> None:
    reference = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    drop = judged(reference).drop({"y": reference})
    assert (drop.most, drop.expected, drop.changed) == (0, 0, 0)
    assert judged(reference).divergence({"y": reference}) == 0


def test_probabilities_are_judged_like_the_logits_they_come_from() -> None:
    random = np.random.default_rng(0)
    reference, noise = random.standard_normal((50, 6)), random.normal(0, 0.2, (50, 6))

    def softmax(logits: np.ndarray) -> np.ndarray:
        powers = np.exp(logits)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    logits = judged(reference).drop({"y": reference + noise})
    shares = judged(softmax(reference)).drop({"y": softmax(reference + noise)})
    assert shares.most == pytest.approx(logits.most, rel=1e-6)
    assert shares.expected == pytest.approx(logits.expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(20, 3), (20, 1), (20, 4, 5), (20,)])
def test_outputs_without_classes_lose_what_noise_they_have(shape: tuple[int, ...]) -> None:
    """Of the input's own size, of one element, or of several axes: no classes, so the power of the noise counts."""
    random = np.random.default_rng(0)
    reference = random.standard_normal(shape)
    found = reference + 0.1 * random.standard_normal(shape)
    drop = judged(reference).drop({"y": found})
    centred = reference - reference.mean(axis=0)
    assert drop.expected == pytest.approx(np.square(found - reference).sum() / np.square(centred).sum())
    assert drop.changed is None
    assert drop.most > drop.expected
    assert "no classes" in str(drop)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_is_as_bad_as_can_be(broken: float) -> None:
    reference = np.random.default_rng(0).standard_normal((16, 5))
    drop = judged(reference).drop({"y": np.full_like(reference, broken)})
    assert drop.most >= 0.5
