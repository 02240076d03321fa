import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from qir.errors import DataError
from qir.ir.dtype import INT4, INT8, INT16, INT32, UINT4, UINT8, UINT16
from qir.ir.types import Affine
from qir.quant.scales import affine_params, bias_params, decode, dequantize, encode, quantize, weight_params

WEIGHTS = np.array([0.8, -0.5, 1.2, -0.3])
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
storages = st.sampled_from([INT4, UINT4, INT8, UINT8, INT16, UINT16])


def test_min_max_example_of_the_tutorial():
    scale, zero_point = affine_params(WEIGHTS.min(), WEIGHTS.max(), UINT8)
    assert scale == np.float32(1.7 / 255)
    assert zero_point == 75
    assert quantize(WEIGHTS, scale, zero_point, 0, 255, UINT8).tolist() == [195, 0, 255, 30]


@given(finite, finite, storages, st.booleans(), st.booleans())
def test_parameters_are_sound_for_any_range(a, b, storage, symmetric, power_of_two):
    low, high = min(a, b), max(a, b)
    scale, zero_point = affine_params(low, high, storage, symmetric=symmetric, power_of_two=power_of_two)
    assert scale.dtype == np.float32
    assert np.isfinite(scale)
    assert scale >= np.finfo(np.float32).tiny
    assert storage.min <= zero_point <= storage.max
    quant = Affine(storage, scale, zero_point)
    assert decode(encode(np.zeros(1, np.float32), quant), quant)[0] == 0
    if power_of_two:
        assert np.frexp(scale)[0] == 0.5
    if symmetric:
        assert zero_point == (0 if storage.kind == "int" else 1 << (storage.bits - 1))


@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32), storages, st.booleans(), st.data())
def test_values_of_the_range_come_back_within_a_step(a, b, storage, symmetric, data):
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    scale, zero_point = affine_params(low, high, storage, symmetric=symmetric)
    quant = Affine(storage, scale, zero_point)
    x = np.float32(data.draw(st.floats(low, high, width=32)))
    codes = encode(x, quant)
    assert codes.dtype == storage.numpy
    assert storage.min <= int(codes) <= storage.max
    # Rounding the zero point moves an end of the range by up to half a step; x costs another half.
    error = abs(float(decode(codes, quant)) - float(x))
    assert error <= float(scale) * (1 + 1e-4) + 2e-6 * abs(float(x))


def test_channels_are_independent():
    low, high = np.array([-1.0, 0.0, -3.0]), np.array([1.0, 5.0, 0.0])
    scale, zero_point = affine_params(low, high, INT8, qmin=-100, qmax=100)
    each = [affine_params(a, b, INT8, qmin=-100, qmax=100) for a, b in zip(low, high, strict=True)]
    assert scale.tolist() == [float(s) for s, _ in each]
    assert zero_point.tolist() == [int(z) for _, z in each]


@pytest.mark.parametrize(("low", "high"), [(float("nan"), 1), (0, float("inf")), (2, 1)])
def test_bad_ranges_are_refused(low, high):
    with pytest.raises(DataError, match="range is"):
        affine_params(low, high, UINT8)


@pytest.mark.parametrize(
    ("storage", "bits", "codes"),
    [(INT8, None, (-127, 127)), (UINT8, None, (1, 255)), (INT8, 7, (-63, 63)), (INT4, None, (-7, 7))],
)
def test_symmetric_weights_leave_out_the_lowest_code(storage, bits, codes):
    weight = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    quant = weight_params(weight, storage, axis=1, bits=bits)
    assert (quant.qmin, quant.qmax) == codes
    assert quant.scale.shape == (3,)
    largest = np.abs(weight).max(axis=(0, 2))
    assert np.allclose(quant.scale * (codes[1] - quant.zero_point), largest)
    assert np.abs(decode(encode(weight, quant), quant) - weight).max() <= quant.scale.max() / 2 * (1 + 1e-6)


def test_asymmetric_weights_use_every_code():
    quant = weight_params(np.array([0.0, 2.55]), UINT8, symmetric=False)
    assert (quant.qmin, quant.qmax, int(quant.zero_point)) == (0, 255, 0)
    assert encode(np.array([0.0, 2.55]), quant).tolist() == [0, 255]


def test_channel_of_zeros_takes_a_fine_scale():
    weight = np.array([[0.0, 0.0], [1.27, 0.1], [0.5, -12.7]])
    assert np.allclose(weight_params(weight, INT8, 0).scale, [0.01, 0.01, 0.1])
    assert weight_params(np.zeros((2, 2)), INT8, 0).scale.tolist() == [np.float32(1 / 127)] * 2


