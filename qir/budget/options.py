"""What can be done to each layer of a compiled network, what noise that leaves, and what it costs."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qir.applied import Applied
from qir.budget.frontier import Option
from qir.debug.report.text import bytes_text
from qir.debug.sensitivity import LayerSensitivity, Sensitivity, sensitivity
from qir.recipe import ALIASES, Layer, Recipe, whole_bits

FLOAT = (("activation_bits", None), ("weight_bits", None))
"""The override of a layer that stays float."""
TRIES = 6
"""Combined choices that are compiled and measured."""
_BORDER = 0.02
"""Share of all work that a float layer costs beside its own: converting to and from codes costs too."""
_WIDE = 0.5
"""Share of its own work that 16-bit activations add to a layer: half as many products fit into a register."""

Again = Callable[[Recipe], Applied]
"""Runs the pipeline with another recipe."""
Changes = tuple[tuple[str, Any], ...]
"""Fields of `Layer` with their values; none for the recipe's own treatment."""


@dataclass(frozen=True)
class Options:
    """The ways to treat each layer.

    Attributes:
        recipe: as asked for.
        rows: what was measured of each layer, by the names of its nodes and treatment.
        ways: options by layer; noise is a share of what all layers bring that are treated as the recipe says.
    """

    recipe: Recipe
    rows: Mapping[str, Mapping[Changes, LayerSensitivity]]
    ways: Mapping[str, Sequence[Option]]

    def with_choice(self, choice: Mapping[str, Option]) -> Recipe:
        """The recipe with an override for each node that is treated otherwise."""
        recipe = self.recipe
        for layer, option in choice.items():
            for name in self.rows[layer][()].settings if option.changes else ():
                recipe = recipe.with_override(glob.escape(name), **dict(option.changes))
        return recipe

    def noise(self, choice: Mapping[str, Option]) -> float:
        """Of a choice, as a share of that of the recipe's own treatment of all layers."""
        own = sum(self.own(layer).noise for layer in self.ways)
        return sum(option.noise for option in choice.values()) / own if own else 1.0

    def own(self, layer: str) -> Option:
        """A layer as the recipe treats it."""
        return next(option for option in self.ways[layer] if not option.changes)

    def reasons(self, choice: Mapping[str, Option]) -> list[str]:
        """A line for each layer that is not as the recipe has it: the override, and what it gives and takes."""
        lines = []
        for layer, option in choice.items():
            if option.changes:
                own, rows = self.own(layer), self.rows[layer]
                grown = rows[option.changes].weight_bytes - rows[()].weight_bytes
                size = f", {bytes_text(abs(grown))} {'more' if grown > 0 else 'less'}" if grown else ""
                work = f", {rows[()].macs:,} multiplications" if option.changes == FLOAT and rows[()].macs else ""
                lines.append(f"  {layer}: {_text(option.changes)}; its share of the noise goes from "
                             f"{100 * own.noise:,.1f} to {100 * option.noise:,.1f} %{size}{work}")  # fmt: skip
        return lines


def _text(changes: Changes) -> str:
    return "float" if changes == FLOAT else ", ".join(f"{field} = {value}" for field, value in changes)


def wider(applied: Applied, again: Again) -> Options:
    """Options with less noise than the recipe's own; costs are shares of the network's bytes plus of its work."""
    target, bits = applied.context.target, applied.recipe.default.activation_bits
    own = _measured(applied)
    weights: list[Changes] = [(("weight_bits", width),) for width in target.weight_bits
                              if any(8 * row.weight_bytes < width * row.weights for row in own.layers)]  # fmt: skip
    activations: list[Changes] = [(("activation_bits", width),) for width in target.activation_bits
                                  if bits is not None and width > whole_bits(bits)]  # fmt: skip
    rows = _rows(own, {changes: _measured(_all(applied, again, changes)) for changes in (*weights, *activations)})
    rows = {layer: {**known, FLOAT: _in_float(known[()])} for layer, known in rows.items() if () in known}
    total_bytes = max(sum(row.weight_bytes for row in own.layers), 1)
    total_macs = max(sum(row.macs for row in own.layers), 1)

    def cost(changes: Changes, row: LayerSensitivity) -> float:
        work = row.macs / total_macs
        extra = work + _BORDER if changes == FLOAT else _WIDE * work if changes in activations else 0.0
        return row.weight_bytes / total_bytes + extra

    return _options(applied, own, rows, cost)


