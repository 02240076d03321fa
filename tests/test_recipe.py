"""Recipes: the grammar, overrides, and the TOML form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qir.cli import values
from qir.errors import RecipeError
from qir.recipe import ACTIVATION_BITS, ALIASES, METHODS, PLANES, WEIGHT_BITS, Layer, Override, Recipe, recipe

weight_bits = st.sampled_from([*WEIGHT_BITS, None])
activation_bits = st.sampled_from([*ACTIVATION_BITS, None])
bounds = st.floats(-1e6, 1e6, allow_nan=False)
ranges = st.tuples(bounds, bounds).filter(lambda pair: pair[0] < pair[1])
fields: dict[str, st.SearchStrategy[Any]] = {
    "weight_bits": weight_bits,
    "activation_bits": activation_bits,
    "per_channel": st.booleans(),
    "weight_symmetric": st.booleans(),
    "power_of_two": st.booleans(),
    "range": ranges,
    "planes": st.sampled_from(PLANES),
}
globs = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def binary(changes: dict[str, Any]) -> dict[str, Any]:
    """With weights of one bit wherever they are sums of planes."""
    return changes | ({"weight_bits": 1} if changes.get("planes") else {})


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    default = Layer(**binary({name: draw(st.none() | ranges if name == "range" else fields[name]) for name in fields}))
    ends = draw(st.none() | st.builds(Layer, weight_bits=weight_bits, activation_bits=activation_bits))
    made = Recipe(default, draw(st.sampled_from(METHODS)), draw(st.floats(50, 100, exclude_min=True)), ends=ends)
    for _ in range(draw(st.integers(0, 3))):
        names = draw(st.sets(st.sampled_from(sorted(fields))))
        made = made.with_override(draw(globs), **binary({name: draw(fields[name]) for name in sorted(names)}))
    return made


@given(recipes())
def test_toml_reads_back_to_an_equal_recipe(made: Recipe) -> None:
    assert made == Recipe.from_toml(made.to_toml())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int8", Layer(8, 8)),
        ("w8a8", Layer(8, 8)),
        ("w8", Layer(8, None)),
        ("weights-int8", Layer(8, None)),
        ("int16", Layer(8, 16)),
        ("w5a8", Layer(5, 8)),
        ("w16a16", Layer(16, 16)),
        ("mixed", Layer(8, 8)),
        ("float", Layer(None, None)),
    ],
)
def test_grammar_and_aliases(text: str, expected: Layer) -> None:
    assert Recipe(expected) == recipe(text)


@pytest.mark.parametrize(
    ("text", "expected", "ends"),
    [
        ("weights-int4", Layer(4, None), Layer(8, None)),
        ("w2", Layer(2, None), Layer(8, None)),
        ("w4a8", Layer(4, 8), Layer(8, 8)),
        ("w3a16", Layer(3, 16), Layer(8, 16)),
        ("w8a4", Layer(8, 4), Layer(8, 8)),
        ("ternary", Layer("t", 8), Layer(8, 8)),
        ("wtat", Layer("t", "t"), Layer(8, 8)),
        ("binary", Layer(1, 8), Layer(8, 8)),
        ("w1a1", Layer(1, 1), Layer(8, 8)),
        ("planes3", Layer(1, 8, planes=3), Layer(8, 8)),
    ],
)
def test_few_bits_spare_the_ends(text: str, expected: Layer, ends: Layer) -> None:
    assert Recipe(expected, ends=ends) == recipe(text)


def test_ends_are_overrides_in_front_of_the_users() -> None:
    made = recipe("planes3").with_override("stem", weight_bits=4).with_ends_at(["stem", "head[0]"], ["depth"])
    assert made.ends is None
    assert Layer(4, 8) == made.layer(["stem"], "Conv")
    assert Layer(8, 8) == made.layer(["head[0]"], "Gemm") == made.layer(["depth"], "Conv")
    assert Layer(1, 8, planes=3) == made.layer(["body"], "Conv")
    assert made is made.with_ends_at(["body"], [])
    assert Layer(1, planes=2) == recipe("binary").with_override("body", planes=2).layer(["body"], "Conv")
    narrow = recipe("w1a1").with_ends_at(["stem"], ["depth"])
    assert Layer(8, 8) == narrow.layer(["stem"], "Conv")
    assert Layer(8, 1) == narrow.layer(["depth"], "Conv")


@pytest.mark.parametrize(
    ("layer", "width", "planes", "few", "text"),
    [
        (Layer(), 8, 0, False, "w8a8"),
        (Layer("t", 16), 2, 0, True, "wta16"),
        (Layer(1, 1), 1, 1, True, "w1a1"),
        (Layer(1, 8, planes=3), 3, 3, True, "w1x3a8"),
        (Layer(None, None), None, 0, False, "float"),
    ],
    ids=str,
)
def test_what_a_layer_says_of_its_weights(layer: Layer, width: int, planes: int, few: bool, text: str) -> None:
    assert (width, planes, few, text) == (layer.weight_width, layer.weight_planes, layer.has_few_values, str(layer))


@pytest.mark.parametrize("name", ALIASES)
def test_every_alias_is_understood(name: str) -> None:
    assert isinstance(recipe(name), Recipe)


@pytest.mark.parametrize(
    "text",
    ["", "w", "w9", "a8", "w8a", "w8a8 ", "INT8", "w8a8a8", "int8.tom", "w0a8", "w12a8", "w4a3", "w16a", "w4a32",
     "wTa8", "planes1", "planes5"],
)
def test_other_text_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(RecipeError, match="weights-int8"):
        recipe(text)


def test_a_recipe_is_itself() -> None:
    made = Recipe(calibration="mse")
    assert made is recipe(made)


def test_a_file_is_read(tmp_path: Path) -> None:
    made = Recipe(calibration="percentile").with_override("/conv*", float=True)
    path = tmp_path / "own.toml"
    path.write_text(made.to_toml(), encoding="utf-8")
    assert made == recipe(path) == recipe(str(path))


def test_a_file_that_is_absent_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.toml"):
        recipe(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match=r"bytes\.toml.*not text"):
        recipe(tmp_path / "bytes.toml")


def test_later_overrides_win_field_by_field() -> None:
    made = Recipe().with_override("conv*", weight_bits=None, per_channel=False).with_override("conv2", weight_bits=8)
    assert Layer(weight_bits=None, per_channel=False) == made.layer(["conv1"], "Conv")
    assert Layer(weight_bits=8, per_channel=False) == made.layer(["conv2"], "Conv")
    assert Layer() == made.layer(["head"], "Gemm")


def test_what_overrides_name() -> None:
    made = Recipe().with_override("head*", weight_bits=4).with_override("Conv", power_of_two=True)
    assert made.names("weight_bits", ["a", "head.1"], "Gemm")
    assert not made.names("weight_bits", ["a"], "Conv")
    assert made.names("power_of_two", ["a"], "Conv")


def test_overrides_match_by_operator_and_by_any_origin() -> None:
    made = Recipe().with_override("Conv", float=True).with_override("user_*", range=(-1.0, 2.0))
    assert made.layer(["a"], "Conv").is_float
    assert (-1.0, 2.0) == made.layer(["fused", "user_bn"], "Gemm").range
    assert Override("Conv", ()).applies([], "Conv")
    assert not Override("Conv", ()).applies(["convolution"], "ConvTranspose")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bits": 8}, "bits"),
        ({"weight_bits": 9}, "weight_bits"),
        ({"weight_bits": "T"}, "weight_bits"),
        ({"activation_bits": 3}, "activation_bits"),
        ({"planes": 5}, "planes"),
        ({"planes": None}, "planes"),
        ({"planes": 2, "weight_bits": "t"}, 'planes is 2 where weight_bits is "t"'),
        ({"weight_symmetric": 0}, "weight_symmetric"),
        ({"power_of_two": "yes"}, "power_of_two"),
        ({"weight_bits": True}, "weight_bits"),
        ({"activation_bits": "eight"}, "activation_bits"),
        ({"per_channel": 1}, "per_channel"),
        ({"range": (1.0, 1.0)}, "range"),
        ({"range": (2.0, 1.0)}, "range"),
        ({"range": (0.0, float("inf"))}, "range"),
        ({"range": (0.0, float("nan"))}, "range"),
        ({"range": (0.0,)}, "range"),
        ({"range": 3}, "range"),
        ({"range": ("a", "b")}, "range"),
    ],
    ids=str,
)
def test_overrides_are_checked_when_they_are_made(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Recipe().with_override("x", **changes)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("calibration = ", "TOML"),
        ('calibration = "best"', "best"),
        ('percentile = "high"', "percentile"),
        ("percentile = 20", "percentile"),
        ("bits = 8", "bits"),
        ("default = 3", "form"),
        ("override = 3", "form"),
        ("override = [1]", "form"),
        ("[default]\nweight_bits = 12", "weight_bits"),
        ("[default]\nspeed = 7", "speed"),
        ("[default]\nplanes = 2", "planes is 2 where weight_bits is 8"),
        ('[[override]]\nmatch = "a"\nplanes = 3\nweight_bits = "float"', "planes is 3 where weight_bits is"),
        ("[[override]]\nweight_bits = 8", "match"),
        ("[[override]]\nmatch = 5", "match"),
        ('[[override]]\nmatch = "a"\nrange = [1]', "range"),
        ('[[override]]\nmatch = "a"\nrange = [[1], 2]', "range"),
    ],
)
def test_mistakes_in_toml_are_named(text: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        Recipe.from_toml(text)


def test_toml_by_hand() -> None:
    text = 'calibration = "mse"\n[default]\nactivation_bits = "float"\n[[override]]\nmatch = "head"\nfloat = true\n'
    made = Recipe.from_toml(text)
    assert "mse" == made.calibration
    assert Layer(8, None) == made.default
    assert made.layer(["head"], "Gemm").is_float


@pytest.mark.parametrize(
    ("text", "match", "expected"),
    [
        ("head:float", "head", {"weight_bits": None, "activation_bits": None}),
        ("a:b:weight_bits=float", "a:b", {"weight_bits": None}),
        ("Conv:per-channel=false,range=-1..6", "Conv", {"per_channel": False, "range": (-1.0, 6.0)}),
        ("x*:range=1e-3..2.5", "x*", {"range": (0.001, 2.5)}),
    ],
)
def test_overrides_as_text(text: str, match: str, expected: dict[str, Any]) -> None:
    (made,) = values.overrides(Recipe(), [text]).overrides
    assert Override(match, tuple(sorted(expected.items()))) == made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N=1", {"N": 1}),
        ("x=1,3,8,8", {"x": (1, 3, 8, 8)}),
        ("x=1x3x8x8", {"x": (1, 3, 8, 8)}),
        ("a=b=2", {"a=b": 2}),
        ("x=[4]", {"x": (4,)}),
        ("x=[]", {"x": ()}),
    ],
)
def test_shapes_as_text(text: str, expected: dict[str, Any]) -> None:
    assert expected == values.shapes([text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("sr=16000", 16000), ("x=0.5", 0.5), ("x=1,2", [1, 2]), ("flag=true", True), ("name=a=b", "a=b")],
)
def test_bindings_as_text(text: str, expected: object) -> None:
    assert [expected] == list(values.bindings([text]).values())


def test_preprocessing_as_text() -> None:
    made = values.preprocess("mean=124/116/104,std=58/57/56,size=32x64,layout=nhwc,color=bgr")
    assert made is not None
    assert ((124.0, 116.0, 104.0), (58.0, 57.0, 56.0)) == (made.mean, made.std)
    assert ((32, 64), "NHWC", "BGR") == (made.size, made.layout, made.color)
    assert values.preprocess(None) is None
