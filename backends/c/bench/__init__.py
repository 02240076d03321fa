"""Kernels on this machine: how long they take beside what the processor can do, and what that makes them cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qir.backends.c import compile_c
from qir.backends.c.bench.limits import TICK, bandwidth, clock, fastest, forget, peak, timer
from qir.backends.c.bench.rows import Row, rows
from qir.backends.c.costs import Cost, Costs
from qir.backends.c.emitting.emit import arrays_of
from qir.backends.c.kernels import families_of
from qir.backends.c.module import CModule
from qir.backends.c.program import Choice, data_key
from qir.backends.c.targets import c_target
from qir.ir.graph import Node

__all__ = ["Limits", "Measured", "Row", "fit", "limits", "measure", "rows"]


@dataclass(frozen=True)
class Limits:
    """Of this processor, measured in the same minutes.

    Attributes:
        cycles: in a second.
        macs: multiply-accumulates a second of the target's instruction sets; None where they are not known here.
        bits: the same of single bits.
    """

    cycles: float
    macs: float | None
    bits: float | None = None

    def peak(self, bits: int) -> float | None:
        """Multiply-accumulates a second where each is of as many pairs of bits; 0 for those of bytes."""
        return self.macs if not bits else self.bits / bits if self.bits is not None else None


@dataclass(frozen=True)
class Measured:
    """One variant on one row.

    Attributes:
        row, variant: their names.
        macs: multiply-accumulates, or elements.
        work: as the variant counts it.
        seconds: of the fastest run.
        bits: the row's.
        read, limit: bytes of weights a second and the bandwidth of what holds them; None unless reading them is what
            takes the time.
        cold_read, cold_limit: the same with weights in no cache.
    """

    row: str
    variant: str
    macs: float
    work: float
    seconds: float
    bits: int = 0
    read: float | None = None
    limit: float | None = None
    cold_read: float | None = None
    cold_limit: float | None = None


def limits(target: str, seconds: float) -> Limits:
    """Those by which the kernels of a target are judged."""
    isas = c_target(target).isas
    return Limits(clock(seconds), peak(isas, seconds), peak(isas, seconds, bits=True))


def measure(row: Row, target: str, seconds: float, every: bool = True) -> Iterator[Measured]:
    """The variants of a target that take a row, in turn.

    Args:
        seconds: of each measurement.
        every: otherwise only the one that is chosen.

    Raises:
        BuildError: where this machine cannot build or run them.
    """
    isas, node = {*c_target(target).isas, "portable"}, _node(row)
    titles = [v.title for family in families_of(node.op) for v in family.variants if v.isa in isas]
    for title in titles if every else [""]:
        only = {title: Cost(1.0)} if title else None  # whatever else takes the row costs infinitely more
        module = compile_c(row.graph, target=target, costs=only)
        choice = next(one for one in module.program.choices if one.node == node.name)
        if title in ("", choice.variant):
            yield _measured(row, module, choice, seconds)


def _node(row: Row) -> Node:
    return next(node for node in row.graph.nodes if node.op != "Transpose")


def _measured(row: Row, module: CModule, choice: Choice, seconds: float) -> Measured:
    noise = timer()
    best = max(fastest(lambda count: module.timings(row.feeds, count), seconds) - noise, TICK)
    found = Measured(row.name, choice.variant, row.work, choice.cycles, best, row.bits)
    if not row.streams:
        return found
    nbytes = module.weight_bytes
    found = replace(found, read=nbytes / best, limit=bandwidth(nbytes, seconds, cold=False))
    if found.limit is None:
        return found
    cold = max(min(_forgetful(module, row) for _ in range(15)) - noise, TICK)
    return replace(found, cold_read=nbytes / cold, cold_limit=bandwidth(nbytes, seconds, cold=True))


def _forgetful(module: CModule, row: Row) -> float:
    """Seconds of a run with the network's constants in no cache."""
    arrays = arrays_of(module.program, module.names)
    if arrays.form == "c":
        for data in arrays.data:
            forget(module.library.address(arrays.names[data_key(data)]), data.array.nbytes)
    else:
        forget(module.library.address(f"{module.names.prefix}_weights"), arrays.size)
    return module.timings(row.feeds, 1)[0]


_CACHED = 2**20
"""Bytes."""


def fit(measured: Sequence[Measured], cycles: float) -> Costs:
    """The costs that fit each variant's measurements best: least squares of relative errors, none negative.

    With t the measured cycles and w the work, sum ((call + w / rate) / t - 1)^2 is smallest. Rows with more weights
    than the first two caches hold are left out: they tell of the memory.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for one in measured:
        if one.read is None or one.read * one.seconds < _CACHED:
            found.setdefault(one.variant, []).append((one.work, one.seconds * cycles))
    return {title: _fitted(np.array(pairs)) for title, pairs in sorted(found.items())}


def _fitted(pairs: np.ndarray) -> Cost:
    """Of pairs [n, (work, cycles)]."""
    work, cycles = pairs.T
    columns = np.stack([1 / cycles, work / cycles], axis=1)
    slope = float(columns[:, 1].sum() / np.square(columns[:, 1]).sum())
    if len(pairs) > 1:
        (call, both), *_ = np.linalg.lstsq(columns, np.ones(len(pairs)), rcond=None)
        if call >= 0 and both > 0:
            return Cost(1 / float(both), float(call))
    return Cost(1 / slope)
