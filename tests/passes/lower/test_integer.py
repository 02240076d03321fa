"""Integer arithmetic against the QUANT graph that it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.dtype import FLOAT32, INT8, UINT8, DType
from qir.ir.graph import Constant, Graph, Stage
from qir.ir.types import Affine, TensorType
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.passes.lower.integer import LowerInteger
from qir.passmanager.base import Context
from qir.quant.scales import decode, encode
from qir.target import Target
from qir.verify import verify
from tests.passes.graphs import net, normal, ops
from tests.passes.quantize.quantizing import samples

NOWHERE = Context(Target("nowhere", "c", {}))
STORAGES = (UINT8, INT8)


def with_codes(graph: Graph, storage: DType = UINT8, seed: int = 7, **scales: float) -> Graph:
    """The graph in stage QUANT: the named values get codes of a scale, with a zero point drawn at random."""
    random, types = np.random.default_rng(seed), dict(graph.types)
    constants = dict(graph.constants)
    for name, scale in scales.items():
        zero = int(random.integers(90, 160)) - (128 if storage is INT8 else 0)
        quant = Affine(storage, np.float32(scale), np.array(zero))
        kind = graph.tensor(name)
        types[name] = TensorType(kind.dtype, kind.shape, quant)
        if name in constants:
            constants[name] = Constant(constants[name].value, encode(constants[name].value, quant))
    return graph.with_(types=types, constants=constants, stage=Stage.QUANT)


def with_weights(graph: Graph, storage: DType = INT8, zero: int = 0, **axes: int | None) -> Graph:
    """Weights rounded along an axis, or with one scale."""
    types, constants = dict(graph.types), dict(graph.constants)
    for name, axis in axes.items():
        value = constants[name].value
        count = () if axis is None else (value.shape[axis],)
        scale = np.full(count, np.abs(value).max() / 120, np.float32)
        if axis is not None:
            scale = scale * np.linspace(0.8, 1.2, value.shape[axis]).astype(np.float32)
        quant = Affine(storage, scale, np.full(count, zero), axis)
        constants[name] = Constant(value, encode(value, quant))
        types[name] = TensorType(FLOAT32, value.shape, quant)
    return graph.with_(types=types, constants=constants, stage=Stage.QUANT)


def lowered(graph: Graph) -> Graph:
    verify(graph)
    result = LowerInteger().run(graph, NOWHERE)
    verify(result)
    assert result.stage is Stage.INT
    assert (result.inputs, result.outputs) == (graph.inputs, graph.outputs)
    assert not [name for name, kind in result.types.items() if isinstance(kind, TensorType) and kind.quant]
    return result


def compare(
    graph: Graph, feed: dict[str, Any] | None = None, codes: int = 1, share: float = 0.01, unit: float = 0.0
) -> Graph:
    """Lowers; every result is at most `codes` codes away, and equal but for a share of the elements.

    Args:
        unit: for results without codes, the step that a bias is rounded to.
    """
    result = lowered(graph)
    given = samples(graph, 4, seed=2) if feed is None else feed
    expected, found = evaluate(graph, given), evaluate(result, given)
    for name in graph.outputs:
        quant = graph.tensor(name).quant
        step = float(quant.scale) if quant is not None else max(unit, 1e-5 * float(np.abs(expected[name]).max()))
        assert found[name].shape == expected[name].shape
        assert found[name].dtype == expected[name].dtype
        off = np.abs(found[name].astype(np.float64) - expected[name]) / step
        assert off.max(initial=0) <= codes + 1e-3
        assert (off > 0.5).mean() <= share or quant is None
    return result


def plain(text: str, result: str, x: str = "2,4,6,8", **constants: Any) -> Graph:
    return net(f"(float[{x}] x) => ({result}) {{ {text} }}", **constants)


# Layers

LAYERS: dict[str, tuple[str, str, tuple[int, ...], int, str]] = {
    "conv": ("Conv <pads=[1,1,1,1]>", "2,4,6,8", (5, 4, 3, 3), 0, "qir.IntConv"),
    "groups": ("Conv <group=2, strides=[2,1], pads=[1,0,0,2]>", "2,4,6,8", (6, 2, 3, 3), 0, "qir.IntConv"),
    "same": ("Conv <auto_pad=\"SAME_LOWER\", strides=[3,2]>", "2,4,6,8", (5, 4, 3, 4), 0, "qir.IntConv"),
    "valid": ("Conv <auto_pad=\"VALID\", dilations=[2,2]>", "2,4,6,8", (5, 4, 2, 2), 0, "qir.IntConv"),
    "one_axis": ("Conv <pads=[2,0]>", "3,4,9", (5, 4, 3), 0, "qir.IntConv"),
    "transposed": ("ConvTranspose <strides=[2,2], pads=[1,1,0,0]>", "2,4,6,8", (4, 5, 3, 3), 1, "qir.IntConvTranspose"),
    "gemm": ("Gemm", "7,12", (12, 5), 1, "qir.IntGemm"),
    "gemm_t": ("Gemm <transB=1>", "7,12", (5, 12), 0, "qir.IntGemm"),
}  # fmt: skip


def weighted_layer(name: str, bias: bool = True, per_channel: bool = True, **weights: Any) -> Graph:
    text, x, shape, axis, _ = LAYERS[name]
    rank = x.count(",") + 1
    b = {"b": normal(5 if name != "groups" else 6, seed=3)} if bias else {}
    dims = ",".join("abcde"[:rank])
    graph = plain(f"y = {text} (x, w{', b' if bias else ''})", f"float[{dims}] y", x, w=normal(*shape, seed=2), **b)
    return with_weights(graph, **weights, w=axis if per_channel else None)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str, bias: bool, per_channel: bool, storage: DType) -> None:
    graph = with_codes(weighted_layer(name, bias, per_channel), storage, x=0.02137, y=0.1513)
    assert LAYERS[name][4] in ops(compare(graph))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_real_results(name: str) -> None:
    result = compare(with_codes(weighted_layer(name), x=0.02137), unit=0.02137 * 0.04 / 2)
    assert ops(result) == ["qir.Quantize", LAYERS[name][4]]


@pytest.mark.parametrize("name", LAYERS)
def test_unsigned_weights_around_128_are_signed_ones(name: str) -> None:
    graph = with_codes(weighted_layer(name, storage=UINT8, zero=128), x=0.02137, y=0.1513)
    assert LAYERS[name][4] in ops(compare(graph))


def test_weights_around_another_zero_point_run_in_float() -> None:
    graph = with_codes(weighted_layer("conv", storage=UINT8, zero=60), x=0.02137, y=0.1513)
    assert "Conv" in ops(compare(graph))


def test_accumulators_that_could_overflow_run_in_float() -> None:
    graph = plain("y = MatMul (x, w)", "float[2,1] y", "2,70000", w=np.ones((70_000, 1), np.float32))
    result = lowered(with_codes(with_weights(graph, w=1), x=0.02137, y=0.1513))
    assert "MatMul" in ops(result)


@pytest.mark.parametrize(("a", "b", "y"), [("2,3,4", "2,4,5", "2,3,5"), ("2,1,3,4", "3,4,5", "2,3,3,5")])
@pytest.mark.parametrize("storage", STORAGES)
def test_products_of_two_activations(a: str, b: str, y: str, storage: DType) -> None:
    graph = net(f"(float[{a}] x, float[{b}] v) => (float[{y}] y) {{ y = MatMul(x, v) }}")
    assert "qir.IntMatMul" in ops(compare(with_codes(graph, storage, x=0.02137, v=0.02, y=0.05)))
    assert ops(compare(with_codes(graph, storage, x=0.02137, v=0.02)))[-1] == "qir.IntMatMul"


# Elementwise operators


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("other", ["2,4,6,8", "4,1,1", "1"])
def test_two_operands(op: str, other: str, storage: DType) -> None:
    graph = net(f"(float[2,4,6,8] x, float[{other}] v) => (float[2,4,6,8] y) {{ y = {op}(x, v) }}")
    result = compare(with_codes(graph, storage, x=0.02113, v=0.01679, y=0.03071))
    assert {"Add": "qir.IntAdd", "Sub": "qir.IntAdd", "Mul": "qir.IntMul"}[op] in ops(result)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_a_constant_operand_with_codes(op: str) -> None:
    graph = plain(f"y = {op}(k, x)", "float[2,4,6,8] y", k=normal(4, 1, 1))
    result = compare(with_codes(graph, x=0.02113, k=0.01679, y=0.03071))
    assert {"Add": "qir.IntAdd", "Sub": "qir.IntAdd", "Mul": "qir.IntMul"}[op] in ops(result)


FUNCTIONS = ["Abs(x)", "Celu(x)", "Clip(x, a, b)", "Clip(x, , b)", "Elu(x)", "Erf(x)", "Exp(x)", "Gelu(x)",
             "HardSigmoid(x)", "HardSwish(x)", "LeakyRelu(x)", "Mish(x)", "PRelu(x, b)", "PRelu(x, k)", "Pow(x, c)",
             "Relu(x)", "Selu(x)", "Sigmoid(x)", "Softplus(x)", "Softsign(x)", "Tanh(x)", "ThresholdedRelu(x)",
             "Div(x, b)", "Div(x, k)", "Sub(b, x)", "Mul(x, k)", "Add(k, x)", "Neg(x)", "Floor(x)"]  # fmt: skip


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("text", FUNCTIONS)
def test_functions_are_tables_and_exact(text: str, storage: DType) -> None:
    """`k` has as many axes as x, all of one element."""
    known = {"a": np.float32(-0.7), "b": np.float32(0.9), "c": np.int64(2), "k": np.full((1, 1, 1, 1), 0.3, np.float32)}
    inside = text[text.index("(") :]
    used = {name: value for name, value in known.items() if f" {name}" in inside or f"({name}" in inside}
    graph = with_codes(plain(f"y = {text}", "float[2,4,6,8] y", **used), storage, x=0.02113, y=0.03071)
    result = compare(graph, codes=0)
    assert ops(result) == ["qir.Quantize", "qir.Lookup", "qir.Dequantize"]
    (table,) = (constant.value for constant in result.constants.values())
    assert table.shape == (256,)


def test_a_constant_with_more_axes_is_no_function_of_one_number() -> None:
    graph = plain("y = Div(x, k)", "float[1,1,8] y", "8", k=np.full((1, 1, 1), 0.3, np.float32))
    assert "Div" in ops(compare(with_codes(graph, x=0.02113, y=0.05)))


# Pools and means


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(
    "text",
    [
        "AveragePool <kernel_shape=[2,2], strides=[2,2]> (x)",
        "AveragePool <kernel_shape=[3,3], pads=[1,1,1,1]> (x)",
        "AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (x)",
        "AveragePool <kernel_shape=[3,3], strides=[2,2], ceil_mode=1> (x)",
        "AveragePool <kernel_shape=[3,3], strides=[2,2], auto_pad=\"SAME_UPPER\", ceil_mode=1> (x)",
        "GlobalAveragePool (x)",
        "ReduceMean <keepdims=0> (x, axes)",
        "ReduceMean (x, axes)",
        "ReduceMean <keepdims=0> (x)",
    ],
)  # fmt: skip
def test_averages(text: str, storage: DType) -> None:
    axes = {"axes": np.array([-1, 2])} if "axes)" in text else {}
    result = (
        "float y" if "(x)" in text and "Reduce" in text else "float[a,b] y" if "dims=0" in text else "float[a,b,c,d] y"
    )
    graph = with_codes(plain(f"y = {text}", result, **axes), storage, x=0.02113, y=0.008)
    found = compare(graph, share=0.02)
    assert any(op in ("qir.IntAveragePool", "qir.IntMean") for op in ops(found))


# Operators that move codes

MOVES = ["Transpose <perm=[1,0,3,2]> (x)", "Reshape (x, sizes)", "Flatten (x)", "Slice (x, one, two, one)",
         "MaxPool <kernel_shape=[3,3], pads=[1,1,1,1]> (x)",
         "MaxPool <kernel_shape=[2,3], strides=[2,2], ceil_mode=1> (x)",
         "DepthToSpace <blocksize=2> (x)", "SpaceToDepth <blocksize=2> (x)", "Gather <axis=1> (x, two)",
         "Tile (x, repeats)", "Resize <mode=\"nearest\"> (x, , factors)", "Pad (x, pads)", "Pad (x, pads, half)",
         "Pad <mode=\"edge\"> (x, pads)", "ReduceMax (x, two)", "Concat <axis=1> (x, x)", "Identity (x)",
         "Unsqueeze (x, one)", "Expand (x, wide)"]  # fmt: skip
OPERANDS = {
    "sizes": np.array([8, -1]), "one": np.array([1]), "two": np.array([2]), "repeats": np.array([1, 2, 1, 2]),
    "factors": np.array([1, 1, 2, 1.5], np.float32), "pads": np.array([0, 0, 1, 2, 0, 0, 2, 1]),
    "half": np.float32(0.5), "wide": np.array([2, 4, 6, 8]),
}  # fmt: skip


def mover(text: str, tail: str = "") -> Graph:
    used = {name: value for name, value in OPERANDS.items() if f" {name}" in text}
    rank = {"Reshape": 2, "Flatten": 2, "Unsqueeze": 5}.get(text.split()[0], 4)
    first = "y" if not tail else "m"
    return plain(f"{first} = {text} {tail}", f"float[{','.join('abcde'[:rank])}] y", **used)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("text", MOVES)
def test_moves_are_exact_on_codes(text: str, storage: DType) -> None:
    graph = with_codes(mover(text), storage, x=0.02113)
    graph = graph.with_(
        types={**graph.types, "y": TensorType(FLOAT32, graph.tensor("y").shape, graph.tensor("x").quant)}
    )
    result = compare(graph, codes=0)
    (moved,) = (node for node in result.nodes if not node.op.startswith("qir."))
    assert moved.op == text.split()[0]
    assert result.tensor(moved.inputs[0]).dtype == UINT8


@pytest.mark.parametrize("text", MOVES)
def test_moves_to_other_codes(text: str) -> None:
    compare(with_codes(mover(text), x=0.02113, y=0.034), codes=0)


def test_a_chain_of_moves_stays_in_codes() -> None:
    text = ("p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (x) q = Pad (p, pads) t = Transpose <perm=[0,2,3,1]> (q) "
            "r = Concat <axis=1> (t, t) y = Reshape (r, sizes)")  # fmt: skip
    graph = with_codes(plain(text, "float[a,b] y", pads=OPERANDS["pads"], sizes=OPERANDS["sizes"]), x=0.02113)
    quant = graph.tensor("x").quant
    types = {name: TensorType(FLOAT32, graph.tensor(name).shape, quant) for name in "pqtry"}
    result = compare(graph.with_(types={**graph.types, **types}), codes=0)
    assert ops(result) == ["qir.Quantize", "MaxPool", "Pad", "Transpose", "Concat", "Reshape", "qir.Dequantize"]


@pytest.mark.parametrize("storage", STORAGES)
def test_concat_of_different_codes(storage: DType) -> None:
    graph = net("(float[2,3] x, float[2,4] v) => (float[2,9] y) { y = Concat <axis=1> (x, v, k) }", k=normal(2, 2))
    result = compare(with_codes(graph, storage, x=0.02113, v=0.01679, k=0.013, y=0.022), codes=0)
    assert ops(result).count("Concat") == 1
    assert ops(result).count("qir.Lookup") == (2 if storage.bits == 8 else 0)  # k is moved here, not in every run
    assert result.tensor(next(n for n in result.nodes if n.op == "Concat").outputs[0]).dtype == UINT8


@pytest.mark.parametrize("storage", STORAGES)
def test_choice_between_different_codes(storage: DType) -> None:
    graph = net("(float[3,3] x, float[3,3] v) => (float[3,3] y) { y = Where (k, x, v) }", k=np.eye(3) > 0)
    result = compare(with_codes(graph, storage, x=0.02113, v=0.01679, y=0.022), codes=0)
    assert ops(result).count("Where") == 1
    assert result.tensor(next(n for n in result.nodes if n.op == "Where").outputs[0]).dtype == UINT8


def test_split_into_different_codes() -> None:
    graph = net("(float[4,6] x) => (float[4,3] y, float[4,3] z) { y, z = Split <axis=1, num_outputs=2> (x) }")
    compare(with_codes(graph, x=0.02113, y=0.02113, z=0.03), codes=0)


@pytest.mark.parametrize("to", [0.05, None])
def test_requantize(to: float | None) -> None:
    """A value used with two kinds of codes, or with codes and as it is."""
    text = "(float[4,6] x) => (float[4,6] y, float[4,6] z) { r = Relu(x) z = Abs(r) q = Identity(r) y = Neg(q) }"
    graph = with_codes(net(text), x=0.02113, r=0.02113, z=0.03, y=0.05, **({"q": to} if to else {}))
    nodes = [node.with_(op="qir.Requantize", domain="qir") if node.op == "Identity" else node for node in graph.nodes]
    result = compare(graph.with_(nodes=tuple(nodes)), codes=0)
    assert "qir.Requantize" not in ops(result)


# What has no integer form


@pytest.mark.parametrize(
    ("text", "op"),
    [
        ("LogSoftmax (x)", "LogSoftmax"),
        ("LpNormalization (x)", "LpNormalization"),
        ("Resize <mode=\"linear\"> (x, , factors)", "Resize"),
        ("Min (x, x)", "Min"),
        ("ReduceSum (x, two)", "ReduceSum"),
        ("LpPool <kernel_shape=[2,2]> (x)", "LpPool"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("storage", STORAGES)
def test_the_rest_runs_in_float_between_codes(text: str, op: str, storage: DType) -> None:
    used = {name: value for name, value in OPERANDS.items() if f" {name}" in text}
    graph = with_codes(plain(f"y = {text}", "float[a,b,c,d] y", **used), storage, x=0.02113, y=0.03071)
    assert ops(compare(graph)) == ["qir.Quantize", "qir.Dequantize", op, "qir.Quantize", "qir.Dequantize"]


def test_scalar_constants_of_float_operators_stay_scalars() -> None:
    constants = {"sizes": np.array([2, 4, 6, 8], np.int64), "bound": np.array(0.5, np.float32)}
    graph = plain("y = Expand (x, sizes) z = Min (y, bound)", "float[2,4,6,8] z", **constants)
    result = compare(with_codes(graph, x=0.02113, y=0.02113, z=0.01))
    assert [constant.value.shape for constant in result.constants.values() if constant.value.size == 1] == [()]


def test_an_input_that_is_a_result_stays_as_it_is() -> None:
    graph = net("(float[4] x) => (float[4] x, float[4] y) { y = Relu(x) }")
    result = compare(with_codes(graph, x=0.02113, y=0.03071))
    given = normal(4)
    np.testing.assert_array_equal(evaluate(result, {"x": given})["x"], given)


def test_results_that_are_used_further_on() -> None:
    graph = plain("a = Relu(x) y = Sigmoid(a)", "float[2,4,6,8] y, float[2,4,6,8] a")
    compare(with_codes(graph, x=0.02137, a=0.02, y=0.004), codes=0)


def test_float_graphs_stay_as_they_are() -> None:
    graph = plain("a = Relu(x) y = Softmax(a)", "float[2,4,6,8] y").with_(stage=Stage.QUANT)
    assert ops(compare(graph)) == ["Relu", "Softmax"]


# Imported models


@pytest.mark.parametrize("storage", STORAGES)
def test_models_that_came_with_codes_lower_alike(storage: DType) -> None:
    """Exported to QDQ and lifted again, then lowered: the same results."""
    graph = with_codes(weighted_layer("conv"), storage, x=0.02137, y=0.1513)
    again = lift(export(graph))
    assert again.stage is Stage.QUANT
    kind = again.tensor("x").quant
    assert kind is not None
    assert kind.storage == storage
    given = samples(graph, seed=2)
    result = compare(again)
    assert "qir.IntConv" in ops(result)
    np.testing.assert_array_equal(evaluate(result, given)["y"], evaluate(lowered(graph), given)["y"])


def test_a_table_of_int8_codes_is_indexed_from_zero() -> None:
    graph = with_codes(plain("y = Neg(x)", "float[2,4,6,8] y"), INT8, x=0.02137, y=0.02)
    quant_x, quant_y = graph.tensor("x").quant, graph.tensor("y").quant
    assert quant_x is not None
    assert quant_y is not None
    (table,) = (constant.value for constant in lowered(graph).constants.values())
    reals = decode(np.arange(-128, 128).astype(np.int8), quant_x)
    np.testing.assert_array_equal(table, encode(-reals, quant_y).astype(int) + 128)
