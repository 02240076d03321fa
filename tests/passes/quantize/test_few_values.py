"""Ternary, binary and plane weights: the textbook's formulas, and what keeping a layer's output gains over them."""

from __future__ import annotations

import numpy as np
import pytest

import qir
from qir.errors import PassError
from qir.evaluate import evaluate
from qir.ir.graph import Graph
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.quant.binary import binary_codes
from qir.quant.planes import plane_codes
from qir.quant.scales import decode, encode
from qir.quant.ternary import ternary_codes
from qir.recipe import Layer, Recipe, recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ACTIVATIONS, ALL, apply, context, quant, samples
from tests.passes.quantize.test_round_weights import LAYERS, correlated, errors, layer

FORMS = {"ternary": Layer("t"), "binary": Layer(1), "planes": Layer(1, planes=3)}
CHAIN = """(float[N,4,8,8] x) => (float[N,5] y) {
    a = Conv <pads=[1,1,1,1]> (x, u)  b = Relu (a)  c = Conv (b, v, d)  e = Relu (c)  f = GlobalAveragePool (e)
    g = Flatten (f)  y = Gemm (g, w)
}"""


def weight_codes(graph: Graph, name: str = "w") -> np.ndarray:
    codes = graph.constants[name].codes
    assert codes is not None
    return codes


def chain() -> Graph:
    return net(CHAIN, u=normal(8, 4, 3, 3), v=normal(6, 8, 3, 3, seed=1), d=normal(6), w=normal(6, 5, seed=2))


@pytest.mark.parametrize(
    ("form", "text"),
    [("ternary", "ternarize{method=twn}"), ("ternary", "ternarize{method=fixed,delta=0.3}"),
     ("ternary", "ternarize{method=l2}"), ("binary", "binarize{method=xnor}"), ("binary", "binarize{method=l2}")],
)  # fmt: skip
@pytest.mark.parametrize("name", ["conv", "groups", "matmul"])
def test_the_textbook_to_the_letter(name: str, form: str, text: str) -> None:
    graph = layer(name)
    after = apply(f"{ACTIVATIONS},{text},quantize-weights,round-weights", graph, "onnx", Recipe(FORMS[form]),
                  {"x": correlated(8, 4, 8, 8)})  # fmt: skip
    codes, kind, weight = weight_codes(after), quant(after, "w"), graph.constants["w"].value
    assert kind is not None
    for channel, real in enumerate(np.moveaxis(weight, kind.axis or 0, 0)):
        magnitude = np.abs(real.astype(np.float64))
        if form == "binary":
            wanted, scale = binary_codes(real), magnitude.mean()
        else:
            if "l2" in text:
                ordered = -np.sort(-magnitude.reshape(-1))
                gains = [ordered[:k].sum() ** 2 / k for k in range(1, ordered.size + 1)]
                limit = ordered[: int(np.argmax(gains)) + 1].mean() / 2
            else:
                limit = 0.3 if "fixed" in text else 0.7 * magnitude.mean()
            wanted, scale = ternary_codes(real, limit), magnitude[magnitude > limit].mean()
        np.testing.assert_array_equal(wanted, np.moveaxis(codes, kind.axis or 0, 0)[channel])
        assert float(kind.scale[channel]) == pytest.approx(scale, rel=1e-6)
    np.testing.assert_array_equal(codes, encode(weight, kind))


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_are_kept_better_than_by_the_nearest_codes(name: str, form: str, where: str) -> None:
    graph, chosen, data = layer(name), Recipe(FORMS[form]), {"x": correlated(64, 4, 8, 8)}
    given = context(graph, where, chosen, data)
    before = run(graph, parse_pipeline(ACTIVATIONS), given)
    after = run(before, parse_pipeline("quantize-weights,round-weights,correct-biases"), given)
    blind = run(before, parse_pipeline("quantize-weights"), context(graph, where, chosen, None))
    codes = weight_codes(after)
    assert np.abs(codes).max() <= (1 if form != "planes" else 127 if where == "portable" else 64)
    assert form != "binary" or (codes != 0).all()
    if form == "planes":
        channels = codes.T if name == "matmul" else codes
        found = plane_codes(channels)
        assert found is not None
        assert len(found[0]) <= 3
    wanted = evaluate(before, data)["y"]
    noise = [np.square(evaluate(one, data)["y"] - wanted).mean() for one in (after, blind)]
    assert noise[0] < noise[1] * 1.02
    assert name != "conv" or noise[0] < 0.7 * noise[1]
    assert given.statistics is not None
    assert name == "depthwise" or errors(after, given.statistics).sum() < 2 * errors(blind, given.statistics).sum()


