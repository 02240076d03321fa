"""The knapsack over noise and cost: nothing of equal cost has less noise."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from qir.budget.frontier import Option, chosen, frontier
from qir.budget.size import affordable

OPTIONS = st.lists(
    st.builds(Option, st.integers(0, 40).map(float), st.integers(0, 40).map(float)), min_size=1, max_size=4
)
LAYERS = st.dictionaries(st.sampled_from("abcd"), OPTIONS, min_size=1)


def totals(choice: dict[str, Option]) -> tuple[float, float]:
    return sum(option.noise for option in choice.values()), sum(option.cost for option in choice.values())


@given(LAYERS)
def test_after_any_number_of_steps_no_choice_of_that_cost_has_less_noise(layers: dict[str, list[Option]]) -> None:
    every = [totals(dict(zip(layers, options, strict=True))) for options in product(*layers.values())]
    steps = frontier(layers)
    for count in range(len(steps) + 1):
        noise, cost = totals(chosen(layers, steps[:count]))
        assert noise == min(n for n, c in every if c <= cost)


@given(LAYERS)
def test_steps_end_where_nothing_has_less_noise(layers: dict[str, list[Option]]) -> None:
    steps = frontier(layers)
    assert [step.worth for step in steps] == sorted((step.worth for step in steps), reverse=True)
    noise, _ = totals(chosen(layers, steps))
    assert noise == sum(min(option.noise for option in options) for options in layers.values())


@given(LAYERS, st.integers(0, 200))
def test_what_is_affordable_fits_and_is_no_worse_than_the_frontier(layers: dict[str, list[Option]], room: int) -> None:
    steps = frontier(layers)
    _, least = totals(chosen(layers, ()))
    noise, cost = totals(affordable(layers, steps, least + room))
    assert cost <= least + room
    fitting = [totals(chosen(layers, steps[:count])) for count in range(len(steps) + 1)]
    assert noise <= min(n for n, c in fitting if c <= least + room)
