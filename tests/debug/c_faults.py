"""Ways to break the C that qir emits: edits of a saved folder, each in what one call of a kernel uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from qir.backends.c.emitting.emit import constant_names
from qir.backends.c.emitting.source import prefixed
from qir.backends.c.module import CModule
from qir.backends.c.program import Call
from qir.debug.c_layers import CComparison
from qir.evaluate import Runner
from qir.ir.graph import Graph
from qir.quant.error import sqnr

Random: TypeAlias = np.random.Generator
CInject: TypeAlias = Callable[[CModule, Path, int, Random], "str | None"]

_NUMBER = re.compile(r"-?(?:0x[0-9a-f]+|\d[\d.]*(?:e[+-]?\d+)?f?)\b")


@dataclass(frozen=True)
class CKind:
    """A kind of fault.

    Attributes:
        name: in kebab-case.
        causes: what names it rightly: wrong-constant for data, wrong-kernel for code.
        inject: edits the folder in what a call uses, by its number in `Program.every_call`; gives the name of the
            first call's node that is broken by it, None where nothing was edited.
    """

    name: str
    causes: frozenset[str]
    inject: CInject


C_KINDS: dict[str, CKind] = {}


def c_kind(name: str, *causes: str) -> Callable[[CInject], CInject]:
    """Registers the decorated function as the `inject` of a kind."""

    def add(inject: CInject) -> CInject:
        C_KINDS[name] = CKind(name, frozenset(causes), inject)
        return inject

    return add


def _symbol(module: CModule, call: Call, role: str) -> tuple[str, str] | None:
    """A constant that a call uses in a role, and the node of the first call that uses it."""
    for symbol, uses in constant_names(module.program, module.name).items():
        if any(user is call and found == role for user, found in uses):
            return symbol, next(user.node for user in module.program.every_call if any(user is u for u, _ in uses))
    return None


def _edit(path: Path, start: str, end: str, change: Callable[[str], str]) -> bool:
    """Changes the text between two marks; False where that changes nothing."""
    text = path.read_text(encoding="utf-8")
    begin = text.index(start) + len(start)
    stop = text.index(end, begin)
    made = text[:begin] + change(text[begin:stop]) + text[stop:]
    path.write_text(made, encoding="utf-8")
    return made != text


def _renumber(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    """The numbers of an array replaced by as many others."""

    def edit(text: str) -> str:
        numbers = iter(change(_NUMBER.findall(text)))
        return _NUMBER.sub(lambda _: next(numbers), text)

    return edit


def _in_array(role: str, change: Callable[[list[str], Random], list[str]]) -> CInject:
    def inject(module: CModule, folder: Path, number: int, random: Random) -> str | None:
        found = _symbol(module, module.program.every_call[number], role)
        if found is None:
            return None
        path = folder / f"{module.names.prefix}_weights.c"
        (start,) = re.findall(rf"^const \w+ {found[0]}\[\d+\] = \{{$", path.read_text(encoding="utf-8"), re.M)
        return found[1] if _edit(path, start, "};", _renumber(lambda old: change(old, random))) else None

    return inject


def _shifted(numbers: list[str], random: Random) -> list[str]:
    """A part of the array moved by one place."""
    size = max(2, len(numbers) // 4)
    at = int(random.integers(max(1, len(numbers) - size)))
    part = numbers[at : at + size]
    return [*numbers[:at], part[-1], *part[:-1], *numbers[at + size :]]


def _negated(numbers: list[str], random: Random) -> list[str]:
    return [str(-int(number)) for number in numbers]


def _one_doubled(numbers: list[str], random: Random) -> list[str]:
    at, factor = int(random.integers(len(numbers))), float(random.choice([0.25, 0.5, 2, 4]))
    return [f"{float(n[:-1]) * factor!r}f" if i == at else n for i, n in enumerate(numbers)]


c_kind("c-weights-shifted", "wrong-constant")(_in_array("weights", _shifted))
c_kind("c-bias-negated", "wrong-constant")(_in_array("bias", _negated))
c_kind("c-bias-shifted", "wrong-constant")(_in_array("bias", _shifted))
c_kind("c-multiplier-wrong", "wrong-constant")(_in_array("multipliers", _one_doubled))


def _in_struct(change: Callable[[str, Random], str]) -> CInject:
    def inject(module: CModule, folder: Path, number: int, random: Random) -> str | None:
        found = _symbol(module, module.program.every_call[number], "numbers")
        if found is None:
            return None
        path = folder / f"{module.names.prefix}.c"
        changed = _edit(path, f" {found[0]} = {{\n", "};", lambda text: change(text, random))
        return found[1] if changed else None

    return inject


def _lower_clamp(text: str, random: Random) -> str:
    return re.sub(r"(requant \*/ \{\S+, )(\d+)", lambda m: f"{m[1]}{int(m[2]) // 4}", text)


def _other_zero(text: str, random: Random) -> str:
    by = int(random.integers(8, 32))
    return re.sub(r"(x_zero_point \*/ )(\d+)", lambda m: f"{m[1]}{int(m[2]) - by if int(m[2]) > 40 else by}", text)


def _no_padding(text: str, random: Random) -> str:
    """The window's padding before the first element, which is its last list."""
    return re.sub(r"(window \*/ .*, )\{\d+, \d+, \d+\}\}", r"\1{0, 0, 0}}", text)


c_kind("c-clamp-wrong", "wrong-constant")(_in_struct(_lower_clamp))
c_kind("c-zero-point-wrong", "wrong-constant")(_in_struct(_other_zero))
c_kind("c-padding-lost", "wrong-constant")(_in_struct(_no_padding))


