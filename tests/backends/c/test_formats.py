"""Number formats in C: bit-exact with the INT reference, close to the types' own meaning, as small as they say."""

from __future__ import annotations

import numpy as np
import pytest

from qir.backends.c import CModule, compile_c
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.quant.error import sqnr
from qir.recipe import Layer, Recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, apply, samples

NET = """(float[2,4,8,8] x) => (float[2,5] y) {
    a = Conv <pads=[1,1,1,1]> (x, w, b)  r = Relu(a)  d = Conv <group=20> (r, v)  e = Conv <group=2> (d, k)
    g = ConvTranspose <strides=[2,2]> (e, h)  p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (g)
    f = Flatten(p)  m = MatMul(f, u)  y = Gemm <transB=1> (m, t, c)
}"""


def network() -> Graph:
    return net(NET, w=normal(20, 4, 3, 3) / 6, b=normal(20), v=normal(20, 1, 3, 3) / 3, k=normal(8, 10, 1, 1) / 3,
               h=normal(8, 6, 3, 3) / 5, u=normal(216, 150) / 8, t=normal(5, 150) / 9, c=normal(5))  # fmt: skip


def lowered(layer: Layer) -> tuple[Graph, Graph]:
    """The graph in stages QUANT and INT; small layers have few bits, too."""
    recipe = Recipe().with_override("*", **vars(layer))
    quant = apply(ALL, network(), recipe=recipe)
    return quant, apply("lower-integer", quant)


def compiled(layer: Layer, target: str = "portable") -> tuple[Graph, Graph, CModule]:
    quant, integer = lowered(layer)
    return quant, integer, compile_c(integer, target=target)


def check(quant: Graph, integer: Graph, module: CModule) -> float:
    """Holds C to the references; returns its signal to noise against the QUANT graph in dB."""
    feed = samples(quant, seed=9)
    found = module.run(feed)["y"]
    np.testing.assert_array_equal(evaluate(integer, feed)["y"], found)
    return sqnr(evaluate(quant, feed)["y"], found)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_weights_of_few_bits_are_packed(bits: int, any_target: str) -> None:
    quant, integer, module = compiled(Layer(weight_bits=bits), any_target)
    assert check(quant, integer, module) > 30
    layers = [node for node in integer.nodes if node.op in ("qir.IntConv", "qir.IntConvTranspose", "qir.IntGemm")]
    assert [bits] * 6 == [node.attr("weight_bits") for node in layers]
    stored = [arg.array.nbytes for call in module.program.calls for arg in call.args
              if getattr(arg, "role", "") == "weights"]  # fmt: skip
    codes = [integer.constants[node.inputs[1]].value.size for node in layers]
    assert 6 == len(stored)
    assert sum(stored) < 1.1 * bits / 8 * sum(codes)
    assert module.program.weight_bytes < sum(stored) + 12 * 250
