"""fold-batchnorm: behind and before linear operators, and where it must not."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from qir.ir.dtype import INT8
from qir.ir.graph import Constant, Graph, Stage
from qir.ir.types import Affine, Rounding, TensorType
from qir.passmanager.base import Context
from qir.passmanager.registry import parse_pipeline
from qir.quant.scales import decode, encode
from qir.target import Target
from tests.passes.graphs import apply, net, normal, ops, quantized, unchanged


def norm(channels: int, *, shift: bool = True) -> dict[str, np.ndarray]:
    """gamma, beta, mean and variance."""
    zero = np.zeros(channels, np.float32)
    return {
        "g": normal(channels, seed=1), "b": normal(channels, seed=2) if shift else zero,
        "m": normal(channels, seed=3) if shift else zero, "v": np.abs(normal(channels, seed=4)) + 0.1,
    }  # fmt: skip


NORM = "BatchNormalization(t, g, b, m, v)"
BEHIND = [
    ("float[2,4,5,5] x", "Conv(x, w)", {"w": normal(6, 4, 3, 3)}, 6),
    ("float[2,4,5,5] x", "Conv<pads=[1,1,1,1], group=2>(x, w, c)", {"w": normal(6, 2, 3, 3), "c": normal(6)}, 6),
    ("float[2,4,9] x", "Conv(x, w)", {"w": normal(6, 4, 3)}, 6),
    ("float[2,4,5,5] x", "ConvTranspose<strides=[2,2]>(x, w, c)", {"w": normal(4, 6, 3, 3), "c": normal(6)}, 6),
    ("float[2,4,5,5] x", "ConvTranspose<group=2>(x, w)", {"w": normal(4, 3, 3, 3)}, 6),
    ("float[N,4] x", "Gemm<alpha=0.5, beta=2.0>(x, w, c)", {"w": normal(4, 6), "c": normal(1, 6)}, 6),
    ("float[N,4] x", "Gemm<transB=1>(x, w)", {"w": normal(6, 4)}, 6),
    ("float[N,4] x", "MatMul(x, w)", {"w": normal(4, 6)}, 6),
]


@pytest.mark.parametrize(("given", "call", "constants", "channels"), BEHIND)
def test_behind(given: str, call: str, constants: dict[str, np.ndarray], channels: int) -> None:
    rank = len(constants["w"].shape)
    result = f"float[{','.join('PQRS'[:rank])}] y"
    graph = net(f"({given}) => ({result}) {{ t = {call} y = {NORM} }}", **constants, **norm(channels))
    after = apply("fold-batchnorm", graph, tolerance=5e-6)
    assert ops(after) == [call.split("(")[0].split("<")[0].replace("MatMul", "Gemm")]
    assert after.nodes[0].outputs == ("y",)
    assert set(after.nodes[0].origin) == {name for node in graph.nodes for name in node.origin}
    assert "w" in after.constants


BEFORE = [
    ("float[2,4,5,5] x", "Conv(t, w)", {"w": normal(6, 4, 3, 3)}, True),
    ("float[2,4,5,5] x", "Conv<group=2>(t, w, c)", {"w": normal(6, 2, 3, 3), "c": normal(6)}, True),
    ("float[2,4,5,5] x", "Conv<pads=[1,1,1,1]>(t, w)", {"w": normal(6, 4, 3, 3)}, False),
    ("float[N,4] x", "Gemm(t, w, c)", {"w": normal(4, 6), "c": normal(6)}, True),
    ("float[N,4] x", "Gemm<transB=1>(t, w)", {"w": normal(6, 4)}, True),
    ("float[N,4] x", "MatMul(t, w)", {"w": normal(4, 6)}, True),
]


@pytest.mark.parametrize(("given", "call", "constants", "shift"), BEFORE)
def test_before(given: str, call: str, constants: dict[str, np.ndarray], shift: bool) -> None:
    result = f"float[{','.join('PQRS'[: len(constants['w'].shape)])}] y"
    graph = net(
        f"({given}) => ({result}) {{ t = BatchNormalization(x, g, b, m, v) y = {call} }}",
        **constants,
        **norm(4, shift=shift),
    )
    assert len(apply("fold-batchnorm", graph, tolerance=5e-6).nodes) == 1


def test_before_through_a_flatten() -> None:
    graph = net("(float[N,3,2,2] x) => (float[N,5] y) "
                "{ t = BatchNormalization(x, g, b, m, v) f = Flatten(t) y = Gemm(f, w, c) }",
                w=normal(12, 5), c=normal(5), **norm(3))  # fmt: skip
    assert ops(apply("fold-batchnorm", graph, tolerance=5e-6)) == ["Flatten", "Gemm"]


@pytest.mark.parametrize(("text", "why"), [
    (f"(float[2,4,5,5] x, float[6] w0) => (float[2,6,5,5] y) {{ t = Conv(x, w) y = {NORM} }}", "weights computed"),
    (f"(float[2,4,5,5] x) => (float[2,6,5,5] y, float[2,6,5,5] t) {{ t = Conv(x, k) y = {NORM} "
     f"}}", "the product is a result"),
    (f"(float[2,4,5,5] x) => (float[2,6,5,5] y) {{ t = Conv(x, k) u = {NORM} y = Add(u, t) "
     f"}}", "the product has another use"),
    (f"(float[2,6,5,5] x) => (float[2,6,5,5] y) {{ t = Relu(x) y = {NORM} }}", "no linear operator"),
    (f"(float[2,6,4] x) => (float[2,6,5] y) {{ t = MatMul(x, q) y = {NORM} "
     f"}}", "channels of a MatMul are its last axis"),
    ("(float[2,6,5,5] x) => (float[2,3,5,5] y) "
     "{ t = BatchNormalization(x, g, b, m, v) y = Conv<pads=[1,1,1,1]>(t, p) }",
     "shift under padding"),
    ("(float[6,2] x) => (float[2,3] y) "
     "{ t = BatchNormalization(x, g2, b2, m2, v2) y = Gemm<transA=1>(t, h) }", "transposed"),
])  # fmt: skip
def test_refusals(text: str, why: str) -> None:
    if why == "weights computed":
        text = text.replace("float[6] w0", "float[6,4,1,1] w").replace("5,5] y", "5,5] y")
    arrays = {"k": normal(6, 4, 1, 1), "q": normal(4, 5), "p": normal(3, 6, 3, 3), "h": normal(6, 3), **norm(6),
              **{f"{name}2": array for name, array in norm(2).items()}}  # fmt: skip
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    assert unchanged("fold-batchnorm", net(text, **{name: array for name, array in arrays.items() if name in words})), (
        why
    )


def test_numbers_that_overflow_are_refused() -> None:
    arrays = {
        **norm(6),
        "v": np.full(6, 1e-38, np.float32),
        "g": np.full(6, 1e30, np.float32),
        "w": np.full((6, 4, 1, 1), 1e10, np.float32),
    }
    assert unchanged(
        "fold-batchnorm",
        net(
            f"(float[2,4,5,5] x) => (float[2,6,5,5] y) {{ t = Conv(x, w) y = "
            f"{NORM.replace('(t', '<epsilon=0.0>(t')} }}",
            **arrays,
        ),
    )


def test_a_rounding_in_between_is_kept() -> None:
    graph = net(
        f"(float[2,4,5,5] x) => (float[2,6,5,5] y) {{ t = Conv(x, w) y = {NORM} }}", w=normal(6, 4, 1, 1), **norm(6)
    )
    assert unchanged("fold-batchnorm", quantized(graph, "t"))
    assert unchanged("fold-batchnorm", quantized(graph, "g"))


def coded(graph: Graph, **quants: Affine) -> Graph:
    """The graph in stage QUANT with these quantizations, constants with the codes that they give."""
    types, constants = dict(graph.types), dict(graph.constants)
    for name, quant in quants.items():
        kind = graph.tensor(name)
        types[name] = TensorType(kind.dtype, kind.shape, quant)
        if name in constants:
            codes = encode(constants[name].value, quant)
            constants[name] = Constant(decode(codes, quant), codes)
    return graph.with_(types=types, constants=constants, stage=Stage.QUANT)


def steps(axis: int | None, channels: int = 6, zero: int = 0, rounding: Rounding = "nearest") -> Affine:
    """Codes of a weight, with a scale for each channel along an axis."""
    scale = np.array(0.25) if axis is None else np.linspace(0.1, 0.4, channels)
    zeros = np.full(scale.shape, zero)
    if rounding == "nearest":
        return Affine(INT8, scale, zeros, axis, qmin=-15, qmax=15)
    return Affine(INT8, scale, zeros, axis, rounding=rounding, threshold=scale / 2 * (rounding == "ternary"))


CODED = [
    ("float[2,4,5,5] x", "Conv<pads=[1,1,1,1], group=2>(x, w, c)", {"w": normal(6, 2, 3, 3), "c": normal(6)}, 0),
    ("float[2,4,5,5] x", "ConvTranspose<strides=[2,2]>(x, w)", {"w": normal(4, 6, 3, 3)}, 1),
    ("float[3,4] x", "Gemm(x, w)", {"w": normal(4, 6)}, 1),
    ("float[3,4] x", "Gemm<transB=1>(x, w)", {"w": normal(6, 4)}, 0),
    ("float[3,4] x", "MatMul(x, w)", {"w": normal(4, 6)}, 1),
]


@pytest.mark.parametrize("rounding", ["nearest", "binary", "ternary"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(("given", "call", "constants", "axis"), CODED)
def test_codes_of_the_weight_stay(
    given: str, call: str, constants: dict[str, np.ndarray], axis: int, per_channel: bool, rounding: Rounding
) -> None:
    rank = len(constants["w"].shape)
    text = f"({given}) => (float[{','.join('PQRS'[:rank])}] y) {{ t = {call} y = {NORM} }}"
    graph = net(text, **constants, **norm(6))
    before = coded(graph, w=steps(axis if per_channel else None, rounding=rounding))
    after = apply("fold-batchnorm", before, tolerance=5e-6)
    assert 1 == len(after.nodes)
    found, old, new = after.tensor("w").quant, before.constants["w"].codes, after.constants["w"].codes
    assert found is not None
    assert (axis, rounding, (found.qmin, found.qmax)) == (
        found.axis,
        found.rounding,
        (-15, 15) if rounding == "nearest" else (-1, 1),
    )
    factor = norm(6)["g"] / np.sqrt(norm(6)["v"] + 1e-5)
    np.testing.assert_allclose(found.scale, np.abs(factor) * (steps(axis).scale if per_channel else 0.25), rtol=1e-6)
    signs = np.sign(factor).reshape([-1 if place == axis else 1 for place in range(rank)])
    assert old is not None
    assert new is not None
    np.testing.assert_array_equal(new, old * signs)
    np.testing.assert_array_equal(after.constants["w"].value, decode(new, found))


@pytest.mark.parametrize(
    ("change", "quant"),
    [({"g": np.array([1, 1, 0, 1, 1, 1], np.float32)}, steps(1)),  # no scale is 0
     ({"g": -np.ones(6, np.float32)}, steps(1, zero=5)),  # 5 - (q - 5) leaves the codes
     ({}, steps(0, 4))],  # a scale for each input
)  # fmt: skip
def test_codes_that_cannot_stay_keep_the_batchnorm(change: dict[str, np.ndarray], quant: Affine) -> None:
    weight = np.linspace(-3, 3, 24, dtype=np.float32).reshape(4, 6)
    graph = net(f"(float[3,4] x) => (float[3,6] y) {{ t = MatMul(x, w) y = {NORM} }}", w=weight, **norm(6) | change)
    assert unchanged("fold-batchnorm", coded(graph, w=quant))


@pytest.mark.parametrize(
    ("backend", "few", "folded"), [("onnx", True, False), ("onnx", False, True), ("c", True, True)]
)
@pytest.mark.parametrize(
    ("passes", "body"),
    [("fold-batchnorm", NORM), ("fuse-matmul-add", "Add(t, b)"), ("fold-affine", "Mul(t, g)")],
)
def test_exact_sums_of_few_codes_stay_where_they_are_added_in_float(
    passes: str, body: str, backend: Literal["onnx", "c"], few: bool, folded: bool
) -> None:
    data = Affine(INT8, np.float32(1), 0, rounding="binary" if few else "nearest")
    text = f"(float[3,4] x) => (float[3,6] y) {{ t = MatMul(x, w) y = {body} }}"
    graph = coded(net(text, w=normal(4, 6), **norm(6)), x=data, w=steps(1))
    (one,) = parse_pipeline(passes)
    assert folded == (one.run(graph, Context(Target("somewhere", backend, {}))) is not graph)


def test_the_results_own_rounding_is_kept() -> None:
    text = f"(float[2,4,5,5] x) => (float[2,6,5,5] z) {{ t = Conv(x, w) y = {NORM} z = Neg(y) }}"
    graph = quantized(net(text, w=normal(6, 4, 1, 1), **norm(6)), "y")
    after = apply("fold-batchnorm", graph, tolerance=0.06)
    assert after.tensor("y").quant is not None


def test_shared_weights_stay_as_they_are_for_the_other() -> None:
    text = f"(float[2,4,5,5] x) => (float[2,6,5,5] y, float[2,6,5,5] z) {{ t = Conv(x, w) y = {NORM} z = Conv(x, w) }}"
    after = apply("fold-batchnorm", net(text, w=normal(6, 4, 1, 1), **norm(6)), tolerance=5e-6)
    assert ops(after) == ["Conv", "Conv"]


def test_inside_a_body_with_weights_outside() -> None:
    text = f"""(float[2,4,5,5] x, bool k) => (float[2,6,5,5] y) {{
        y = If (k) <then_branch = a () => (float[2,6,5,5] p) {{ t = Conv(x, w) p = {NORM} }},
                    else_branch = e () => (float[2,6,5,5] q) {{ q = Conv(x, w) }}> }}"""
    after = apply("fold-batchnorm", net(text, w=normal(6, 4, 1, 1), **norm(6)), tolerance=5e-6)
    assert [node.op for _, node in after.walk()] == ["If", "Conv", "Conv"]
