"""recognize-codes: weights on a grid get codes, and nothing is rounded."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.dtype import INT4, INT8
from qir.ir.graph import Constant, Graph
from qir.ir.types import Affine, TensorType
from qir.quant.scales import decode
from tests.passes.graphs import apply, net, normal, quantized, unchanged

SIGNS = np.where(normal(8, 3) > 0, np.float32(1), np.float32(-1))
TERNARY = np.sign(np.rint(normal(8, 3)))
SCALES = np.array([0.1, 1.7, 3e-5], np.float32)


def layer(weight: np.ndarray, call: str = "MatMul(x, w)") -> Graph:
    return quantized(net(f"(float[4,8] x) => (float[4,3] y) {{ y = {call} }}", w=weight), "x")


def recognized(weight: np.ndarray, call: str = "MatMul(x, w)") -> Affine:
    """The codes found, which say exactly what the weight was."""
    after = apply("recognize-codes", layer(weight, call), tolerance=0)
    quant, constant = after.tensor("w").quant, after.constants["w"]
    assert quant is not None
    assert constant.codes is not None
    np.testing.assert_array_equal(decode(constant.codes, quant), weight)
    return quant


def test_signs() -> None:
    assert Affine(INT4, SCALES, [0, 0, 0], 1, rounding="binary") == recognized(SIGNS * SCALES)


def test_signs_of_a_transposed_weight() -> None:
    found = recognized(np.ascontiguousarray((SIGNS * SCALES).T), "Gemm<transB=1>(x, w)")
    assert Affine(INT4, SCALES, [0, 0, 0], 0, rounding="binary") == found


def test_signs_and_zeros() -> None:
    weight = TERNARY * SCALES
    weight[:, 2] = 0  # a channel of zeros takes the smallest scale of the others
    assert Affine(INT4, [0.1, 1.7, 0.1], [0, 0, 0], 1, qmin=-1, qmax=1) == recognized(weight)


@pytest.mark.parametrize("most", range(2, 8))
def test_small_multiples(most: int) -> None:
    codes = np.random.default_rng(most).integers(-most, most + 1, (8, 3))
    codes[0], codes[1] = 1, -most
    found = recognized(codes.astype(np.float32) * SCALES)
    assert (-most, most) == (found.qmin, found.qmax)
    np.testing.assert_array_equal(found.scale, SCALES)


@pytest.mark.parametrize(
    "weight",
    [normal(8, 3), np.zeros((8, 3), np.float32), np.full((8, 3), np.inf, np.float32),
     (np.arange(24).reshape(8, 3) % 17 - 8).astype(np.float32),  # 8 has no negative partner in 4 bits
     np.where(SIGNS > 0, np.float32(1), np.float32(-0.7))],
)  # fmt: skip
def test_weights_on_no_such_grid_stay_real(weight: np.ndarray) -> None:
    assert unchanged("recognize-codes", layer(weight))


def test_weights_of_layers_on_reals_stay_real() -> None:
    graph = net("(float[4,8] x) => (float[4,3] z) { y = MatMul(x, w) z = Neg(y) }", w=SIGNS)
    assert unchanged("recognize-codes", graph)
    assert unchanged("recognize-codes", quantized(graph, "y"))


@pytest.mark.parametrize(("codes", "found"), [(SIGNS, "binary"), (TERNARY, "nearest"), (TERNARY * 2, None)])
def test_codes_that_are_wider_than_what_they_hold(codes: np.ndarray, found: str | None) -> None:
    """Codes in a file are int8, whatever they were before."""
    quant = Affine(INT8, SCALES, [0, 0, 0], 1)
    graph = layer(decode(codes.astype(np.int8), quant))
    constants = {"w": Constant(graph.constants["w"].value, codes.astype(np.int8))}
    types = {**graph.types, "w": TensorType(graph.tensor("w").dtype, (8, 3), quant)}
    graph = graph.with_(constants=constants, types=types)
    if found is None:
        assert unchanged("recognize-codes", graph)
        return
    narrow = apply("recognize-codes", graph, tolerance=0).tensor("w").quant
    assert narrow is not None
    assert (found, -1, 1, INT8) == (narrow.rounding, narrow.qmin, narrow.qmax, narrow.storage)
