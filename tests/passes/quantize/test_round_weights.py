"""Rounding on the Gram matrix: never worse than nearest, within the pair limit, imported weights left alone."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.dtype import UINT8
from qir.ir.graph import Constant, Graph
from qir.ir.types import Affine, TensorType
from qir.passes.quantize.observed import as_rows, from_rows
from qir.passes.quantize.saturation import pair_partners, worst_pair
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.quant.scales import decode, encode
from qir.recipe import Recipe
from qir.statistics import Gram, Statistics
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ACTIVATIONS, context

LAYERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "conv": ("Conv <pads=[1,1,1,1]> (x, w)", (6, 4, 3, 3)),
    "groups": ("Conv <group=2> (x, w)", (6, 2, 3, 3)),
    "depthwise": ("Conv <group=4> (x, w)", (4, 1, 3, 3)),
    "pointwise": ("Conv (x, w)", (5, 4, 1, 1)),
    "matmul": ("MatMul (x, w)", (8, 5)),
}


def rounded(
    graph: Graph, data: np.ndarray, where: str, recipe: Recipe | None = None, option: str = ""
) -> tuple[Graph, Graph, Context]:
    """The graph with weights rounded to nearest, then on the Gram matrix."""
    given = context(graph, where, recipe, {"x": data})
    nearest = run(graph, parse_pipeline(f"{ACTIVATIONS},quantize-weights"), given)
    return nearest, run(nearest, parse_pipeline(f"round-weights{option}"), given), given


def layer(name: str) -> Graph:
    text, shape = LAYERS[name]
    return net(f"(float[N,4,8,8] x) => (float[a,b,c,d] y) {{ y = {text} }}", w=normal(*shape))


def errors(graph: Graph, statistics: Statistics | None) -> np.ndarray:
    """`dw G dw^T` of each output, group by group."""
    assert statistics is not None
    node, constant, quant = graph.nodes[0], graph.constants["w"], graph.tensor("w").quant
    gram = statistics.get(Gram.kind, node.name)
    assert isinstance(gram, Gram)
    assert constant.codes is not None
    assert quant is not None
    off = as_rows(node, decode(constant.codes, quant).astype(np.float64) - constant.value)
    parts = zip(np.split(off, len(gram.matrix)), gram.matrix, strict=True)
    return np.concatenate([np.einsum("mk,kl,ml->m", part, matrix, part) for part, matrix in parts])


def correlated(*shape: int, seed: int = 0) -> np.ndarray:
    """Values that follow each other along every axis."""
    x = normal(*shape, seed=seed)
    for axis in range(1, len(shape)):
        x = x + 2 * np.roll(x, 1, axis)
    return x.astype(np.float32)


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(2))
def test_no_output_gets_worse_than_by_nearest_rounding(name: str, per_channel: bool, where: str, seed: int) -> None:
    recipe = Recipe().with_override("*", per_channel=per_channel)
    nearest, after, given = rounded(layer(name), correlated(8, 4, 8, 8, seed=seed), where, recipe)
    before, found = errors(nearest, given.statistics), errors(after, given.statistics)
    if per_channel:
        assert (found <= before * (1 + 1e-9)).all()
    assert found.sum() <= before.sum() * (1 + 1e-9)
    if name == "conv":
        assert found.sum() < 0.8 * before.sum(), "correlated inputs leave much to gain"


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("changes", [{}, {"weight_symmetric": False}, {"power_of_two": True}], ids=str)
@pytest.mark.parametrize("bits", [3, 5])
def test_few_bits_leave_something_to_gain(bits: int, changes: dict[str, bool], name: str) -> None:
    recipe = Recipe().with_override("*", weight_bits=bits, **changes)
    nearest, after, given = rounded(layer(name), correlated(8, 4, 8, 8), "onnx", recipe)
    before, found = errors(nearest, given.statistics), errors(after, given.statistics)
    assert (found <= before * (1 + 1e-9)).all()
    assert found.sum() < before.sum()


@pytest.mark.parametrize("name", LAYERS)
def test_pairs_stay_within_the_limit(name: str) -> None:
    graph = layer(name)
    positive = graph.with_(constants={"w": Constant(np.abs(graph.constants["w"].value) + 1)})
    _, after, _ = rounded(positive, correlated(8, 4, 8, 8), "onnx")
    codes, partners = after.constants["w"].codes, pair_partners(after.nodes[0], positive.constants["w"].value)
    assert codes is not None
    assert np.abs(codes.astype(int)).max() <= 127
    assert (partners is None) == (name == "depthwise")
    if partners is not None:
        assert 100 < worst_pair(after.nodes[0], codes, partners).max() <= 128


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize("dead", ["all", "channel", "equal"])
@pytest.mark.parametrize("option", ["", "{damping=0}"])
def test_inputs_without_information(dead: str, where: str, option: str) -> None:
    """Zeros, a channel of zeros, or equal channels: the Gram matrix is singular."""
    data = correlated(8, 4, 8, 8)
    data[:, {"all": slice(None), "channel": slice(1, 2), "equal": slice(0)}[dead]] = 0
    if dead == "equal":
        data = np.repeat(data[:, :1], 4, axis=1)
    nearest, after, given = rounded(layer("conv"), data, where, option=option)
    assert errors(after, given.statistics).sum() <= errors(nearest, given.statistics).sum() * (1 + 1e-9)
    if dead == "all":
        quant = after.tensor("w").quant
        assert quant is not None
        off = decode(after.constants["w"].codes, quant) - after.constants["w"].value  # type: ignore[arg-type]
        assert np.abs(off).max() < 2 * quant.scale.max()


def test_equal_data_give_equal_codes() -> None:
    first, second = (rounded(layer("conv"), correlated(8, 4, 8, 8), "onnx")[1] for _ in range(2))
    for a, b in ((first, second),):
        assert a.constants["w"].codes.tobytes() == b.constants["w"].codes.tobytes()  # type: ignore[union-attr]
        assert a.tensor("w") == b.tensor("w")


@pytest.mark.parametrize("name", LAYERS)
def test_rows_are_turned_back(name: str) -> None:
    graph = layer(name)
    weight = graph.constants["w"].value
    np.testing.assert_array_equal(from_rows(graph.nodes[0], as_rows(graph.nodes[0], weight), weight), weight)


@pytest.mark.parametrize("where", ["onnx", "portable"])
def test_unsigned_weights_of_an_imported_model_stay(where: str) -> None:
    graph = layer("conv")
    value = graph.constants["w"].value
    quant = Affine(UINT8, np.full(6, 0.03, np.float32), np.full(6, 128), axis=0)
    codes = encode(value, quant)
    _, _, given = rounded(graph, correlated(8, 4, 8, 8), where)
    nearest = run(graph, parse_pipeline(ACTIVATIONS), given)
    types = {**nearest.types, "w": TensorType(graph.tensor("w").dtype, value.shape, quant)}
    imported = nearest.with_(types=types, constants={"w": Constant(decode(codes, quant), codes)})
    assert run(imported, parse_pipeline("round-weights"), given) is imported


def test_weights_whose_bias_has_codes_stay() -> None:
    """The bias is in units of the weight's scale."""
    graph = net("(float[N,8] x) => (float[N,5] y) { y = Gemm (x, w, b) }", w=normal(8, 5), b=normal(5))
    given = context(graph, "onnx", None, {"x": correlated(32, 8)})
    done = run(graph, parse_pipeline(f"{ACTIVATIONS},quantize-weights,quantize-biases"), given)
    assert run(done, parse_pipeline("round-weights"), given) is done


