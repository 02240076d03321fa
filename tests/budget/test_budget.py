"""Layers that get wider so that answers keep, or narrower so that the file fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

import qir
from qir.applied import Applied, apply
from qir.budget import byte_count, measured
from qir.budget.frontier import chosen, frontier
from qir.budget.options import narrower
from qir.pipeline import prepare
from tests.debug.small import network, samples
from tests.models import images, tiny_cnn, uncorrected


def drop_of(net: qir.Compiled, data: object) -> float:
    assert net.rounding.real is not None
    assert net.rounding.quant is not None
    return measured(net.rounding.real, net.rounding.quant, data).most


def test_a_healthy_network_needs_no_wider_layer() -> None:
    net = qir.compile(network(), samples(128, 1), max_drop=0.1)
    assert net.recipe.overrides == ()
    assert "no layer has to be wider" in " ".join(net.notes)


@pytest.mark.parametrize("target", ["onnx", "portable"])
def test_the_layer_that_costs_the_answers_gets_wider(target: str) -> None:
    """A range that clips nearly everything away ruins one layer; that one goes back, and the answers with it."""
    ruined = qir.Recipe().with_override("hidden", range=(0.0, 0.01)).with_override("square", range=(0.0, 0.01))
    data = samples(128, 1)
    passes = uncorrected(ruined, target)
    before = drop_of(qir.compile(network(), data, recipe=ruined, target=target, passes=passes), data)
    assert before > 0.04
    good = qir.compile(network(), data, recipe=ruined, target=target, passes=passes, max_drop=before / 4)
    assert drop_of(good, data) <= before / 4
    names = {override.match for override in good.recipe.overrides[2:]}
    assert names & {"hidden", "square"}
    assert len(names) < 10
    notes = " ".join(good.notes)
    assert f"max_drop {before / 4:g} holds" in notes
    assert "its share of the noise goes from" in notes
    assert qir.Recipe.from_toml(good.recipe.to_toml()) == good.recipe


def test_weights_get_wider_before_layers_leave_codes() -> None:
    data = samples(128, 1)
    narrow = qir.compile(network(), data, recipe="w2a8")
    wide = qir.compile(network(), data, recipe="w2a8", max_drop=drop_of(narrow, data) / 2)
    assert drop_of(wide, data) <= drop_of(narrow, data) / 2
    changes = [dict(override.changes) for override in wide.recipe.overrides]
    assert {"weight_bits": 8} in changes
    assert wide.sizes["model"] > narrow.sizes["model"]


def test_what_an_override_names_is_left_alone() -> None:
    recipe = qir.Recipe().with_override("head", weight_bits=2)
    net = qir.compile(tiny_cnn(), images(), recipe=recipe, max_drop=0.0)
    assert "head" not in [override.match for override in net.recipe.overrides[1:]]
    assert "is not reached" in " ".join(net.notes)


def test_the_result_fits_and_no_layer_is_narrower_than_need_be() -> None:
    data = samples(128, 1)
    sizes = [qir.compile(network(), data, recipe=f"w{bits}a8").sizes["model"] for bits in (8, 4)]
    previous = 0
    for share in (0.25, 0.75):
        limit = int(sizes[1] + share * (sizes[0] - sizes[1]))
        net = qir.compile(network(), data, max_bytes=limit)
        assert net.sizes["model"] <= limit
        assert net.sizes["model"] >= previous
        assert {"weight_bits": 4} in [dict(override.changes) for override in net.recipe.overrides]
        assert f"max_bytes {limit:,} holds" in " ".join(net.notes)
        assert qir.compile(network(), data, recipe=net.recipe).sizes == net.sizes
        previous = net.sizes["model"]


@pytest.mark.slow
def test_weights_may_take_few_values_where_the_target_packs_them() -> None:
    """Ternary weights and planes count with the room of their bits, and the least noise decides between them."""
    work = prepare(network(), samples(32, 1), "portable", "mixed", None, None, None, None, None, 0)
    forms = ("ternary", "planes3")
    work = replace(work, context=replace(work.context, target=replace(work.context.target, few_values=forms)))
    applied = apply(work)

    def again(numbers: qir.Recipe) -> Applied:
        return apply(work, recipe=numbers, statistics=applied.context.collected)

    table = narrower(applied, again)
    changes = {dict(option.changes).get("planes") for options in table.ways.values() for option in options}
    assert {None, 0, 3} == changes
    for layer, options in table.ways.items():
        costs = {str(dict(option.changes)): option.cost for option in options}
        count = table.rows[layer][()].weights
        assert -(-count * 3 // 8) == costs["{'planes': 3, 'weight_bits': 1}"]
        assert -(-count * 2 // 8) == costs["{'planes': 0, 'weight_bits': 't'}"]
    choice = chosen(table.ways, frontier(table.ways)[:3])
    assert any("weight_bits" in line for line in table.reasons(choice))
    assert again(table.with_choice(choice)).graph.nodes


def test_enough_bytes_change_nothing() -> None:
    net = qir.compile(network(), samples(64, 1), max_bytes="1M")
    assert net.recipe.overrides == ()
    assert "no layer has to be narrower" in " ".join(net.notes)


@pytest.mark.parametrize("target", ["onnx", "portable"])
def test_too_few_bytes_are_an_error_that_says_the_least(target: str) -> None:
    model, data = tiny_cnn(), images()
    with pytest.raises(qir.RecipeError, match="the smallest that was made takes ") as refused:
        qir.compile(model, data, max_bytes=10, target=target)
    least = int(str(refused.value).split("takes ")[1].split(" bytes")[0].replace(",", ""))
    net = qir.compile(model, data, max_bytes=least, target=target)
    assert net.sizes["model" if target == "onnx" else "weights"] == least


@pytest.mark.parametrize(("recipe", "said"), [("planes2", "2 planes in"), ("ternary", "ternary in")])
def test_recipes_of_few_bits_say_what_weights_are_and_cost(recipe: str, said: str) -> None:
    (note,) = [note for note in qir.compile(network(1), samples(32, 1), recipe=recipe).notes if "weights are" in note]
    assert said in note
    assert "answers move" in note or "the outputs' power" in note


def test_where_nothing_can_be_narrower_the_error_says_so() -> None:
    with pytest.raises(qir.RecipeError, match="no weights that could be narrower"):
        qir.compile(tiny_cnn(), images(), recipe="float", max_bytes=100)


@pytest.mark.parametrize(("text", "count"), [
    (65536, 65536), ("65536", 65536), ("64k", 64000), ("64Ki", 65536), ("1.5 MB", 1500000), ("1MiB", 1 << 20),
    ("200 B", 200),
])  # fmt: skip
def test_sizes_as_text(text: int | str, count: int) -> None:
    assert byte_count(text) == count


@pytest.mark.parametrize(("budget", "data", "said"), [
    ({"max_drop": 1.5}, True, r"max_drop is 1\.5"), ({"max_drop": -0.1}, True, "max_drop is"),
    ({"max_drop": True}, True, "max_drop is True"), ({"max_drop": 0.01}, False, "needs samples to measure"),
    ({"max_bytes": 0}, True, "max_bytes is 0"), ({"max_bytes": "much"}, True, "max_bytes is 'much'"),
    ({"max_bytes": True}, True, "max_bytes is True"), ({"max_bytes": 1000}, False, "needs samples to measure"),
    ({"max_bytes": 1000, "max_drop": 0.01}, True, "both given"),
])  # fmt: skip
def test_what_is_no_budget(budget: dict[str, object], data: bool, said: str) -> None:
    with pytest.raises(qir.RecipeError, match=said):
        qir.compile(tiny_cnn(), images() if data else None, **budget)
