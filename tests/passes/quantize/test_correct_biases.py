"""Bias correction: means come back, missing biases are added, and nothing is changed where it would not help."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qir.evaluate import evaluate
from qir.ir.graph import Constant, Graph
from qir.passes.quantize import correct_biases
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.statistics import Moments
from qir.walk import without_codes
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ACTIVATIONS, context

ROUNDED = f"{ACTIVATIONS},quantize-weights"
TEXT = "(float[N,4,6,6] x) => (float[N,5] y) {{ a = {layer} b = {act} p = GlobalAveragePool(b) f = Flatten(p) {last} }}"
LAYERS = {
    "conv": "Conv <pads=[1,1,1,1]> (x, w, b1)", "no-bias": "Conv <pads=[1,1,1,1]> (x, w)",
    "transposed": "ConvTranspose <pads=[1,1,1,1]> (x, w)",
}  # fmt: skip
ACTS = {"relu": "Relu(a)", "clip": "Clip(a, zero, two)", "none": "Identity(a)", "sigmoid": "Sigmoid(a)"}
LAST = "y = Gemm <transB=1> (f, v)"


def graph(layer: str = "conv", act: str = "relu") -> Graph:
    text = TEXT.format(layer=LAYERS[layer], act=ACTS[act], last=LAST)
    known = {"w": normal(4, 4, 3, 3), "b1": normal(4, seed=2), "v": normal(5, 4, seed=3),
             "zero": np.float32(0), "two": np.float32(2)}  # fmt: skip
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return net(text, **{name: value for name, value in known.items() if name in words})


def shifted(found: Graph, by: float = 0.3) -> Graph:
    """The graph with one weight's codes off to one side, so that means move."""
    constants = dict(found.constants)
    codes = constants["w"].codes
    assert codes is not None
    moved = np.clip(codes.astype(int) + round(by * 10), -127, 127).astype(codes.dtype)
    constants["w"] = Constant(constants["w"].value, moved)
    return found.with_(constants=constants)


def positive(count: int = 40) -> dict[str, np.ndarray]:
    return {"x": np.abs(normal(count, 4, 6, 6))}


def prepared(layer: str, act: str, where: str = "onnx") -> tuple[Graph, Context]:
    before = graph(layer, act)
    given = context(before, where, data=positive())
    return shifted(run(before, parse_pipeline(ROUNDED), given)), given


def error(found: Graph) -> float:
    x = positive()
    wanted, got = (evaluate(one, x)["y"] for one in (without_codes(found), found))
    return float(np.square(wanted - got).mean())


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_shift_of_the_weights_is_taken_back(layer: str, act: str) -> None:
    before, given = prepared(layer, act, "portable" if layer == "transposed" else "onnx")
    after = run(before, parse_pipeline("correct-biases"), given)
    wanted = evaluate(without_codes(before), positive())["y"]
    found = evaluate(after, positive())["y"]
    assert np.square(found - wanted).mean() < 0.3 * error(before)
    assert all(node.input(2) for node in after.nodes if node.op in ("Conv", "ConvTranspose", "Gemm"))
    assert any("corrected the biases of 2 of 2 layers" in note for note in given.notes)


def test_equal_samples_give_equal_biases() -> None:
    first, second = (corrected() for _ in range(2))
    for name, constant in first.constants.items():
        assert constant.value.tobytes() == second.constants[name].value.tobytes()


def corrected() -> Graph:
    before, given = prepared("conv", "relu")
    return run(before, parse_pipeline("correct-biases"), given)


def test_corrections_that_do_not_help_the_outputs_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    before, given = prepared("conv", "relu")

    def wrong(pairs: list[tuple[np.ndarray, np.ndarray]], axis: int, clamps: object) -> np.ndarray:
        return np.full(pairs[0][0].shape[axis], 9, np.float32)

    monkeypatch.setattr(correct_biases, "_correction", wrong)
    after = run(before, parse_pipeline("correct-biases"), given)
    wanted = evaluate(without_codes(before), positive())["y"]
    assert np.square(evaluate(after, positive())["y"] - wanted).mean() < error(before)
    assert "by their inputs' means" in given.notes[-1]
    monkeypatch.setattr(correct_biases, "_input_means", lambda *given: None)
    assert run(before, parse_pipeline("correct-biases"), given) is before
    assert "biases stay" in given.notes[-1]


