import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from qir.errors import DataError, PassError
from qir.ir.dtype import UINT8
from qir.ir.types import Affine
from qir.quant.scales import affine_params, decode, encode
from qir.statistics import RANGE_METHODS, Histogram, value_range

finite = st.floats(-(2.0**100), 2.0**100, width=32)


@given(npst.arrays(np.float32, st.integers(1, 60), elements=finite), st.sampled_from(sorted(RANGE_METHODS)))
def test_ranges_stay_inside_the_data_and_keep_both_sides(array, method):
    low, high = value_range(Histogram.of(array), method)
    assert min(array.min(), 0) <= low <= high <= max(array.max(), 0) or method == "minmax"
    assert (low < 0) == (array.min() < 0)
    assert (high > 0) == (array.max() > 0)


def test_minmax_is_exact():
    assert value_range(Histogram.of(np.array([0.1, -0.3, 7], np.float32)), "minmax") == (np.float32(-0.3), 7)


@pytest.mark.parametrize("p", [50, 90, 99, 99.99])
def test_percentile_counts_each_side(p):
    rng = np.random.default_rng(0)
    array = np.concatenate([rng.normal(size=50_000), -rng.gamma(2, size=20_000)]).astype(np.float32)
    histogram = Histogram.of(array)
    low, high = value_range(histogram, "percentile", p=p)
    for bound, side in ((high, array[array >= 0]), (-low, -array[array < 0])):
        exact = np.quantile(side, p / 100, method="inverted_cdf")
        assert (side <= bound).mean() >= p / 100
        assert exact - 1e-6 <= bound <= exact + 2 * histogram.width


def test_percentile_cuts_outliers_but_never_a_rare_side():
    array = np.concatenate([np.linspace(0, 1, 1_000_000), [-0.5, 2.0]]).astype(np.float32)
    low, high = value_range(Histogram.of(array), "percentile", p=99.9)
    assert low == -0.5
    assert high < 1.01


def test_zeros_do_not_count_for_a_percentile():
    array = np.concatenate([np.zeros(100_000), np.linspace(0.1, 1, 1000)]).astype(np.float32)
    assert value_range(Histogram.of(array), "percentile", p=99.9)[1] > 0.99


def error(array, low, high, bits=8):
    scale, zero_point = affine_params(low, high, UINT8, qmax=2**bits - 1)
    quant = Affine(UINT8, scale, zero_point, qmax=2**bits - 1)
    return np.square(decode(encode(array, quant), quant).astype(np.float64) - array).mean()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("kind", ["normal", "relu", "laplace", "outlier", "uniform"])
def test_mse_is_near_the_best_range(kind, bits):
    rng = np.random.default_rng(3)
    array = rng.laplace(size=50_000) if kind == "laplace" else rng.normal(size=50_000)
    if kind == "relu":
        array = np.maximum(array, 0)
    if kind == "uniform":
        array = rng.uniform(-1, 3, 50_000)
    if kind == "outlier":
        array[0] = 60
    array = array.astype(np.float32)
    found = error(array, *value_range(Histogram.of(array), "mse", bits=bits), bits)
    fractions = np.linspace(0.04, 1, 25)
    best = min(error(array, float(array.min()) * a, float(array.max()) * b, bits) for a in fractions for b in fractions)
    assert found <= best * 1.06


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("kind", ["normal", "relu", "laplace", "outlier"])
def test_octav_finds_what_the_search_finds(kind, bits):
    rng = np.random.default_rng(4)
    array = rng.laplace(size=50_000) if kind == "laplace" else rng.normal(size=50_000)
    if kind == "relu":
        array = np.maximum(array, 0)
    if kind == "outlier":
        array[0] = 60
    histogram = Histogram.of(array.astype(np.float32))
    newton, searched = (error(array, *value_range(histogram, method, bits=bits), bits) for method in ("octav", "mse"))
    assert newton <= searched * 1.06


@pytest.mark.parametrize("method", ["octav", "entropy"])
def test_methods_clip_outliers_but_never_a_rare_side(method):
    rng = np.random.default_rng(5)
    array = np.where(rng.random(100_000) < 1e-4, -2.0, rng.exponential(size=100_000)).astype(np.float32)
    array[:3] = 90
    low, high = value_range(Histogram.of(array), method)
    assert low < -0.5
    assert 3 < high < 90


def test_mse_leaves_a_range_without_tails_alone():
    array = np.random.default_rng(0).uniform(-1, 1, 10_000).astype(np.float32)
    low, high = value_range(Histogram.of(array), "mse")
    assert low < -0.99
    assert high > 0.99


def test_symmetric_mse():
    array = np.random.default_rng(0).laplace(size=100_000).astype(np.float32)
    array[array < -2] = 0
    low, high = value_range(Histogram.of(array), "mse", bits=4, symmetric=True)
    assert low == -high
    candidates = np.linspace(1, 10, 91)
    codes = [np.clip(np.rint(array / (c / 7)), -7, 7) * (c / 7) for c in candidates]
    best = candidates[np.argmin([np.square(c - array).mean() for c in codes])]
    assert abs(high - best) < 0.35


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("kl", {}, "Choose one of entropy, minmax, mse, octav, percentile"),
        ("minmax", {"p": 1}, "no option 'p'"),
        ("percentile", {"q": 1}, "It takes p"),
        ("percentile", {"p": 0}, "p=0"),
        ("mse", {"bits": 1}, "at least 2 bits"),
        ("octav", {"bits": 1}, "at least 2 bits"),
        ("entropy", {"bits": 1}, "at least 2 bits"),
    ],
)
def test_unknown_methods_and_options_are_explained(method, options, message):
    with pytest.raises(PassError, match=message):
        value_range(Histogram.of(np.ones(3)), method, **options)


def test_a_value_without_elements_has_no_range():
    with pytest.raises(DataError, match="without elements"):
        value_range(Histogram(), "minmax")
