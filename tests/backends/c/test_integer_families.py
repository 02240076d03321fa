"""Integer operators other than convolutions equal their references bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from graphs import Case, both_modes, case, check_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from test_conv_u8 import BITS, FILLS, requantization, weighted

from qir.ir.graph import Node
from qir.ops import OPS
from qir.ops.integer_rows import exponentials
from qir.ops.window import window

ZEROS = st.sampled_from([0, 1, 77, 128, 255])


WIDTHS = st.sampled_from([np.uint8, np.uint8, np.int16])


def codes(seed: int, shape: tuple[int, ...], fill: str = "random", kind: type = np.uint8) -> np.ndarray:
    rng, ends = np.random.default_rng(seed), np.iinfo(kind)
    low, high = int(ends.min), int(ends.max)
    return (rng.choice([low, high], shape) if fill == "extreme" else rng.integers(low, high + 1, shape)).astype(kind)


@st.composite
def finishes(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of a requantization, or none for real results."""
    if draw(st.booleans()):
        return {}
    return requantization(np.random.default_rng(draw(st.integers(0, 2**31))), draw(st.booleans()))


@st.composite
def gemms(draw: st.DrawFn) -> Case:
    lead = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    k, n = draw(st.one_of(st.integers(1, 40), st.integers(120, 270))), draw(st.integers(1, 20))
    one = weighted("qir.IntGemm", draw(st.integers(0, 2**31)), (*lead, k), (n, k), n, draw(ZEROS),
                   draw(st.sampled_from(FILLS)), draw(st.booleans()), True, draw(BITS),
                   draw(st.booleans()))  # fmt: skip
    x, w, bias, multiplier = one.arrays
    assert w is not None
    return Case(one.node, (x, np.ascontiguousarray(w.T), bias, multiplier))


@settings(max_examples=3)
@given(st.lists(gemms(), min_size=20, max_size=20))
def test_any_gemm(cases: list[Case]) -> None:
    check_cases(both_modes(cases))