def test_layers_whose_input_changed_since_calibration_are_left_alone() -> None:
    text = "(float[N,4,8,8] x) => (float[a,b,c,d] y) { h = Mul (x, c) y = Conv (h, w) }"
    graph = net(text, c=np.float32(2), w=normal(6, 4, 3, 3))
    given = context(graph, "portable", None, {"x": correlated(8, 4, 8, 8)})
    nearest = run(graph, parse_pipeline(f"{ACTIVATIONS},quantize-weights"), given)
    name = next(node.name for node in nearest.nodes if node.op == "Conv")
    moved = nearest.with_(constants={**nearest.constants, "c": Constant(np.array(3, np.float32))})
    assert run(nearest, parse_pipeline("round-weights"), given) is not nearest
    given.notes.clear()
    assert run(moved, parse_pipeline("round-weights"), given) is moved
    assert [note for note in given.notes if name in note]


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize("text", ["Conv <pads=[1,1,1,1]> (x, w)", "MatMul (x, w)"])
def test_block_diagonal_matrices(text: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better than nearest by the blocks' errors, and pairs across blocks keep to the limit."""
    monkeypatch.setattr("qir.statistics.gram.MAX_SIZE", 7)
    shape = (6, 4, 3, 3) if "Conv" in text else (8, 5)
    weight = np.abs(normal(*shape)) + 1
    graph = net(f"(float[N,4,8,8] x) => (float[a,b,c,d] y) {{ y = {text} }}", w=weight)
    nearest, after, given = rounded(graph, correlated(8, 4, 8, 8), where)
    found, before = errors(after, given.statistics).sum(), errors(nearest, given.statistics).sum()
    assert found < before if "Conv" in text else found <= before
    codes, partners = after.constants["w"].codes, pair_partners(graph.nodes[0], weight)
    assert codes is not None
    assert partners is not None
    if where == "onnx":
        assert worst_pair(graph.nodes[0], codes, partners).max() <= 128
    assert any("block-diagonal" in note for note in given.notes)
