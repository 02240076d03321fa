"""ONNX's own node tests: 1,765 one-operator models with inputs and expected outputs, as data.

They ship in the wheel of onnx 1.22.0; where another onnx is installed that wheel is fetched once, checked and unpacked.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import ml_dtypes
import numpy as np
import onnx
from onnx import OptionalProto, SequenceProto, TensorProto, numpy_helper

from tests.wheels import unpacked

COUNT = 1765
_INSIDE = "onnx/backend/test/data/node/"
_WHEEL_SHA256 = "955e02e1f6d385b53d52f9cd7b9cdf5caf417c300bcfe3c64c6d542be763845b"
_DOWNLOAD = (
    "onnx==1.22.0",
    "--only-binary=:all:",
    "--python-version=3.12",
    "--platform=manylinux_2_27_x86_64",
)
RTOL, ATOL = 1e-3, 1e-7
"""The suite's own tolerances."""

RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
Item, Result = TypeVar("Item"), TypeVar("Result")
Value = Any
"""np.ndarray, list of values (sequence), or None (an optional that holds nothing)."""


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        name: the folder's name, as in test_relu.
        model: path of model.onnx.
    """

    name: str
    model: Path

    @property
    def is_random(self) -> bool:
        """Whether there is no right answer: an operator, also of a function's definition, draws numbers."""
        model = onnx.load(self.model, load_external_data=False)
        nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
        return any(node.op_type in RANDOM for node in nodes)

    def inputs(self) -> dict[str, Value]:
        """Input name to value, those that the test leaves out not among them."""
        graph = onnx.load(self.model, load_external_data=False).graph
        return dict(self._values("input", graph.input))

    def expected(self) -> list[Value]:
        """The outputs in order."""
        graph = onnx.load(self.model, load_external_data=False).graph
        return [value for _, value in self._values("output", graph.output)]

    def _values(self, stem: str, infos: Any) -> Iterator[tuple[str, Value]]:
        for position, info in enumerate(infos):
            file = self.model.parent / "test_data_set_0" / f"{stem}_{position}.pb"
            if file.exists():
                yield info.name, _read(file.read_bytes(), info.type)


def _read(data: bytes, kind: onnx.TypeProto) -> Value:
    if kind.HasField("sequence_type"):
        return numpy_helper.to_list(SequenceProto.FromString(data))
    if kind.HasField("optional_type"):
        return numpy_helper.to_optional(OptionalProto.FromString(data))
    return numpy_helper.to_array(TensorProto.FromString(data))


def folder() -> Path:
    """Where the suite lies: in the installed onnx, in QIR_NODE_SUITE, or in a cache that is filled on first use.

    Raises:
        OSError: if it is nowhere and cannot be fetched.
    """
    named = os.environ.get("QIR_NODE_SUITE")
    installed = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
    if named or len(list(installed.glob("*/model.onnx"))) == COUNT:
        return Path(named) if named else installed
    return unpacked("onnx-1.22.0-node", _DOWNLOAD, _WHEEL_SHA256, _INSIDE)


def cases() -> list[Case]:
    """All tests in order of their names."""
    return [Case(path.parent.name, path) for path in sorted(folder().glob("*/model.onnx"))]


def difference(expected: Value, found: Value, *, rtol: float = RTOL, atol: float = ATOL) -> str | None:
    """What sets a value apart from the expected one, None if they agree.

    Element type and shape must be equal; floats may differ by `atol + rtol * |expected|` (narrow types by a unit in
    their last place), NaN equals NaN, everything else is exact.
    """
    if expected is None or found is None:
        return None if expected is None and found is None else "only one of them is there"
    if isinstance(expected, list | tuple):
        if not isinstance(found, list | tuple) or len(expected) != len(found):
            return "the sequences' lengths differ"
        pairs = zip(expected, found, strict=True)
        return next((text for a, b in pairs if (text := difference(a, b, rtol=rtol, atol=atol))), None)
    want, got = np.asarray(expected), np.asarray(found)
    if want.dtype.kind in "OUS":
        return None if [str(v) for v in want.flat] == [str(v) for v in got.flat] else "the texts differ"
    if want.dtype != got.dtype or want.shape != got.shape:
        return f"{got.dtype}{list(got.shape)}, not {want.dtype}{list(want.shape)}"
    if want.dtype.kind in "biu" or want.dtype.name.startswith(("int", "uint")):
        wrong = np.asarray(want.astype(np.int64) != got.astype(np.int64))
    else:
        if want.dtype.kind != "c":
            if want.dtype.itemsize <= 2:
                rtol = max(rtol, 1.01 * float(ml_dtypes.finfo(want.dtype).eps))
            want, got = want.astype(np.float64), got.astype(np.float64)
        with np.errstate(all="ignore"):
            wrong = ~np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True)
    return f"{int(wrong.sum())} of {wrong.size} elements differ" if wrong.any() else None


def differences(expected: list[Value], found: list[Value], *, atol: float = ATOL) -> str | None:
    """`difference` over all outputs of a model, with the position of the first that differs."""
    if len(expected) != len(found):
        return f"{len(found)} outputs, not {len(expected)}"
    for position, (want, got) in enumerate(zip(expected, found, strict=True)):
        text = difference(want, got, atol=atol)
        if text:
            return f"output {position}: {text}"
    return None


@dataclass(frozen=True)
class Died:
    """Instead of a result: what a process was at, and how it ended."""

    stage: str
    how: str


def isolated(
    items: Sequence[Item], action: Callable[[Item, Callable[[str], None]], Result], seconds: float
) -> Iterator[tuple[Item, Result | Died]]:
    """Each item with what `action(item, say)` makes of it in a forked child, which goes on until it dies.

    Args:
        action: tells by say(...) what it is at.
        seconds: a child that says nothing for longer hangs.
    """
    context = get_context("fork")
    left = list(items)
    while left:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_each, args=(left, action, theirs), daemon=True)
        child.start()
        theirs.close()
        stage, how = "", f"nothing in {seconds:g} s"
        try:
            while left and ours.poll(seconds):
                kind, content = ours.recv()
                if kind == "result":
                    yield left.pop(0), content
                    stage = ""
                else:
                    stage = content
            child.kill()
            child.join()
        except EOFError:
            child.join()
            code = child.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        ours.close()
        if left:
            yield left.pop(0), Died(stage, how)


def _each(items: Sequence[Item], action: Callable[[Item, Callable[[str], None]], Result], pipe: Connection) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for item in items:
        pipe.send(("result", action(item, lambda stage: pipe.send(("stage", stage)))))
    os._exit(0)