@st.composite
def broadcasting(draw: st.DrawFn, most: int = 5) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast."""
    full = draw(st.lists(st.integers(1, 4), min_size=1, max_size=most))
    shapes = []
    for _ in range(2):
        shape = [d if draw(st.booleans()) else 1 for d in full]
        shapes.append(tuple(shape[draw(st.integers(0, len(full) - 1)) :]))
    return shapes[0], shapes[1]


@st.composite
def matmuls(draw: st.DrawFn) -> Case:
    a, b = draw(broadcasting(3))
    m, k, n, seed = (draw(st.integers(1, 11)) for _ in range(4))
    fill = draw(st.sampled_from(FILLS[:2]))
    operands = codes(seed, (*a, m, k), fill, draw(WIDTHS)), codes(seed + 1, (*b, k, n), fill, draw(WIDTHS))
    return case("qir.IntMatMul", operands,
                draw(st.sampled_from([(0,), (1,), (0, 1)])), a_zero_point=draw(ZEROS), b_zero_point=draw(ZEROS),
                multiplier=draw(st.floats(1e-5, 1e-2)), **draw(finishes()))  # fmt: skip


@settings(max_examples=3)
@given(st.lists(matmuls(), min_size=20, max_size=20))
def test_any_matmul(cases: list[Case]) -> None:
    check_cases(both_modes(cases))


@st.composite
def sums_and_products(draw: st.DrawFn) -> Case:
    a, b = draw(broadcasting())
    seed, fill = draw(st.integers(0, 2**31)), draw(st.sampled_from(FILLS[:2]))
    operands = (codes(seed, a, fill, draw(WIDTHS)), codes(seed + 1, b, fill, draw(WIDTHS)))
    slots = draw(st.sampled_from([(0,), (1,), (0, 1)]))
    if draw(st.booleans()):
        attrs = {"a_zero_point": draw(ZEROS), "b_zero_point": draw(ZEROS), "multiplier": draw(st.floats(1e-5, 1))}
        return case("qir.IntMul", operands, slots, **attrs, **draw(finishes()))
    factors = st.one_of(st.sampled_from([0.5, -0.5, 1.0, 0.25]), st.floats(-2, 2))
    return case("qir.IntAdd", operands, slots, a_multiplier=draw(factors), b_multiplier=draw(factors),
                offset=draw(st.floats(-300, 300)), qmin=draw(st.integers(0, 90)), qmax=draw(st.integers(90, 255)),
                to=draw(st.sampled_from(["uint8", "int16"])))  # fmt: skip


@settings(max_examples=4)
@given(st.lists(sums_and_products(), min_size=20, max_size=20))
def test_any_sum_and_product(cases: list[Case]) -> None:
    check_cases(both_modes(cases))


@st.composite
def pools(draw: st.DrawFn) -> Case:
    axes = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    dilations = tuple(draw(st.integers(1, 2)) for _ in range(axes))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    sizes = tuple(e + draw(st.integers(0, 4)) for e in extent)
    attrs: dict[str, Any] = {
        "kernel_shape": kernel, "dilations": dilations, "strides": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "pads": tuple(draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)), "ceil_mode": draw(st.integers(0, 1)),
    }  # fmt: skip
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 35)), *sizes)
    x = codes(draw(st.integers(0, 2**31)), shape, kind=draw(WIDTHS))
    if draw(st.booleans()):
        return case("MaxPool", (x,), **attrs)
    attrs |= {"count_include_pad": draw(st.integers(0, 1)), "x_zero_point": draw(ZEROS)}
    return case("qir.IntAveragePool", (x,), multiplier=draw(st.floats(0.01, 2)), **attrs, **draw(finishes()))


def largest(node: Node, x: np.ndarray) -> np.ndarray:
    """MaxPool by brute force."""
    win = window(node, x.shape[2:], node.attr("kernel_shape"))
    pads = ((0, 0), (0, 0), *zip(win.begin, win.end, strict=True))
    padded = np.pad(x.astype(np.float64), pads, constant_values=-np.inf)
    taps = [padded[(slice(None), slice(None), *slices)] for _, slices in win.taps()]
    return np.max(taps, axis=0).astype(x.dtype)


def outcomes(cases: list[Case]) -> list[list[np.ndarray]]:
    results = []
    for one in cases:
        arrays = [a for a in one.arrays if a is not None]
        if one.node.op == "MaxPool":
            results.append([largest(one.node, arrays[0])])
        else:
            reference = OPS[one.node.op].reference
            assert reference is not None
            results.append(list(reference(one.node, arrays)))
    return results


@settings(max_examples=4)
@given(st.lists(pools(), min_size=20, max_size=20))
def test_any_pool(cases: list[Case]) -> None:
    cases = both_modes(cases)
    check_cases(cases, outcomes(cases))


def test_max_pool_of_other_types() -> None:
    rng = np.random.default_rng(0)
    attrs = {"kernel_shape": (2, 3), "strides": (2, 1), "pads": (1, 0, 0, 1)}
    arrays = [rng.integers(-9, 9, (1, 5, 6, 7)).astype(kind) for kind in ("float32", "int8", "int32", "float64")]
    cases = [case("MaxPool", (array - 3,), **attrs) for array in arrays]
    check_cases(cases, outcomes(cases))


@st.composite
def means(draw: st.DrawFn) -> Case:
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    axes = draw(st.sets(st.integers(-len(shape), -1), min_size=1))
    return case("qir.IntMean", (codes(draw(st.integers(0, 2**31)), shape, kind=draw(WIDTHS)),), axes=tuple(axes),
                keepdims=draw(st.integers(0, 1)), x_zero_point=draw(ZEROS), multiplier=draw(st.floats(0.01, 2)),
                **draw(finishes()))  # fmt: skip


@settings(max_examples=3)
@given(st.lists(means(), min_size=20, max_size=20))
def test_any_mean(cases: list[Case]) -> None:
    check_cases(both_modes(cases))


@st.composite
def normalizations(draw: st.DrawFn) -> Case:
    """Softmax along any axis, or layer normalization."""
    seed, scale = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.002, 0.05, 0.4, 3.0]))
    shape = (*draw(st.lists(st.integers(1, 3), max_size=2)), draw(st.integers(1, 70)), draw(st.integers(1, 70)))
    fill, softmax = draw(st.sampled_from(["random", "extreme"])), draw(st.booleans())
    x = codes(seed, shape, fill, np.uint8 if softmax else draw(WIDTHS))
    if softmax:
        return case("qir.IntSoftmax", (x, exponentials(np.float32(scale))), axis=draw(st.integers(0, len(shape) - 1)),
                    multiplier=draw(st.sampled_from([1.0, 256.0, 3000.0])), **draw(finishes()))  # fmt: skip
    rng, size = np.random.default_rng(seed), shape[-1]
    numbers = (rng.normal(0, 1 / scale, size).astype(np.float32), rng.normal(0, 40, size).astype(np.float32))
    finish = draw(finishes()) or {"y_zero_point": 0, "qmin": -5, "qmax": 30000, "to": "int16"}
    return case("qir.IntLayerNorm", (x, *numbers), epsilon=float(np.float32(size**2 * 1e-5 / scale**2)), **finish)


@settings(max_examples=3)
@given(st.lists(normalizations(), min_size=20, max_size=20))
def test_any_normalization(cases: list[Case]) -> None:
    check_cases(both_modes(cases))


def test_lookup_quantize_dequantize() -> None:
    rng = np.random.default_rng(0)
    x = codes(0, (2, 3, 4))
    reals = np.concatenate([rng.normal(0, 40, 1000), np.arange(-300, 300) / 2, [np.inf, -np.inf, 1e30, -0.0]])
    reals = reals.astype(np.float32)
    tables = [rng.integers(0, 200, 256).astype(kind) for kind in ("uint8", "int8", "int16", "float32")]
    cases = [case("qir.Lookup", (x, table)) for table in tables]
    for scale, zero, to in ((1.0, 128, "uint8"), (0.31, 0, "uint8"), (0.5, 255, "uint8"), (1.0, -3, "int8"),
                            (0.001, 5, "int16")):  # fmt: skip
        low, high = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32768, 32767)}[to]
        cases.append(case("qir.Quantize", (reals,), scale=scale, zero_point=zero, qmin=low, qmax=high, to=to))
    scales, zeros = np.array([0.1, 0.2, 0.3], np.float32), np.array([1, 2, 3], np.int32)
    cases.append(case("qir.Dequantize", (x,), scale=0.37, zero_point=12))
    cases.append(case("qir.Dequantize", (x.astype(np.int8),), scale=scales, zero_point=zeros, axis=1))
    check_cases(cases)
