"""Factors of channels: slopes are those of the noise, and the factors found lower it."""

from __future__ import annotations

import numpy as np
import pytest

from qir.quant.equalization import RangeTerm, Term, WeightTerm, equalized


def value(size: int = 6, seed: int = 0) -> RangeTerm:
    random = np.random.default_rng(seed)
    ids = random.permutation(size) + 1
    return RangeTerm(ids, -random.uniform(0, 1, size), random.uniform(0.1, 4, size), random.uniform(0.1, 1, size))


def layer(size: int = 6, groups: int = 2, seed: int = 0, per_channel: bool = True) -> WeightTerm:
    random = np.random.default_rng(seed)
    ids = (random.permutation(size) + 1).reshape(groups, -1)
    return WeightTerm(ids, random.uniform(0.1, 2, (groups, 5, size // groups)), random.uniform(0.1, 1, ids.shape),
                      per_channel)  # fmt: skip


def slope(term: Term, s: np.ndarray) -> np.ndarray:
    found = np.zeros(len(s))
    np.add.at(found, term.ids, term.slope(s))
    return found


def numeric(term: Term, s: np.ndarray, step: float = 1e-5) -> np.ndarray:
    found = np.zeros(len(s))
    for i in range(len(s)):
        up, down = s.copy(), s.copy()
        up[i], down[i] = s[i] * np.exp(step), s[i] * np.exp(-step)
        found[i] = (term.noise(up) - term.noise(down)) / (2 * step)
    return found


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_slopes_of_weights_are_those_of_their_noise(seed: int, per_channel: bool) -> None:
    term = layer(seed=seed, per_channel=per_channel)
    s = np.exp(np.random.default_rng(seed + 9).normal(0, 0.5, 7))
    np.testing.assert_allclose(slope(term, s), numeric(term, s), rtol=1e-4, atol=1e-6)


def test_slopes_of_values_are_those_of_their_noise_where_one_channel_is_by_far_the_widest() -> None:
    term = RangeTerm(np.array([1, 2, 3]), np.array([-0.1, -3.0, 0.0]), np.array([9.0, 1.0, 1.0]), np.ones(3))
    s = np.array([1.0, 1.1, 0.9, 1.2])
    np.testing.assert_allclose(slope(term, s), numeric(term, s), rtol=1e-3, atol=1e-3)


def test_per_tensor_noise_is_that_of_the_largest_weight() -> None:
    term = WeightTerm(np.array([[1, 2]]), np.array([[[2.0, 1.0], [0.5, 0.5]]]), np.array([[1.0, 3.0]]), False)
    assert term.noise(np.ones(3)) == pytest.approx(2**2 * 2 * 4)
    assert WeightTerm(term.ids, term.peak, term.power).noise(np.ones(3)) == pytest.approx((2**2 + 0.5**2) * 4)


def test_narrow_channels_grow_to_the_widest() -> None:
    high = np.array([8.0, 1.0, 0.5, 4.0])
    term = RangeTerm(np.arange(1, 5), np.zeros(4), high, np.ones(4))
    s, gained = equalized([term], np.array([0, 1, 1, 1, 1]), np.zeros(5), np.full(5, np.inf))
    np.testing.assert_allclose(s[1:] * high, (s[1:] * high).max(), rtol=0.05)
    assert gained[1] == pytest.approx(term.noise(s) / term.noise(np.ones(5)))
    assert gained[1] < 0.4


def test_factors_keep_to_their_bounds_and_number_0_is_1() -> None:
    ids = np.array([0, 1, 2, 3])
    term = RangeTerm(ids, np.zeros(4), np.array([8.0, 1.0, 0.5, 4.0]), np.ones(4))
    s, _ = equalized([term], np.array([0, 1, 1, 1]), np.full(4, 0.5), np.array([9, 9, 3.0, 1.0]))
    assert s[0] == 1
    assert (s >= 0.5).all()
    assert s[1] > 6
    assert (s[2:] <= np.array([3, 1]) + 1e-9).all()


def test_groups_that_gain_little_stay() -> None:
    flat = RangeTerm(np.array([1, 2]), np.zeros(2), np.array([1.0, 1.02]), np.ones(2))
    steep = RangeTerm(np.array([3, 4]), np.zeros(2), np.array([1.0, 30.0]), np.ones(2))
    s, gained = equalized([flat, steep], np.array([0, 1, 1, 2, 2]), np.zeros(5), np.full(5, np.inf))
    assert (s[:3] == 1).all()
    assert s[3] / s[4] == pytest.approx(30, rel=0.05)
    assert gained[1] == 1
    assert gained[2] == pytest.approx(901 / 1800, rel=0.05)


@pytest.mark.parametrize("seed", range(6))
def test_values_and_weights_weigh_against_each_other(seed: int) -> None:
    """No factor alone, moved a little from what was found, lowers the noise by much."""
    terms = [value(seed=seed), layer(seed=seed + 1), layer(groups=1, seed=seed + 2)]
    s, gained = equalized(terms, np.array([0, *[1] * 6]), np.zeros(7), np.full(7, np.inf))
    least = sum(term.noise(s) for term in terms)
    assert least == pytest.approx(gained[1] * sum(term.noise(np.ones(7)) for term in terms))
    for i in range(1, 7):
        for factor in (0.8, 1.25):
            moved = s.copy()
            moved[i] *= factor
            assert sum(term.noise(moved) for term in terms) > 0.93 * least


def test_channels_without_elements_or_weights_do_no_harm() -> None:
    dead = RangeTerm(np.array([1, 2]), np.zeros(2), np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    weight = WeightTerm(np.array([[1, 2]]), np.zeros((1, 3, 2)), np.zeros((1, 2)))
    s, gained = equalized([dead, weight], np.array([0, 1, 1]), np.zeros(3), np.full(3, np.inf))
    assert np.isfinite(s).all()
    assert np.isfinite(gained).all()
