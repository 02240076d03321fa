"""Recipes: what to do to the numbers, as data."""

from __future__ import annotations

import glob
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from fnmatch import fnmatchcase
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from qir.errors import RecipeError

Bits: TypeAlias = "int | str"
"""A number of bits, or "t" for the three values of ternary codes."""
_GRAMMAR = re.compile(r"w(?P<w>[1-8]|16|t)(a(?P<a>[1248]|16|t))?")
METHODS = ("auto", "minmax", "percentile", "mse", "octav", "entropy")
WEIGHT_BITS: tuple[Bits, ...] = (1, "t", 2, 3, 4, 5, 6, 7, 8, 16)
ACTIVATION_BITS: tuple[Bits, ...] = (1, "t", 2, 4, 8, 16)
"""From few codes to many."""
PLANES = (0, 2, 3, 4)
_FEW = 5
"""Fewer bits of weights than this spoil the first and the last layer."""


def whole_bits(bits: Bits) -> int:
    """Bits that hold a code: 2 for ternary ones."""
    return 2 if isinstance(bits, str) else bits


def code_count(bits: Bits) -> int:
    """How many codes there are."""
    return 3 if isinstance(bits, str) else 1 << bits


@dataclass(frozen=True)
class Layer:
    """How one layer is treated.

    Attributes:
        weight_bits: 1 (binary: two values), "t" (ternary: a value, its negative, and zero), 2 to 8 or 16, or None to
            leave weights float.
        activation_bits: 1, "t", 2, 4, 8 or 16, or None to leave activations float. A value between two layers takes the
            wider.
        per_channel: a scale for each output channel of a weight, else one for the whole tensor.
        range: (low, high) that replaces the calibrated range of the layer's output.
        weight_symmetric: the zero point of weights is 0; else they are unsigned, with a zero point a scale.
        power_of_two: scales of weights and activations are powers of two.
        planes: 2 to 4 makes weights of 1 bit sums of so many binary planes, each with a scale of its own.

    Raises:
        RecipeError: for values that no pass knows what to do with.
    """

    weight_bits: Bits | None = 8
    activation_bits: Bits | None = 8
    per_channel: bool = True
    range: tuple[float, float] | None = None
    weight_symmetric: bool = True
    power_of_two: bool = False
    planes: int = 0

    def __post_init__(self) -> None:
        for name, known in (("weight_bits", WEIGHT_BITS), ("activation_bits", ACTIVATION_BITS), ("planes", PLANES)):
            bits = getattr(self, name)
            if (bits is not None or name == "planes") and (isinstance(bits, bool) or bits not in known):
                rest = "" if name == "planes" else " or float"
                raise RecipeError(f"{name} is {bits!r}", fix=f"Choose {', '.join(map(str, known))}{rest}")
        if self.planes and self.weight_bits != 1:
            raise RecipeError(f"planes is {self.planes} where weight_bits is {_toml(self.weight_bits)}",
                              fix="Planes are binary: set weight_bits = 1 beside them or leave them out")  # fmt: skip
        for name in ("per_channel", "weight_symmetric", "power_of_two"):
            if not isinstance(getattr(self, name), bool):
                raise RecipeError(f"{name} is {getattr(self, name)!r}", fix="Choose true or false")
        if self.range is not None and not _is_range(self.range):
            raise RecipeError(f"range is {self.range!r}", fix="Give two finite numbers, the lower one first")

    @property
    def is_float(self) -> bool:
        return self.weight_bits is None and self.activation_bits is None

    @property
    def weight_planes(self) -> int:
        """Binary planes that weights are sums of; 0 where weights are anything else."""
        return max(1, self.planes) if self.weight_bits == 1 else 0

    @property
    def weight_width(self) -> int | None:
        """Bits that hold a weight; None where weights are float."""
        return self.weight_planes or (None if self.weight_bits is None else whole_bits(self.weight_bits))

    @property
    def has_few_values(self) -> bool:
        """Whether weights are ternary, binary or planes: values fitted to each channel, not steps of one size."""
        return self.weight_bits in (1, "t")

    def __str__(self) -> str:
        weights = f"{self.weight_bits}" + (f"x{self.planes}" if self.weight_planes > 1 else "")
        parts = (("w", None if self.weight_bits is None else weights), ("a", self.activation_bits))
        return "".join(f"{letter}{bits}" for letter, bits in parts if bits is not None) or "float"