@pytest.mark.parametrize("form", FORMS)
def test_layers_make_good_for_those_in_front(form: str) -> None:
    graph, data = chain(), {"x": correlated(64, 4, 8, 8)}
    passes = "calibrate,quantize,{},correct-biases,quantize-biases,absorb-activations"
    noise = []
    for text in ("ternarize{method=l2},binarize{method=l2},quantize-weights", "quantize-weights"):
        after = apply(passes.format(text), graph, "portable", Recipe(FORMS[form]), data)
        wanted = evaluate(graph, data)["y"]
        noise.append(np.square(evaluate(after, data)["y"] - wanted).mean() / wanted.var())
    assert noise[1] < 0.3
    assert form == "planes" or noise[1] < 0.7 * noise[0]


def test_the_recipe_says_which_layers_and_overrides_come_last() -> None:
    for chosen, few in ((recipe("ternary"), "v"), (recipe("ternary").with_override("*", weight_bits="t"), "uvw")):
        graph = qir.compile(chain(), samples(chain()), recipe=chosen).graph
        assert [name in few for name in "uvw"] == [np.abs(weight_codes(graph, name)).max() == 1 for name in "uvw"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "changes", [{"per_channel": False}, {"power_of_two": True}, {"activation_bits": None}], ids=str
)
def test_other_fields_of_the_recipe_hold(form: str, changes: dict[str, bool]) -> None:
    chosen = Recipe(FORMS[form]).with_override("*", **changes)
    for data in (samples(chain()), None):
        after = qir.compile(chain(), data, recipe=chosen).graph
        kind = quant(after, "v")
        assert kind is not None
        assert (kind.axis is None) == ("per_channel" in changes)
        assert "power_of_two" not in changes or (np.frexp(kind.scale)[0] == 0.5).all()
        assert np.isfinite(decode(weight_codes(after, "v"), kind)).all()


def test_equal_data_give_equal_codes() -> None:
    first, second = (apply(ALL, layer("conv"), "onnx", Recipe(Layer(1, planes=2))) for _ in range(2))
    assert weight_codes(first).tobytes() == weight_codes(second).tobytes()
    assert quant(first, "w") == quant(second, "w")


@pytest.mark.parametrize("dead", ["all", "channel", "equal"])
def test_inputs_without_information(dead: str) -> None:
    data = correlated(8, 4, 8, 8)
    data[:, {"all": slice(None), "channel": slice(1, 2), "equal": slice(0)}[dead]] = 0
    if dead == "equal":
        data = np.repeat(data[:, :1], 4, axis=1)
    for form in FORMS.values():
        after = apply(f"{ACTIVATIONS},quantize-weights", layer("conv"), "onnx", Recipe(form), {"x": data})
        kind = quant(after, "w")
        assert kind is not None
        assert np.abs(decode(weight_codes(after), kind)).max() < 10


def test_planes_of_a_pass_go_before_the_recipes() -> None:
    after = apply(f"{ACTIVATIONS},fit-planes{{k=2}},quantize-weights", layer("pointwise"), "onnx", Recipe(Layer(1)))
    assert (found := plane_codes(weight_codes(after))) is not None
    assert 2 == len(found[0])


@pytest.mark.parametrize("text", ["ternarize{method=best}", "ternarize{delta=1}", "ternarize{method=fixed}",
                                  "ternarize{method=fixed,delta=-1}", "binarize{method=twn}", "fit-planes{k=5}",
                                  "fit-planes{k=1}"])  # fmt: skip
def test_mistakes_in_options_are_named(text: str) -> None:
    with pytest.raises(PassError, match=r"Choose|Give"):
        parse_pipeline(text)
