"""References of the integer operators against onnxruntime's integer kernels and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.running import codes, onnx_node, reference, small

F32, U8, S8 = np.float32, np.uint8, np.int8
rng = np.random.default_rng(3)


def scalar(value: float, kind: Any = F32) -> np.ndarray:
    return np.array(value, kind)


def plain_requantize(acc: np.ndarray, m: np.ndarray | np.float32, zero: int, qmin: int, qmax: int) -> np.ndarray:
    return np.clip(np.rint(acc.astype(np.int32).astype(F32) * m).astype(np.int64) + zero, qmin, qmax).astype(U8)


CONVS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 7, 6), (4, 3, 3, 3), {"pads": (1, 1, 1, 1)}),
    ((1, 4, 9, 9), (6, 2, 3, 3), {"group": 2, "strides": (2, 2), "pads": (0, 1, 2, 1)}),
    ((1, 5, 8, 8), (5, 1, 3, 3), {"group": 5, "dilations": (2, 2), "pads": (2, 2, 2, 2)}),
    ((3, 2, 11), (4, 2, 5), {"strides": (3,), "pads": (2, 1)}),
    ((1, 2, 4, 5, 6), (3, 2, 2, 1, 3), {"pads": (1, 0, 1, 0, 0, 1)}),
    ((1, 3, 1, 1), (2, 3, 1, 1), {}),
]  # fmt: skip


@pytest.mark.parametrize(("x_shape", "w_shape", "geometry"), CONVS)
@pytest.mark.parametrize("zero", [0, 113, 255])
def test_conv(x_shape: tuple[int, ...], w_shape: tuple[int, ...], geometry: dict[str, Any], zero: int) -> None:
    """Accumulators are ConvInteger's; the bias holds what the zero point subtracts."""
    x, w, bias = codes(*x_shape), small(*w_shape), rng.integers(-3000, 3000, w_shape[0]).astype(np.int32)
    m = rng.uniform(0.0005, 0.01, w_shape[0]).astype(F32)
    # u8 x u8 has no kernel that saturates: the weight moved by 128, and so its zero point
    unsigned = (w.astype(np.int16) + 128).astype(U8)
    lists = {key: list(value) if isinstance(value, tuple) else value for key, value in geometry.items()}
    acc = onnx_node("ConvInteger", [x, unsigned, scalar(zero, U8), scalar(128, U8)], lists)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    acc = acc + bias.reshape(shape)
    folded = (bias - zero * w.astype(np.int32).reshape(w_shape[0], -1).sum(1)).astype(np.int32)
    found = reference("qir.IntConv", [x, w, folded, m], x_zero_point=zero, y_zero_point=7, qmin=0, qmax=250, **geometry)
    np.testing.assert_array_equal(found, plain_requantize(acc, m.reshape(shape), 7, 0, 250))
    real = reference("qir.IntConv", [x, w, folded, m], x_zero_point=zero, **geometry)
    np.testing.assert_array_equal(real, acc.astype(F32) * m.reshape(shape))


