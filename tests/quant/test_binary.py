import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from qir.quant.binary import binary_codes, binary_scale


def test_examples_of_the_tutorial():
    assert binary_codes(np.array([0.8, -0.5, 1.2, -0.3])).tolist() == [1, -1, 1, -1]
    assert binary_codes(np.array([0.6, -0.2, 0.9, -0.7])).tolist() == [1, -1, 1, -1]


def test_sign_of_zero_is_plus():
    assert binary_codes(np.array([0.0, -0.0])).tolist() == [1, 1]


@given(npst.arrays(np.float32, (3, 5), elements=st.floats(-8, 8, width=16)), st.floats(0.5, 1.5))
def test_scale_is_the_best_one(weight, other):
    codes, scale = binary_codes(weight), binary_scale(weight, 0)
    assert codes.dtype == np.int8
    error = np.square(weight - codes * scale[:, None]).sum(1)
    worse = np.square(weight - codes * (scale * other)[:, None]).sum(1)
    assert ((error <= worse + 1e-4) | ~weight.any(axis=1)).all()


def test_zeros_have_a_positive_scale():
    assert binary_scale(np.zeros((2, 2))) == 1
    assert binary_scale(np.array([[2.0, -4.0], [0.0, 0.0]]), 0).tolist() == [3, 1]