def test_halves_go_to_even_and_codes_saturate():
    x = np.array([-1e30, -1.5, -0.5, 0.5, 1.5, 2.5, 1e30, 3e38], np.float32)
    assert quantize(x, 1.0, 3, 0, 255, UINT8).tolist() == [0, 1, 3, 3, 5, 5, 255, 255]
    assert quantize(x, 1e-38, 0, -127, 127, INT8).tolist() == [-127, -127, -127, 127, 127, 127, 127, 127]


def test_blocks_along_an_axis():
    scale = np.array([[1.0, 10.0], [2.0, 20.0]], np.float32)
    quant = Affine(INT8, scale, np.zeros((2, 2)), axis=1, block_size=2)
    x = np.array([[1.0, 2.0, 30.0], [4.0, 6.0, 80.0]], np.float32)
    assert encode(x, quant).tolist() == [[1, 2, 3], [2, 3, 4]]
    assert (decode(encode(x, quant), quant) == x).all()


@pytest.mark.parametrize("storage", [UINT8, INT8, UINT16, INT16])
@pytest.mark.parametrize("axis", [None, 1])
def test_equals_onnxruntime(storage, axis):
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(1)
    x = rng.normal(scale=3, size=(7, 5, 64)).astype(np.float32)
    x[0, 0, :9] = [0, 0.5, 1.5, -0.5, 1e9, -1e9, 1e-30, 0.05, 0.15]
    size = () if axis is None else (5,)
    scale = (rng.uniform(1e-4, 0.1, size)).astype(np.float32)
    zero = rng.integers(storage.min, storage.max, size).astype(storage.numpy)
    helper, array = onnx.helper, onnx.numpy_helper.from_array
    attrs = {} if axis is None else {"axis": axis}
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attrs),
         helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **attrs)],
        "g", [helper.make_tensor_value_info("x", 1, x.shape)],
        [helper.make_tensor_value_info("q", onnx.helper.np_dtype_to_tensor_dtype(storage.numpy), x.shape),
         helper.make_tensor_value_info("y", 1, x.shape)],
        [array(scale, "s"), array(zero, "z")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    q, y = ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    codes = quantize(x, scale, zero.astype(np.int32), storage.min, storage.max, storage, axis)
    assert np.array_equal(codes, q)
    assert np.array_equal(dequantize(codes, scale, zero.astype(np.int32), axis), y)


@given(
    npst.arrays(np.float32, 4, elements=st.floats(-1e6, 1e6, width=32)),
    st.floats(2.0**-66, 8, width=32),
    npst.arrays(np.float32, st.sampled_from([(), (4,)]), elements=st.floats(2.0**-126, 1, width=32)),
    st.sampled_from([0, 2**30]),
)
def test_bias_fits_and_is_accurate(bias, input_scale, weight_scale, headroom):
    codes, scale, adjusted = bias_params(bias, input_scale, weight_scale, headroom=headroom)
    assert codes.dtype == np.int32
    assert np.abs(codes.astype(np.int64)).max() <= 2**31 - 1 - headroom
    assert scale.shape == adjusted.shape == weight_scale.shape
    assert (adjusted >= weight_scale).all()
    assert (scale == np.float32(input_scale) * adjusted).all()
    assert (np.abs(codes * scale.astype(np.float64) - bias) <= scale * 0.5000001).all()


def test_bias_guard_only_touches_what_overflows():
    codes, scale, adjusted = bias_params(np.array([0.5, 3.0]), 1e-5, np.array([1e-2, 1e-6], np.float32))
    assert adjusted[0] == np.float32(1e-2)
    assert codes[0] == np.rint(0.5 / float(scale[0]))
    smallest = 1.0001 * 2 * 3.0 / (2**32 - 2)
    assert np.isclose(scale[1], smallest, rtol=1e-6)
    assert np.isclose(adjusted[1], smallest / 1e-5, rtol=1e-6)


def test_bias_without_room_is_refused():
    with pytest.raises(DataError, match="overflow a 32-bit accumulator"):
        bias_params(np.ones(1), 1.0, 1.0, headroom=2**31)


def test_int32_storage_saturates_exactly():
    assert quantize(np.array([3e9, -3e9], np.float32), 1.0, 0, INT32.min, INT32.max, INT32).tolist() == [
        INT32.max,
        INT32.min,
    ]
