"""Values between layers of different formats."""

from __future__ import annotations

import numpy as np
import pytest

from qir.ir.graph import Graph
from qir.passes.quantize.placement import place
from qir.passes.quantize.widths import Width, widths
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.quant.scales import encode
from qir.recipe import Bits, Recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ALL, apply, context, quant

CHAIN = """(float[N,4,8,8] x) => (float[N,4,2,2] y) {
    a = Conv (x, w)  r = Relu(a)  p = MaxPool <kernel_shape=[2,2], strides=[2,2]> (r)
    t = Transpose <perm=[0,1,3,2]> (p)  y = Conv (t, v)
}"""


def chain() -> Graph:
    return net(CHAIN, w=normal(4, 4, 1, 1), v=normal(4, 4, 2, 2))


@pytest.mark.parametrize(
    ("recipe", "wide"),
    [
        (Recipe(), ""),
        (Recipe().with_override("*", activation_bits=16), "xarpty"),
        (Recipe().with_override("Relu", activation_bits=16), "arpt"),
        (Recipe().with_override("MaxPool", activation_bits=16), "arpt"),
    ],
    ids=["8", "16", "clamp", "move"],
)
def test_the_widest_that_any_of_its_nodes_asks_for(recipe: Recipe, wide: str) -> None:
    given = context(chain(), "portable", recipe)
    graph = run(chain(), parse_pipeline("calibrate{method=minmax}"), given)
    found = widths(graph, place(graph, given), given)
    assert {name for name, width in found.items() if width.bits == 16} == set(wide)


@pytest.mark.parametrize("position", [0, 1])
def test_a_layer_of_16_bits_reads_and_makes_16(position: int) -> None:
    name = chain().nodes[0 if position == 0 else -1].name
    graph = apply(ALL, chain(), "onnx", Recipe().with_override(name, activation_bits=16))
    bits = {value: found.storage.bits for value in "xrpt" if (found := quant(graph, value)) is not None}
    assert bits == {"x": 16 if position == 0 else 8, "r": 16, "p": 16, "t": 16}


@pytest.mark.parametrize("where", ["onnx", "portable"])
@pytest.mark.parametrize(
    ("bits", "signs", "counts"), [(1, "binary", 2), ("t", "ternary", 3), (2, "nearest", 4), (4, "nearest", 16)]
)
def test_few_codes(bits: Bits, signs: str, counts: int, where: str) -> None:
    """x has negative elements, those of r are clamped at 0."""
    given = context(chain(), where, Recipe().with_override("*", activation_bits=bits))
    after = run(chain(), parse_pipeline("calibrate,quantize"), given)
    found = {name: quant(after, name) for name in "xrp"}
    assert found["r"] == found["p"]
    assert all(one is not None and one.levels == counts for one in found.values())
    x, r = found["x"], found["r"]
    assert x is not None
    assert r is not None
    assert (signs, "nearest") == (x.rounding, r.rounding)
    assert r.zero_point == r.qmin
    assert given.feeds is not None
    values = np.concatenate([batch["x"] for batch in given.feeds])
    codes = encode(values, x)
    assert counts == len(np.unique(codes))
    if bits == "t":
        scale = float(x.scale)
        np.testing.assert_array_equal(np.where(values > scale / 2, 1, np.where(values < -scale / 2, -1, 0)), codes)
    if bits == 1:
        np.testing.assert_array_equal(np.where(values >= 0, 1, -1), codes)
        assert float(x.scale) == pytest.approx(np.abs(values).mean(), rel=1e-2)


def test_few_codes_join_the_many() -> None:
    name = chain().nodes[0].name
    recipe = Recipe().with_override("*", activation_bits="t").with_override(name, activation_bits=8)
    graph = apply("calibrate,quantize", chain(), "portable", recipe)
    assert [256] * 3 == [found.levels for value in "xrp" if (found := quant(graph, value)) is not None]


def test_joining_asks_for_both() -> None:
    assert Width(8, True).joined(Width(16, False)) == Width(16, True)
    assert Width(1).joined(Width("t")) == Width("t").joined(Width("t")) == Width("t")
    assert Width("t").joined(Width(2)) == Width(2)
