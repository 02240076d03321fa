"""The best choices among several ways to treat each layer: for every cost, the least noise.

Noise that layers bring to the outputs adds up, and so do costs, so this is a multiple-choice knapsack. Of each layer
only the lower convex hull of its (cost, noise) points is of use; steps along all hulls, taken in order of falling noise
saved per cost, pass through choices that no other choice of equal cost beats (Sinha & Zoltners 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """One way to treat a layer.

    Attributes:
        noise: what the layer then adds to the outputs' noise.
        cost: what the layer then takes; lower is better.
        changes: fields of `Layer` with their values, for an override; none where the recipe's own treatment stays.
    """

    noise: float
    cost: float
    changes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Step:
    """One layer's change from a cheaper option to one with less noise."""

    layer: str
    before: Option
    after: Option

    @property
    def worth(self) -> float:
        """Noise saved per cost."""
        return (self.before.noise - self.after.noise) / (self.after.cost - self.before.cost)


def cheapest(options: Sequence[Option]) -> Option:
    """The option that costs least; of those the one with the least noise, then the first."""
    return min(options, key=lambda option: (option.cost, option.noise))


def frontier(layers: Mapping[str, Sequence[Option]]) -> list[Step]:
    """Steps away from every layer's cheapest option, the most worthwhile first.

    After any number of them no choice of equal or smaller cost has less noise.

    Args:
        layers: the options of each, at least one.
    """
    steps = [step for layer, options in layers.items() for step in _hull(layer, options)]
    return sorted(steps, key=lambda step: -step.worth)


def chosen(layers: Mapping[str, Sequence[Option]], steps: Sequence[Step]) -> dict[str, Option]:
    """Each layer's option after some first steps of `frontier`."""
    found = {layer: cheapest(options) for layer, options in layers.items()}
    return found | {step.layer: step.after for step in steps}


def _hull(layer: str, options: Sequence[Option]) -> list[Step]:
    at = cheapest(options)
    steps: list[Step] = []
    while True:
        ahead = [Step(layer, at, option) for option in options if option.cost > at.cost and option.noise < at.noise]
        if not ahead:
            return steps
        best = max(ahead, key=lambda step: (step.worth, step.after.cost))
        steps.append(best)
        at = best.after