def test_conv_is_onnxruntimes_qlinearconv() -> None:
    x, w, bias = codes(1, 3, 8, 8), small(4, 3, 3, 3), rng.integers(-3000, 3000, 4).astype(np.int32)
    x_scale, y_scale, w_scale = F32(0.02), F32(0.7), rng.uniform(0.01, 0.05, 4).astype(F32)
    operands = [x, scalar(x_scale), scalar(99, U8), w, w_scale, np.zeros(4, S8), scalar(y_scale), scalar(31, U8), bias]
    expected = onnx_node("QLinearConv", operands, {"pads": [1, 1, 1, 1]})
    folded = (bias - 99 * w.astype(np.int32).reshape(4, -1).sum(1)).astype(np.int32)
    m = (x_scale * w_scale) / y_scale
    attrs = {"pads": (1, 1, 1, 1), "x_zero_point": 99, "y_zero_point": 31, "qmin": 0, "qmax": 255}
    np.testing.assert_array_equal(reference("qir.IntConv", [x, w, folded, m], **attrs), expected)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "geometry"),
    [
        ((2, 3, 4, 5), (3, 4, 3, 3), {"strides": (2, 2), "pads": (1, 1, 1, 1), "output_padding": (1, 0)}),
        ((1, 4, 5, 5), (4, 3, 2, 3), {"group": 2, "dilations": (2, 1)}),
        ((1, 2, 6), (2, 2, 4), {"strides": (3,), "pads": (0, 2)}),
        ((1, 2, 6), (2, 2, 1), {"strides": (3,)}),
        ((1, 2, 4), (2, 1, 3), {"strides": (2,), "output_shape": (8,), "auto_pad": "SAME_UPPER"}),
        ((1, 2, 4), (2, 1, 3), {"strides": (2,), "output_shape": (10,)}),
    ],
)
def test_conv_transpose(x_shape: tuple[int, ...], w_shape: tuple[int, ...], geometry: dict[str, Any]) -> None:
    x, w = codes(*x_shape), small(*w_shape)
    channels = w_shape[1] * geometry.get("group", 1)
    bias, m = rng.integers(-900, 900, channels).astype(np.int32), rng.uniform(0.001, 0.02, channels).astype(F32)
    lists = {key: list(value) if isinstance(value, tuple) else value for key, value in geometry.items()}
    centred = x.astype(F32) - 77  # all sums stay below 2^24, where float32 is exact
    acc = onnx_node("ConvTranspose", [centred, w.astype(F32), bias.astype(F32)], lists)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    attrs = {"x_zero_point": 77, "y_zero_point": 40, "qmin": 5, "qmax": 255}
    found = reference("qir.IntConvTranspose", [x, w, bias, m], **attrs, **geometry)
    np.testing.assert_array_equal(found, plain_requantize(acc, m.reshape(shape), 40, 5, 255))


@pytest.mark.parametrize("lead", [(5,), (2, 3), ()])
def test_gemm(lead: tuple[int, ...]) -> None:
    x, w, bias = codes(*lead, 12), small(12, 7), rng.integers(-9000, 9000, 7).astype(np.int32)
    m = rng.uniform(0.0005, 0.01, 7).astype(F32)
    acc = np.array([[sum(int(a) * int(b) for a, b in zip(row, col, strict=True)) for col in w.T]
                    for row in x.reshape(-1, 12)]).reshape(*lead, 7) + bias  # fmt: skip
    found = reference("qir.IntGemm", [x, w, bias, m], y_zero_point=128, qmin=0, qmax=255)
    np.testing.assert_array_equal(found, plain_requantize(acc, m, 128, 0, 255))
    np.testing.assert_array_equal(reference("qir.IntGemm", [x, w, bias, m]), acc.astype(F32) * m)


def test_gemm_is_onnxruntimes_qgemm() -> None:
    x, w, bias = codes(6, 16), small(16, 5), rng.integers(-9000, 9000, 5).astype(np.int32)
    x_scale, y_scale, w_scale = F32(0.02), F32(0.9), rng.uniform(0.01, 0.05, 5).astype(F32)
    operands = [x, scalar(x_scale), scalar(120, U8), w, w_scale, np.zeros(5, S8), bias, scalar(y_scale), scalar(9, U8)]
    expected = onnx_node("QGemm", operands, {"transB": 0}, "com.microsoft")
    folded = (bias - 120 * w.astype(np.int32).sum(0)).astype(np.int32)
    found = reference("qir.IntGemm", [x, w, folded, (x_scale * w_scale) / y_scale], y_zero_point=9, qmin=0, qmax=255)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("a", "b"), [((4, 6), (6, 3)), ((2, 1, 4, 6), (3, 6, 5)), ((2, 4, 6), (2, 6, 1))])
