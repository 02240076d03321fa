"""Ranges for few codes, beside searches over the elements themselves."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.dtype import UINT8
from qir.quant.scales import affine_params, dequantize, quantize
from qir.quant.ternary import optimal_ternary
from qir.statistics import Histogram
from qir.statistics.few import few_range

DRAWN = np.random.default_rng(0).laplace(size=4000).astype(np.float32)


def test_two_signs_take_the_mean_magnitude() -> None:
    low, high = few_range(Histogram.of(DRAWN), 2, signs=True)
    assert -low == high == pytest.approx(np.abs(DRAWN).mean(), rel=1e-2)
    zeros = np.concatenate([DRAWN, np.zeros(4000, np.float32)])
    assert few_range(Histogram.of(zeros), 2, signs=True)[1] == pytest.approx(high / 2, rel=1e-6)


def test_three_signs_take_the_optimum_of_ternary_weights() -> None:
    found = few_range(Histogram.of(DRAWN), 3, signs=True)[1]
    assert found == pytest.approx(float(optimal_ternary(DRAWN)[1]), rel=2e-2)


@pytest.mark.parametrize("codes", [2, 3, 4, 16])
@pytest.mark.parametrize("kind", ["both", "positive", "sparse"])
def test_steps_are_those_of_least_error(kind: str, codes: int) -> None:
    values = {"both": DRAWN, "positive": np.abs(DRAWN), "sparse": np.maximum(DRAWN - 1, 0)}[kind]

    def error(low: float, high: float) -> float:
        scale, zero = affine_params(low, high, UINT8, qmin=0, qmax=codes - 1)
        found = dequantize(quantize(values, scale, zero, 0, codes - 1, UINT8), scale, zero)
        return float(np.square(found - values).sum())

    low, high = few_range(Histogram.of(values), codes)
    assert min(values.min(), 0) <= low <= 0 <= high <= values.max()
    tried = [error(a * values.min(), b * values.max()) for a in (0.1, 0.3, 0.6, 1) for b in (0.05, 0.1, 0.2, 0.4, 1)]
    assert error(low, high) <= 1.02 * min(tried)


def test_a_value_that_is_always_zero_has_a_range() -> None:
    zeros = Histogram.of(np.zeros(9, np.float32))
    assert (-1.0, 1.0) == few_range(zeros, 3, signs=True)
    assert (0.0, 0.0) == few_range(zeros, 4)
