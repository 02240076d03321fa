"""QONNX's quantizers: what they compute, and which of them become types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qir.errors import ModelError, UnsupportedError
from qir.evaluate import Runner
from qir.ir.dtype import INT4, INT8, INT16, INT32, UINT8, UINT16
from qir.ir.graph import Graph, Stage
from qir.ir.types import Affine
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from tests.onnxio.running import normal, parse, run

DOMAIN = "qonnx.custom_op.general"
X = np.concatenate([np.arange(-12, 13, dtype=np.float32) / 8, normal(39)]).reshape(2, 4, 8) * np.float32(3)
ROUND = {
    "ROUND": np.rint, "HALF_EVEN": np.rint, "CEIL": np.ceil, "FLOOR": np.floor, "DOWN": np.trunc,
    "ROUND_TO_ZERO": np.trunc, "UP": lambda y: np.sign(y) * np.ceil(np.abs(y)),
    "HALF_UP": lambda y: np.sign(y) * np.floor(np.abs(y) + np.float32(0.5)),
    "HALF_DOWN": lambda y: np.sign(y) * np.ceil(np.abs(y) - np.float32(0.5)),
}  # fmt: skip


def limits(bits: float, signed: int, narrow: int) -> tuple[float, float]:
    """The codes of a width, by the table of QONNX's schema."""
    if signed:
        return -(2.0 ** (bits - 1)) + narrow, 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1 - narrow


def quant(
    x: np.ndarray, scale: Any, zero: Any, bits: float, signed: int = 1, narrow: int = 0, mode: str = "ROUND"
) -> Any:
    """Quant, step by step in float32 as its schema's implementation has it."""
    scale, zero = np.float32(scale), np.float32(zero)
    y = x / scale + zero
    if bits == 1 and signed:
        y = np.where(y >= 0, np.float32(1), np.float32(-1))
    else:
        y = ROUND[mode](np.clip(y, *map(np.float32, limits(bits, signed, narrow))))
    return (y - zero) * scale


def model(call: str, constants: str = "", domain: str = DOMAIN, opset: int = 17, rest: str = "y = Neg(q)") -> Any:
    """A network that quantizes a computed value."""
    head = f"g (float[2,4,8] x) => (float[2,4,8] y) <float i = {{0}}{constants}>"
    text = f"{head} {{ a = Add(x, i) q = {domain}.{call} {rest} }}"
    return parse(text, opset=opset, ir=8 if opset > 9 else 6, imports=f', "{domain}": 1')


def lifted(call: str, constants: str = "", **more: Any) -> Graph:
    return lift(model(call, constants, **more))


def value(graph: Graph, x: np.ndarray = X) -> np.ndarray:
    """What the quantizer gives: the network negates it."""
    found: np.ndarray = -Runner(graph)({"x": x})["y"]
    np.testing.assert_array_equal(-run(export(graph), x=x)[0], found)
    return found


