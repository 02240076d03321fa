"""ONNX's own quantized operators against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Case, case, check_cases
from onnx_results import check_with_onnxruntime, results
from test_conv_f32 import reals


def codes(seed: int, shape: tuple[int, ...], kind: str = "uint8") -> np.ndarray:
    info = np.iinfo(kind)
    return np.random.default_rng(seed).integers(info.min, info.max, shape, endpoint=True).astype(kind)


def positive(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.abs(reals(seed, shape)) / 50 + np.float32(0.001)


def check_exactly(cases: list[Case]) -> None:
    """Compares with onnx's own evaluation: onnxruntime saturates products of uint8 and int8 on some processors."""
    check_cases(cases, [results(one, exact=True) for one in cases])


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16"])
def test_quantize_and_dequantize(kind: str) -> None:
    x = np.concatenate(
        [reals(0, (3, 4, 9)), np.array([np.inf, -np.inf, 1e30, -0.0, 0.5, 1.5] * 6, np.float32).reshape(3, 4, 3)], 2
    )
    one, many = (np.float32(0.5), codes(1, (), kind)), (positive(2, (4,)), codes(3, (4,), kind))
    blocks = (positive(4, (3, 4, 3)), codes(5, (3, 4, 3), kind))
    cases = []
    for op, data in (("QuantizeLinear", x), ("DequantizeLinear", codes(6, x.shape, kind))):
        cases += [
            case(op, (data, np.asarray(one[0]), one[1])),
            case(op, (data, *many), axis=1),
            case(op, (data, *many), (0, 1, 2), axis=-2),
            case(op, (data, *blocks), axis=2, block_size=4),
        ]
    check_with_onnxruntime(cases, 1e-6)


def test_dequantize_accumulators_and_dynamic_quantization() -> None:
    cases = [case("DequantizeLinear", (codes(0, (3, 5), "int32"), np.array(1e-5, np.float32)))]
    for seed, array in enumerate(
        (reals(1, (3, 7)), reals(2, (9,)) + 20, -reals(3, (4, 4)) - 9, np.zeros((2, 2), np.float32))
    ):
        cases += [case("DynamicQuantizeLinear", (array,), outputs=3)] * (1 + seed % 2)
    check_with_onnxruntime(cases, 1e-6)


def test_integer_products() -> None:
    zero = [np.array(v, np.uint8) for v in (7, 130)]
    cases = [
        case("MatMulInteger", (codes(0, (3, 8)), codes(1, (8, 5)))),
        case(
            "MatMulInteger", (codes(2, (2, 3, 8)), codes(3, (2, 8, 5), "int8"), zero[0], np.array(-3, np.int8)), (0, 1)
        ),
        case("MatMulInteger", (codes(4, (4, 8)), codes(5, (8, 5)), zero[0], codes(6, (5,)))),
        case("ConvInteger", (codes(7, (1, 4, 7, 6)), codes(8, (3, 4, 3, 2)), *zero), pads=(1, 0, 1, 1), strides=(2, 1)),
        case("ConvInteger", (codes(9, (2, 4, 9)), codes(10, (6, 2, 3), "int8"), zero[1]), group=2),
    ]
    check_exactly(cases)


def test_requantized_products() -> None:
    scales = [np.array(v, np.float32) for v in (0.02, 0.03, 0.9)]
    zeros = [np.array(v, np.uint8) for v in (7, 130, 90)]
    signed = [np.array(v, np.int8) for v in (-7, 0, 9)]
    cases = [
        case(
            "QLinearMatMul",
            (codes(0, (3, 8)), scales[0], zeros[0], codes(1, (8, 5)), scales[1], zeros[1], scales[2], zeros[2]),
        ),
        case(
            "QLinearMatMul",
            (
                codes(2, (2, 3, 8), "int8"),
                scales[0],
                signed[0],
                codes(3, (2, 8, 5), "int8"),
                scales[1],
                signed[1],
                scales[2],
                signed[2],
            ),
            (0, 3),
        ),
        case(
            "QLinearConv",
            (
                codes(4, (1, 4, 7, 6)),
                scales[0],
                zeros[0],
                codes(5, (3, 4, 3, 2), "int8"),
                positive(6, (3,)),
                np.zeros(3, np.int8),
                scales[2],
                zeros[2],
                codes(7, (3,), "int16").astype(np.int32),
            ),
            pads=(1, 0, 1, 1),
        ),
        case(
            "QLinearConv",
            (codes(8, (2, 4, 9)), scales[0], zeros[0], codes(9, (4, 1, 3)), scales[1], zeros[1], scales[2], zeros[2]),
            (0,),
            group=4,
        ),
    ]
    check_exactly(cases)
    check_cases(
        [case("MatMulInteger", (codes(1, (4,)), codes(2, (4, 3))))],
        [[codes(1, (4,)).astype(np.int32) @ codes(2, (4, 3)).astype(np.int32)]],
    )
