"""Values between layers of different formats."""

from __future__ import annotations

import pytest

from qir.ir.graph import Graph
from qir.passes.quantize.placement import place
from qir.passes.quantize.widths import Width, widths
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Recipe
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


def test_joining_asks_for_both() -> None:
    assert Width(8, True).joined(Width(16, False)) == Width(16, True)
