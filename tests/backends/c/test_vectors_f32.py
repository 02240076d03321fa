"""Float kernels on vectors against double precision: functions, ends of rows, numbers that are none."""

from __future__ import annotations

import math
from collections.abc import Callable

import elsewhere
import numpy as np
from conftest import float_isa
from graphs import Case, case, check_cases, joined
from hypothesis import given
from hypothesis import strategies as st
from onnx_results import check_with_onnxruntime
from test_conv_f32 import SHARED, reals

from qir.backends.c import compile_c

SPECIAL = np.array(
    [0.0, -0.0, 1e-40, -1e-40, 88.7, -88.7, 89.5, -104.5, 1e30, -1e30, np.inf, -np.inf, np.nan], np.float32
)
erf = np.vectorize(math.erf)
FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Exp": np.exp,
    "Tanh": np.tanh,
    "Sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "Erf": erf,
    "Abs": np.abs,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Reciprocal": lambda v: 1 / v,
    "Relu": lambda v: np.where(v < 0, 0, v),
    "LeakyRelu": lambda v: np.where(v < 0, 0.01 * v, v),
    "HardSigmoid": lambda v: np.clip(0.2 * v + 0.5, 0, 1),
    "Softsign": lambda v: v / (1 + np.abs(v)),
}


def numbers() -> np.ndarray:
    """Of every size, and those around which functions change their form."""
    rng = np.random.default_rng(0)
    spread = np.exp(rng.uniform(np.log(1e-7), np.log(87), 4001)) * rng.choice([-1, 1], 4001)
    return np.concatenate([spread, np.linspace(-5, 4.99, 4001)]).astype(np.float32)


def run(cases: list[Case], target: str) -> list[np.ndarray]:
    """What each case gives, each by a kernel on vectors."""
    graph, b = joined(cases, [[np.zeros(one.arrays[0].shape, np.float32)] for one in cases])  # type: ignore[union-attr]
    module = compile_c(graph, target=target)
    kernels = [call.kernel.emitted for call in module.program.calls if call.op != "qir.Copy"]
    assert all(name.endswith(f"__{float_isa(target)}") for name in kernels), kernels
    found = elsewhere.run(module, b.feeds)
    return [found[f"c{number}_o0"] for number in range(len(cases))]


def test_functions_are_within_a_millionth(float_target: str) -> None:
    x = numbers()
    arrays = {op: np.abs(x) if op == "Sqrt" else x for op in FUNCTIONS}
    found = run([case(op, [array]) for op, array in arrays.items()], float_target)
    for (op, array), y in zip(arrays.items(), found, strict=True):
        wanted = FUNCTIONS[op](array.astype(np.float64))
        size = np.abs(wanted) if op in ("Exp", "Tanh", "Sigmoid", "Erf") else np.maximum(1, np.abs(wanted))
        assert (np.abs(y - wanted) <= 1e-6 * size + 1e-37).all(), op


def test_numbers_that_are_none_are_treated_as_in_portable_c(float_target: str) -> None:
    low, high = np.array(-0.5, np.float32), np.array(0.75, np.float32)
    cases = [case(op, [SPECIAL]) for op in (*FUNCTIONS, "Swish", "HardSwish", "Gelu")]
    cases += [case("Clip", [SPECIAL, *bounds]) for bounds in ([low, high], [None, high], [low], [high, low])]
    for one, found, wanted in zip(cases, run(cases, float_target), run(cases, "portable"), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-37, err_msg=one.node.op)


def test_an_element_is_the_same_wherever_it_stands(float_target: str) -> None:
    x, ends = reals(0, (67,)), ((0, 67), (0, 1), (3, 20), (16, 67), (5, 66))
    for op in ("Exp", "HardSwish", "Gelu"):
        whole, *parts = run([case(op, [x[first:last].copy()]) for first, last in ends], float_target)
        for (first, last), part in zip(ends[1:], parts, strict=True):
            assert np.array_equal(whole[first:last], part), op


def test_two_operands(float_target: str) -> None:
    first, cases = np.concatenate([SPECIAL, reals(1, (24,))]), []
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"):
        cases += [case(op, [first, np.roll(first, shift)], (0, 1)) for shift in range(1, 5)]
        cases += [case(op, [reals(0, (3, 5, n)), reals(2, shape)], (0, 1)) for n in (1, 7, 8, 16, 33)
                  for shape in ((n,), (5, 1), (3, 1, 1), (1,))]  # fmt: skip
    with np.errstate(all="ignore"):
        check_with_onnxruntime(cases, 1e-6, float_target)


@st.composite
def rows(draw: st.DrawFn) -> Case:
    op = draw(st.sampled_from(["Softmax", "LayerNormalization", "Softmax"]))
    shape = tuple(draw(st.integers(1, n)) for n in (2, 4, 70))
    x = reals(draw(st.integers(0, 2**31)), shape) * draw(st.sampled_from([1, 30]))
    if op == "Softmax":
        return case(op, [x.astype(np.float32)], axis=draw(st.integers(0, 2)))
    return case(op, [x.astype(np.float32), reals(1, shape[2:]), reals(2, shape[2:])])


@SHARED
@given(st.lists(rows(), min_size=30, max_size=30))
def test_any_row(float_target: str, cases: list[Case]) -> None:
    results = []
    for one in cases:
        x = np.asarray(one.arrays[0], np.float64)
        if one.node.op == "Softmax":
            e = np.exp(x - x.max(one.node.attr("axis"), keepdims=True))
            results.append([(e / e.sum(one.node.attr("axis"), keepdims=True)).astype(np.float32)])
        else:
            scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
            results.append([(scaled * one.arrays[1] + one.arrays[2]).astype(np.float32)])  # type: ignore[operator]
    check_cases(cases, results, target=float_target, tolerance=1e-5)


def test_a_row_with_nan_is_nan(float_target: str) -> None:
    x = reals(0, (4, 19))
    x[1, 3], x[2, 18], x[3, :] = np.nan, np.inf, -np.inf
    (found,) = run([case("Softmax", [x])], float_target)
    assert np.array_equal([False, True, True, True], np.isnan(found).all(1))
    assert np.array_equal([False, True, True, True], np.isnan(found).any(1))
