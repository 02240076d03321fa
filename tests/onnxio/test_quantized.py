"""Q/DQ pairs become types, and emitted again they compute the same."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import pytest

from qir.ir.dtype import INT4, INT8, INT16, INT32, UINT8
from qir.ir.graph import Graph, Stage
from qir.ir.types import Affine, TensorType
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from tests.onnxio.running import normal, parse, run

PARAMETERS = "float s = {0.05}, uint8 z = {100}, float t = {0.02}, int8 n = {-3}"


def quant(graph: Graph, name: str) -> Affine | None:
    kind = graph.types[name]
    assert isinstance(kind, TensorType)
    return kind.quant


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def both(text: str, opset: int = 17, **inputs: np.ndarray) -> Graph:
    """Lifts, and holds the emitted model to the original's results."""
    return compared(parse(text, opset=opset, ir=10 if opset > 20 else 8), **inputs)


def compared(proto: onnx.ModelProto, **inputs: np.ndarray) -> Graph:
    onnx.checker.check_model(proto, full_check=True)
    graph = lift(proto)
    emitted = export(graph)
    onnx.checker.check_model(emitted, full_check=True)
    inputs = inputs or {"x": normal(2, 3)}
    for got, want in zip(run(emitted, **inputs), run(proto, **inputs), strict=True):
        np.testing.assert_array_equal(got, want)
    return graph


def test_a_pair_on_a_computed_value_is_its_type() -> None:
    graph = both(f"""g (float[2,3] x) => (float[2,3] y) <{PARAMETERS}> {{
        a = Relu(x) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z) y = Neg(d) }}""")
    assert graph.stage is Stage.QUANT
    assert ops(graph) == ["Relu", "Neg"]
    assert graph.nodes[1].inputs == ("a",)
    assert quant(graph, "a") == Affine(UINT8, np.float32(0.05), np.int32(100))
    assert not {"s", "z"} & graph.constants.keys()


def test_a_pair_on_an_input_and_one_before_an_output() -> None:
    graph = both(f"""g (float[2,3] x) => (float[2,3] y) <{PARAMETERS}> {{
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) a = Neg(d)
        p = QuantizeLinear(a, t, n) y = DequantizeLinear(p, t, n) }}""")
    assert ops(graph) == ["Neg"]
    assert (graph.inputs, graph.outputs) == (("x",), ("y",))
    assert quant(graph, "x") == Affine(UINT8, np.float32(0.05), np.int32(100))
    assert quant(graph, "y") == Affine(INT8, np.float32(0.02), np.int32(-3))


def test_several_readers_of_the_codes_and_several_equal_pairs_are_one() -> None:
    graph = both(f"""g (float[2,3] x) => (float[2,3] y) <{PARAMETERS}> {{
        a = Relu(x) q = QuantizeLinear(a, s, z) r = QuantizeLinear(a, s, z)
        d = DequantizeLinear(q, s, z) e = DequantizeLinear(q, s, z) f = DequantizeLinear(r, s, z)
        b = Add(d, e) y = Add(b, f) }}""")
    assert ops(graph) == ["Relu", "Add", "Add"]


def test_other_uses_of_the_value_make_a_requantize() -> None:
    graph = both(f"""g (float[2,3] x) => (float[2,3] y, float[2,3] a) <{PARAMETERS}> {{
        a = Relu(x) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z)
        r = QuantizeLinear(a, t, n) e = DequantizeLinear(r, t, n) y = Add(d, e) }}""")
    assert ops(graph) == ["Relu", "qir.Requantize", "qir.Requantize", "Add"]
    assert quant(graph, "a") is None
    assert quant(graph, "d") != quant(graph, "e")


def test_constants_carry_reals_and_codes() -> None:
    graph = both("""g (float[2,3] x) => (float[2,4] y)
        <int8[3,4] w = {1, 2, 3, 4, -5, 6, 7, 8, 9, 10, 11, -128}, float[4] ws = {0.1, 0.2, 0.3, 0.4},
         int8[4] wz = {0, 0, 0, 1}, int32[4] b = {10, -20, 30, 40}, float[4] bs = {0.1, 0.2, 0.3, 0.4}> {
        dw = DequantizeLinear<axis = 1>(w, ws, wz) db = DequantizeLinear<axis = 0>(b, bs)
        y = Gemm(x, dw, db) }""")
    assert ops(graph) == ["Gemm"]
    weight, bias = graph.constants["dw"], graph.constants["db"]
    assert weight.codes is not None
    assert (weight.codes.dtype, weight.codes[1, 0]) == (np.int8, -5)
    np.testing.assert_array_equal(weight.value[:, 3], (np.array([4, 8, -128], np.float32) - 1) * np.float32(0.4))
    found = quant(graph, "db")
    assert found is not None
    assert (found.storage, found.axis) == (INT32, 0)
    assert bias.codes is not None
    assert set(graph.constants) == {"dw", "db"}


def test_a_pair_on_a_real_constant_keeps_its_reals() -> None:
    graph = both("""g (float[2,3] x) => (float[2,3] y) <float[3] w = {0.11, -0.27, 9}, float s = {0.05}, int8 z = {0}> {
        q = QuantizeLinear(w, s, z) d = DequantizeLinear(q, s, z) y = Add(x, d) }""")
    assert graph.constants["d"].value.tolist() == np.array([0.11, -0.27, 9], np.float32).tolist()
    assert graph.constants["d"].codes is not None
    assert graph.constants["d"].codes.tolist() == [2, -5, 127]


