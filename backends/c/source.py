"""Kernel sources as text: headers gathered once, templates filled in, everything given the model's prefix."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from qir.backends.c.program import Kernel
from qir.errors import BuildError

_LOCAL = re.compile(r'^#include "([^"]+)"\n', re.M)
_SYSTEM = re.compile(r"^#include <([^>]+)>\n", re.M)
_TEMPLATE = re.compile(r"^/\* template: begin \*/\n.*?^/\* template: end \*/\n\n?", re.M | re.S)
_GUARD = re.compile(r"^#ifndef (\w+)\n#define \1\n\n?(.*)^#endif[^\n]*\n?\Z", re.M | re.S)


@lru_cache(maxsize=256)
def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


def headers(path: Path, seen: dict[Path, str]) -> None:
    """Adds the local headers that a file includes to `seen`, dependencies first, their guards taken off."""
    for name in _LOCAL.findall(_TEMPLATE.sub("", _read(path))):
        _add(path.parent / name, seen)


def _add(path: Path, seen: dict[Path, str]) -> None:
    header = path.resolve()
    if header not in seen:
        headers(header, seen)
        text = _read(header)
        start = text.find("#ifndef")
        guard = _GUARD.match(text[start:]) if start >= 0 else None
        body = text[:start] + guard.group(2) if guard else text
        seen[header] = _LOCAL.sub("", body)


def instance(kernel: Kernel) -> str:
    """The text of one kernel instance: a static function and its helpers.

    Raises:
        BuildError: where the file does not define the function.
    """
    text = _SYSTEM.sub("", _LOCAL.sub("", _TEMPLATE.sub("", _read(kernel.source)))).strip("\n") + "\n"
    for identifier, replacement in kernel.substitutions:
        text = re.sub(rf"\b{re.escape(identifier)}\b", lambda _, r=replacement: r, text)  # type: ignore[misc]
    head = f"void {kernel.function}("
    if text.count(f"\n{head}") + text.startswith(head) != 1:
        raise BuildError(f"{kernel.source.name} does not define 'void {kernel.function}(' at the start of one line")
    text = text.replace(head, f"static {head}", 1)
    old, new = kernel.function.split("__")[0], kernel.emitted.split("__")[0]
    return re.sub(rf"\b{re.escape(old)}(?=__|_|\b)", new, text) if old != new else text


def gather(kernels: list[Kernel]) -> tuple[list[str], str]:
    """System headers that are needed, and the text of all kernels with what they include, each once."""
    local: dict[Path, str] = {}
    instances: dict[str, str] = {}
    system: set[str] = set()
    for kernel in kernels:
        headers(kernel.source, local)
        for header in kernel.headers:
            _add(header, local)
        system.update(_SYSTEM.findall(_read(kernel.source)))
        text = instance(kernel)
        if instances.setdefault(kernel.emitted, text) != text:
            raise BuildError(f"two different kernels are called {kernel.emitted}", fix="Give one another Kernel.name")
    for text in local.values():
        system.update(_SYSTEM.findall(text))
    parts = [_SYSTEM.sub("", text).strip("\n") for text in local.values()]
    parts += [text.strip("\n") for text in instances.values()]
    return sorted(system), "\n\n".join(part for part in parts if part) + "\n"


def prefixed(text: str, prefix: str) -> str:
    """Every identifier qir_... and QIR_... with the model's prefix instead."""
    return re.sub(r"\bqir_", f"{prefix}_", re.sub(r"\bQIR_", f"{prefix.upper()}_", text))
