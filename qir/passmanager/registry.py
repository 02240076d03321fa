"""Passes by name, and pipelines as text: `fold-constants,calibrate{method=mse},quantize`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points

from qir.errors import PassError, QirError
from qir.passmanager.base import Pass

_TABLE: dict[str, str] = {}
_CLASSES: dict[str, type[Pass]] = {}
_ITEM = re.compile(r"\s*([A-Za-z0-9_-]+)\s*(?:\{([^}]*)\})?\s*")
_LIST = re.compile(r"\[([^\]]*)\]")


def register_passes(table: Mapping[str, str]) -> None:
    """Adds passes by name, each as "module:Class", imported only when used."""
    _TABLE.update(table)


def register_pass(cls: type[Pass]) -> type[Pass]:
    """Class decorator that adds a pass under its `name`.

    Raises:
        PassError: if the name is taken by another class.
    """
    if cls.name in _TABLE or _CLASSES.get(cls.name, cls) is not cls:
        raise PassError(f"pass '{cls.name}' is registered twice", fix="Choose another name")
    _CLASSES[cls.name] = cls
    return cls


def pass_names() -> list[str]:
    """Every known pass, those of installed packages (entry points `qir.passes`) included."""
    return sorted({*_TABLE, *_CLASSES, *(point.name for point in entry_points(group="qir.passes"))})


def pass_class(name: str) -> type[Pass]:
    """The class of a pass.

    Raises:
        PassError: for an unknown name, with the nearest ones.
    """
    if name not in _CLASSES:
        found = _TABLE.get(name) or next((p.value for p in entry_points(group="qir.passes") if p.name == name), None)
        if found is None:
            near = get_close_matches(name, pass_names(), 3)
            raise PassError(f"pass '{name}' is unknown",
                            fix=f"Perhaps {' or '.join(near)}" if near else "`qir opt --list` shows them")  # fmt: skip
        module, _, attribute = found.partition(":")
        try:
            _CLASSES[name] = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PassError(f"pass '{name}' cannot be loaded from {found}: {error}",
                            fix="Install or mend the package that brings it") from error  # fmt: skip
    return _CLASSES[name]


def parse_pipeline(text: str) -> tuple[Pass, ...]:
    """Passes from their textual form.

    Raises:
        PassError: for an unknown pass or option, a value of the wrong kind, or text that does not parse.
    """
    passes: list[Pass] = []
    position = 0
    while position < len(text):
        found = _ITEM.match(text, position)
        if not found or (found.end() < len(text) and text[found.end()] != ","):
            raise PassError(f"pipeline text does not parse at '{text[position:position + 30]}'",
                            fix="Write name{option=value,option=value},name,...")  # fmt: skip
        passes.append(_make(found[1], found[2] or ""))
        position = found.end() + 1
    return tuple(passes)


def pipeline_text(passes: Iterable[Pass]) -> str:
    """The textual form of passes; `parse_pipeline` reads it back to equal ones."""
    return ",".join(str(one) for one in passes)


def _make(name: str, options: str) -> Pass:
    cls = pass_class(name)
    known = {option.name: option for option in fields(cls)}
    values: dict[str, object] = {}
    for item in re.split(r",(?![^\[]*\])", options) if options.strip() else []:
        key, equals, text = item.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in known:
            choices = ", ".join(k.replace("_", "-") for k in known) or "it has none"
            raise PassError(f"pass '{name}' has no option '{item.strip()}'", fix=f"Its options: {choices}")
        values[key] = _value(name, key, text.strip(), known[key].default)
    try:
        return cls(**values)
    except QirError:
        raise
    except (TypeError, ValueError) as error:  # an option without a default is missing, or the pass refuses a value
        raise PassError(f"pass '{name}' refuses its options: {error}", fix="`qir opt --list` shows them") from error


def _value(name: str, key: str, text: str, default: object) -> object:
    if text == "none" and default is None:
        return None
    inside = _LIST.fullmatch(text)
    if isinstance(default, tuple) and inside:
        return tuple(_number(part.strip()) for part in inside[1].split(",") if part.strip())
    value: object = _number(text)
    if isinstance(default, bool):
        value = {"true": True, "false": False, "1": True, "0": False}.get(text.lower(), text)
    elif isinstance(default, float) and isinstance(value, int):
        value = float(value)
    elif isinstance(default, str):
        value = text
    if default is not None and default is not MISSING and type(value) is not type(default):
        wanted = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "tuple": "[list]"}
        kind = type(default).__name__
        raise PassError(f"option '{key.replace('_', '-')}' of pass '{name}' is '{text}'",
                        fix=f"Give {wanted.get(kind, kind)}")  # fmt: skip
    return value


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
