"""Element-wise families: every operator and element type, special values, broadcasting and storage orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import Case, case, check_cases, joined
from oracle import check_against_onnx, check_stored

from qir.backends.c import compile_c
from qir.errors import UnsupportedError

REALS = (np.float32, np.float64)
SIGNED = (np.int8, np.int16, np.int32, np.int64)
UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)
SPECIAL = [0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -1e30, 100.0, -100.0, np.inf, -np.inf, np.nan]


def reals(dtype: Any, seed: int = 0) -> np.ndarray:
    return np.concatenate([np.random.default_rng(seed).normal(0, 3, 34), SPECIAL]).astype(dtype)


def integers(dtype: Any, seed: int = 0) -> np.ndarray:
    info = np.iinfo(dtype)
    drawn = np.random.default_rng(seed).integers(info.min, info.max, 40, dtype=dtype, endpoint=True)
    edges = [info.min, info.max, 0, 1, info.max - 1, info.min + 1, 2, 3]
    return np.concatenate([drawn, np.array(edges, dtype)])


def everything(dtype: Any, seed: int = 0) -> np.ndarray:
    return reals(dtype, seed) if np.dtype(dtype).kind == "f" else integers(dtype, seed)


@pytest.mark.parametrize("dtype", REALS)
def test_unary_functions_of_reals(dtype: Any) -> None:
    plain = ("Abs", "Neg", "Sign", "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Round", "Sin", "Cos", "Atan",
             "Tanh", "Erf", "Relu", "Sigmoid", "Softsign", "LeakyRelu", "Elu", "Selu", "HardSigmoid")  # fmt: skip
    check_against_onnx([case(op, [reals(dtype)]) for op in plain], tolerance=2e-6)
    cases = [case("IsNaN", [reals(dtype)])]
    cases += [case("IsInf", [reals(dtype)], detect_positive=p, detect_negative=n) for p in (0, 1) for n in (0, 1)]
    check_against_onnx(cases)


@pytest.mark.parametrize("dtype", REALS)
def test_unary_functions_of_limited_reals(dtype: Any) -> None:
    x, unit = np.linspace(-4, 4, 41).astype(dtype), np.linspace(-1, 1, 21).astype(dtype)
    cases = [case(op, [x]) for op in ("Tan", "Sinh", "Cosh", "Asinh", "Celu", "Softplus", "Mish", "HardSwish", "Shrink",
                                      "ThresholdedRelu", "Gelu")]  # fmt: skip
    cases += [case(op, [unit]) for op in ("Asin", "Acos", "Atanh")] + [case("Acosh", [np.abs(x) + 1])]
    cases += [case("Gelu", [x], approximate="tanh"), case("Celu", [x], alpha=0.5),
              case("Shrink", [x], lambd=1.0, bias=0.5), case("LeakyRelu", [x], alpha=0.3)]  # fmt: skip
    check_against_onnx(cases, tolerance=2e-6)


def test_activations_do_not_overflow() -> None:
    x = np.array([-1e4, -200, -90, 90, 200, 1e4], np.float32)
    wanted = [np.array([0, 0, 0, 1, 1, 1], np.float32), np.maximum(x, 0)]
    check_cases([case("Sigmoid", [x]), case("Softplus", [x])], [[one] for one in wanted], tolerance=1e-6)


@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED)
def test_unary_functions_of_integers(dtype: Any) -> None:
    x = integers(dtype)
    zero = dtype(0)
    with np.errstate(over="ignore"):
        wanted = {"Abs": np.abs(x), "Sign": np.sign(x), "BitwiseNot": ~x, "Relu": np.maximum(x, zero)}
        if dtype in SIGNED:
            wanted["Neg"] = zero - x
    check_cases([case(op, [x]) for op in wanted], [[array] for array in wanted.values()])


def test_clip_with_constant_and_computed_bounds() -> None:
    cases = []
    for dtype in (*REALS, *SIGNED, *UNSIGNED):
        low, high = np.array(3, dtype), np.array(100, dtype)
        for bounds in ([low, high], [None, high], [low], [low, low], []):
            cases.append(case("Clip", [everything(dtype), *bounds]))
            cases.append(
                case("Clip", [everything(dtype), *bounds], (0, *(1 + i for i, b in enumerate(bounds) if b is not None)))
            )
    check_against_onnx(cases)


NUMBERS = {np.dtype(kind): number for number, kind in (
    (1, np.float32), (2, np.uint8), (3, np.int8), (4, np.uint16), (5, np.int16), (6, np.int32), (7, np.int64),
    (9, np.bool_), (11, np.float64), (12, np.uint32), (13, np.uint64))}  # fmt: skip


def cast(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Cast as documented: reals saturate, NaN becomes 0, integers wrap."""
    if x.dtype.kind == "f" and dtype.kind in "iu":
        info = np.iinfo(dtype)
        whole = [0 if np.isnan(v) else max(info.min, min(info.max, int(np.clip(v, -1e30, 1e30))))
                 for v in x.tolist()]  # fmt: skip
        return np.array(whole, dtype)
    with np.errstate(over="ignore"):
        return x.astype(dtype)


