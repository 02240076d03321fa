"""Number formats in C: bit-exact with the INT reference, close to the types' own meaning, as small as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qir
from qir.backends.c import CModule, compile_c
from qir.evaluate import evaluate
from qir.ir.dtype import INT8
from qir.ir.graph import Constant, Graph
from qir.ir.types import Quant
from qir.quant.error import sqnr
from qir.quant.scales import decode, encode
from qir.recipe import Layer, Recipe
from tests.end_to_end.contract import STRICT, compare_nodes
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
    filled, more = (1.1, 12) if any_target == "portable" else (1.3, 16)  # panels of sixteen channels
    assert sum(stored) < filled * bits / 8 * sum(codes)
    assert module.program.weight_bytes < sum(stored) + more * 250


def test_sums_of_planes_take_a_bit_for_each(any_target: str) -> None:
    """Of grouped and transposed convolutions the codes are stored."""
    planes = 3
    quant, integer, module = compiled(Layer(weight_bits=1, planes=planes), any_target)
    assert check(quant, integer, module) > 30
    kept = [node.attr("planes") for node in integer.nodes if node.op in ("qir.IntConv", "qir.IntGemm")]
    assert [planes] * 3 == [count for count in kept if count]
    stored = [arg.array.nbytes for call in module.program.calls if f"p{planes}" in call.kernel.emitted
              for arg in call.args if getattr(arg, "role", "") == "weights"]  # fmt: skip
    codes = [integer.constants[node.inputs[1]].value for node in integer.nodes if node.attr("planes")]
    tables = 16 * sum(code.shape[code.ndim == 2] for code in codes)
    assert 3 == len(stored)
    assert sum(stored) < 1.3 * planes / 8 * sum(code.size for code in codes) + tables


@pytest.mark.parametrize(("weight_bits", "least"), [(2, 40), (4, 45), (8, 80), (16, 90)])
def test_activations_of_16_bits(weight_bits: int, least: float, any_target: str) -> None:
    quant, integer, module = compiled(Layer(weight_bits=weight_bits, activation_bits=16), any_target)
    assert check(quant, integer, module) > least
    kernels = [call.kernel.emitted for call in module.program.calls]
    assert all("s16" in kernel for kernel in kernels), kernels
    assert (weight_bits == 16) == any("s64" in kernel for kernel in kernels), "int32 holds what fits it"


def test_weights_of_16_bits_beside_8_bit_activations(any_target: str) -> None:
    quant, integer, module = compiled(Layer(weight_bits=16), any_target)
    assert check(quant, integer, module) > 30


def test_sums_that_leave_32_bits_have_64() -> None:
    """32768 times the sum of so many weights is more than 2^31."""
    graph = net("(float[1,900] x) => (float[1,4] y) { y = MatMul(x, w) }",
                w=np.where(normal(900, 4) > -0.3, 1, -1).astype(np.float32))  # fmt: skip
    quant = apply(ALL, graph, recipe=Recipe().with_override("*", activation_bits=16))
    integer = apply("lower-integer", quant)
    module = compile_c(integer)
    assert check(quant, integer, module) > 80
    assert "s64" in module.explain()


OPERATORS = """(float[1,6,8,8] x) => (float[1,8,8,8] y) {
    a = Conv <pads=[1,1,1,1]> (x, w)  s = Sigmoid(a)  g = Mul(a, s)  h = Add(g, a)  d = Sub(h, o)
    k = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (d)  q = GlobalAveragePool(h)  e = Mul(k, q)
    c = Concat <axis=1> (e, x)  p = MaxPool <kernel_shape=[3,3], pads=[1,1,1,1]> (c)
    t = Transpose <perm=[0,1,3,2]> (p)  m = MatMul(t, p)  f = Softmax(m)  z = MatMul(f, p)
    v = Conv(z, u)  r = LeakyRelu(v)  y = Conv(r, u2)
}"""


def operators() -> Graph:
    return net(OPERATORS, w=normal(6, 6, 3, 3) / 7, o=np.full((1, 1, 1, 1), 0.25, np.float32),
               u=normal(8, 12, 1, 1) / 3, u2=normal(8, 8, 1, 1) / 3)  # fmt: skip


@pytest.mark.parametrize("layers", ["all", "some", "most"])
def test_operators_on_16_bits(layers: str) -> None:
    """Functions run in float between their codes; neighbours of other widths take the wider."""
    wide = {"all": ("*",), "some": ("Mul", "MatMul"), "most": ("Conv", "Add", "Concat")}[layers]
    recipe = Recipe()
    for match in wide:
        recipe = recipe.with_override(match, activation_bits=16)
    quant = apply(ALL, operators(), recipe=recipe)
    integer = apply("lower-integer", quant)
    module = compile_c(integer)
    feed = samples(quant, seed=9)
    found, exact = module.run(feed)["y"], evaluate(integer, feed)["y"]
    assert sqnr(exact, found) > 80, "math.h and onnxruntime differ in the last bits of functions"
    assert sqnr(evaluate(quant, feed)["y"], found) > (75 if layers == "all" else 35)


def test_codes_of_16_bits_with_a_zero_point() -> None:
    """As other tools make them: uint16, moved to int16; layers with weights run in float between their codes."""
    graph = net("(float[1,4,6,6] x) => (float[1,4,6,6] y) { a = Conv(x, w) b = Add(a, x) y = Mul(b, a) }",
                w=normal(4, 4, 1, 1))  # fmt: skip
    quant = apply(ALL, graph, "onnx", Recipe().with_override("*", activation_bits=16))
    integer = apply("lower-integer", quant)
    assert check(quant, integer, compile_c(integer)) > 75


def weights_only(layer: Layer) -> tuple[Graph, CModule, CModule]:
    """A network with codes for weights alone, its C, and that of the same network with float weights."""
    quant = apply("calibrate,quantize-weights", network(), recipe=Recipe().with_override("*", **vars(layer)))
    coded = apply("lower-integer", quant)
    decoded = {name: decode(constant.codes, kind.quant) for name, constant in quant.constants.items()
               if constant.codes is not None and (kind := quant.tensor(name)).quant is not None}  # fmt: skip
    real = network()
    plain = real.with_(constants={**real.constants, **{name: Constant(array) for name, array in decoded.items()}})
    return quant, compile_c(coded), compile_c(plain)


@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "asymmetric"])
@pytest.mark.parametrize("per_channel", [True, False], ids=["channels", "tensor"])
@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8, 16])
def test_weights_alone_stay_codes(bits: int, per_channel: bool, symmetric: bool) -> None:
    """Every product is that of the decoded weight, so nothing changes but the bytes."""
    layer = Layer(weight_bits=bits, activation_bits=None, per_channel=per_channel, weight_symmetric=symmetric)
    quant, coded, plain = weights_only(layer)
    feed = samples(quant, seed=9)
    np.testing.assert_array_equal(plain.run(feed)["y"], coded.run(feed)["y"])
    stored = max(bits, 8) if bits > 4 else bits
    assert coded.program.weight_bytes < 1.15 * stored / 32 * plain.program.weight_bytes + 3000


def test_weights_alone_of_layers_with_float_neighbours() -> None:
    """A layer whose codes of 16 bits have a zero point runs in float, on weights that stay codes."""
    graph = net("(float[1,4,6,6] x) => (float[1,4,6,6] y) { a = Conv(x, w) b = Add(a, x) y = Conv(b, v) }",
                w=normal(4, 4, 1, 1), v=normal(4, 4, 1, 1))  # fmt: skip
    quant = apply(ALL, graph, "onnx", Recipe().with_override("*", activation_bits=16))
    assert "qir_conv_f32s8__portable" in compile_c(apply("lower-integer", quant)).explain()


def test_codes_of_few_bits_are_packed_whatever_type_stores_them() -> None:
    quant, integer = lowered(Layer(weight_bits=2))
    types = {name: replace(kind, quant=replace(kind.quant, storage=INT8)) if few(kind.quant) else kind
             for name, kind in quant.types.items()}  # fmt: skip
    again = apply("lower-integer", replace(quant, types=types))
    bits = [[node.attr("weight_bits") for node in graph.nodes] for graph in (integer, again)]
    assert bits[0] == bits[1]
    assert 2 in bits[1]


def few(quant: Quant | None) -> bool:
    return quant is not None and quant.storage.bits == 2


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_zero_points_of_weights_take_one_bit_more(bits: int) -> None:
    quant, integer, module = compiled(Layer(weight_bits=bits, weight_symmetric=False))
    assert check(quant, integer, module) > 30
    found = {node.attr("weight_bits") for node in integer.nodes if node.attr("weight_bits")}
    assert found <= {bits, bits + 1}


def test_zero_points_of_8_bit_weights_run_in_float_on_codes() -> None:
    quant, _, module = compiled(Layer(weight_symmetric=False))
    feed = samples(quant, seed=9)
    assert sqnr(evaluate(quant, feed)["y"], module.run(feed)["y"]) > 30
    assert "f32s8" in module.explain()


def test_the_interface_takes_and_gives_16_bit_codes() -> None:
    graph = net("(float[1,2,5,5] x) => (float[1,2,5,5] y) { a = Conv(x, w) y = Add(a, x) }", w=normal(2, 2, 1, 1))
    quant = apply(ALL, graph, recipe=Recipe().with_override("*", activation_bits=16))
    module = compile_c(apply("lower-integer", quant))
    kinds = [quant.tensor(name).quant for name in ("x", "y")]
    assert kinds[0] is not None
    assert kinds[1] is not None
    feed = samples(quant, seed=9)
    codes = module.run_codes({"x": encode(feed["x"], kinds[0])})["y"]
    assert codes.dtype == np.int16
    np.testing.assert_array_equal(decode(codes, kinds[1]), module.run(feed)["y"])


def test_reports_say_how_weights_are_stored() -> None:
    graph, recipe = network(), Recipe().with_override("*", weight_bits=3)
    codes = qir.compile(graph, samples(graph), target="portable", recipe=recipe)
    alone = qir.compile(graph, target="portable", recipe=recipe.with_override("*", activation_bits=None))
    assert 6 == codes.report().count("], 3-bit weights")
    assert 6 == alone.report().count("], 3-bit weights")
    assert "Dequantize" not in alone.report()


@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(2, 8), (4, 8), (4, 16), (8, 16), (16, 16), (16, 8)])
@pytest.mark.parametrize("text", [NET, OPERATORS], ids=["layers", "operators"])
def test_each_node_gives_what_its_types_say(text: str, weight_bits: int, activation_bits: int) -> None:
    """Within one code, and that seldom; C is held to the same references bit for bit."""
    graph = network() if text == NET else operators()
    recipe = Recipe().with_override("*", weight_bits=weight_bits, activation_bits=activation_bits)
    quant = apply(ALL, graph, recipe=recipe)
    feeds = [samples(quant, seed=seed) for seed in range(20)]
    rows = compare_nodes(quant, apply("lower-integer", quant), feeds)
    assert len(rows) > 4
    for row in rows:
        assert row.worst <= 1, row
        assert row.wrong <= max(1, (0.0005 if row.op in STRICT else 0.005) * row.elements), row
