"""The table of causes: a row names a cause, says which part of a layer it sits in, and how to recognise it."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from qir.debug.explain.probe import Probe
from qir.errors import PluginError
from qir.ir.graph import Graph


class Part(Enum):
    """What of a layer can be wrong."""

    STRUCTURE = "structure"
    WEIGHT = "weight"
    BIAS = "bias"
    CODES = "codes of its result"


@dataclass(frozen=True)
class Repair:
    """A change to the judged network that undoes a cause.

    Attributes:
        what: one sentence for the user.
        apply: the repaired graph; None where only taking the layer from the float model shows what is to be gained.
        override: TOML for a recipe, "" where no recipe can say it.
    """

    what: str
    apply: Callable[[Graph], Graph] | None = None
    override: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """A cause that was recognised in a layer: what was measured, and how to undo it."""

    evidence: str
    repair: Repair


Recognise: TypeAlias = Callable[[Probe], "Diagnosis | None"]


@dataclass(frozen=True)
class Cause:
    """One row.

    Attributes:
        name: kebab-case.
        part: of the layer; the causes of a part are tried in the order of the table once that part is found guilty.
        summary: one line.
        recognise: the diagnosis, or None where the cause is another one.
    """

    name: str
    part: Part
    summary: str
    recognise: Recognise


CAUSES: dict[str, Cause] = {}


def register_cause(name: str, part: Part, summary: str) -> Callable[[Recognise], Recognise]:
    """Adds a row at the end of the table; the function decorated recognises it.

    Raises:
        PluginError: where the name is taken.
    """

    def add(recognise: Recognise) -> Recognise:
        if name in CAUSES:
            raise PluginError(f"there is a cause '{name}' already", fix="Choose another name")
        CAUSES[name] = Cause(name, part, summary, recognise)
        return recognise

    return add


def override(node: str, **changes: object) -> str:
    """An override of a recipe, as TOML."""
    from qir.recipe import Recipe

    text = Recipe().with_override(glob.escape(node), **changes).to_toml()
    return text[text.index("[[override]]") :]