def narrower(applied: Applied, again: Again) -> Options:
    """Options for the weights, down to the fewest bits; costs are bytes."""
    own, target = _measured(applied), applied.context.target
    few: dict[Changes, Layer] = {(("planes", layer.planes), ("weight_bits", layer.weight_bits)): layer
                                 for layer in map(ALIASES.__getitem__, target.few_values)}  # fmt: skip
    tried: list[Changes] = [*((("weight_bits", width),) for width in target.weight_bits), *few]
    rows = _rows(own, {changes: _measured(_all(applied, again, changes)) for changes in tried})
    for known in rows.values():
        known.update({changes: _packed(known[changes], layer) for changes, layer in few.items() if changes in known})
        known.setdefault((), _in_float(next(iter(known.values()))))  # rounded by a variant alone: the recipe's is float
    rows = {layer: known for layer, known in rows.items() if known[()].weights}
    return _options(applied, own, rows, lambda changes, row: row.weight_bytes)


def _packed(row: LayerSensitivity, layer: Layer) -> LayerSensitivity:
    """With weights in the room of their bits, though their codes are int8."""
    return replace(row, weight_bytes=-(-row.weights * (layer.weight_width or 8) // 8))


def _measured(applied: Applied) -> Sensitivity:
    real, quant = applied.rounding.real, applied.rounding.quant
    if real is None or quant is None or applied.context.feeds is None:
        return Sensitivity((), {}, 0)
    return sensitivity(real, quant, applied.context.feeds)


def _all(applied: Applied, again: Again, changes: Changes) -> Applied:
    """The network with every layer treated in one way."""
    return again(applied.recipe.with_override("*", **dict(changes)))


def _rows(
    own: Sensitivity, variants: Mapping[Changes, Sensitivity]
) -> dict[str, dict[Changes, LayerSensitivity]]:
    rows: dict[str, dict[Changes, LayerSensitivity]] = {}
    for changes, table in {(): own, **variants}.items():
        for row in table.layers:
            known = rows.setdefault(", ".join(row.settings), {})
            known[changes] = _joined(known[changes], row) if changes in known else row
    return rows


def _joined(first: LayerSensitivity, second: LayerSensitivity) -> LayerSensitivity:
    """An input and its only reader, which one override treats together."""
    noise = {name: first.noise[name] + second.noise[name] for name in first.noise}
    return replace(second, noise=noise, weights=first.weights + second.weights, macs=first.macs + second.macs,
                   weight_bytes=first.weight_bytes + second.weight_bytes)  # fmt: skip


def _in_float(row: LayerSensitivity) -> LayerSensitivity:
    return replace(row, noise=dict.fromkeys(row.noise, 0.0), weight_bytes=4 * row.weights)


def _options(
    applied: Applied, own: Sensitivity, rows: Mapping[str, Mapping[Changes, LayerSensitivity]],
    cost: Callable[[Changes, LayerSensitivity], float],
) -> Options:  # fmt: skip
    """Options of the layers whose treatment no override of the recipe names: what a user has chosen stays."""
    recipe, graph = applied.recipe, applied.rounding.quant or applied.graph
    known = {node.name: (node.name, *node.origin, node.op) for node in graph.nodes}
    free = {layer: found for layer, found in rows.items()
            if not any(recipe.names(field, known[name][:-1], known[name][-1]) for name in found[()].settings
                       if name in known for field in ("weight_bits", "activation_bits"))}  # fmt: skip
    top = {name: max((row.noise.get(name, 0.0) for found in free.values() for row in found.values()), default=0.0)
           for name in own.noise}  # fmt: skip
    total = {name: value or top[name] for name, value in own.noise.items()}

    def share(row: LayerSensitivity) -> float:
        return max((value / total[name] for name, value in row.noise.items() if total.get(name)), default=0.0)

    ways = {layer: [Option(share(row), cost(changes, row), changes) for changes, row in found.items()]
            for layer, found in free.items()}  # fmt: skip
    return Options(recipe, free, ways)
