"""Reductions of every kind, type and storage order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import case, check_cases, joined
from oracle import check_against_onnx, check_stored

from qir.backends.c import compile_c
from qir.errors import UnsupportedError

OPS = ("ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1", "ReduceL2",
       "ReduceLogSum", "ReduceLogSumExp")  # fmt: skip
WHOLE = OPS[:7]


def axes(*listed: int) -> np.ndarray:
    return np.array(listed, np.int64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", OPS)
def test_reals(op: str, dtype: Any) -> None:
    x = np.random.default_rng(0).uniform(0.5, 2, (2, 3, 4, 5)).astype(dtype)
    cases = [
        case(op, [x, axes(*listed)], keepdims=keep) for listed in ((1,), (0, 2), (-1, -2), (3, 0, 1)) for keep in (0, 1)
    ]
    cases += [case(op, [x]), case(op, [x], keepdims=0)]
    check_against_onnx(cases, tolerance=1e-4)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
def test_integers(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0 if np.iinfo(dtype).min == 0 else -5, 6, (3, 4, 2)).astype(dtype)
    wanted = {
        "ReduceSum": x.sum(1, dtype), "ReduceProd": x.prod(1, dtype), "ReduceMax": x.max(1), "ReduceMin": x.min(1),
        "ReduceSumSquare": (x * x).sum(1, dtype), "ReduceL1": np.abs(x).sum(1, dtype),
        "ReduceMean": np.trunc(x.mean(1)),
    }  # fmt: skip
    cases = [case(op, [x, axes(1)], keepdims=0) for op in wanted]
    check_cases(cases, [[array.astype(dtype)] for array in wanted.values()])


def test_sums_of_integers_wrap() -> None:
    x = np.full((4,), np.iinfo(np.int64).max)
    check_cases([case("ReduceSum", [x], keepdims=0), case("ReduceL1", [-x - 1], keepdims=0)],
                [[np.array(-4)], [np.array(0)]])  # fmt: skip


def test_small_types_and_bool() -> None:
    x = np.array([[3, 250, 7], [1, 0, 9]], np.uint8)
    flags = np.array([[True, False], [False, False]])
    cases = [
        case(op, [array, axes(1)], keepdims=0)
        for array in (x, x.view(np.int8), flags)
        for op in ("ReduceMax", "ReduceMin")
    ]
    check_cases(
        cases, [[one.arrays[0].max(1) if one.node.op == "ReduceMax" else one.arrays[0].min(1)] for one in cases]
    )


def test_nothing_to_reduce() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    cases = [case(op, [x, axes()], noop_with_empty_axes=1) for op in ("ReduceSum", "ReduceMax")]
    check_cases(
        [*cases, case("ReduceSumSquare", [x, axes()], noop_with_empty_axes=1)], [[x], [x], [x * x]], tolerance=1e-6
    )


def test_empty_axes_give_the_neutral_element() -> None:
    x = np.zeros((2, 0, 3), np.float32)
    wanted = {"ReduceSum": 0, "ReduceProd": 1, "ReduceMax": -np.inf, "ReduceMin": np.inf, "ReduceLogSum": -np.inf,
              "ReduceLogSumExp": -np.inf, "ReduceMean": np.nan}  # fmt: skip
    cases = [case(op, [x, axes(1)]) for op in wanted]
    check_cases(cases, [[np.full((2, 1, 3), value, np.float32)] for value in wanted.values()])


def test_log_sum_exp_does_not_overflow() -> None:
    x = np.array([[1000, 1000], [-1000, -1000], [np.inf, 0]], np.float32)
    wanted = np.array([1000 + np.log(2), -1000 + np.log(2), np.inf], np.float32)
    check_cases([case("ReduceLogSumExp", [x, axes(1)], keepdims=0)], [[wanted]], tolerance=1e-6)


@pytest.mark.parametrize("perm", [(0, 2, 3, 1), (3, 1, 0, 2)])
@pytest.mark.parametrize("keep", [0, 1])
def test_storage_orders(perm: tuple[int, ...], keep: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    for listed in ((1,), (2, 3), (0, 3)):
        check_stored(case("ReduceMean", [x, axes(*listed)], keepdims=keep), perm, tolerance=1e-5)


def test_computed_axes_are_refused() -> None:
    one = case("ReduceSum", [np.ones((2, 3), np.float32), axes(1)], (0, 1))
    graph, _ = joined([one], [[np.ones((2, 1), np.float32)]])
    with pytest.raises(UnsupportedError, match="axes are computed"):
        compile_c(graph)