def test_every_cast() -> None:
    cases, results = [], []
    for source in NUMBERS:
        x = np.array([True, False, True]) if source.kind == "b" else everything(source.type, 3)
        for target, number in NUMBERS.items():
            cases.append(case("Cast", [x], to=number))
            results.append([cast(x, target)])
    check_cases(cases, results)


@pytest.mark.parametrize("dtype", SIGNED + UNSIGNED)
def test_integer_arithmetic_wraps_and_never_traps(dtype: Any) -> None:
    a, b = integers(dtype, 1), np.concatenate([integers(dtype, 2)[::-1]])
    b[:3] = [0, 1, np.array(-1).astype(dtype)]
    a[2] = np.iinfo(dtype).min
    with np.errstate(all="ignore"):
        whole = [0 if d == 0 else abs(n) // abs(d) * (1 if (n < 0) == (d < 0) else -1)
                 for n, d in zip(a.tolist(), b.tolist(), strict=True)]  # fmt: skip
        quotient = np.array([v % 2**64 for v in whole], np.uint64).astype(dtype)
        wanted = {
            "Add": a + b, "Sub": a - b, "Mul": a * b, "Div": quotient, "Mod": np.mod(a, b), "Max": np.maximum(a, b),
            "Min": np.minimum(a, b), "Equal": a == b, "Less": a < b, "Greater": a > b, "LessOrEqual": a <= b,
            "GreaterOrEqual": a >= b, "BitwiseAnd": a & b, "BitwiseOr": a | b, "BitwiseXor": a ^ b,
        }  # fmt: skip
        cases = [case(op, [a, b], (0, 1)) for op in wanted] + [case("Mod", [a, b], (0, 1), fmod=1)]
        results = [*wanted.values(), np.fmod(a, b)]
    check_cases(cases, [[array] for array in results])