def ops(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize("domain", [DOMAIN, "onnx.brevitas", "finn.custom_op.general"])
@pytest.mark.parametrize(("op", "opset"), [("Quant", 9), ("IntQuant", 17)])
def test_a_quant_on_a_computed_value_is_its_type(op: str, opset: int, domain: str) -> None:
    call = f'{op}<signed=1, narrow=1, rounding_mode="ROUND">(a, s, z, b)'
    graph = lifted(call, ", float s = {0.25}, float z = {0}, float b = {3}", domain=domain, opset=opset)
    assert (["Add", "Neg"], Stage.QUANT) == (ops(graph), graph.stage)
    assert Affine(INT8, np.float32(0.25), np.int32(0), qmin=-3, qmax=3) == graph.tensor("a").quant
    assert domain not in graph.opsets
    np.testing.assert_array_equal(value(graph), quant(X, 0.25, 0, 3, narrow=1))


@pytest.mark.parametrize(
    ("bits", "signed", "narrow", "storage"),
    [(2, 1, 0, INT8), (2, 1, 1, INT8), (2, 0, 0, UINT8), (2, 0, 1, UINT8), (1, 0, 0, UINT8), (8, 1, 0, INT8),
     (8, 0, 1, UINT8), (9, 1, 1, INT16), (16, 0, 0, UINT16), (1, 1, 1, "binary"), (1, 1, 0, "binary"),
     (17, 1, 0, None), (24, 0, 0, None), (1, 0, 1, None), (2.5, 1, 0, None)],
)  # fmt: skip
def test_widths(bits: float, signed: int, narrow: int, storage: Any) -> None:
    graph = lifted(
        f"Quant<signed={signed}, narrow={narrow}>(a, s, z, b)",
        f", float s = {{0.5}}, float z = {{0}}, float b = {{{bits}}}",
    )
    found = graph.tensor("a").quant
    if storage is None:
        assert found is None
    elif storage == "binary":
        assert Affine(INT8, np.float32(0.5), np.int32(0), rounding="binary") == found
    else:
        low, high = limits(bits, signed, narrow)
        assert Affine(storage, np.float32(0.5), np.int32(0), qmin=int(low), qmax=int(high)) == found
    np.testing.assert_array_equal(value(graph), quant(X, 0.5, 0, bits, signed, narrow))


def test_a_scale_and_a_zero_point_for_each_channel() -> None:
    graph = lifted(
        "Quant<signed=0>(a, s, z, b)",
        ", float[1,4,1] s = {0.1, 0.2, 0.3, 0.4}, float[4,1] z = {0, 2, 4, 8}, int64[1] b = {4}",
    )
    found = graph.tensor("a").quant
    assert found is not None
    assert (1, 0, 15, [0, 2, 4, 8]) == (found.axis, found.qmin, found.qmax, found.zero_point.tolist())
    scale, zero = np.array([0.1, 0.2, 0.3, 0.4]).reshape(4, 1), np.array([0, 2, 4, 8]).reshape(4, 1)
    x = normal(2, 4, 8)
    np.testing.assert_array_equal(value(graph, x), quant(x, scale, zero, 4, signed=0))


@pytest.mark.parametrize("mode", [*ROUND, "floor", "Round"])
def test_rounding_modes(mode: str) -> None:
    graph = lifted(f'Quant<rounding_mode="{mode}">(a, s, z, b)', ", float s = {0.5}, float z = {0}, float b = {3}")
    assert (graph.tensor("a").quant is not None) == (mode.upper() in ("ROUND", "HALF_EVEN"))
    np.testing.assert_array_equal(value(graph), quant(X, 0.5, 0, 3, mode=mode.upper()))


def test_a_rounding_mode_that_nobody_knows() -> None:
    with pytest.raises(UnsupportedError, match="SIDEWAYS") as caught:
        lifted('Quant<rounding_mode="SIDEWAYS">(a, s, z, b)', ", float s = {0.5}, float z = {0}, float b = {3}")
    assert ("Quant_1", True) == (caught.value.node, "HALF_DOWN" in (caught.value.fix or ""))


def test_operands_that_are_missing() -> None:
    with pytest.raises(ModelError, match="4 operands"):
        lifted("Quant(a, s, z)", ", float s = {0.5}, float z = {0}")


@pytest.mark.parametrize("computed", ["s", "z", "b"])
@pytest.mark.parametrize(("signed", "narrow"), [(1, 0), (1, 1), (0, 0), (0, 1)])
def test_parameters_that_are_computed_stay_arithmetic(computed: str, signed: int, narrow: int) -> None:
    numbers = {"s": 0.5, "z": 0.0, "b": 3.0}
    constants = "".join(
        f", float {key}{'0' if key == computed else ''} = {{{number}}}" for key, number in numbers.items()
    )
    proto = model(f"Quant<signed={signed}, narrow={narrow}>(a, s, z, b)", constants)
    identity = parse(f"g (float u) => (float {computed}) {{ {computed} = Identity({computed}0) }}").graph.node[0]
    proto.graph.node.insert(0, identity)
    graph = lift(proto)
    assert Stage.FLOAT is graph.stage
    np.testing.assert_array_equal(value(graph), quant(X, 0.5, 0, 3, signed, narrow))


@pytest.mark.parametrize("scale", [1.0, 0.3, -0.5])
def test_bipolar(scale: float) -> None:
    graph = lifted("BipolarQuant(a, s)", f", float s = {{{scale}}}")
    expected = Affine(INT8, np.float32(scale), np.int32(0), rounding="binary") if scale > 0 else None
    assert expected == graph.tensor("a").quant
    x = np.where(np.arange(64).reshape(X.shape) % 7 == 0, np.float32(-0.0), X)
    np.testing.assert_array_equal(value(graph, x), np.where(x >= 0, 1, -1) * np.float32(scale))


def test_a_scale_of_signs_that_is_computed() -> None:
    graph = lift(parse(
        f"""g (float[2,4,8] x) => (float[2,4,8] y) <float t = {{0.5}}> {{
        s = Exp(t) q = {DOMAIN}.BipolarQuant(x, s) y = Neg(q) }}""",
        imports=f', "{DOMAIN}": 1',
    ))  # fmt: skip
    assert Stage.FLOAT is graph.stage
    np.testing.assert_array_equal(value(graph), np.where(X >= 0, 1, -1) * np.exp(np.float32(0.5)))


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", None])
@pytest.mark.parametrize("zero", [0, 3])
def test_trunc(zero: int, mode: str | None) -> None:
    attrs = "" if mode is None else f'<rounding_mode="{mode}">'
    constants = f", float s = {{0.25}}, float z = {{{zero}}}, float b = {{8}}, float c = {{5}}"
    graph = lifted(f"Trunc{attrs}(a, s, z, b, c)", constants)
    steps = ROUND[mode or "FLOOR"](np.rint(X / np.float32(0.25) + zero) / np.float32(8))
    np.testing.assert_array_equal(value(graph), (steps - np.float32(zero)) * np.float32(0.25))


@pytest.mark.parametrize(("signed", "narrow"), [(1, 0), (1, 1), (0, 0)])
def test_trunc_with_a_scale_of_its_result(signed: int, narrow: int) -> None:
    constants = ", float s = {0.25}, float z = {4}, float b = {8}, float r = {1}, float c = {3}"
    graph = lifted(f"Trunc<signed={signed}, narrow={narrow}>(a, s, z, b, r, c)", constants)
    steps = np.clip(np.rint(X / np.float32(0.25) + 4) / np.float32(4), *limits(3, signed, narrow))
    np.testing.assert_array_equal(value(graph), np.floor(steps) - np.float32(1))


def test_weights_are_constants_with_codes() -> None:
    graph = lift(parse(f"""g (float[2,3] x) => (float[2,2] y)
        <float[2,3] w = {{0.3, -0.2, 0, -0.0, 4, -9}}, float[2,1] s = {{0.5, 1}}, float z = {{0}}, float b = {{2}},
         float[2] c = {{0.26, 70000}}, float t = {{0.00001}}, float e = {{32}}> {{
        p = {DOMAIN}.BipolarQuant(w, s) q = {DOMAIN}.Quant<narrow=1>(w, s, z, b) d = {DOMAIN}.Quant(c, t, z, e)
        m = Gemm<transB=1>(x, p, d) n = Gemm<transB=1>(x, q) y = Add(m, n) }}""",
        imports=f', "{DOMAIN}": 1'))  # fmt: skip
    signs, ternary, bias = (graph.tensor(name).quant for name in "pqd")
    assert Affine(INT4, [0.5, 1], [0, 0], 0, rounding="binary") == signs
    assert Affine(INT4, [0.5, 1], [0, 0], 0, qmin=-1, qmax=1) == ternary
    assert Affine(INT32, np.float32(1e-5), 0) == bias
    codes = {name: constant.codes for name, constant in graph.constants.items() if constant.codes is not None}
    assert [[1, -1, 1], [1, 1, -1]] == codes["p"].astype(int).tolist()
    assert [[1, 0, 0], [0, 1, -1]] == codes["q"].astype(int).tolist()
    assert [26000, 2**31 - 1] == codes["d"].tolist()
    np.testing.assert_array_equal(graph.constants["q"].value, codes["q"].astype(np.float32) * [[0.5], [1]])
    assert {"p", "q", "d"} == graph.constants.keys()
    assert ["Gemm", "Gemm", "Add"] == ops(graph)


def test_a_value_that_others_use_too() -> None:
    graph = lifted(
        "Quant(a, s, z, b)", ", float s = {0.5}, float z = {0}, float b = {3}", rest="n = Add(q, a) y = Neg(n)"
    )
    assert ["Add", "qir.Requantize", "Add", "Neg"] == ops(graph)
    np.testing.assert_array_equal(value(graph), quant(X, 0.5, 0, 3) + X)


def test_a_quantizer_behind_another_stays_arithmetic() -> None:
    again = "r = qonnx.custom_op.general.Quant(q, t, z, b) y = Neg(r)"
    graph = lifted("Quant(a, s, z, b)", ", float s = {0.5}, float t = {0.75}, float z = {0}, float b = {3}", rest=again)
    assert "Round" in ops(graph)
    np.testing.assert_array_equal(value(graph), quant(quant(X, 0.5, 0, 3), 0.75, 0, 3))


def test_quantizers_in_a_body() -> None:
    graph = lift(parse(
        f"""g (float[2,4,8] x, bool c) => (float[2,4,8] y) <float s = {{0.5}}> {{
        y = If(c) <then_branch = f () => (float[2,4,8] r) {{ a = Neg(x) r = {DOMAIN}.BipolarQuant(a, s) }},
          else_branch = e () => (float[2,4,8] v) {{ v = Identity(x) }}> }}""",
        imports=f', "{DOMAIN}": 1',
    ))  # fmt: skip
    body = graph.nodes[0].subgraphs["then_branch"]
    assert ["Neg"] == ops(body)
    np.testing.assert_array_equal(run(graph, x=X, c=np.array(True))[0], np.where(-X >= 0, 0.5, -0.5))
