"""Integer convolutions equal their references bit for bit."""

from __future__ import annotations

import numpy as np
from graphs import Case, case, check_cases


def conv(rng: np.random.Generator, x: tuple[int, ...], w: tuple[int, ...], real: bool = False, **attrs: object) -> Case:
    """A random IntConv; `real` leaves out the requantization."""
    weights = rng.integers(-127, 128, w).astype(np.int8)
    codes = rng.integers(0, 256, x).astype(np.uint8)
    zero = int(attrs.pop("x_zero_point", 128))  # type: ignore[call-overload]
    sums = weights.reshape(w[0], -1).astype(np.int64).sum(axis=1)
    bias = (rng.integers(-2000, 2000, w[0]) - zero * sums).astype(np.int32)
    multiplier = rng.uniform(1e-4, 2e-2, w[0]).astype(np.float32)
    spatial = len(w) - 2
    settings: dict[str, object] = {
        "strides": (1,) * spatial, "dilations": (1,) * spatial, "pads": (0,) * (2 * spatial), "group": 1,
        "x_zero_point": zero,
    }  # fmt: skip
    if not real:
        settings |= {"y_zero_point": 100, "qmin": 0, "qmax": 255}
    return case("qir.IntConv", (codes, weights, bias, multiplier), **(settings | attrs))


def test_one():
    check_cases([conv(np.random.default_rng(0), (1, 3, 8, 8), (5, 3, 3, 3), pads=(1, 1, 1, 1))])