@pytest.mark.parametrize("dtype", REALS)
def test_arithmetic_of_reals(dtype: Any) -> None:
    a, b = reals(dtype, 1), reals(dtype, 2)[::-1].copy()
    compared = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
    check_against_onnx([case(op, [a, b], (0, 1)) for op in compared])
    cases = [case(op, [a, b], (0, 1)) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu")]
    cases += [case("Mod", [a, b], (0, 1), fmod=1), case("Pow", [np.abs(a), b], (0, 1)),
              case("Pow", [a, np.array(2, dtype)])]  # fmt: skip
    check_against_onnx(cases, tolerance=1e-6)


def test_powers_of_mixed_types() -> None:
    bases, exponents = np.arange(-3, 4), np.arange(4)
    cases, results = [], []
    for base in (np.int32, np.int64, np.float32, np.float64):
        for exponent in (np.int8, np.uint16, np.int32, np.int64, np.float32, np.float64):
            a, b = bases.astype(base)[:, None], exponents.astype(exponent)
            cases.append(case("Pow", [a, b], (0, 1)))
            results.append([np.power(a.astype(np.float64), b.astype(np.float64)).astype(base)])
    a, b = np.array([0, 1, -1, -1, 2], np.int64), np.array([-1, -2, -3, -4, -1], np.int64)
    cases.append(case("Pow", [a, b], (0, 1)))
    results.append([np.array([0, 1, -1, 1, 0], np.int64)])
    check_cases(cases, results)


def test_logic_and_shifts() -> None:
    a, b = np.array([[False], [True]]), np.array([False, True])
    cases = [case(op, [a, b], (0, 1)) for op in ("And", "Or", "Xor", "Equal")] + [case("Not", [a])]
    for dtype in UNSIGNED:
        value, by = integers(dtype), np.arange(48).astype(dtype) % np.iinfo(dtype).bits
        cases += [case("BitShift", [value, by.astype(dtype)], (0, 1), direction=d) for d in ("LEFT", "RIGHT")]
    check_against_onnx(cases)
    wide = case("BitShift", [np.array([255], np.uint8), np.array([9], np.uint8)], (0, 1), direction="LEFT")
    check_cases([wide], [[np.array([0], np.uint8)]])


SHAPES = (
    ((2, 3, 4), (4,)),
    ((2, 1, 4), (3, 1)),
    ((1,), (2, 3)),
    ((), (2, 2)),
    ((5, 1, 2, 1, 3), (1, 4, 1, 2, 1)),
    ((0, 3), (3,)),
)


def test_broadcasting() -> None:
    rng = np.random.default_rng(0)
    cases, results = [], []
    for first, second in SHAPES:
        a, b = rng.normal(size=first).astype(np.float32), rng.normal(size=second).astype(np.float32)
        c = rng.integers(0, 2, second).astype(bool)
        rows = [
            (case("Add", [a, b], (0, 1)), a + b), (case("Sub", [a, b], (1,)), a - b),
            (case("Mul", [a, b], (0,)), a * b),
            (case("Where", [c, a, b], (0, 1, 2)), np.where(c, a, b)),
            (case("Where", [c, a, b], (0,)), np.where(c, a, b)),
            (case("Max", [a, b, a], (0, 1, 2)), np.maximum(a, b)), (case("Sum", [a], (0,)), a),
            (case("Mean", [a, b, b, a], (0, 1, 2, 3)), (a + b) / 2), (case("Min", [b, a], (0, 1)), np.minimum(a, b)),
        ]  # fmt: skip
        cases += [one for one, _ in rows]
        results += [[np.asarray(wanted)] for _, wanted in rows]
    check_cases(cases, results, tolerance=1e-6)


PERMS = ((0, 2, 3, 1), (3, 0, 1, 2))


@pytest.mark.parametrize("perm", PERMS)
def test_storage_orders(perm: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 3, 4, 5)).astype(np.float32), rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
    channel, choice = rng.normal(size=(3, 1, 1)).astype(np.float32), rng.integers(0, 2, (3, 1, 1)).astype(bool)
    cases: list[Case] = [
        case("Relu", [x]), case("Clip", [x, np.float32(0)]), case("Add", [x, y], (0, 1)), case("Mul", [x, channel]),
        case("Sub", [channel, x], (0, 1)), case("Where", [choice, x, y], (0, 1, 2)),
        case("Max", [x, y, channel], (0, 1, 2)),
        case("Dropout", [x]),
    ]  # fmt: skip
    for one in cases:
        check_stored(one, perm, tolerance=1e-6)


def test_dropout_keeps_everything() -> None:
    x = np.ones((2, 3), np.float32)
    one = case("Dropout", [x, np.float32(0.5), np.array(False)], outputs=2)
    check_cases([one], [[x, np.ones((2, 3), bool)]])


def test_what_is_not_computed_says_so() -> None:
    half = case("Where", [np.array([True]), np.ones(1, np.float16), np.ones(1, np.float16)], (0, 1, 2))
    training = case("Dropout", [np.ones(2, np.float32), np.float32(0.5), np.array(True)])
    for one, words in ((half, "float16"), (training, "training")):
        graph, _ = joined([one], [[np.ones(1, np.asarray(one.arrays[-2]).dtype)]])
        with pytest.raises(UnsupportedError, match=words):
            compile_c(graph)