def test_wide_narrow_and_blocked_codes() -> None:
    proto = parse(
        """g (float[2,4] x) => (float[2,4] y)
        <float s = {0.001}, int16 z = {5}, float[2,4] ws = {1,2,3,4,5,6,7,8}> {
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)
        dw = DequantizeLinear<axis = 0, block_size = 2>(w, ws, wz) y = MatMul(d, dw) }""",
        opset=21,
        ir=10,
    )
    codes = np.array([[1, 2, 3, 4], [5, 6, 7, -8]] * 2).astype(ml_dtypes.int4)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(codes, "w"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((2, 4), ml_dtypes.int4), "wz"))
    graph = compared(proto, x=normal(2, 4))
    found, weight = quant(graph, "x"), quant(graph, "dw")
    assert found is not None
    assert weight is not None
    assert (found.storage, weight.storage, weight.block_size, weight.axis) == (INT16, INT4, 2, 0)
    assert ops(graph) == ["MatMul"]


def test_a_pair_in_a_body_with_parameters_from_outside() -> None:
    graph = both(
        f"""g (float[2,3] x, bool c) => (float[2,3] y) <{PARAMETERS}> {{
        a = Relu(x) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z)
        y = If(c) <then_branch = f () => (float[2,3] r) {{
            b = Neg(d) p = QuantizeLinear(b, t, n) r = DequantizeLinear(p, t, n) }},
          else_branch = e () => (float[2,3] v) {{ v = Identity(d) }}> }}""",
        x=normal(2, 3),
        c=np.array(True),
    )
    assert ops(graph) == ["Relu", "If"]
    body = graph.nodes[1].attrs["then_branch"]
    assert body.captures == ("a",)
    assert (ops(body), body.stage) == (["Neg"], Stage.QUANT)
    assert quant(body, "r") == Affine(INT8, np.float32(0.02), np.int32(-3))


@pytest.mark.parametrize(
    "body",
    [
        "float u) => (uint8[2,3] y) { k = Abs(u) y = QuantizeLinear(x, k, z) }",  # a computed scale
        "float u) => (uint8[2,3] y) { y = QuantizeLinear(x, s, z) }",  # a lone Q
        "float u) => (float[2,3] y) { c = Cast<to = 2>(x) y = DequantizeLinear(c, s, z) }",  # a lone DQ
        "float u) => (float[2,3] y, uint8[2,3] q) { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }",
        "float u) => (float[2,3] y) { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }",  # input to output
        "float u) => (float[2,3] y) { a = Abs(x) q = QuantizeLinear(a, s, z) y = DequantizeLinear(q, w, z) }",
        "float u) => (float[3,2] y) { a = Abs(x) q = QuantizeLinear(a, s, z) p = Transpose(q)"
        " y = DequantizeLinear(p, s, z) }",
        "float u) => (float[2,3] y) { a = Abs(x) q = QuantizeLinear(a, o, z) y = DequantizeLinear(q, o, z) }",
    ],
)
def test_what_is_no_pair_stays_as_nodes(body: str) -> None:
    text = body.replace("float u) =>", "g (float[2,3] x, float u) =>", 1).replace(
        ") {", ") <float s = {0.05}, float w = {0.06}, float o = {0}, uint8 z = {100}> {", 1
    )
    inputs = {"x": normal(2, 3), "u": np.array(0.1, np.float32)}
    if "o, z" in text:  # a scale of zero computes nothing that could be compared
        graph = lift(parse(text))
    else:
        graph = both(text, **inputs)
    assert {"QuantizeLinear", "DequantizeLinear"} & set(ops(graph))
    assert graph.stage is Stage.FLOAT


def test_half_precision_scales_stay_as_nodes() -> None:
    graph = lift(parse("g (float16[2] x) => (float16[2] y) <float16 s = {1}, int8 z = {0}> {"
                       " a = Abs(x) q = QuantizeLinear(a, s, z) y = DequantizeLinear(q, s, z) }",
                       opset=19))  # fmt: skip
    assert ops(graph) == ["Abs", "QuantizeLinear", "DequantizeLinear"]


def test_a_chain_of_two_pairs_keeps_the_second_as_nodes() -> None:
    graph = both(f"""g (float[2,3] x) => (float[2,3] y) <{PARAMETERS}> {{
        a = Relu(x) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z)
        p = QuantizeLinear(d, t, n) e = DequantizeLinear(p, t, n) y = Neg(e) }}""")
    assert ops(graph) == ["Relu", "QuantizeLinear", "DequantizeLinear", "Neg"]


def test_emitting_and_lifting_again_gives_the_same_types() -> None:
    text = f"""g (float[2,3] x) => (float[2,3] y) <{PARAMETERS}> {{
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) a = Neg(d)
        p = QuantizeLinear(a, t, n) y = DequantizeLinear(p, t, n) }}"""
    graph = lift(parse(text))
    again = lift(export(graph))
    assert dict(again.types) == dict(graph.types)
    assert ops(again) == ops(graph)
