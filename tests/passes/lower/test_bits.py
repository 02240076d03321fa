"""Layers of few bits: packed and unpacked, they give what the QUANT graph gives."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.dtype import FLOAT32, INT8, UINT8
from qir.ir.graph import Constant, Graph, Stage
from qir.ir.types import Affine, TensorType
from qir.passes.lower.integer import LowerInteger
from qir.passmanager.base import Context
from qir.quant.scales import decode, encode
from qir.target import Target
from qir.verify import verify
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import samples

BINARY = Affine(INT8, 0.5, 0, rounding="binary")
TERNARY = Affine(INT8, 0.75, 0, rounding="ternary", threshold=0.4)
TWO_BITS = Affine(UINT8, 0.6, 0, qmin=0, qmax=3)
OFFSET = Affine(UINT8, 0.6, 11, qmin=10, qmax=13)
FORMATS = {"binary": BINARY, "ternary": TERNARY, "two bits": TWO_BITS, "two bits, offset": OFFSET}

CHAIN = """(float[2,8,6,5] x) => (float[2,5] y) {
    a = Conv<pads=[1,1,1,1]>(x, w1, b1)
    b = Conv<pads=[1,1,1,1], strides=[3,3]>(a, w2, b2)
    f = Flatten(b)
    y = Gemm<transB=1>(f, w3, b3)
}"""


def chain() -> Graph:
    """Two convolutions and a matrix."""
    biases = {f"b{number}": normal(size, seed=number) for number, size in enumerate((16, 24, 5), 1)}
    return net(CHAIN, w1=normal(16, 8, 3, 3), w2=normal(24, 16, 3, 3, seed=8), w3=normal(5, 96, seed=9), **biases)


def with_few_codes(graph: Graph, weights: str, **values: Affine) -> Graph:
    """The graph in stage QUANT: weights w1, w2, ... binary or ternary per channel, values with the codes given."""
    types, constants = dict(graph.types), dict(graph.constants)
    for name, quant in values.items():
        types[name] = TensorType(FLOAT32, graph.tensor(name).shape, quant)
    for name in (name for name in constants if name.startswith("w")):
        value = constants[name].value
        scale = np.linspace(0.05, 0.2, value.shape[0]).astype(np.float32)
        threshold = scale / 2 if weights == "ternary" else 0 * scale
        quant = Affine(INT8, scale, np.zeros(scale.shape), 0, rounding=weights, threshold=threshold)  # type: ignore[arg-type]
        codes = encode(value * 0.2, quant)
        constants[name] = Constant(decode(codes, quant), codes)
        types[name] = TensorType(FLOAT32, value.shape, quant)
    return graph.with_(types=types, constants=constants, stage=Stage.QUANT)


def lowered(graph: Graph, bit_products: int) -> Graph:
    result = LowerInteger().run(graph, Context(Target("somewhere", "c", {}, bit_products=bit_products)))
    verify(result)
    return result


def compare(graph: Graph, result: Graph, feed: dict[str, Any]) -> None:
    """Values near a threshold may fall to either side; what follows them then differs."""
    expected, found = evaluate(graph, feed), evaluate(result, feed)
    for name in graph.outputs:
        apart = np.abs(expected[name] - found[name]) > 1e-4 * np.abs(expected[name]).max()
        assert apart.mean() <= 0.02, name


@pytest.mark.parametrize("weights", ["binary", "ternary"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_chain_on_bits_and_on_codes(format: str, weights: str) -> None:
    quant = FORMATS[format]
    graph = with_few_codes(chain(), weights, x=quant, a=quant, b=quant, f=quant)
    feed = samples(graph, 2, seed=3)
    packed, unpacked = lowered(graph, 8), lowered(graph, 0)
    operators = Counter(node.op for node in packed.nodes)
    assert operators["qir.IntBitConv"] == 2
    assert operators["qir.IntBitGemm"] == 1
    assert not operators["qir.IntConv"] + operators["qir.IntGemm"]
    assert "qir.IntBitConv" not in {node.op for node in unpacked.nodes}
    between = next(node for node in packed.nodes if node.op == "qir.IntBitConv" and "y_bits" in node.attrs)
    assert any(node.inputs[0] == between.outputs[0] for node in packed.nodes if node.op == "qir.IntBitConv")
    compare(graph, packed, feed)
    compare(graph, unpacked, feed)


def test_the_product_of_widths_decides() -> None:
    graph = with_few_codes(chain(), "ternary", x=TERNARY, a=TERNARY, b=BINARY, f=BINARY)
    for limit, layers in ((1, 0), (2, 1), (4, 3)):
        operators = Counter(node.op for node in lowered(graph, limit).nodes)
        assert operators["qir.IntBitConv"] + operators["qir.IntBitGemm"] == layers


def test_signs_of_byte_codes_and_a_pool_between() -> None:
    """A layer on bytes whose result is binary compares its reals; a pool of binary codes moves codes."""
    graph = with_few_codes(net("""(float[1,3,8,8] x) => (float[1,4,4,4] y) {
            a = Conv<pads=[1,1,1,1]>(x, v1, b1)
            p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(a)
            y = Conv(p, w2)
        }""", v1=normal(16, 3, 3, 3), b1=normal(16, seed=1), w2=normal(4, 16, 1, 1, seed=2)),
        "binary", x=Affine(UINT8, 0.03, 128), a=BINARY, p=BINARY)  # fmt: skip
    value = graph.constants["v1"].value
    quant = Affine(INT8, np.float32(np.abs(value).max() / 127), 0)
    graph = graph.with_(
        types={**graph.types, "v1": TensorType(FLOAT32, value.shape, quant)},
        constants={**graph.constants, "v1": Constant(decode(encode(value, quant), quant), encode(value, quant))},
    )
    result = lowered(graph, 2)
    assert [node.op for node in result.nodes if node.op.startswith("qir.Int")] == [
        "qir.IntConv", "qir.IntPackBits", "qir.IntBitConv"]  # fmt: skip
    compare(graph, result, samples(graph, 1, seed=5))


def test_results_of_other_operators_are_compared_too() -> None:
    graph = net("(float[2,8] x, float[2,8] z) => (float[2,8] y) { a = Add(x, z) y = Neg(a) }")
    types = {name: TensorType(FLOAT32, (2, 8), quant) for name, quant in
             (("x", Affine(UINT8, 0.03, 128)), ("z", Affine(UINT8, 0.02, 100)), ("a", BINARY))}  # fmt: skip
    graph = graph.with_(types={**graph.types, **types}, stage=Stage.QUANT)
    compare(graph, lowered(graph, 2), samples(graph, 1, seed=6))
