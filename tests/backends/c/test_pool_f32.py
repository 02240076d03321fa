"""Pools on floats against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
from graphs import Case, case, check_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_results import check_with_onnxruntime
from test_conv_f32 import reals


@st.composite
def pools(draw: st.DrawFn) -> Case:
    axes = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    sizes = tuple(2 * (k - 1) + 1 + draw(st.integers(0, 4)) for k in kernel)
    x = reals(draw(st.integers(0, 2**31)), (draw(st.integers(1, 2)), draw(st.integers(1, 20)), *sizes))
    attrs: dict[str, Any] = {"kernel_shape": kernel, "strides": tuple(draw(st.integers(1, 3)) for _ in range(axes))}
    op = draw(st.sampled_from(["AveragePool", "LpPool", "MaxPool"]))
    if draw(st.booleans()):
        attrs["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        # Where strides skip samples, onnxruntime pads SAME by less than zero; ONNX and qir by zero.
        attrs["strides"] = tuple(min(stride, k) for stride, k in zip(attrs["strides"], kernel, strict=True))
    else:
        attrs["pads"] = tuple(draw(st.integers(0, k - 1)) for k in (*kernel, *kernel))
        if op != "LpPool":
            attrs["dilations"] = tuple(draw(st.integers(1, 2)) for _ in range(axes))
    if op == "LpPool":
        attrs["p"] = draw(st.integers(1, 3))
        return case(op, (x,), **attrs)
    if op == "MaxPool":
        return case(op, (x,), outputs=2, storage_order=draw(st.integers(0, 1)), **attrs)
    return case(op, (x,), count_include_pad=draw(st.integers(0, 1)), **attrs)


@settings(max_examples=4)
@given(st.lists(pools(), min_size=25, max_size=25))
def test_any_pool(cases: list[Case]) -> None:
    check_with_onnxruntime(cases)


def test_global_pools() -> None:
    x = reals(0, (2, 5, 4, 3))
    ops = ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
    cases = [case(op, (array,)) for op in ops for array in (x, reals(1, (1, 4, 7)), reals(2, (1, 2, 3, 4, 5)))]
    check_with_onnxruntime([*cases, case("GlobalLpPool", (x,), p=3), case("GlobalLpPool", (x,), p=1)])
    wide = x.astype("float64")
    check_cases([case("GlobalAveragePool", (wide,))], [[wide.mean(axis=(2, 3), keepdims=True)]], tolerance=1e-12)


def test_max_pool_finds_the_first_of_equal_ones() -> None:
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 8, 9)).astype(np.float32)
    check_with_onnxruntime([case("MaxPool", (x,), outputs=2, kernel_shape=(3, 2), strides=(2, 2), ceil_mode=1)])


def test_unpooling_puts_values_back() -> None:
    x = reals(0, (2, 3, 6, 8))
    windows = x.reshape(2, 3, 3, 2, 4, 2).transpose(0, 1, 2, 4, 3, 5).reshape(2, 3, 3, 4, 4)
    flat = (
        np.arange(x.size).reshape(x.shape).reshape(2, 3, 3, 2, 4, 2).transpose(0, 1, 2, 4, 3, 5).reshape(windows.shape)
    )
    best = windows.argmax(axis=-1)[..., None]
    values, index = (np.take_along_axis(array, best, -1)[..., 0] for array in (windows, flat))
    wanted = np.where(np.isin(np.arange(x.size).reshape(x.shape), index), x, 0).astype(np.float32)
    larger = np.pad(wanted, ((0, 0), (0, 0), (0, 1), (0, 2)))
    pooled = (values, index.astype(np.int64))
    attrs = {"kernel_shape": (2, 2), "strides": (2, 2)}
    stray = pooled[1].copy()
    stray[0, 0, 0, :2] = (-1, x.size)
    check_cases(
        [case("MaxUnpool", pooled, (0, 1), **attrs),
         case("MaxUnpool", (*pooled, np.array(larger.shape)), (0,), **attrs),
         case("MaxUnpool", (values, stray), (0, 1), **attrs)],
        [[wanted], [larger], [np.where(np.isin(wanted, values[0, 0, 0, :2]), 0, wanted)]],
    )  # fmt: skip
