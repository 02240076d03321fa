"""What is written after an option, as the values that `qir.compile` takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qir.calibration import Preprocess
from qir.errors import DataError, RecipeError, ShapeError
from qir.recipe import Recipe


def shapes(items: Iterable[str]) -> dict[str, int | Sequence[int]]:
    """`N=1` binds a dimension symbol, `input=1,3,224,224` an input's whole shape, `input=[]` a scalar's.

    Raises:
        ShapeError: for text of another form.
    """
    found: dict[str, int | Sequence[int]] = {}
    for item in items:
        name, equals, text = item.rpartition("=")
        inside = text.strip().removeprefix("[").removesuffix("]")
        try:
            sizes = tuple(int(part) for part in inside.replace("x", ",").split(",") if part.strip())
        except ValueError:
            sizes = ()
            equals = ""
        if not equals or not name or (not sizes and inside):
            raise ShapeError(f"--shape {item} is not understood", fix="Write --shape N=1 or --shape input=1,3,224,224")
        whole = "," in text or "x" in text or text.strip().startswith("[")
        found[name] = sizes if whole else sizes[0]
    return found


def bindings(items: Iterable[str]) -> dict[str, Any]:
    """`sr=16000` fixes an input; several numbers are separated by commas.

    Raises:
        DataError: for text without a name.
    """
    found: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise DataError(f"--bind {item} is not understood", fix="Write --bind input=value")
        parts = [_scalar(part.strip()) for part in text.split(",")]
        found[name] = parts if len(parts) > 1 else parts[0]
    return found


def _scalar(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def overrides(recipe: Recipe, items: Iterable[str]) -> Recipe:
    """The recipe with `GLOB:field=value,field=value` added in order; later ones win.

    Args:
        items: GLOB matches node names or is an operator's name; `GLOB:float` is short for leaving both in float.

    Raises:
        RecipeError: for text of another form or fields that no layer has.
    """
    for item in items:
        match, colon, text = item.rpartition(":")
        if not colon or not match or not text:
            raise RecipeError(
                f"--override {item} is not understood",
                fix="Write --override 'GLOB:weight_bits=float', 'GLOB:range=-1..6' or 'GLOB:float'",
            )
        changes: dict[str, Any] = {}
        for part in text.split(","):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            changes[name.replace("-", "_")] = _field(value) if equals else True
        recipe = recipe.with_override(match, **changes)
    return recipe


def _field(text: str) -> Any:
    low, dots, high = text.partition("..")
    if dots:
        try:
            return float(low), float(high)
        except ValueError:
            raise RecipeError(f"range {text} is not understood", fix="Write range=-1..6") from None
    return None if text == "float" else _scalar(text)


def preprocess(text: str | None) -> Preprocess | None:
    """`mean=123.7/116.3/103.5,std=58.4/57.1/57.4,size=224x224,layout=NCHW,color=RGB`; every part may be left out.

    Raises:
        DataError: for parts of another form, and as `Preprocess` does.
    """
    if text is None:
        return None
    fields: dict[str, Any] = {}
    for item in text.split(","):
        name, equals, value = (piece.strip() for piece in item.partition("="))
        try:
            if name in ("mean", "std"):
                fields[name] = tuple(float(part) for part in value.split("/"))
            elif name == "size":
                sides = [int(part) for part in value.split("x")]
                fields[name] = (sides[0], sides[-1])
            elif name in ("layout", "color"):
                fields[name] = value.upper()
            else:
                equals = ""
        except ValueError:
            equals = ""
        if not equals:
            raise DataError(f"--preprocess has '{item}', which is not understood",
                            fix="Write mean=.., std=.., size=HxW, layout=NCHW, color=RGB, separated by commas; "
                                "numbers of several channels by slashes")  # fmt: skip
    return Preprocess(**fields)
