"""Formats of weights and activations: what the recipe asks for is in the types, and what is emitted means the same."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

import qir
from qir.evaluate import Runner, evaluate
from qir.ir.dtype import INT4, INT8, INT16, INT32, UINT4, UINT8, UINT16, DType
from qir.ir.graph import Constant, Graph
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.ops.weighted import weighted
from qir.quant.error import sqnr
from qir.quant.scales import decode, encode
from qir.recipe import Recipe, recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, TARGETS, apply, quant, samples

NET = """(float[N,4,8,8] x) => (float[N,5] y) {
    a = Conv <pads=[1,1,1,1]> (x, w, b)  r = Relu(a)  d = Conv <group=6> (r, v)
    p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (d)  f = Flatten(p)  m = MatMul(f, u)  y = Gemm <transB=1> (m, t, c)
}"""
WEIGHTS = ("w", "v", "u", "t")
STORED: dict[tuple[int, bool], tuple[DType, int, int]] = {
    (2, True): (INT4, -2, 1), (3, True): (INT4, -4, 3), (4, True): (INT4, -8, 7), (5, True): (INT8, -15, 15),
    (6, True): (INT8, -31, 31), (7, True): (INT8, -63, 63), (8, True): (INT8, -127, 127),
    (16, True): (INT16, -32767, 32767), (2, False): (UINT4, 0, 3), (4, False): (UINT4, 0, 15),
    (5, False): (UINT8, 0, 31), (8, False): (UINT8, 0, 255), (16, False): (UINT16, 0, 65535),
}  # fmt: skip
BARE = ALL.replace("round-weights,", "")


def network() -> Graph:
    return net(NET, w=normal(6, 4, 3, 3) / 6, b=normal(6), v=normal(6, 1, 3, 3) / 3, u=normal(54, 8) / 8 + 0.05,
               t=normal(5, 8) / 3, c=normal(5))  # fmt: skip


def made(text: str, where: str = "onnx", passes: str = ALL, **changes: bool) -> Graph:
    chosen = recipe(text)
    return apply(passes, network(), where, chosen.with_override("*", **changes) if changes else chosen)


def weight_noise(graph: Graph) -> float:
    found = 0.0
    for name in WEIGHTS:
        constant, codes = graph.constants[name], quant(graph, name)
        assert codes is not None
        found += float(np.square(decode(encode(constant.value, codes), codes) - constant.value).sum())
    return found


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize("passes", [ALL, BARE], ids=["rounded", "nearest"])
@pytest.mark.parametrize(("bits", "symmetric"), STORED)
def test_weights_have_the_codes_of_their_format(bits: int, symmetric: bool, passes: str, where: str) -> None:
    graph = made(f"w{bits}a8", where, passes, weight_symmetric=symmetric)
    for name in WEIGHTS:
        found, codes = quant(graph, name), graph.constants[name].codes
        assert found is not None
        assert codes is not None
        assert (found.storage, found.qmin, found.qmax) == STORED[bits, symmetric]
        assert found.axis is not None
        assert symmetric != found.zero_point.any()
        assert codes.dtype == found.storage.numpy
        assert found.qmin <= codes.astype(int).min() < codes.astype(int).max() <= found.qmax


def test_each_bit_takes_noise_away() -> None:
    noises = [weight_noise(made(f"w{bits}a8", "portable", BARE)) for bits in (2, 3, 4, 5, 6, 7, 8, 16)]
    assert all(after < 0.4 * before for before, after in pairwise(noises))


def test_a_zero_point_holds_weights_on_one_side() -> None:
    graph = network()
    offset = graph.with_(constants={**graph.constants, "u": Constant(np.abs(normal(54, 8)))})
    noises = []
    for symmetric in (True, False):
        chosen = recipe("w4a8").with_override("*", weight_symmetric=symmetric)
        found = apply(BARE, offset, "onnx", chosen)
        noises.append(weight_noise(found))
    assert noises[1] < 0.5 * noises[0]


@pytest.mark.parametrize(("where", "storage"), [("onnx", UINT16), ("portable", INT16)])
def test_activations_of_16_bits(where: str, storage: DType) -> None:
    graph = made("int16", where)
    for name in ("x", "d", "p", "f"):
        found = quant(graph, name)
        assert found is not None
        assert found.storage == storage
        assert storage == UINT16 or found.zero_point == 0
    clamped = quant(graph, "r")
    assert clamped is not None
    assert clamped.zero_point == clamped.qmin == 0
    assert "Relu" not in {node.op for node in graph.nodes}, "int16 codes from 0 on are a Relu"


def test_ranges_of_16_bits_hold_all_that_was_observed() -> None:
    graph = network()
    clipped = apply("calibrate{method=percentile,percentile=90},quantize", graph, "onnx", recipe("int16"))
    whole = apply("calibrate{method=minmax},quantize", graph, "onnx", recipe("int16"))
    assert quant(clipped, "x") == quant(whole, "x")


@pytest.mark.parametrize("text", ["w4a8", "w8a8", "w8a16"])
@pytest.mark.parametrize("where", TARGETS)
def test_scales_that_are_powers_of_two(text: str, where: str) -> None:
    graph = made(text, where, power_of_two=True)
    found = [kind.quant for kind in graph.types.values() if getattr(kind, "quant", None) is not None]
    assert len(found) > 8
    for one in found:
        if one.storage is not INT32 or text != "w8a16":  # a bias beside 16 bits only has to hold it
            assert (np.frexp(one.scale)[0] == 0.5).all(), str(one)


FORMATS = {
    "w2a8": (20, {}), "w4a8": (60, {}), "w6a8": (30, {}), "w4a8 asymmetric": (60, {"weight_symmetric": False}),
    "w8a8 asymmetric": (30, {"weight_symmetric": False}), "w8a8 powers": (30, {"power_of_two": True}),
    "w8a16": (45, {}), "w16a16": (60, {}), "w16a8": (60, {}), "w4": (35, {}), "w8": (35, {}),
    "w4 asymmetric": (35, {"weight_symmetric": False}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_onnxruntime_runs_what_was_meant(name: str) -> None:
    """Fused, against the same graph unfused: integer kernels may round a tie the other way, packed ones read int8."""
    least, changes = FORMATS[name]
    text = name.split()[0]
    passes = ALL if "a" in text else "calibrate,quantize-weights,round-weights,orient-weights"
    graph = made(text, passes=passes, **changes)
    feed = samples(graph, 64, seed=9)
    expected = evaluate(graph, feed)["y"]
    assert sqnr(expected, Runner(graph, optimize=True)(feed)["y"]) > least
    assert sqnr(expected, evaluate(lift(export(graph)), feed)["y"]) > 60, "the file says all there is to say"


def test_large_biases_beside_16_bit_codes_are_kept() -> None:
    """In units of s_x * s_w they do not fit 32 bits."""
    graph = net("(float[N,4,8,8] x) => (float[N,6,6,6] y) { a = Conv(x, w, b) y = Relu(a) }",
                w=normal(6, 4, 3, 3) * 1e-3, b=normal(6) + 20)  # fmt: skip
    after, feed = apply(ALL, graph, "onnx", recipe("w16a16")), samples(graph, seed=3)
    for optimize in (False, True):
        assert sqnr(evaluate(graph, feed)["y"], Runner(after, optimize=optimize)(feed)["y"]) > 75


def test_zero_points_count_where_products_may_overflow() -> None:
    """Codes near their zero point make small products, however large the codes are."""
    weight = np.zeros((70_000, 1), np.float32)
    weight[:2, 0] = (-1, 1)
    graph = net("(float[2,70000] x) => (float[2,1] y) { y = Gemm (x, w, b) }", w=weight, b=normal(1))
    nearest = ALL.replace(",round-weights", "")  # which knows of a Gram matrix as large as these weights are many
    after = apply(nearest, graph, "onnx", recipe("w8a8").with_override("*", weight_symmetric=False))
    found = quant(after, "b")
    assert found is not None
    assert found.storage == INT32


def test_four_bits_are_stored_in_four_bits(tmp_path: Path) -> None:
    weight = normal(128, 64)
    graph = net("(float[N,128] x) => (float[N,64] y) { y = MatMul (x, w) }", w=weight)
    sizes = {}
    for text in ("w4", "w8", "w4a8", "w8a8", "w16a16"):
        compiled = qir.compile(graph, normal(32, 128), recipe=Recipe(default=recipe(text).default))
        path = compiled.save(tmp_path / f"{text}.onnx")
        sizes[text] = path.stat().st_size
        onnx.checker.check_model(str(path), full_check=True)
    count = weight.size
    assert sizes["w8"] - sizes["w4"] > 0.45 * count
    assert sizes["w8a8"] - sizes["w4a8"] > 0.45 * count
    assert sizes["w16a16"] - sizes["w8a8"] > 0.9 * count
    assert sizes["w4"] < 0.5 * count + 1500


@pytest.mark.parametrize("where", TARGETS)
def test_layers_may_differ(where: str) -> None:
    chosen = recipe("w4a8").with_override("Conv", weight_bits=8).with_override("Gemm", float=True)
    graph = apply(ALL, network(), where, chosen)
    found = {node.inputs[slots.weight]: quant(graph, node.inputs[slots.weight])
             for node in graph.nodes if (slots := weighted(node, graph)) is not None}  # fmt: skip
    assert {name: None if one is None else one.storage for name, one in found.items()} == {
        "w": INT8, "v": INT8, "u": INT4, "t": None}  # fmt: skip
