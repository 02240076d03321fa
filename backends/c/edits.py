"""Where saved C files differ from what qir emits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qir.backends.c.build import Files
from qir.backends.c.emitting.emit import arrays_of, constant_names, emit
from qir.backends.c.emitting.source import prefixed
from qir.backends.c.module import CModule
from qir.errors import BuildError

_SYMBOL = re.compile(r"(\w+)\s*(?:\(|\[|=|;)")
_TYPEDEF = re.compile(r"^\}\s*(\w+);", re.M)
_MACRO = re.compile(r"#\s*define\s+(\w+)")
_SAME = re.compile(r"^#define (\w+_(?:ARENA_BYTES|ARENA_ALIGNMENT|INPUTS|OUTPUTS|ELEMENTS|MODEL_HASH)) (\S+)\s*$", re.M)


@dataclass(frozen=True)
class Edit:
    """One place where a file is not what qir emits.

    Attributes:
        file: its name.
        kind: array, struct, definition, or "" where the difference lies in none (comments).
        symbol: its name.
        line: of the first difference in the file, or of the symbol, from 1; 0 where the file lacks it or has no lines.
        nodes: names of the nodes that use the symbol.
        role: what the symbol is to them: weights, bias, numbers, kernel, ...
    """

    file: str
    kind: str
    symbol: str
    line: int
    nodes: tuple[str, ...] = ()
    role: str = ""

    def __str__(self) -> str:
        if not self.symbol:
            where = f" in line {self.line}, outside of arrays and functions" if self.line else " outside of its arrays"
            return f"{self.file} differs from what qir emits{where}"
        shown = ", ".join(self.nodes[:3]) + (f" and {len(self.nodes) - 3} more" if len(self.nodes) > 3 else "")
        use = f" ({self.role} of {shown})" if self.nodes else ""
        return f"{self.file} differs from what qir emits in {self.kind} {self.symbol}{use}"


def saved_files(module: CModule, folder: str | os.PathLike[str]) -> dict[str, str | bytes]:
    """The sources of a module as they lie in a folder, and any further headers there.

    Raises:
        BuildError: where a file is missing or unreadable, or the sources are of a network with other sizes.
    """
    base, found = Path(folder), dict[str, str | bytes]()
    emitted = emit(module.program, module.name, _form(module, lambda name: (base / name).exists()))
    try:
        for path in sorted({*(base / name for name in emitted), *base.glob("*.h")}):
            binary = path.suffix == ".bin"
            found[path.name] = path.read_bytes() if binary else path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BuildError(
            f"cannot read '{error.filename}' ({error.strerror})", fix=f"Save the network to '{base}' first"
        ) from error
    header = f"{module.names.prefix}.h"
    here = dict(_SAME.findall(str(found[header])))
    for name, value in _SAME.findall(str(emitted[header])):
        if here.get(name) != value:
            raise BuildError(
                f"'{base / header}' is of another network: {name} is {here.get(name, 'not there')} instead of {value}",
                fix="Compare with the network that these files were saved from",
            )  # fmt: skip
    return found


def _form(module: CModule, there: Callable[[str], bool]) -> str:
    """How the weights of a saved network are written, by the files that are there."""
    stem = f"{module.names.prefix}_weights"
    return "asm" if there(f"{stem}.S") else "embed" if there(f"{stem}.bin") else "c"


def edits(module: CModule, files: Files) -> tuple[Edit, ...]:
    """Every definition in `files` that is not as `module` emits it.

    Args:
        files: file name to content; those that the module does not emit are passed over.
    """
    found = []
    for name, emitted in emit(module.program, module.name, _form(module, files.__contains__)).items():
        here = files.get(name, emitted)
        if here == emitted:
            continue
        before, after = _definitions(module, emitted), _definitions(module, here)
        lines, first = (_lines(here), _first_difference(str(emitted), here)) if isinstance(here, str) else ({}, 0)
        changed = [symbol for symbol in {**after, **before} if symbol and before.get(symbol) != after.get(symbol)]
        for symbol in changed:
            kind, nodes, role = _use(module, symbol)
            found.append(Edit(name, kind, symbol, lines.get(symbol, 0), nodes, role))
        if not changed:
            found.append(Edit(name, "", "", first))
    return tuple(found)


def _chunks(text: str) -> list[tuple[int, str, list[str]]]:
    """(line number, symbol, lines) of everything that starts in the first column."""
    chunks: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not chunks or (line and line[0] not in " \t})"):
            macro = _MACRO.match(line)
            match = macro or (None if line.startswith(("/*", "//", "#")) else _SYMBOL.search(line))
            chunks.append((number, match.group(1) if match else "", []))
        if line.strip():
            chunks[-1][2].append(line.rstrip())
    named = []
    for number, symbol, lines in chunks:
        typedef = _TYPEDEF.search("\n".join(lines[-1:])) if not symbol else None
        named.append((number, typedef.group(1) if typedef else symbol, lines))
    return named


def _definitions(module: CModule, content: str | bytes) -> Mapping[str, object]:
    """What a file says of each symbol."""
    if isinstance(content, bytes):
        spans = arrays_of(module.program, module.names).spans()
        return {name: content[span] for name, span in spans.items()}
    found: dict[str, list[str]] = {}
    for _, symbol, lines in _chunks(content):
        found.setdefault(symbol, []).extend(lines)
    return found


def _lines(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, symbol, _ in _chunks(text):
        found.setdefault(symbol, number)
    return found


def _first_difference(first: str, second: str) -> int:
    a, b = first.splitlines(), second.splitlines()
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False), 1) if x != y), min(len(a), len(b)) + 1)


def _use(module: CModule, symbol: str) -> tuple[str, tuple[str, ...], str]:
    """What a symbol is, which nodes use it, and as what."""
    constants = constant_names(module.program, module.name).get(symbol)
    if constants is not None:
        kind = "array" if symbol.startswith(f"{module.names.prefix}_w") else "struct"
        return kind, tuple(dict.fromkeys(call.node for call, _ in constants)), constants[0][1]
    calls = [(call.node, prefixed(call.kernel.emitted, module.names.prefix))
             for plan in module.program.plans for call in plan.emitted_calls]  # fmt: skip
    exact = [node for node, kernel in calls if kernel == symbol]
    nodes = exact or [node for node, kernel in calls if symbol.startswith(f"{kernel.split('__')[0]}_")]
    return "definition", tuple(dict.fromkeys(nodes)), "kernel" if nodes else ""
