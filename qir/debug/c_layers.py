"""The emitted C against its reference, result by result: which call of a kernel is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qir.backends.c.edits import Edit, edits, saved_files
from qir.backends.c.module import CModule, fitting
from qir.backends.c.ports import Port
from qir.backends.c.program import Call, Program
from qir.backends.c.taps import Moment, Stray, Taps
from qir.errors import DataError, QirError
from qir.evaluate import node_results
from qir.ir.graph import Graph, Node

_TOLERANCE = 1e-5
_SHOWN = 12


@dataclass(frozen=True)
class Departure:
    """How far a result is from what it should be, over all samples.

    Attributes:
        count: elements that differ.
        largest: absolute difference; infinite where only one side is finite.
        sample: of the first one that differs; -1 where none does.
        at: its index, in ONNX's order.
        expected, found: its values.
    """

    count: int = 0
    largest: float = 0.0
    sample: int = -1
    at: tuple[int, ...] = ()
    expected: float = 0.0
    found: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain numbers; None stands for what JSON cannot hold."""
        return {
            "count": self.count, "largest": _finite(self.largest), "sample": self.sample, "at": list(self.at),
            "expected": _finite(self.expected), "found": _finite(self.found),
        }  # fmt: skip


@dataclass(frozen=True)
class CRow:
    """One result of one call.

    Attributes:
        node, op: of the call; copies that change the storage order are qir.Reorder and qir.Copy.
        origin: names of the nodes of the user's model; () for what is done to an input before the first of them.
        kernel: name of the C function, with qir's own prefix.
        source: its file, below the folder of kernels.
        value: the result.
        elements: how many were compared, over all samples.
        isolated: against the reference on the operands that the call itself was given.
        accumulated: against the reference run from the inputs.
        strays: what the call wrote outside of its results; on the row of its first result only.
    """

    node: str
    op: str
    origin: tuple[str, ...]
    kernel: str
    source: str
    value: str
    elements: int
    isolated: Departure
    accumulated: Departure
    strays: tuple[Stray, ...] = ()

    @property
    def departs(self) -> bool:
        """True where this call itself is wrong."""
        return bool(self.isolated.count or self.strays)

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text."""
        return {
            "node": self.node, "op": self.op, "origin": list(self.origin), "kernel": self.kernel,
            "source": self.source, "value": self.value, "elements": self.elements,
            "isolated": self.isolated.as_json(), "accumulated": self.accumulated.as_json(),
            "strays": [str(stray) for stray in self.strays],
        }  # fmt: skip


@dataclass(frozen=True)
class CComparison:
    """The emitted C against its reference.

    Attributes:
        rows: every result of every call, in execution order.
        edits: where the files that were built are not what qir emits.
        samples: how many times the C ran on data.
        parts: values that are never there as a whole; what is made of them has a row.
    """

    rows: tuple[CRow, ...]
    edits: tuple[Edit, ...]
    samples: int
    parts: tuple[str, ...] = ()

    @property
    def first(self) -> CRow | None:
        """The first result that its own call got wrong, or whose call wrote elsewhere; None where all are right."""
        return next((row for row in self.rows if row.departs), None)

    @property
    def ok(self) -> bool:
        return self.first is None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text."""
        return {"ok": self.ok, "samples": self.samples, "rows": [row.as_json() for row in self.rows],
                "parts": list(self.parts), "edits": [str(edit) for edit in self.edits], "text": str(self)}  # fmt: skip

    def __str__(self) -> str:
        lines = [self._sentence(), *(f"{edit}." for edit in self.edits)]
        if self.parts:
            lines.append(f"In strips, and seen only by what is made of them: {', '.join(self.parts)}.")
        shown = [row for row in self.rows if row.departs or row.accumulated.count]
        if not self.ok:
            lines += ["", *_table(shown[:_SHOWN])]
            lines += [f"... and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        return "\n".join(lines)

    def _sentence(self) -> str:
        row, plural = self.first, "" if self.samples == 1 else "s"
        if row is None:
            return f"All {len(self.rows)} results agree with the reference, over {self.samples} sample{plural}."
        said, first = [], row.isolated
        if first.count:
            where = f"first at {list(first.at)}" + (f" of sample {first.sample}" if self.samples > 1 else "")
            said.append(
                f"{first.count:,} of {row.elements:,} elements depart "
                f"({where}: {first.found:.9g} instead of {first.expected:.9g})"
            )
        said += [f"writes {stray}" for stray in row.strays]
        return f"{row.node}: {'; '.join(said)} in kernel {row.kernel} ({row.source}); everything before it is right."


def compare_layers(
    module: CModule,
    graph: Graph,
    feeds: Mapping[str, np.ndarray],
    *,
    folder: Path | None = None,
    flags: Sequence[str] = (),
) -> CComparison:
    """Runs the emitted C and holds the result of every kernel's call to the reference, bit for bit.

    Each result is compared twice: with the reference on the operands that the call itself was given, so that only a
    wrong kernel departs, and with the reference run from the inputs. Integers must be equal; floats may be apart by
    1e-5 of the largest magnitude of the value. After each call all memory is checked, so that a kernel which writes
    outside of its result, or forgets to write some of it, is named as well. The code runs in this process: one that
    writes far outside of its memory can end it.

    Args:
        module: the C.
        graph: what it was emitted from.
        feeds: one array an input, of its type and shape; several samples lie along the axis where an array is larger.
            States that are not given are zeros, in every run.
        folder: with the files as saved, perhaps edited or built upon: built instead of the module's own.
        flags: further compiler flags, such as -O3.

    Raises:
        DataError: where inputs are missing, unknown or do not fit.
        ModelError: where onnxruntime, the reference of float operators, cannot run one.
        BuildError: where there is no compiler, it refuses the code, or the folder does not hold this network.
    """
    samples = _samples(module.program, feeds)
    files = None if folder is None else saved_files(module, folder)
    taps = Taps(module, files, flags)
    tallies = [_Tally(call) for call in taps.program.every_call]
    count = 0
    for number, sample in enumerate(samples):
        expected = _reference(graph, sample)

        def watch(moment: Moment, expected: Mapping[str, Any] = expected, number: int = number) -> None:
            tallies[moment.number].add(moment, graph, expected, number)

        taps.run(sample, watch, seed=number)
        count += 1
        if not number:  # a byte that was written with just what the noise had there shows now
            taps.run(sample, lambda moment: tallies[moment.number].add_strays(moment), seed=number, flipped=True)
    rows = tuple(row for tally in tallies for row in tally.rows(taps.program, graph))
    parts = tuple(value for call in taps.program.calls if call.joined for value in call.writes)
    return CComparison(rows, () if files is None else edits(module, files), count, parts)


def _samples(program: Program, feeds: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """One set of inputs for each run of the C.

    Raises:
        DataError: at once, as `compare_layers` says.
    """
    known = {port.name: port for port in program.inputs}
    zeros = {port.name: np.zeros(port.shape, port.dtype.numpy) for port in program.states}
    feeds = {**zeros, **feeds}
    for name in feeds:
        if name not in known:
            raise DataError("there is no such input", tensor=name, fix=f"The inputs are {', '.join(known)}")
    for name in known:
        if name not in feeds:
            raise DataError("this input was not given", tensor=name)
    cut = {name: _cut(port, np.asarray(feeds[name])) for name, port in known.items()}
    counts = {times for _, times in cut.values() if times > 1}
    if len(counts) > 1:
        raise DataError(f"the inputs hold different numbers of samples: {', '.join(map(str, sorted(counts)))}")
    return _sliced(feeds, cut, known, max(counts, default=1))


def _sliced(
    feeds: Mapping[str, np.ndarray], cut: Mapping[str, tuple[int, int]], ports: Mapping[str, Port], count: int
) -> Iterator[dict[str, np.ndarray]]:
    for number in range(count):
        sample = {}
        for name, (axis, times) in cut.items():
            array = np.asarray(feeds[name])
            if times > 1:
                size = ports[name].shape[axis]
                array = array.take(range(number * size, (number + 1) * size), axis)
            sample[name] = fitting(ports[name], array, ports[name].dtype)
        yield sample


def _cut(port: Port, array: np.ndarray) -> tuple[int, int]:
    """The axis along which samples lie, and how many runs they make."""
    if array.shape == port.shape:
        return 0, 1
    if array.ndim == len(port.shape):
        axes = [axis for axis, size in enumerate(port.shape) if array.shape[axis] != size]
        size = port.shape[axes[0]]
        if len(axes) == 1 and size and array.shape[axes[0]] and array.shape[axes[0]] % size == 0:
            return axes[0], array.shape[axes[0]] // size
    raise DataError(f"shape {list(array.shape)} was given, {list(port.shape)} or several of it are needed",
                    tensor=port.name)  # fmt: skip


def _reference(graph: Graph, sample: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Every value of a graph."""
    values: dict[str, Any] = {name: constant.value for name, constant in graph.constants.items()}
    values |= sample
    for node in graph.nodes:
        found = zip(node.outputs, node_results(node, graph, values), strict=False)
        values |= {name: result for name, result in found if name}
    return values


@dataclass
class _Tally:
    """The rows of one call while samples stream in."""

    call: Call
    elements: dict[str, int] = field(default_factory=dict)
    isolated: dict[str, Departure] = field(default_factory=dict)
    accumulated: dict[str, Departure] = field(default_factory=dict)
    strays: tuple[Stray, ...] = ()

    def add(self, moment: Moment, graph: Graph, expected: Mapping[str, Any], sample: int) -> None:
        wanted = _isolated(moment, graph, expected)
        for value in self.call.writes:
            found, real = moment.result(value), np.asarray(expected[moment.room.program.stored[value].holds])
            self.elements[value] = self.elements.get(value, 0) + found.size
            for sums, against in ((self.isolated, np.asarray(wanted[value])), (self.accumulated, real)):
                sums[value] = _joined(sums.get(value, Departure()), _departure(found, against, sample))
        self.add_strays(moment)

    def add_strays(self, moment: Moment) -> None:
        if not self.strays:
            self.strays = moment.strays

    def rows(self, program: Program, graph: Graph) -> Iterator[CRow]:
        call, strays = self.call, self.strays
        source = f"{call.kernel.source.parent.name}/{call.kernel.source.name}"
        for value in () if call.joined else call.writes:
            origin = call.origin or _origin(graph, program.stored[value].holds)
            yield CRow(
                call.node, call.op, origin, call.kernel.emitted, source, value, self.elements[value],
                self.isolated[value], self.accumulated[value], strays,
            )  # fmt: skip
            strays = ()


def _origin(graph: Graph, value: str) -> tuple[str, ...]:
    """Of the nearest node before a value that has one; conversions and copies have none of their own."""
    maker = graph.index.producer(value)
    while maker is not None and not maker.origin:
        maker = graph.index.producer(maker.inputs[0]) if maker.inputs else None
    return () if maker is None else maker.origin


def _isolated(moment: Moment, graph: Graph, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What the call should have made of the operands that it read: written value to array."""
    stored, first = moment.room.program.stored, moment.calls[0]
    given = {stored[value].holds: moment.operand(value) for value in first.reads}
    if all(_same(array, expected[name]) for name, array in given.items()):
        return {value: expected[stored[value].holds] for value in moment.call.writes}
    values = {**expected, **given}
    kept = {of.holds for of in stored.values()}
    for call in moment.calls:
        maker = graph.index.producer(call.writes[0])
        if maker is None or stored[call.writes[0]].holds != call.writes[0]:  # a copy that the plan put in
            continue
        try:
            values |= _found(maker, graph, values, kept)
        except QirError:  # an earlier call's wrong result, such as an index that is out of range
            return {value: moment.result(value) for value in moment.call.writes}
    return {value: values[stored[value].holds] for value in moment.call.writes}


def _found(node: Node, graph: Graph, values: dict[str, Any], stored: Set[str]) -> dict[str, Any]:
    """The results of a node. A call can compute several nodes: what is stored nowhere in between is computed first."""
    for name in node.reads:
        maker = graph.index.producer(name)
        if maker is not None and name not in stored:
            values |= _found(maker, graph, values, stored)
    return dict(zip(node.outputs, node_results(node, graph, values), strict=False))


def _same(first: np.ndarray, second: Any) -> bool:
    return first.tobytes() == np.ascontiguousarray(second).tobytes()


def _departure(found: np.ndarray, expected: np.ndarray, sample: int) -> Departure:
    """Compares one value of one sample."""
    if _same(found, expected):
        return Departure()
    a, b = found.astype(np.float64), expected.astype(np.float64)
    if expected.dtype.kind != "f":
        wrong = found != expected
        gap = np.abs(a - b)
    else:
        with np.errstate(invalid="ignore"):
            gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf))
        finite = np.abs(b[np.isfinite(b)])
        wrong = gap > _TOLERANCE * finite.max(initial=0.0)
    if not wrong.any():
        return Departure(0, float(gap.max()))
    at = tuple(int(place[0]) for place in np.nonzero(np.atleast_1d(wrong)))[: found.ndim]
    return Departure(int(wrong.sum()), float(gap.max()), sample, at, float(b[at]), float(a[at]))


def _joined(first: Departure, second: Departure) -> Departure:
    """Both, with the earlier one's example."""
    shown = first if first.count else second
    return Departure(first.count + second.count, max(first.largest, second.largest), shown.sample, shown.at,
                     shown.expected, shown.found)  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _table(rows: Sequence[CRow]) -> list[str]:
    """Aligned columns: node, operator, kernel, elements, how many depart by this call and in all."""
    cells = [("node", "operator", "kernel", "elements", "by this call", "since the input", "largest")]
    for row in rows:
        mark = f"{row.isolated.count:,}" + (" +strays" if row.strays else "")
        cells.append((row.node, row.op, row.kernel, f"{row.elements:,}", mark, f"{row.accumulated.count:,}",
                      f"{row.accumulated.largest:.3g}"))  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