def test_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = codes(*a), codes(*b, seed=9)
    acc = onnx_node("MatMulInteger", [left, right, scalar(130, U8), scalar(121, U8)])
    attrs = {"a_zero_point": 130, "b_zero_point": 121, "multiplier": 0.0013}
    found = reference("qir.IntMatMul", [left, right], **attrs, y_zero_point=100, qmin=0, qmax=255)
    np.testing.assert_array_equal(found, plain_requantize(acc, F32(0.0013), 100, 0, 255))
    np.testing.assert_array_equal(reference("qir.IntMatMul", [left, right], **attrs), acc.astype(F32) * F32(0.0013))


@pytest.mark.parametrize(("a", "b"), [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((1,), (5, 2))])
@pytest.mark.parametrize("seed", range(3))
def test_add_is_onnxruntimes_but_for_ties(a: tuple[int, ...], b: tuple[int, ...], seed: int) -> None:
    """onnxruntime's order of the float32 steps depends on the processor, so a code may differ where halves are near."""
    random = np.random.default_rng(seed)
    left, right = codes(*a, seed=seed), codes(*b, seed=seed + 9)
    sa, sb, sy = random.uniform(0.01, 0.1, 3).astype(F32)
    za, zb, zy = (int(z) for z in random.integers(0, 256, 3))
    operands = [left, scalar(sa), scalar(za, U8), right, scalar(sb), scalar(zb, U8), scalar(sy), scalar(zy, U8)]
    expected = onnx_node("QLinearAdd", operands, None, "com.microsoft")
    offset = F32(zy) - (sa / sy * F32(za) + sb / sy * F32(zb))
    attrs = {"a_multiplier": float(sa / sy), "b_multiplier": float(sb / sy), "offset": float(offset)}
    found = reference("qir.IntAdd", [left, right], **attrs, qmin=0, qmax=255)
    exact = (sa * (left.astype(np.float64) - za) + sb * (right.astype(np.float64) - zb)) / sy
    tie = np.abs(exact - np.floor(exact) - 0.5) < 1e-4
    np.testing.assert_array_equal(found[~tie], expected[~tie])
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("seed", range(3))
def test_mul_is_onnxruntimes_but_for_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    left, right = codes(4, 5, seed=seed), codes(3, 1, 5, seed=seed + 9)
    sa, sb, sy = random.uniform(0.01, 0.1, 3).astype(F32)
    za, zb, zy = (int(z) for z in random.integers(0, 256, 3))
    operands = [left, scalar(sa), scalar(za, U8), right, scalar(sb), scalar(zb, U8), scalar(sy), scalar(zy, U8)]
    expected = onnx_node("QLinearMul", operands, None, "com.microsoft")
    attrs = {"a_zero_point": za, "b_zero_point": zb, "multiplier": float(F32(sa * sb) / sy)}
    found = reference("qir.IntMul", [left, right], **attrs, y_zero_point=zy, qmin=0, qmax=255)
    exact = (left.astype(np.float64) - za) * (right.astype(np.float64) - zb) * float(sa) * float(sb) / float(sy)
    tie = np.abs(exact - np.floor(exact) - 0.5) < 1e-4
    np.testing.assert_array_equal(found[~tie], expected[~tie])


POOLS: list[dict[str, Any]] = [
    {"kernel_shape": (2, 2), "strides": (2, 2)},
    {"kernel_shape": (3, 2), "pads": (1, 1, 1, 0), "count_include_pad": 1},
    {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)},
    {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (1, 0, 1, 1), "ceil_mode": 1},
    {"kernel_shape": (3, 3), "strides": (2, 3), "pads": (1, 0, 1, 1), "ceil_mode": 1, "count_include_pad": 1},
    {"kernel_shape": (2, 2), "dilations": (2, 3), "strides": (1, 2)},
]  # fmt: skip