def _is_range(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(_is_number(bound) for bound in value):
        return False
    return isfinite(value[0]) and isfinite(value[1]) and value[0] < value[1]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class Override:
    """Changes some fields of `Layer` where a node matches.

    Attributes:
        match: a glob on the node's name (in the user's model), or an operator's name.
        changes: fields of Layer with their new values. A new `weight_bits` without `planes` ends earlier planes.
    """

    match: str
    changes: tuple[tuple[str, Any], ...] = ()

    def applies(self, names: Iterable[str], op: str) -> bool:
        return op == self.match or any(fnmatchcase(name, self.match) for name in names)


@dataclass(frozen=True)
class Recipe:
    """Defaults for every layer, how ranges are chosen, and ordered overrides (later ones win).

    Attributes:
        default: treatment of a layer that no override names.
        calibration: how ranges are chosen: auto (by what they do to the layers behind), minmax, percentile, mse, octav,
            entropy.
        percentile: share of samples that the percentile method keeps inside the range, in percent.
        overrides: in order.
        ends: treatment of the first and the last layer with weights, and of the weights of depthwise layers, which few
            bits spoil most and which are few; any override comes after it. None for the default.
    """

    default: Layer = field(default_factory=Layer)
    calibration: str = "auto"
    percentile: float = 99.99
    overrides: tuple[Override, ...] = ()
    ends: Layer | None = None

    def __post_init__(self) -> None:
        if self.calibration not in METHODS:
            raise RecipeError(f"calibration method '{self.calibration}' is unknown", fix=f"Choose {', '.join(METHODS)}")
        if not _is_number(self.percentile) or not 50 < self.percentile <= 100:
            raise RecipeError(f"percentile {self.percentile!r} is not in (50, 100]", fix="Try 99.99")

    @property
    def has_few_bits(self) -> bool:
        """Whether weights or activations of some layers get fewer than 8."""
        layers = (self.default, *(self.layer((one.match,), one.match) for one in self.overrides))
        widths = (width for layer in layers for width in (layer.weight_width, layer.activation_bits))
        return any(width is not None and whole_bits(width) < 8 for width in widths)

    def layer(self, names: Iterable[str], op: str) -> Layer:
        """The treatment of a node.

        Args:
            names: the node's name and those of the user's nodes it stands for.
            op: its operator.
        """
        known = tuple(names)
        found = self.default
        for override in self.overrides:
            if override.applies(known, op):
                changes = dict(override.changes)
                found = replace(found, **({"planes": 0} if "weight_bits" in changes else {}) | changes)
        return found

    def names(self, setting: str, names: Iterable[str], op: str) -> bool:
        """Whether an override says of a node what `setting`, a field of Layer, is; arguments as `layer`."""
        known = tuple(names)
        return any(setting in dict(override.changes) and override.applies(known, op) for override in self.overrides)

    def with_override(self, match: str, **changes: Any) -> Recipe:
        """The recipe with one more override, checked.

        `float=True` is short for weights and activations both left float.

        Raises:
            RecipeError: for fields that no layer has and values that do not fit them.
        """
        if not isinstance(match, str) or not match:
            raise RecipeError(f"an override matches {match!r}", fix="Give a glob on node names, or an operator's name")
        if changes.pop("float", False):
            changes |= {"weight_bits": None, "activation_bits": None}
        allowed = {f.name for f in fields(Layer)}
        for name in changes:
            if name not in allowed:
                raise RecipeError(f"override of '{match}' sets '{name}', which is no field of a layer",
                                  fix=f"Choose from {', '.join(sorted(allowed))}, float")  # fmt: skip
        Layer(**({"weight_bits": 1} if changes.get("planes") else {}) | changes)
        return replace(self, overrides=(*self.overrides, Override(match, tuple(sorted(changes.items())))))

    def with_ends_at(self, outer: Iterable[str], depthwise: Iterable[str]) -> Recipe:
        """The recipe with `ends` written out as the first overrides.

        Args:
            outer: names of the first and the last layers.
            depthwise: those of depthwise ones, whose activations are as elsewhere.
        """
        if self.ends is None:
            return self
        changes = _changes(self.ends, self.default)
        weights = {name: value for name, value in changes.items() if name != "activation_bits"}
        given = dict.fromkeys(depthwise, weights) | dict.fromkeys(outer, changes)
        found = tuple(Override(glob.escape(name), tuple(sorted(one.items()))) for name, one in given.items() if one)
        return replace(self, overrides=(*found, *self.overrides), ends=None)

    def to_toml(self) -> str:
        """The recipe as TOML; `Recipe.from_toml` reads it back to an equal recipe."""
        lines = [f'calibration = "{self.calibration}"', f"percentile = {self.percentile}"]
        for name, layer in (("default", self.default), ("ends", self.ends)):
            if layer is not None:
                lines += ["", f"[{name}]"]
                lines += [f"{key} = {_toml(value)}" for key, value in asdict(layer).items()
                          if value is not None or key in ("weight_bits", "activation_bits")]  # fmt: skip
        for override in self.overrides:
            lines += ["", "[[override]]", f"match = {_toml(override.match)}"]
            lines += [f"{key} = {_toml(value)}" for key, value in override.changes]
        return "\n".join(lines) + "\n"

    @staticmethod
    def from_toml(text: str) -> Recipe:
        """Reads the TOML form.

        Raises:
            RecipeError: for text that is not TOML or names that no recipe has.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"the recipe is not valid TOML: {error}", fix="Mend that line") from None
        overrides = data.pop("override", [])
        layers = {name: data.pop(name) for name in ("default", "ends") if name in data}
        unknown = set(data) - {"calibration", "percentile"}
        tables = isinstance(overrides, list) and all(isinstance(one, dict) for one in (*layers.values(), *overrides))
        if unknown or not tables:
            raise RecipeError(f"a recipe has no entry {', '.join(sorted(unknown)) or 'table of that form'}",
                              fix="Use calibration, percentile, [default], [ends] and [[override]]")  # fmt: skip
        recipe = Recipe(**data)
        for name, entry in layers.items():
            merged = Recipe().with_override("*", **_from_toml(entry))
            layer = merged.layer(("",), "")
            recipe = replace(recipe, default=layer) if name == "default" else replace(recipe, ends=layer)
        for entry in overrides:
            changes = dict(entry)
            if "match" not in changes:
                raise RecipeError("an [[override]] has no 'match'", fix='Add match = "node-name-glob" or an operator')
            recipe = recipe.with_override(changes.pop("match"), **_from_toml(changes))
        return recipe


def _changes(layer: Layer, default: Layer) -> dict[str, Any]:
    """The fields in which a layer is not the default."""
    given = {item.name: getattr(layer, item.name) for item in fields(Layer)}
    return {name: value for name, value in given.items() if value != getattr(default, name)}


def _from_toml(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: None if v == "float" else tuple(v) if isinstance(v, list) else v for k, v in entry.items()}


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the escapes of JSON are TOML's too
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return '"float"' if value is None else str(value)


def recipe(spec: str | Path | Recipe) -> Recipe:
    """A recipe from an alias (int8, int16, ternary, weights-int4, float, ...), the grammar, a .toml file, or itself.

    The grammar is `w{1,t,2..8,16}a{1,t,2,4,8,16}`, bits of weights and activations (t for three values); without the
    second part (w4) activations stay float. With weights of less than 5 bits, or activations of less than 8, the first
    and the last layer keep 8.

    Raises:
        RecipeError: for anything else, with the choices.
    """
    if isinstance(spec, Recipe):
        return spec
    text = str(spec)
    if text.endswith(".toml"):
        try:
            return Recipe.from_toml(Path(text).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise RecipeError(f"the recipe file '{text}' cannot be read ({why})", fix="Check the path") from None
    layer = ALIASES.get(text) or _written(text)
    if layer is None:
        choices = f"{', '.join(ALIASES)}, w{{1,t,2..8,16}}a{{1,t,2,4,8,16}} such as w4a8, w4, or a .toml file"
        raise RecipeError(f"recipe '{spec}' is not understood", fix=f"Choose {choices}")
    return Recipe(default=layer, ends=_ends(layer))


ALIASES = {
    "int8": Layer(), "int16": Layer(8, 16), "ternary": Layer("t"), "binary": Layer(1),
    "planes2": Layer(1, planes=2), "planes3": Layer(1, planes=3), "planes4": Layer(1, planes=4), "mixed": Layer(),
    "float": Layer(None, None), "weights-int8": Layer(8, None), "weights-int4": Layer(4, None),
}  # fmt: skip
"""int16 keeps 8-bit weights: it is for networks whose activations need more than 8 bits. mixed is int8 until a budget
asks for less."""


def _written(text: str) -> Layer | None:
    """The layer that the grammar's text means."""
    found = _GRAMMAR.fullmatch(text)
    if not found:
        return None
    weights, activations = (int(bits) if bits and bits.isdigit() else bits for bits in (found["w"], found["a"]))
    return Layer(weights, activations)


def _ends(layer: Layer) -> Layer | None:
    """What spares the first and the last layer, where the others have few bits."""
    wide = None if layer.activation_bits is None else max(8, whole_bits(layer.activation_bits))
    few = layer.weight_width is not None and layer.weight_width < _FEW
    return Layer(8, wide) if few or wide not in (layer.activation_bits, None) else None
