"""Kernel sources as text: headers gathered once, templates filled in, everything given the model's prefix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from qir.backends.c.program import Call, Kernel, Program
from qir.errors import BuildError

Substitutions: TypeAlias = tuple[tuple[str, str], ...]

_LOCAL = re.compile(r'^#include "([^"]+)"\n', re.M)
_SYSTEM = re.compile(r"^#include <([^>]+)>\n", re.M)
_TEMPLATE = re.compile(r"^/\* template: begin \*/\n.*?^/\* template: end \*/\n\n?", re.M | re.S)
_GUARD = re.compile(r"^#ifndef (\w+)\n#define \1\n\n?(.*)^#endif[^\n]*\n?\Z", re.M | re.S)

_CONDITION = re.compile(r"[ \t]*#[ \t]*(ifdef|ifndef|if|elif|else|endif)\b[ \t]*([^\n]*)")
_TRUTH = {"0": False, "!1": False, "1": True, "!0": True}


@lru_cache(maxsize=1024)
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


@lru_cache(maxsize=1024)
def _included(path: Path) -> tuple[str, ...]:
    """The texts of the local headers that a file includes, dependencies first, each once, their guards taken off."""
    names = _LOCAL.findall(_TEMPLATE.sub("", _read(path)))
    return tuple(dict.fromkeys(text for name in names for text in _with_included(path.parent / name)))


@lru_cache(maxsize=1024)
def _with_included(path: Path) -> tuple[str, ...]:
    header = path.resolve()
    text = _read(header)
    start = text.find("#ifndef")
    guard = _GUARD.match(text[start:]) if start >= 0 else None
    return *_included(header), text[:start] + guard.group(2) if guard else text


@lru_cache(maxsize=1024)
def _header(text: str, substitutions: Substitutions) -> str:
    """A header without what it includes; one with a template block is one for every set of substitutions."""
    return _LOCAL.sub("", _substituted(text, substitutions) if _TEMPLATE.search(text) else text)


@lru_cache(maxsize=1024)
def _substituted(text: str, substitutions: Substitutions) -> str:
    text = _TEMPLATE.sub("", text)
    for identifier, replacement in substitutions:
        text = re.sub(rf"\b{re.escape(identifier)}\b", lambda _, r=replacement: r, text)  # type: ignore[misc]
    return _decided(text) if substitutions else text


def _decided(text: str) -> str:
    """Without what is behind conditions that became 0, and without the lines of those that became 0 or 1."""
    kept: list[str] = []
    opened: list[tuple[bool | None, bool]] = []  # is what follows kept (None: the C compiler decides), and was any yet
    for line in text.splitlines(keepends=True):
        word, rest = found.groups() if (found := _CONDITION.match(line)) else ("", "")
        if word.startswith("if"):
            truth = _TRUTH.get(rest.strip()) if word == "if" else None
            opened.append((truth, bool(truth)))
        decided = bool(word) and opened[-1][0] is not None
        if word == "endif":
            opened.pop()
        elif decided and word in ("else", "elif"):
            _, taken = opened.pop()
            if word == "elif" and not taken:  # the first that is left
                opened.append((None, False))
                decided, line = False, line.replace("elif", "if", 1)
            else:
                opened.append((not taken, True))
        if not decided and all(one is not False for one, _ in opened):
            kept.append(line)
    return "".join(kept)


@lru_cache(maxsize=1024)
def instance(kernel: Kernel, apart: bool = False) -> str:
    """The text of one kernel instance: a static function and its helpers.

    Args:
        apart: it does not become part of its caller.

    Raises:
        BuildError: where the file does not define the function.
    """
    text = _SYSTEM.sub("", _LOCAL.sub("", _TEMPLATE.sub("", _read(kernel.source)))).strip("\n") + "\n"
    text = _substituted(text, kernel.substitutions)
    head = f"void {kernel.function}("
    if text.count(f"\n{head}") + text.startswith(head) != 1:
        raise BuildError(f"{kernel.source.name} does not define 'void {kernel.function}(' at the start of one line")
    text = text.replace(head, f"static {'QIR_APART ' * apart}{head}", 1)
    (old, _, written), (new, _, isa) = kernel.function.partition("__"), kernel.emitted.partition("__")
    text = re.sub(rf"\b{re.escape(kernel.function)}\b", kernel.emitted, text)
    helper = new if written == isa else f"{new}_{isa}"
    return re.sub(rf"\b{re.escape(old)}(?=_(?!_)|\b)", helper, text) if old != helper else text


def gather(program: Program, apart: bool = False) -> tuple[list[str], str]:
    """System headers that are needed, and the text of all kernels with what they include, each once.

    Args:
        apart: as of `instance`.
    """
    calls = [call for plan in program.plans for call in plan.emitted_calls]
    local: dict[str, None] = {}
    instances: dict[str, str] = {}
    system: set[str] = set()
    for kernel in dict.fromkeys(call.kernel for call in calls):
        for header in kernel.headers:
            local |= {_header(text, kernel.substitutions): None for text in _with_included(header)}
        local |= {_header(text, kernel.substitutions): None for text in _included(kernel.source)}
        system.update(_SYSTEM.findall(_read(kernel.source)))
        text = instance(kernel, apart)
        if instances.setdefault(kernel.emitted, text) != text:
            raise BuildError(f"two different kernels are called {kernel.emitted}", fix="Give one another Kernel.name")
    for text in local:
        system.update(_SYSTEM.findall(text))
    texts = _lists(calls) + [_SYSTEM.sub("", text).strip("\n") for text in local]
    texts += [text.strip("\n") for text in instances.values()]
    return sorted(system), "\n\n".join(text for text in texts if text) + "\n"


def _lists(calls: Sequence[Call]) -> list[str]:
    """Macros that list the parts of templates that calls need; nothing where no template has any."""
    found: dict[str, set[str]] = {}
    for call in calls:
        if parts := call.kernel.parts:
            found.setdefault(parts.macro, set()).update(*map(parts.needed, call.made))
    lists = [f"#define {macro}(each) {' '.join(f'each({part})' for part in sorted(needed))}"
             for macro, needed in sorted(found.items())]  # fmt: skip
    head = "/* Of what there is in many sizes, those that the calls of this network take. */"
    return ["\n".join([head, *lists])] if lists else []


def prefixed(text: str, prefix: str) -> str:
    """Every identifier qir_... and QIR_... with the model's prefix instead."""
    return re.sub(r"\bqir_", f"{prefix}_", re.sub(r"\bQIR_", f"{prefix.upper()}_", text))