@pytest.mark.parametrize("geometry", POOLS)
@pytest.mark.parametrize("zero", [0, 200])
def test_average_pool(geometry: dict[str, Any], zero: int) -> None:
    """Against onnxruntime's float pool on dequantized codes."""
    x = codes(2, 3, 8, 7)
    lists = {key: list(value) if isinstance(value, tuple) else value for key, value in geometry.items()}
    mean = onnx_node("AveragePool", [(x.astype(F32) - zero)], lists).astype(np.float64)
    exact = mean * 1.3 + 12
    attrs = {"x_zero_point": zero, "multiplier": 1.3, "y_zero_point": 12, "qmin": 0, "qmax": 255}
    found = reference("qir.IntAveragePool", [x], **geometry, **attrs)
    tie = np.abs(exact - np.floor(exact) - 0.5) < 1e-4
    assert tie.mean() < 0.2
    np.testing.assert_array_equal(found[~tie], np.clip(np.rint(exact), 0, 255)[~tie])


def test_average_pool_is_onnxruntimes_qlinear_one() -> None:
    x = codes(1, 2, 6, 6)
    operands = [x, scalar(0.05), scalar(70, U8), scalar(0.041), scalar(80, U8)]
    expected = onnx_node("QLinearAveragePool", operands, {"kernel_shape": [3, 3], "pads": [1] * 4}, "com.microsoft")
    attrs = {"x_zero_point": 70, "multiplier": float(F32(0.05) / F32(0.041)), "y_zero_point": 80}
    found = reference("qir.IntAveragePool", [x], kernel_shape=(3, 3), pads=(1,) * 4, qmin=0, qmax=255, **attrs)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert (found == expected).mean() > 0.97


@pytest.mark.parametrize(("axes", "keep"), [((2, 3), 1), ((2, 3), 0), ((-1,), 0), ((0, 1, 2, 3), 1)])
def test_mean(axes: tuple[int, ...], keep: int) -> None:
    x = codes(2, 3, 5, 7)
    attrs = {"x_zero_point": 19, "multiplier": 0.87, "y_zero_point": 3, "qmin": 0, "qmax": 255}
    found = reference("qir.IntMean", [x], axes=axes, keepdims=keep, **attrs)
    exact = np.mean(x.astype(np.float64) - 19, axis=axes, keepdims=bool(keep)) * float(F32(0.87)) + 3
    np.testing.assert_array_equal(found, np.clip(np.rint(exact), 0, 255))


def test_quantize_and_dequantize_are_onnxs() -> None:
    x = np.concatenate([rng.normal(0, 3, 500), [1e30, -1e30, 0, 0.05, 0.15, -0.05]]).astype(F32)
    q = reference("qir.Quantize", [x], scale=0.1, zero_point=17, qmin=0, qmax=255)
    np.testing.assert_array_equal(q, onnx_node("QuantizeLinear", [x, scalar(0.1), scalar(17, U8)]))
    back = reference("qir.Dequantize", [q], scale=0.1, zero_point=17)
    np.testing.assert_array_equal(back, onnx_node("DequantizeLinear", [q, scalar(0.1), scalar(17, U8)]))


def test_quantize_keeps_to_narrow_codes() -> None:
    found = reference("qir.Quantize", [np.array([-9, 0, 9], F32)], scale=0.1, zero_point=17, qmin=10, qmax=40)
    assert found.tolist() == [10, 17, 40]


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_dequantize_along_an_axis(axis: int) -> None:
    q, count = small(4, 3), (4, 3)[axis]
    scale, zero = rng.uniform(0.1, 1, count).astype(F32), rng.integers(-9, 9, count).astype(S8)
    found = reference(
        "qir.Dequantize", [q], scale=tuple(map(float, scale)), zero_point=tuple(map(int, zero)), axis=axis
    )
    np.testing.assert_array_equal(found, onnx_node("DequantizeLinear", [q, scale, zero], {"axis": axis}))


def test_lookup() -> None:
    x, table = codes(3, 4), codes(256, seed=5)
    np.testing.assert_array_equal(reference("qir.Lookup", [x, table]), np.take(table, x))
