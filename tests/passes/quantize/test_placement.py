"""Which nodes run on codes, which stay float, and why."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.graph import Graph
from qir.recipe import Recipe, recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ACTIVATIONS, ALL, TARGETS, apply, codes, integers, placed, quant

W, W2 = normal(4, 4, 3, 3, seed=1), normal(4, 4, 3, 3, seed=2)


def image_net(body: str, result: str = "float[1,4,8,8] y", **constants: object) -> Graph:
    """x [1, 4, 8, 8] through some nodes; w and w2 are weights of 3x3 convolutions."""
    known = {"w": W, "w2": W2, **constants}
    used = {n: v for n, v in known.items() if any(f" {n}{end}" in body or f"({n}{end}" in body for end in ",) ")}
    return net(f"(float[1,4,8,8] x) => ({result}) {{ {body} }}", **used)


CONV = "c = Conv<pads=[1,1,1,1]>(x, w)"
AGAIN = "= Conv<pads=[1,1,1,1]>"

JOIN = {
    "between_convs": (f"{CONV} s = Sigmoid(c) y {AGAIN}(s, w2)", ["c", "s", "y"]),
    "moves": (f"{CONV} t = Transpose<perm=[0,1,3,2]>(c) y {AGAIN}(t, w2)", ["c", "t", "y"]),
    "residual": (f"{CONV} d {AGAIN}(c, w2) s = Add(c, d) y {AGAIN}(s, w)", ["c", "d", "s", "y"]),
    "shared_input": (f"{CONV} p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) y = Add(c, p)", ["c", "p", "y"]),
    "alone": ("s = Sigmoid(x) y = Mul(s, s)", []),
    "before": (f"s = Sigmoid(x) y {AGAIN}(s, w)", ["y"]),
    "one_real_operand": ("e = Exp(x) c = Conv<pads=[1,1,1,1]>(x, w) y = Add(c, e)", {"onnx": ["c"], "portable": ["e", "c", "y"]}),  # noqa: E501
}  # fmt: skip


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize("name", JOIN)
def test_operators_join_where_their_operands_are_codes_anyway(name: str, where: str) -> None:
    body, expected = JOIN[name]
    assert integers(image_net(body), where) == (expected[where] if isinstance(expected, dict) else expected)


@pytest.mark.parametrize("where", TARGETS)
def test_every_node_left_in_float_has_a_reason(where: str) -> None:
    graph = image_net(f"{CONV} n = Softmax(c) l = LayerNormalization(n, g) y = Add(l, x)", g=normal(8))
    found = placed(graph, where)
    for node in graph.nodes:
        assert (node.name in found.rules) != (node.name in found.reasons)
        assert found.reasons.get(node.name, "a reason")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"{CONV} y = LogSoftmax(c)", "has no integer LogSoftmax"),
        (f"{CONV} y = Resize<mode=\"linear\">(c, , g)", "interpol"),
        ("s = Sigmoid(x) y = Mul(s, s)", "operands are not codes"),
        ("y = Conv<pads=[1,1,1,1]>(x, x)", "computed at run time"),
    ],
)  # fmt: skip
def test_reasons(body: str, words: str) -> None:
    graph = image_net(body, g=np.ones(4 if "Resize" in body else 8, np.float32))
    if "x, x" in body:
        graph = net("(float[1,4,8,8] x, float[4,4,3,3] v) => (float[1,4,8,8] y) { y = Conv<pads=[1,1,1,1]>(x, v) }")
    found = placed(graph)
    assert words in found.reasons[graph.nodes[-1].name]


TAIL = {
    "sigmoid": f"{CONV} y = Sigmoid(c)",
    "join": f"{CONV} d {AGAIN}(x, w2) y = Add(c, d)",
}


@pytest.mark.parametrize("name", TAIL)
def test_what_follows_the_last_layer_takes_its_real_results(name: str) -> None:
    graph = apply(ACTIVATIONS, image_net(TAIL[name]))
    assert codes(graph) == ["x"]


@pytest.mark.parametrize(
    "body", ["m = MatMul(x, v) y = Transpose<perm=[0,1,3,2]>(m)", "m = MatMul(x, v) r = Relu(m) y = Transpose(r)"]
)
def test_the_tail_is_pruned_behind_a_clamp_too(body: str) -> None:
    graph = image_net(body, result="float[a,b,c,d] y", v=normal(8, 8))
    assert codes(apply(ACTIVATIONS, graph, "onnx")) == ["x"]


def test_a_layer_that_cannot_give_reals_gives_codes() -> None:
    assert codes(apply(ACTIVATIONS, image_net(f"{CONV} y = Softmax(c)"), "onnx")) == ["x", "c", "y"]


CLAMPED = f"{CONV} r = Relu(c) y {AGAIN}(r, w2)"


@pytest.mark.parametrize("where", TARGETS)
def test_relu_is_part_of_the_layer(where: str) -> None:
    graph = apply(ALL, image_net(CLAMPED), where)
    assert [node.op for node in graph.nodes] == ["Conv", "Conv"]
    assert "c" not in graph.types
    found = quant(graph, "r")
    assert found is not None
    assert int(found.zero_point) == 0


@pytest.mark.parametrize("where", TARGETS)
@pytest.mark.parametrize(("low", "high", "absorbed"), [(0.0, 6.0, True), (0.5, 6.0, False), (-1.0, 1.0, True)])
def test_clip_is_part_of_the_layer_where_codes_clamp_alike(where: str, low: float, high: float, absorbed: bool) -> None:
    graph = image_net(f"{CONV} r = Clip(c, lo, hi) y {AGAIN}(r, w2)", lo=normal() * 0 + low, hi=normal() * 0 + high)
    found = apply(ALL, graph, where)
    assert ("Clip" not in [node.op for node in found.nodes]) == absorbed
    assert quant(found, "r") is not None


@pytest.mark.parametrize("where", TARGETS)
def test_a_layer_with_two_consumers_has_its_own_codes(where: str) -> None:
    graph = apply(ALL, image_net(f"{CONV} r = Relu(c) d {AGAIN}(r, w2) e {AGAIN}(c, w2) y = Add(d, e)"), where)
    assert {"c", "r"} <= set(codes(graph))
    assert [node.op for node in graph.nodes].count("Relu") == 1


@pytest.mark.parametrize("where", TARGETS)
def test_results_of_the_graph_stay_real_at_the_interface(where: str) -> None:
    graph = image_net(f"{CONV} r = Relu(c) y {AGAIN}(r, w2)", result="float[1,4,8,8] y, float[1,4,8,8] c")
    found = apply(ALL, graph, where)
    assert found.outputs == ("y", "c")
    assert quant(found, "c") is not None
    assert "Relu" in [node.op for node in found.nodes]


@pytest.mark.parametrize(("match", "left"), [("Conv_0", ["c"]), ("Conv_*", ["c", "s", "y"]), ("Sigmoid", ["s"])])
def test_overrides_keep_layers_in_float(match: str, left: list[str]) -> None:
    graph = image_net(f"{CONV} s = Sigmoid(c) y {AGAIN}(s, w2)")
    # onnx's parser names no node; lifting does, by operator and place
    names = [node.name for node in graph.nodes]
    match = match.replace("Conv_0", names[0])
    found = integers(graph, "onnx", Recipe().with_override(match, float=True))
    expected = [name for name in ("c", "s", "y") if name not in left]
    assert found == expected if match != names[0] else found == ["y"]


def test_the_float_recipe_changes_nothing() -> None:
    graph = image_net(CLAMPED)
    found = apply(ALL, graph, recipe=recipe("float"))
    assert codes(found) == []
    assert all(constant.codes is None for constant in found.constants.values())


def test_weights_only() -> None:
    found = apply(ALL, image_net(CLAMPED), recipe=recipe("weights-int8"))
    assert codes(found) == []
    assert {name for name, constant in found.constants.items() if constant.codes is not None} == {"w", "w2"}


def test_without_calibration_only_weights_have_codes() -> None:
    found = apply("quantize,quantize-weights,quantize-biases", image_net(CLAMPED))
    assert codes(found) == []
    assert {name for name, constant in found.constants.items() if constant.codes is not None} == {"w", "w2"}
