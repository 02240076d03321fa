"""Layers that stay float so that answers keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qir
from qir.budget import expected_drop, measured, tightened
from tests.debug.small import network, samples
from tests.models import images, tiny_cnn, uncorrected


@given(st.integers(1, 30), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_expected_drop_is_bounded_by_the_answers_that_change(n: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    reference = random.standard_normal((n, classes)).astype(np.float32)
    found = reference + random.normal(0, 0.5, reference.shape).astype(np.float32)
    changed = float((reference.argmax(-1) != found.argmax(-1)).mean())
    drop = expected_drop({"y": reference}, {"y": found})
    assert 0 <= drop <= changed
    assert (drop == 0) == (changed == 0)
    assert expected_drop({"y": reference}, {"y": reference * 3}) == 0


def test_probabilities_are_taken_as_they_are() -> None:
    reference = {"y": np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], np.float32)}
    found = {"y": np.array([[0.1, 0.9, 0.0], [0.0, 0.0, 1.0]], np.float32)}
    assert expected_drop(reference, found) == pytest.approx((0.5 - 0.3) / 2)
    logits = {"y": np.log(reference["y"]) + 3}
    assert expected_drop(logits, found) == pytest.approx((0.5 - 0.3) / 2, abs=1e-6)


def test_outputs_without_classes_count_elements_that_are_off() -> None:
    reference = {"y": np.array([[10.0], [5.0], [1.0], [2.0]], np.float32)}
    assert expected_drop(reference, {"y": np.array([[10.05], [5.2], [1.0], [2.0]], np.float32)}) == 0.25


def test_a_healthy_network_needs_no_float_layer() -> None:
    net = qir.compile(network(), samples(128, 1), max_drop=0.05)
    assert net.recipe.overrides == ()
    assert "no layer has to stay float" in net.notes[-1]


@pytest.mark.parametrize("target", ["onnx", "portable"])
def test_the_layer_that_costs_the_answers_stays_float(target: str) -> None:
    """A range that clips nearly everything away ruins one layer; that one goes back, and the answers with it."""
    ruined = qir.Recipe().with_override("hidden", range=(0.0, 0.01)).with_override("square", range=(0.0, 0.01))
    data = samples(128, 1)
    passes = uncorrected(ruined, target)
    bad = qir.compile(network(), data, recipe=ruined, target=target, passes=passes)
    assert bad.rounding.real is not None
    assert bad.rounding.quant is not None
    before = measured(bad.rounding.real, bad.rounding.quant, data)
    assert before.expected > 0.01
    good = qir.compile(network(), data, recipe=ruined, target=target, passes=passes, max_drop=before.expected / 4)
    assert good.rounding.real is not None
    assert good.rounding.quant is not None
    after = measured(good.rounding.real, good.rounding.quant, data)
    assert after.expected <= before.expected / 4
    names = {override.match for override in good.recipe.overrides[2:]}
    assert names & {"hidden", "square"}
    assert len(names) < 8
    assert f"max_drop {before.expected / 4:g} holds" in " ".join(good.notes)
    assert qir.Recipe.from_toml(good.recipe.to_toml()) == good.recipe


def test_the_overrides_put_the_layers_to_float() -> None:
    net = qir.compile(tiny_cnn(), images(), recipe=qir.Recipe().with_override("conv", range=(0.0, 0.01)))
    assert net.rounding.real is not None
    assert net.rounding.quant is not None
    recipe, names = tightened(net.recipe, net.rounding.real, net.rounding.quant, images(), 0.0)
    assert "conv" in names
    assert recipe.layer(("conv",), "Conv").is_float


@pytest.mark.parametrize(("value", "data", "said"), [
    (1.5, True, r"max_drop is 1\.5"), (-0.1, True, "max_drop is"), (True, True, "max_drop is True"),
    (0.01, False, "needs samples to measure"),
])  # fmt: skip
def test_what_is_no_budget(value: float, data: bool, said: str) -> None:
    with pytest.raises(qir.RecipeError, match=said):
        qir.compile(tiny_cnn(), images() if data else None, max_drop=value)