def test_nothing_changes_without_an_error() -> None:
    exact = net("(float[N,4] x) => (float[N,2] y) { y = Gemm(x, w, b) }", w=np.eye(4, 2, dtype=np.float32), b=normal(2))
    data = {"x": np.random.default_rng(0).integers(0, 256, (64, 4)).astype(np.float32)}
    data["x"][0, :2] = 0, 255
    given = context(exact, data=data)
    before = run(exact, parse_pipeline("calibrate{method=minmax},quantize,quantize-weights"), given)
    after = run(before, parse_pipeline("correct-biases"), given)
    np.testing.assert_array_equal(evaluate(after, data)["y"], evaluate(before, data)["y"])


def test_a_bias_that_two_layers_share_is_corrected_for_each() -> None:
    before = net("(float[N,4,6,6] x) => (float[N,4,6,6] y) { a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a)"
                 " y = Conv<pads=[1,1,1,1]>(r, v, b) }",
                 w=normal(4, 4, 3, 3), v=normal(4, 4, 3, 3, seed=1), b=normal(4))  # fmt: skip
    given = context(before, data=positive())
    after = run(shifted(run(before, parse_pipeline(ROUNDED), given)), parse_pipeline("correct-biases"), given)
    names = [node.inputs[2] for node in after.nodes if node.op == "Conv"]
    assert len(set(names)) == 2


def test_bodies_keep_their_biases() -> None:
    conv = "Conv<pads=[1,1,1,1]>"
    before = net("(float[N,4,6,6] x, bool flag) => (float[N,4,6,6] y) { a = " + conv + "(x, w) z = If (flag) <"
                 "then_branch = one () => (float[N,4,6,6] t) { t = " + conv + "(a, v) },"
                 "else_branch = two () => (float[N,4,6,6] e) { e = Relu(a) }> y = " + conv + "(z, u) }",
                 w=normal(4, 4, 3, 3), v=normal(4, 4, 3, 3, seed=1), u=normal(4, 4, 3, 3, seed=2))  # fmt: skip
    given = context(before, data={"x": positive(16)["x"], "flag": np.array(True)})
    rounded = shifted(run(before, parse_pipeline(ROUNDED), given))
    after = run(rounded, parse_pipeline("correct-biases"), given)
    assert [len(node.inputs) for node in after.nodes if node.op == "Conv"] == [3, 3]
    assert "corrected the biases of 2 of 2 layers" in given.notes[-1]
    held, kept = (next(node for node in one.nodes if node.op == "If") for one in (rounded, after))
    assert all(held.subgraphs[key] is kept.subgraphs[key] for key in held.subgraphs)


def test_moments_correct_without_data() -> None:
    before, given = prepared("conv", "none")
    flat = np.full(4, float(positive()["x"].mean()))
    blind = replace(given, feeds=None, statistics=None, notes=[], moments={"x": Moments(flat, flat, 0 * flat, flat)})
    after = run(before, parse_pipeline("correct-biases"), blind)
    wanted = evaluate(without_codes(before), positive())["y"]
    assert np.square(evaluate(after, positive())["y"] - wanted).mean() < 0.5 * error(before)
    assert "by their inputs' means" in blind.notes[-1]


def test_statistics_correct_without_samples() -> None:
    before, given = prepared("conv", "none")
    after = run(before, parse_pipeline("correct-biases"), replace(given, feeds=None))
    wanted = evaluate(without_codes(before), positive())["y"]
    assert np.square(evaluate(after, positive())["y"] - wanted).mean() < 0.5 * error(before)


def test_without_data_and_moments_nothing_changes() -> None:
    before, given = prepared("conv", "relu")
    assert run(before, parse_pipeline("correct-biases"), replace(given, feeds=None, statistics=None)) is before
