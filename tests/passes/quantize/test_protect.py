"""Which layers keep 8 bits: few weights that matter much, within the share, never against the recipe's word."""

from __future__ import annotations

import numpy as np
import pytest

import qir
from qir.ir.graph import Graph
from qir.passmanager.manager import run
from qir.passmanager.registry import parse_pipeline
from qir.recipe import Layer, Recipe, recipe
from tests.passes.graphs import net, normal
from tests.passes.quantize.quantizing import ACTIVATIONS, apply, context, quant

NET = """(float[N,8] x) => (float[N,4] y) { a = MatMul(x, first) b = MatMul(a, wide) c = MatMul(b, back)
    y = MatMul(c, head) }"""
SIZES = {"first": 64, "wide": 512, "back": 512, "head": 32}


def network() -> Graph:
    return net(NET, first=normal(8, 8), wide=normal(8, 64), back=normal(64, 8), head=normal(8, 4))


def protected(chosen: Recipe, share: float, graph: Graph | None = None) -> set[str]:
    passes = f"{ACTIVATIONS},quantize-weights,protect-weights{{share={share}}}"
    after = apply(passes, graph or network(), "portable", chosen)
    return {name for name in SIZES if is_wide(after, name)}


def is_wide(graph: Graph, name: str) -> bool:
    found = quant(graph, name)
    return found is not None and found.qmax == 127


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, set()), (0.01, set()), (0.03, {"head"}), (0.1, {"first", "head"}), (10.0, set(SIZES))],
)
def test_small_layers_come_first(share: float, expected: set[str]) -> None:
    assert protected(recipe("w4a8"), share) == expected


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.7])
def test_weights_grow_by_the_share_at_most(bits: int, share: float) -> None:
    grown = sum((8 - bits) * SIZES[name] for name in protected(recipe(f"w{bits}a8"), share))
    assert grown <= share * bits * sum(SIZES.values())


@pytest.mark.parametrize("noisy", ["u", "v"])
def test_noisy_layers_come_first(noisy: str) -> None:
    """Weights of one size each are met by 4 bits; there is room for one of the two layers."""
    weights = {name: normal(8, 8) if name == noisy else np.sign(normal(8, 8)) for name in ("u", "v")}
    graph = net("(float[N,8] x) => (float[N,8] y) { a = MatMul(x, u) y = MatMul(a, v) }", **weights)
    after = apply(f"{ACTIVATIONS},quantize-weights,protect-weights{{share=0.6}}", graph, "portable", recipe("w4a8"))
    assert {name for name in weights if is_wide(after, name)} == {noisy}


def test_bits_that_an_override_names_stay() -> None:
    name = network().nodes[-1].name
    assert protected(recipe("w4a8").with_override(name, weight_bits=4), 0.1) == {"first"}


@pytest.mark.parametrize("text", ["w7a8", "int8", "w16a16", "w8"])
def test_nothing_to_protect(text: str) -> None:
    given = context(network(), "portable", recipe(text))
    before = run(network(), parse_pipeline(f"{ACTIVATIONS},quantize-weights"), given)
    assert run(before, parse_pipeline("protect-weights"), given) is before


@pytest.mark.parametrize("data", [True, False])
def test_the_result_says_which(data: bool) -> None:
    compiled = qir.compile(network(), normal(16, 8) if data else None, recipe=Recipe(Layer(4)))
    (note,) = [note for note in compiled.notes if "8 bits wide" in note]
    assert "2 of 4 layers" in note
    assert network().nodes[-1].name in note
