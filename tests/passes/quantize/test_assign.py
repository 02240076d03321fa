"""Which codes values get: shared ones, fixed ranges, clamps that are the codes' own, constants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.evaluate import evaluate
from qir.ir.dtype import FLOAT32, INT8, UINT8, DType
from qir.ir.graph import Stage
from qir.ir.types import Affine, Rounding, TensorType
from qir.onnxio.export import export
from qir.passes.quantize.clamp import fit, is_absorbed
from qir.passmanager.registry import parse_pipeline
from qir.quant.scales import affine_params, encode
from qir.recipe import Recipe
from tests.passes.graphs import net, normal, ops
from tests.passes.quantize.quantizing import ACTIVATIONS, ALL, TARGETS, apply, codes, context, quant
from tests.passes.quantize.test_placement import AGAIN, CONV, image_net


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (f"{CONV} t = Transpose<perm=[0,1,3,2]>(c) y {AGAIN}(t, w2)", "t"),
        (f"{CONV} t = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(c) y {AGAIN}(t, w2)", "t"),
        (f"{CONV} t = Reshape(c, sizes) y {AGAIN}(t, w2)", "t"),
        (f"{CONV} s, t = Split<num_outputs=2, axis=2>(c) u = Concat<axis=2>(t, s) y {AGAIN}(u, w2)", "s"),
        (f"{CONV} s, t = Split<num_outputs=2, axis=2>(c) u = Concat<axis=2>(t, s) y {AGAIN}(u, w2)", "t"),
    ],
)
def test_what_only_moves_codes_shares_them(body: str, result: str) -> None:
    constants = {"sizes": np.array([1, 4, 8, 8])} if "sizes" in body else {}
    graph = apply(ACTIVATIONS, image_net(body, **constants))
    assert quant(graph, "c") is not None
    assert quant(graph, result) == quant(graph, "c")


@pytest.mark.parametrize("rounding", ["binary", "ternary"])
@pytest.mark.parametrize("where", TARGETS)
def test_what_moves_signs_of_a_far_threshold_leaves_them(where: str, rounding: Rounding) -> None:
    """Rounded once more by the threshold, all of them would be low."""
    far = Affine(INT8, np.float32(0.5), np.zeros((), np.int32), rounding=rounding, threshold=np.float32(0.75))
    before = image_net(f"{CONV} t = MaxPool<kernel_shape=[2,2]>(c) y {AGAIN}(t, w2)", result="float[1,4,7,7] y")
    before = before.with_(types={**before.types, "c": TensorType(FLOAT32, (1, 4, 8, 8), far)}, stage=Stage.QUANT)
    after = apply(ACTIVATIONS, before, where)
    found = evaluate(after, {"x": normal(1, 4, 8, 8)}, taps=["c", "t"])
    assert len(np.unique(found["c"])) == far.levels
    windows = np.lib.stride_tricks.sliding_window_view(found["c"], (2, 2), axis=(2, 3))
    np.testing.assert_array_equal(windows.max(axis=(4, 5)), found["t"])


@pytest.mark.parametrize("where", TARGETS)
def test_indices_of_a_pool_are_no_codes(where: str) -> None:
    body = f"{CONV} t, i = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(c) y {AGAIN}(t, w2)"
    before = image_net(body, result="float[1,4,8,8] y, int64[1,4,8,8] i")
    graph = apply(ACTIVATIONS, before, where)
    assert quant(graph, "i") is None
    evaluate(graph, {"x": normal(1, 4, 8, 8)})


@pytest.mark.parametrize(("op", "scale", "zero"), [("Sigmoid", 1 / 256, 0), ("Tanh", 1 / 128, 128)])
def test_fixed_ranges(op: str, scale: float, zero: int) -> None:
    found = quant(apply(ACTIVATIONS, image_net(f"{CONV} s = {op}(c) y {AGAIN}(s, w2)")), "s")
    assert found is not None
    assert (float(found.scale), int(found.zero_point)) == (scale, zero)


@pytest.mark.parametrize("name", ["Conv", "glob"])
def test_a_range_of_the_recipe_replaces_the_calibrated_one(name: str) -> None:
    graph = image_net(f"{CONV} s = Sigmoid(c) y {AGAIN}(s, w2)")
    match = "Conv" if name == "Conv" else f"{graph.nodes[0].name}*"
    found = quant(apply(ACTIVATIONS, graph, "onnx", Recipe().with_override(match, range=(-1.0, 4.1))), "c")
    assert found is not None
    assert float(found.scale) == pytest.approx(5.1 / 255)
    assert int(found.zero_point) == 50


def test_symmetric_codes_have_their_zero_in_the_middle() -> None:
    graph = apply("calibrate{method=minmax},quantize{symmetric=true}", image_net(f"{CONV} y = Softmax(c)"), "onnx")
    assert {int(graph.tensor(name).quant.zero_point) for name in ("x", "c")} == {128}  # type: ignore[union-attr]


@pytest.mark.parametrize("where", TARGETS)
def test_a_constant_with_two_uses_is_duplicated(where: str) -> None:
    body = f"{CONV} s = Add(c, k) t = Mul(s, k) u = Sin(k) d {AGAIN}(t, w2) y = Add(d, u)"
    before = image_net(body, k=normal(1, 4, 8, 8, seed=9))
    graph = apply(ACTIVATIONS, before, where)
    used = {name for node in graph.nodes for name in node.inputs if name in graph.constants and name[0] == "k"}
    assert len(used) == 3
    assert quant(graph, "k") is None
    for name in used - {"k"}:
        assert quant(graph, name) is not None
        assert graph.constants[name].codes is not None


def test_a_constant_that_is_a_result_stays_as_it_is() -> None:
    before = image_net(
        f"{CONV} s = Add(c, k) y {AGAIN}(s, w2)", "float[1,4,8,8] y, float[1,4,1,1] k", k=normal(1, 4, 1, 1)
    )
    after = apply(ACTIVATIONS, before)
    np.testing.assert_array_equal(evaluate(after, {"x": normal(1, 4, 8, 8)})["k"], before.constants["k"].value)


def test_a_constant_read_twice_by_one_node() -> None:
    after = apply(ACTIVATIONS, image_net(f"{CONV} s = Concat<axis=1>(k, c, k) y {AGAIN}(s, v)", k=normal(1, 2, 8, 8),
                                         v=normal(4, 8, 3, 3)))  # fmt: skip
    (concat,) = (node for node in after.nodes if node.op == "Concat")
    assert all(quant(after, name) is not None for name in concat.inputs)


@pytest.mark.parametrize("where", TARGETS)
def test_codes_that_are_there_stay(where: str) -> None:
    """A value of an imported QDQ model keeps its codes though the data would give others."""
    before = image_net(f"{CONV} r = Relu(c) d {AGAIN}(r, w2) y = Softmax(d)")
    narrow = Affine(UINT8, np.float32(0.01), 0)
    types = {**before.types, "r": TensorType(FLOAT32, (1, 4, 8, 8), narrow)}
    after = apply(ACTIVATIONS, before.with_(types=types, stage=Stage.QUANT), where)
    assert quant(after, "r") == narrow
    assert quant(after, "c") is None


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize("body", [f"{CONV} r = Relu(c) s = Sigmoid(r) d {AGAIN}(s, w2) y = Softmax(d)",
                                  f"{CONV} s = Add(c, k) y {AGAIN}(s, w2)"])  # fmt: skip
def test_passes_are_at_rest_and_deterministic(body: str, where: str) -> None:
    before = image_net(body, **({"k": normal(1, 4, 1, 1)} if "k)" in body else {}))
    once, twice = (apply(ALL, before, where) for _ in range(2))
    assert export(once).SerializeToString() == export(twice).SerializeToString()
    given = context(before, where)
    for one in parse_pipeline("quantize,quantize-weights,quantize-biases,absorb-activations"):
        assert one.run(once, given) is once, one


reals = st.floats(-20, 20, width=32)


@settings(max_examples=300, deadline=None)
@given(st.tuples(reals, reals), st.tuples(reals, reals), st.sampled_from([UINT8, INT8]), st.booleans(), st.booleans())
def test_a_fitted_clamp_changes_no_code(
    clip: tuple[float, float], span: tuple[float, float], storage: DType, relu: bool, own: bool
) -> None:
    """Codes that `fit` returns are equal with and without the clamp, whatever the value."""
    limits = (0.0, float("inf")) if relu else (min(clip), max(clip))
    low, high = limits if own and not relu else (min(span), max(span))
    scale, zero = affine_params(low, high, storage)
    asked = Affine(storage, scale, zero)
    found = fit(limits, asked)
    if found is None:
        return
    assert np.abs(found.scale / asked.scale - 1) < 1e-6
    steps = np.arange(-8, 264, 0.25) - float(int(found.zero_point) + (128 if storage is INT8 else 0))
    near = np.array([bound + d for bound in limits if np.isfinite(bound) for d in (-1e-3, -1e-6, 0, 1e-6, 1e-3)])
    x = np.concatenate([steps * float(found.scale), near, [-1e30, 1e30]]).astype(np.float32)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(encode(x, found), encode(np.clip(x, *np.float32(limits)), found))


@pytest.mark.parametrize("limits", [(0.0, 6.0), (-1.0, 1.0), (-3.0, 3.0), (0.0, 1.0), (-2.5, 0.0)])
def test_a_clamp_to_the_calibrated_range_fits(limits: tuple[float, float]) -> None:
    scale, zero = affine_params(*limits, UINT8)
    assert fit(limits, Affine(UINT8, scale, zero)) is not None


def test_a_clamp_inside_the_codes_does_not_fit() -> None:
    scale, zero = affine_params(-1.0, 1.0, UINT8)
    assert fit((0.0, float("inf")), Affine(UINT8, scale, zero)) is None
    assert not is_absorbed((0.0, 1.0), Affine(INT8, np.ones(3), np.zeros(3), axis=1))


@pytest.mark.parametrize("rounding", ["binary", "ternary"])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("limits", [(-1.0, 1.0), (0.0, 1.0), (0.0, 6.0), (0.0, float("inf")), (-2.0, 0.5)])
def test_a_clamp_before_compares(limits: tuple[float, float], threshold: float, rounding: Rounding) -> None:
    """It is absorbed exactly where it moves no code."""
    quant = Affine(INT8, np.float32(1), 0, rounding=rounding, threshold=np.float32(threshold))
    x = np.arange(-32, 33, dtype=np.float32) / 8
    same = np.array_equal(encode(np.clip(x, *limits), quant), encode(x, quant))
    assert same == is_absorbed(limits, quant)


ABSORB = "calibrate{method=minmax},quantize"


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize(
    "body",
    [
        f"{CONV} r = Relu(c) y {AGAIN}(r, w2)",
        f"{CONV} r = Relu(c) q = Clip(r, lo, hi) y {AGAIN}(q, w2)",
        f"{CONV} s = Add(c, x) r = Relu(s) y {AGAIN}(r, w2)",
        f"e = Exp(x) r = Relu(e) y {AGAIN}(r, w2)",
        f"{CONV} r = Clip(c, lo, hi) y {AGAIN}(r, w2)",
    ],
)
def test_absorbing_changes_no_result(body: str, where: str) -> None:
    constants = {"lo": np.float32(-1), "hi": np.float32(1)} if "lo" in body else {}
    before = apply(ABSORB, image_net(body, **constants), where)
    given = context(before, where)
    (one,) = parse_pipeline("absorb-activations")
    after = one.run(before, given)
    assert one.run(after, given) is after
    feed = {"x": 2 * normal(1, 4, 8, 8, seed=4)}
    np.testing.assert_array_equal(evaluate(before, feed)["y"], evaluate(after, feed)["y"])
    if constants == {}:
        assert "Relu" not in ops(after)


def test_nothing_is_absorbed_that_others_see() -> None:
    before = apply(ABSORB, image_net(f"{CONV} r = Relu(c) y {AGAIN}(r, w2)", "float[1,4,8,8] y, float[1,4,8,8] c"))
    (one,) = parse_pipeline("absorb-activations")
    assert "Relu" in ops(one.run(before, context(before)))


def test_two_clamps_in_a_row_are_absorbed_at_once() -> None:
    graph = net("(float[4,8] x) => (float[4,8] y) { m = MatMul(x, v) r = Relu(m) y = Clip(r, lo) }", v=normal(8, 8),
                lo=np.float32(0))  # fmt: skip
    types = {**graph.types, "y": TensorType(FLOAT32, (4, 8), Affine(UINT8, np.float32(0.1), 0))}
    quantized = graph.with_(types=types, stage=Stage.QUANT)
    (one,) = parse_pipeline("absorb-activations")
    assert ops(one.run(quantized, context(graph))) == ["MatMul"]
    assert codes(quantized) == ["y"]


@pytest.mark.parametrize("where", TARGETS)
def test_codes_are_for_the_part_that_is_read(where: str) -> None:
    """The large first channel of c is read by no one, so that it may be clipped; that of d is."""
    w = normal(4, 4, 1, 1) * np.array([50, 1, 1, 1], np.float32).reshape(4, 1, 1, 1)
    graph = net("""(float[N,4,8,8] x) => (float[N,3,8,8] y) {
        c = Conv (x, w)  d = Conv (x, w)  p = Slice (c, one, four, one)  q = Slice (d, one, four, one)
        e = Relu (d)  f = Conv (p, v)  g = Conv (q, v)  h = Conv (e, u)  s = Add (f, g)  y = Add (s, h)
    }""", w=w, v=normal(3, 3, 1, 1), u=normal(3, 4, 1, 1), one=np.array([1]), four=np.array([4]))  # fmt: skip
    found = {name: kind for name in "cdp" if (kind := quant(apply(ACTIVATIONS, graph, where), name)) is not None}
    assert found["c"] == found["p"]
    assert float(found["c"].scale) < float(found["d"].scale) / 10