@c_kind("c-constants-of-another-layer", "wrong-constant", "wrong-kernel")
def _another(module: CModule, folder: Path, number: int, random: Random) -> str | None:
    call, path = module.program.every_call[number], folder / f"{module.names.prefix}.c"
    role = str(random.choice(["bias", "weights", "multipliers"]))
    found = _symbol(module, call, role)
    if found is None:
        return None
    text = (folder / f"{module.names.prefix}_weights.c").read_text(encoding="utf-8")
    sizes = dict(re.findall(r"^const (\w+ \w+\[\d+\]) = \{$()", text, re.M))
    kinds = {re.split(r"[ \[]", line)[1]: re.sub(r" \w+\[", "[", line) for line in sizes}
    others = [name for name, kind in kinds.items() if name != found[0] and kind == kinds[found[0]]]
    if not others:
        return None
    mark = f"/* {call.op} {call.node} */"
    other = str(random.choice(others))
    changed = _edit(path, mark, ";", lambda line: re.sub(rf"\b{found[0]}\b", other, line))
    return call.node if changed else None


_KERNEL_EDITS = (
    ("conv_u8s8_u8__portable", "conv_u8s8_u8_store", "bias[j] + acc[j]", "acc[j] - bias[j]"),
    ("conv_u8s8_u8__portable", "conv_u8s8_u8__portable", "pixels - pixel < 2 ? 1 : 2", "1"),
    ("conv_u8s8_depthwise_u8__portable", "conv_u8s8_depthwise_u8_block", "acc[j] = bias[j];", "acc[j] = 0;"),
    ("conv_u8s8_depthwise_u8__portable", "conv_u8s8_depthwise_u8_block", "- zero", "+ zero + 1"),
    ("gemm_u8s8_u8__portable", "gemm_u8s8_u8__portable", "bias[column + j] + acc", "acc"),
    ("gemm_u8s8_f32__portable", "gemm_u8s8_f32__portable", "bias[column + j] + acc", "3 * bias[column + j] + acc"),
    ("gemm_u8s8_f32__portable", "gemm_u8s8_f32__portable", "multiplier[column + j]", "multiplier[column]"),
)
"""Kernel, function of it to edit, text, other text."""


@c_kind("c-kernel-wrong", "wrong-kernel")
def _kernel(module: CModule, folder: Path, number: int, random: Random) -> str | None:
    called = module.program.every_call[number].kernel.emitted
    fitting = [row for row in _KERNEL_EDITS if called.endswith("_" + row[0])]
    if not fitting:
        return None
    _, function, old, new = fitting[int(random.integers(len(fitting)))]
    path = folder / f"{module.names.prefix}_kernels.h"
    start = prefixed(f"qir_{function}(const ", module.names.prefix)
    if start not in path.read_text(encoding="utf-8"):
        return None
    changed = _edit(path, start, "\n}\n", lambda body: body.replace(old, new))
    return next(call.node for call in module.program.every_call if call.kernel.emitted == called) if changed else None


class Edited(CModule):
    """A module that is built from a folder."""

    folder: Path

    @cached_property
    def sources(self) -> Mapping[str, str]:
        return MappingProxyType({name: (self.folder / name).read_text(encoding="utf-8") for name in super().sources})

    @staticmethod
    def of(module: CModule, folder: Path) -> Edited:
        made = Edited(module.program, module.name, module.flags, module.vectors)
        object.__setattr__(made, "folder", folder)
        return made


@dataclass(frozen=True, eq=False)
class CSubject:
    """A network as C to break.

    Attributes:
        name: of the model.
        module: the C.
        graph: what it was emitted from.
        real: the float graph.
        feeds: samples along the first axis, on which the harm of a fault is measured.
    """

    name: str
    module: CModule
    graph: Graph
    real: Graph
    feeds: Mapping[str, Any]

    @cached_property
    def reference(self) -> dict[str, Any]:
        return Runner(self.real)(self.feeds)

    @cached_property
    def healthy(self) -> float:
        return self.sqnr(self.module)

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Numbers of the calls that multiply by a weight."""
        calls = self.module.program.every_call
        return tuple(i for i, call in enumerate(calls) if _symbol(self.module, call, "weights") is not None)

    def sqnr(self, module: CModule) -> float:
        """Of the worst output against the float model, in dB."""
        count = len(next(iter(self.feeds.values())))
        runs = [module.run({name: array[i : i + 1] for name, array in self.feeds.items()}) for i in range(count)]
        errors = [sqnr(self.reference[name], np.concatenate([run[name] for run in runs])) for name in self.reference]
        return float(np.nan_to_num(min(errors), nan=-np.inf, posinf=np.inf, neginf=-np.inf))


@dataclass(frozen=True, eq=False)
class CFault:
    """Broken C.

    Attributes:
        kind, subject: what was done to what.
        node: of the first call that is wrong.
        folder: the edited files.
        drop: of the worst output's SQNR, in dB.
    """

    kind: CKind
    subject: CSubject
    node: str
    folder: Path
    drop: float


def broken_c(subject: CSubject, kind: CKind, number: int, folder: Path, random: Random) -> CFault | None:
    """One fault in a fresh folder; None where the kind does not fit the call."""
    subject.module.save(folder)
    node = kind.inject(subject.module, folder, number, random)
    if node is None:
        return None
    edited = Edited.of(subject.module, folder)
    return CFault(kind, subject, node, folder, subject.healthy - subject.sqnr(edited))


def verdict(found: CComparison) -> tuple[str, str] | None:
    """Node and cause that a comparison names: the first call that departs, and whether data or code was edited."""
    if found.first is None:
        return None
    node = found.first.node
    data = any(edit.kind in ("array", "struct") and node in edit.nodes for edit in found.edits)
    return node, "wrong-constant" if data else "wrong-kernel"
