"""Gradients through rounding: LSQ's formula, and finite differences of what the estimator stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.needs("module:torch")

KINDS = {
    "int8": (-127, 127, lambda ratio: np.clip(np.rint(ratio), -127, 127)),
    "uint4 behind a Relu": (0, 15, lambda ratio: np.clip(np.rint(ratio), 0, 15)),
    "ternary": (-1, 1, lambda ratio: np.where(ratio > 0.5, 1.0, np.where(ratio < -0.5, -1.0, 0.0))),
    "binary": (-1, 1, lambda ratio: np.where(ratio >= 0, 1.0, -1.0)),
    "planes": (-7, 7, lambda ratio: np.array([-7, -3, 3, 7.0])[np.abs(ratio[..., None] - [-7, -3, 3, 7]).argmin(-1)]),
}


def rounded(x: np.ndarray, scale: np.ndarray, kind: str, weight: np.ndarray) -> tuple[Any, Any, Any]:
    """The result, and the gradients of sum(weight * result) with respect to x and scale."""
    import torch

    from qir.passes.train.rounding import straight_through

    low, high, step = KINDS[kind]
    codes = torch.from_numpy(step(x / scale).astype(np.float32))
    given = [torch.from_numpy(np.array(array)).requires_grad_() for array in (x, scale)]
    result = straight_through(*given, codes, float(low), float(high))
    (result * torch.from_numpy(weight)).sum().backward()
    return result.detach().numpy(), given[0].grad.numpy(), given[1].grad.numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (4, 1)])
def test_gradients_are_those_of_lsq(kind: str, shape: tuple[int, ...]) -> None:
    """Factor 1 through the dequantized weight, for every kind of codes; nothing outside of the clip range."""
    low, high, step = KINDS[kind]
    random = np.random.default_rng(0)
    scale = random.uniform(0.1, 0.3, shape).astype(np.float32)
    x = (random.uniform(1.3 * low - 0.4, 1.3 * high, (4, 50)) * scale).astype(np.float32)
    weight = random.standard_normal(x.shape).astype(np.float32)
    result, x_grad, scale_grad = rounded(x, scale, kind, weight)
    ratio = x / scale
    inside = (ratio >= low) & (ratio <= high)
    np.testing.assert_array_equal((step(ratio) * scale).astype(np.float32), result)
    np.testing.assert_array_equal(np.where(inside, weight, 0), x_grad)
    each = weight * np.where(inside, step(ratio) - ratio, step(ratio))
    expected = each.sum(axis=1, keepdims=True) if shape else each.sum()
    np.testing.assert_allclose(scale_grad, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_slopes_where_the_step_counts_as_the_identity(kind: str) -> None:
    """`s (clip(x / s) + k)` with the rounding error k held is what the estimator differentiates."""
    low, high, step = KINDS[kind]
    random = np.random.default_rng(1)
    scale = np.float64(0.25)
    x = random.uniform(1.2 * low - 0.3, 1.2 * high, (1, 40)) * scale
    weight = random.standard_normal(x.shape)
    error = step(x / scale) - np.clip(x / scale, low, high)

    def surrogate(x: np.ndarray, scale: np.ndarray) -> float:
        return float((weight * scale * (np.clip(x / scale, low, high) + error)).sum())

    _, x_grad, scale_grad = rounded(x.astype(np.float32), np.float32(scale), kind, weight.astype(np.float32))
    np.testing.assert_allclose(x_grad, slopes(lambda moved: surrogate(moved, scale), x), atol=1e-4)
    np.testing.assert_allclose(scale_grad, slopes(lambda moved: surrogate(x, moved), scale), rtol=1e-3, atol=1e-3)


def slopes(function: Callable[[Any], float], at: Any, step: float = 1e-6) -> np.ndarray:
    """Central differences along each element."""
    at = np.asarray(at, np.float64)
    found = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        move = np.zeros(at.shape)
        move[place] = step
        found[place] = (function(at + move) - function(at - move)) / (2 * step)
    return found


def test_the_gradient_of_integer_codes_is_that_of_the_weight_times_the_scale() -> None:
    """dL/dw = dL/dw_q = (dL/dq) / s: the loss per code changes s times as fast as per unit of the weight."""
    scale, weight = np.float32(0.125), np.array([[3.0]], np.float32)
    _, x_grad, _ = rounded(np.array([[0.4]], np.float32), scale, "int8", weight)
    per_code = float(weight[0, 0]) * (4 * scale - 3 * scale)  # L = weight * s * q, one code further
    assert x_grad[0, 0] == pytest.approx(per_code / scale)
