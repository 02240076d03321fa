"""ArgMax, ArgMin, CumSum and TopK against onnxruntime and numpy."""

from __future__ import annotations

import numpy as np
from graphs import case, check_cases
from onnx_results import check_with_onnxruntime
from test_conv_f32 import reals


def tied(seed: int, shape: tuple[int, ...], kind: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, shape).astype(kind)


def test_arg_extremes() -> None:
    cases = [
        case(op, (tied(axis + 3, (3, 4, 5), kind),), axis=axis, keepdims=keep, select_last_index=last)
        for op in ("ArgMax", "ArgMin")
        for axis in (0, 1, -1)
        for keep in (0, 1)
        for last in (0, 1)
        for kind in ("float32", "uint8")
    ]
    check_with_onnxruntime(cases, 0)


def test_cumsum() -> None:
    cases, wanted = [], []
    for kind in ("float32", "float64", "int32", "int64", "uint32"):
        x = tied(0, (2, 3, 4), kind)
        for axis in (0, 1, -1):
            cases.append(case("CumSum", (x, np.array(axis, np.int32))))
            wanted.append([np.cumsum(x, axis, dtype=kind)])
    x = reals(1, (3, 50))
    for exclusive in (0, 1):
        for reverse in (0, 1):
            turned = x[:, ::-1] if reverse else x
            sums = np.cumsum(turned, 1) - (turned if exclusive else 0)
            cases.append(case("CumSum", (x, np.array([1])), exclusive=exclusive, reverse=reverse))
            wanted.append([np.ascontiguousarray(sums[:, ::-1] if reverse else sums)])
    cases += [case("CumProd", (x, np.array(1)), reverse=1), case("CumProd", (x, np.array(0)), exclusive=1)]
    ones = np.concatenate([np.ones((1, 50), np.float32), np.cumprod(x, 0)[:-1]])
    wanted += [[np.ascontiguousarray(np.cumprod(x[:, ::-1], 1)[:, ::-1])], [ones]]
    check_cases(cases, wanted, tolerance=1e-5)


def test_topk() -> None:
    cases = [
        case("TopK", (make(seed, (3, 9, 5)), np.array([k])), outputs=2, axis=axis, largest=largest)
        for seed, make in enumerate((reals, tied))
        for axis, k in ((0, 2), (1, 9), (-1, 1), (-1, 4))
        for largest in (0, 1)
    ]
    cases += [case("TopK", (tied(5, (40,), "int64"), np.array([7])), outputs=2)]
    check_with_onnxruntime(cases, 0)
