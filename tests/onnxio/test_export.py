"""What exporting promises, on graphs as passes make them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
import pytest

from qir.errors import ModelError, UnsupportedError
from qir.ir.dtype import FLOAT16, FLOAT32, INT4, INT8, INT16, INT32, UINT8, UINT16, DType
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.quant.scales import encode
from tests.onnxio.running import imported, normal, parse, run


def affine(storage: DType = UINT8, scale: float = 0.05, zero: int = 0, **more: int) -> Affine:
    return Affine(storage, np.float32(scale), np.int32(zero), **more)


def typed(graph: Graph, **quants: Affine) -> Graph:
    """The graph in stage QUANT with these values quantized."""
    types = dict(graph.types)
    for name, quant in quants.items():
        kind = graph.tensor(name)
        types[name] = TensorType(kind.dtype, kind.shape, quant)
    return graph.with_(types=types, stage=Stage.QUANT)


def rounded(x: np.ndarray, quant: Affine) -> np.ndarray:
    """To codes and back, by the formula."""
    codes = np.clip(np.rint(x / quant.scale) + quant.zero_point, quant.qmin, quant.qmax)
    return ((codes - quant.zero_point) * quant.scale).astype(np.float32)


def ops(proto: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in proto.graph.node]


RELU_NEG = "g (float[2,3] x) => (float[2,3] y) { a = Relu(x) y = Neg(a) }"


def test_each_quantized_value_gets_one_pair() -> None:
    a, y = affine(UINT8, 0.03, 7), affine(INT8, 0.02, -5)
    graph = typed(lift(parse("g (float[2,3] x) => (float[2,3] y) { a = Relu(x) b = Neg(a) c = Abs(a) y = Add(b, c) }")),
                  x=affine(UINT8, 0.05, 100), a=a, y=y)  # fmt: skip
    proto = export(graph)
    onnx.checker.check_model(proto, full_check=True)
    assert ops(proto).count("QuantizeLinear") == ops(proto).count("DequantizeLinear") == 3
    assert [item.name for item in proto.graph.input] == ["x"]
    assert [item.name for item in proto.graph.output] == ["y"]
    x = normal(2, 3)
    inner = rounded(np.maximum(rounded(x, affine(UINT8, 0.05, 100)), 0), a)
    np.testing.assert_array_equal(run(proto, x=x)[0], rounded(-inner + np.abs(inner), y))


def test_parameters_are_scalars_and_shared() -> None:
    graph = typed(lift(parse(RELU_NEG)), a=affine(), y=affine())
    proto = export(graph)
    assert sorted(list(item.dims) for item in proto.graph.initializer) == [[], []]
    for node in proto.graph.node:
        assert len(node.input) == (3 if "Linear" in node.op_type else 1)


def test_constants_are_written_as_codes() -> None:
    quant = Affine(INT8, np.array([0.5, 0.25], np.float32), np.zeros(2), axis=1)
    graph = lift(parse("g (float[3,2] x) => (float[3,2] y) <float[2,2] w = {0.6, 0.3, -1.1, 99}> { y = MatMul(x, w) }"))
    graph = typed(graph, w=quant)
    proto = export(graph)
    codes = {item.name: onnx.numpy_helper.to_array(item) for item in proto.graph.initializer}["w_quantized"]
    assert (codes.dtype, codes.tolist()) == (np.int8, [[1, 1], [-2, 127]])
    assert proto.graph.node[0].output[0] == "w"
    given = graph.with_(constants={"w": Constant(graph.constants["w"].value, np.array([[1, 2], [3, 4]], np.int8))})
    codes = {item.name: onnx.numpy_helper.to_array(item) for item in export(given).graph.initializer}["w_quantized"]
    assert codes.tolist() == [[1, 2], [3, 4]]
    weight = np.array([[0.5, 0.5], [1.5, 1.0]], np.float32)
    np.testing.assert_array_equal(run(given, x=normal(3, 2))[0], normal(3, 2) @ weight)


def test_biases_are_int32_codes() -> None:
    graph = lift(parse("g (float[3,2] x) => (float[3,2] y) <float[2] b = {1000000, 2.5}> { y = Add(x, b) }"))
    graph = typed(graph, b=Affine(INT32, np.array([0.01, 0.5], np.float32), np.zeros(2), axis=0))
    np.testing.assert_allclose(run(graph, x=np.zeros((3, 2), np.float32))[0][0], [1000000, 2.5], rtol=1e-6)


@pytest.mark.parametrize("storage", [INT16, UINT16, INT4])
def test_other_widths_need_opset_21(storage: DType) -> None:
    graph = typed(lift(parse(RELU_NEG)), y=affine(storage, 0.1, 1))
    proto = export(graph)
    assert (imported(proto), proto.ir_version) == (21, 10)
    x = normal(2, 3)
    np.testing.assert_array_equal(run(proto, x=x)[0], rounded(-np.maximum(x, 0), affine(storage, 0.1, 1)))


@pytest.mark.parametrize("zero", [0, 3])
def test_narrow_codes_are_clipped_exactly(zero: int) -> None:
    quant = affine(UINT8, 0.013, zero, qmin=0, qmax=15)
    graph = typed(lift(parse("g (float[n] x) => (float[n] y) { y = Neg(x) }")), y=quant)
    x = np.linspace(-1, 1, 4001).astype(np.float32)
    np.testing.assert_array_equal(run(graph, x=x)[0], rounded(-x, quant))


@pytest.mark.parametrize("axis", [None, 1])
@pytest.mark.parametrize("rounding", ["binary", "ternary"])
def test_codes_by_compares(rounding: Literal["binary", "ternary"], axis: int | None) -> None:
    scale, threshold = (np.array(v[:1] if axis is None else v, np.float32) for v in ([0.5, 2, 3], [0.25, 1, 0]))
    if axis is None:
        scale, threshold = scale[0], threshold[0]
    quant = Affine(INT8, scale, np.zeros(scale.shape, np.int32), axis, rounding=rounding, threshold=threshold)
    x = np.array([[0.25, 1, 0], [-0.25, -1, -0.0], [0.3, 2, 1e-9], [-0.3, -2, -1e-9]], np.float32)
    signs = {"binary": [[1, 1, 1], [-1, -1, 1], [1, 1, 1], [-1, -1, -1]],
             "ternary": [[0, 0, 0], [0, 0, 0], [1, 1, 1], [-1, -1, -1]]}[rounding]  # fmt: skip
    if axis is None:
        signs = {"binary": [[1, 1, -1], [-1, -1, -1], [1, 1, -1], [-1, -1, -1]],
                 "ternary": [[0, 1, 0], [0, -1, 0], [1, 1, 0], [-1, -1, 0]]}[rounding]  # fmt: skip
    graph = typed(lift(parse("g (float[4,3] x) => (float[4,3] y) { a = Identity(x) y = Neg(a) }")), a=quant)
    proto = export(graph)
    onnx.checker.check_model(proto, full_check=True)
    assert "QuantizeLinear" not in ops(proto)
    np.testing.assert_array_equal(run(proto, x=x)[0], -np.float32(signs) * scale)
    np.testing.assert_array_equal(encode(x, quant), signs)


def test_narrow_codes_per_channel() -> None:
    quant = Affine(INT8, np.array([0.1, 0.2], np.float32), np.array([0, 1]), axis=1, qmin=-4, qmax=3)
    graph = typed(lift(parse("g (float[3,2] x) => (float[3,2] y) { y = Neg(x) }")), y=quant)
    np.testing.assert_array_equal(run(graph, x=normal(3, 2))[0], rounded(-normal(3, 2), quant))


def test_half_precision_values_are_rounded_in_float32() -> None:
    quant = affine(INT8, 0.05, 3)
    graph = typed(lift(parse("g (float16[4] x) => (float16[4] y) { y = Neg(x) }")), y=quant)
    assert graph.tensor("y").dtype is FLOAT16
    x = normal(4).astype(np.float16)
    np.testing.assert_array_equal(run(graph, x=x)[0], rounded(-x.astype(np.float32), quant).astype(np.float16))


def test_requantize_is_nothing_but_a_pair() -> None:
    graph = lift(parse("g (float[2,3] x) => (float[2,3] y, float[2,3] a) { a = Relu(x) b = Identity(a) y = Neg(b) }"))
    nodes = [node.with_(op="qir.Requantize", domain="qir") if node.op == "Identity" else node for node in graph.nodes]
    quant = affine(INT8, 0.1)
    proto = export(typed(graph.with_(nodes=tuple(nodes)), b=quant))
    assert ops(proto) == ["Relu", "QuantizeLinear", "DequantizeLinear", "Neg"]
    x = normal(2, 3)
    np.testing.assert_array_equal(run(proto, x=x)[0], -rounded(np.maximum(x, 0), quant))
    real = export(graph.with_(nodes=tuple(nodes)))  # to no codes at all
    assert ops(real) == ["Relu", "Neg"]


def test_values_that_bodies_capture_are_the_dequantized_ones() -> None:
    graph = lift(
        parse("""g (float[2,3] x, bool c) => (float[2,3] y) { a = Relu(x) y = If(c)
        <then_branch = t () => (float[2,3] r) { r = Neg(a) }, else_branch = e () => (float[2,3] a) { }> }""")
    )
    quant = affine(INT8, 0.1)
    for condition, sign in ((True, -1), (False, 1)):
        x = normal(2, 3)
        found = run(typed(graph, a=quant), x=x, c=np.array(condition))[0]
        np.testing.assert_array_equal(found, sign * rounded(np.maximum(x, 0), quant))


def test_a_constant_may_be_a_result() -> None:
    graph = lift(
        parse("g (float[2] x) => (float[2] y, float[2] k) { k = Constant<value = float[2] {1, 2}>() y = Neg(x) }")
    )
    assert graph.outputs == ("y", "k")
    proto = export(graph)
    onnx.checker.check_model(proto, full_check=True)
    assert run(proto, x=normal(2))[1].tolist() == [1, 2]


def test_equal_graphs_give_equal_bytes_and_types_are_stated() -> None:
    first, second = (export(typed(lift(parse(RELU_NEG)), a=affine())) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert {item.name for item in first.graph.value_info} >= {"a", "a_quantized", "a_dequantized"}


def test_names_that_the_pairs_would_take_may_be_taken() -> None:
    graph = lift(
        parse(
            "g (float[2,3] a) => (float[2,3] y) { a_scale = Relu(a)"
            " a_dequantized = Neg(a) y = Add(a_scale, a_dequantized) }"
        )
    )
    quant = affine(UINT8, 0.1, 128)
    x = normal(2, 3)
    wanted = np.maximum(rounded(x, quant), 0) - rounded(x, quant)
    np.testing.assert_array_equal(run(typed(graph, a=quant), a=x)[0], wanted)


@pytest.mark.parametrize(
    ("body", "opset"),
    [
        ("y = Relu(x)", 13),
        ("y = ReduceMean<keepdims = 1>(x)", 13),
        ("a = Constant<value_ints = [1]>() y = ReduceMean(x, a)", 18),
        ("y = HardSwish(x)", 14),
        ("y = LayerNormalization(x, x)", 17),
        ("y = Gelu(x)", 20),
        ("y, z = Split<num_outputs = 2>(x)", 18),
        ("s = Constant<value_ints = [1]>() y, z = Split(x, s)", 13),
        ("p = Constant<value_ints = [1, 1, 1, 1]>() y = Pad<mode = \"wrap\">(x, p)", 19),
        ("p = Constant<value_ints = [1, 1, 1, 1]>() y = Pad<mode = \"reflect\">(x, p)", 13),
        ("i = Constant<value = int64[1,1] {0}>() y = ScatterElements<reduction = \"max\">(x, i, x)", 18),
        ("y = Cast<to = 10>(x)", 13),
        ("c = Cast<to = 17>(x) y = Cast<to = 1>(c)", 19),
        ("y = GridSample(x, x)", 20),
        ("b = Constant<value = bool {1}>() c = Identity(b) d = Not(c) y = If(d)"
         " <then_branch = t () => (float[2,3] r) { r = HardSwish(x) },"
         "  else_branch = e () => (float[2,3] r) { r = Neg(x) }>",
         13),
    ],
)  # fmt: skip
def test_the_lowest_opset_that_will_do_is_stamped(body: str, opset: int) -> None:
    proto = parse(f"g (float[2,3] x) => (y) {{ {body} }}", opset=21, ir=10)
    assert imported(export(lift(proto))) == opset
    assert imported(export(lift(proto), minimal_opset=False)) == 21


def test_bodies_count_for_the_opset() -> None:
    proto = parse("g (float[2,3] x, bool c) => (float[2,3] y) { y = If(c) <then_branch = t () => (float[2,3] r) {"
                  " r = Gelu(x) }, else_branch = e () => (float[2,3] r) { r = Neg(x) }> }",
                  opset=21, ir=10)  # fmt: skip
    assert imported(export(lift(proto))) == 20


def test_integer_graphs_and_operators_without_a_meaning_are_refused() -> None:
    graph = lift(parse(RELU_NEG))
    with pytest.raises(UnsupportedError, match="integer arithmetic"):
        export(graph.with_(stage=Stage.INT))
    odd = Node("qir.Nothing", ("a",), ("y",), name="n")
    with pytest.raises(UnsupportedError, match=r"node 'n': qir.Nothing"):
        export(graph.with_(nodes=(graph.nodes[0], odd)))
    with pytest.raises(ModelError, match="int32"):
        export(typed(graph, a=affine(INT32)))
    with pytest.raises(ModelError, match="attribute k"):
        export(graph.with_(nodes=(graph.nodes[0].with_(attrs={"k": {}}), graph.nodes[1])))


def test_an_integer_given_for_a_float_attribute_is_written_as_one() -> None:
    graph = lift(parse("g (float[2] x) => (float[2] y) { y = LeakyRelu<alpha = 0.5>(x) }"))
    node = graph.nodes[0].with_(attrs={"alpha": 1})
    assert export(graph.with_(nodes=(node,))).graph.node[0].attribute[0].f == 1.0
    assert graph.tensor("y").dtype is FLOAT32
