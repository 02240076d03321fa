"""Ternary, binary and plane weights on small channels, beside every choice that there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.quant.binary import binary_codes, binary_scale
from qir.quant.gptq import Factor, gptq, output_error
from qir.quant.levels import TERNARY, Blocks, Fit, fitted, greedy, improved, measured, signs
from qir.quant.ternary import optimal_ternary, ternary_codes

KINDS = {"ternary": TERNARY, "binary": signs(1), "planes": signs(2)}


def correlated(size: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((4 * size, size))
    x = np.maximum(x + 0.8 * np.roll(x, 1, axis=1), 0)
    return np.asarray(x.T @ x / len(x))


def blocks(gram: np.ndarray) -> Blocks:
    return Blocks([(slice(0, len(gram)), Factor.of(gram, 0.01))])


def start(rows: np.ndarray, kind: str) -> Fit:
    if kind == "ternary":
        planes = ternary_codes(rows, optimal_ternary(rows, 0)[0], 0)[:, None].astype(float)
    else:
        planes = greedy(rows, KINDS[kind].shape[1])
    return fitted(rows, Blocks.plain(rows.shape[1]), planes)


def every(rows: np.ndarray, gram: np.ndarray, kind: str) -> np.ndarray:
    """The least error of each channel that any codes have with their best scales."""
    least = np.full(len(rows), np.inf)
    for index in product(range(len(KINDS[kind])), repeat=rows.shape[1]):
        planes = np.broadcast_to(KINDS[kind][list(index)].T, (len(rows), KINDS[kind].shape[1], rows.shape[1]))
        least = np.minimum(least, fitted(rows, blocks(gram), planes).error)
    return least


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_fit_is_near_to_the_best_of_all_codes(kind: str, seed: int) -> None:
    size = 4 if kind == "planes" else 6
    rows, gram = np.random.default_rng(seed).laplace(size=(16, size)), correlated(size, seed)
    begun = start(rows, kind)
    found = improved(rows, blocks(gram), KINDS[kind], measured(rows, blocks(gram), begun.planes, begun.scales))
    least = every(rows, gram, kind)
    assert (found.error >= least - 1e-9).all()
    assert found.error.sum() <= 1.25 * least.sum() + 1e-9
    assert np.isin(found.planes, [-1, 1] if kind != "ternary" else [-1, 0, 1]).all()
    np.testing.assert_allclose(found.error, output_error(rows, found.values, gram), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 999), st.integers(1, 9))
def test_no_channel_gets_worse(kind: str, seed: int, size: int) -> None:
    rows, gram = np.random.default_rng(seed).standard_normal((5, size)), correlated(size, seed)
    begun = start(rows, kind)
    nearest = measured(rows, blocks(gram), begun.planes, begun.scales)
    found = improved(rows, blocks(gram), KINDS[kind], nearest)
    assert (found.error <= nearest.error * (1 + 1e-9) + 1e-12).all()
    assert (found.scales >= 0).all()


def test_scales_are_those_of_least_squares() -> None:
    rows, gram = np.random.default_rng(0).standard_normal((3, 7)), correlated(7, 0)
    planes = np.random.default_rng(1).choice([-1.0, 1.0], (3, 2, 7))
    root = np.linalg.cholesky(gram)
    for row, found, own in zip(rows, fitted(rows, blocks(gram), planes).values, planes, strict=True):
        best, *_ = np.linalg.lstsq((own @ root).T, row @ root, rcond=None)
        np.testing.assert_allclose(best @ own, found, rtol=1e-6)


def test_plain_weights_take_the_textbook_optimum() -> None:
    rows = np.random.default_rng(0).laplace(size=(8, 40))
    plain = Blocks.plain(40)
    for kind, planes, scale in (
        ("ternary", ternary_codes(rows, optimal_ternary(rows, 0)[0], 0), optimal_ternary(rows, 0)[1]),
        ("binary", binary_codes(rows), binary_scale(rows, 0)),
    ):
        textbook = measured(rows, plain, planes[:, None].astype(float), scale[:, None].astype(float))
        np.testing.assert_allclose(improved(rows, plain, KINDS[kind], textbook).error, textbook.error, rtol=1e-6)


def test_greedy_planes_follow_what_is_left() -> None:
    planes = greedy(np.array([[3.0, -1.0, 0.0, 2.0]]), 2)
    assert [[1, -1, 1, 1], [1, 1, -1, 1]] == planes[0].tolist()  # mean 1.5 leaves 1.5, 0.5, -1.5, 0.5


@pytest.mark.parametrize("size", [3, 70])
def test_columns_make_good_for_each_other(size: int) -> None:
    """Less output error than nearest rounding, and nothing to do where columns are not correlated."""
    rows, gram = np.random.default_rng(0).standard_normal((20, size)), correlated(size, 1)
    nearest = np.rint(rows)
    found = gptq(rows, Factor.of(gram, 0.0), lambda column, wanted: np.rint(wanted))
    assert output_error(rows, found, gram).sum() < output_error(rows, nearest, gram).sum()
    alone = gptq(rows, Factor.of(np.eye(size), 0.0), lambda column, wanted: np.rint(wanted))
    np.testing.assert_array_equal(nearest, alone)
