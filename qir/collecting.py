"""Filling statistics: one streaming pass over calibration data, here or on the workers of an executor.

Samples run in fixed blocks, the batches of `Feeds`. What a block adds depends on the block alone, and sums are exact:
shards of whole blocks give the same bytes in any order, wherever they ran (on one type of machine).
"""

from __future__ import annotations

import os
import pickle
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from math import prod
from typing import Any, Protocol

import numpy as np

from qir.calibration import Batch, Feeds
from qir.coupling import Coupling
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.observe import Observer, Wanted
from qir.ops.softmax_operand import softmax_operands, told_apart
from qir.ops.weighted import weighted
from qir.progress import progress
from qir.statistics import (
    ChannelBounds,
    Gram,
    GramAccumulator,
    Histogram,
    Statistic,
    Statistics,
    fingerprints,
    im2col_rows,
)
from qir.statistics.exact import Spill
from qir.statistics.rows import RowSample

_RUN_BYTES, _ROW_BYTES = 64 << 20, 24 << 20
"""Watched values of the samples that run at once; rows that wait to be multiplied."""
_AT_ONCE = 64
"""Values in the hands of threads; the bodies of long loops have many."""
_SHARD_BYTES, _PENDING = 32 << 20, 4
"""Inputs of one task of an executor, and how many tasks wait for it or their results at a time."""


class Collector(Protocol):
    """Collects one kind of statistic. A new kind needs such a class, or `PerValue`, and a line in `COLLECTORS`."""

    def of(self, name: str, data: np.ndarray, first: int) -> Any:
        """What to keep of a value for some samples, `first` of them before; several threads may ask at a time."""
        ...

    def add(self, name: str, made: Any) -> None:
        """Takes what `of` made, in the order of execution."""
        ...

    def end_block(self) -> None:
        """Called after each block: nothing may be carried over to the next but exact sums."""
        ...

    def absorb(self, key: str, statistic: Any) -> None:
        """Merges what another shard collected."""
        ...

    def found(self) -> Mapping[str, tuple[str, Statistic]]:
        """By key: the name of the value described, and the statistic."""
        ...


class PerValue(ABC):
    """A statistic of single values, under the value's name; None for values that have none."""

    def __init__(self, graph: Graph, seed: int, spill: Spill) -> None:
        self._seed = seed
        self._found: dict[str, Statistic] = {}

    @abstractmethod
    def of(self, name: str, data: np.ndarray, first: int) -> Statistic | None:
        """That of a block."""

    def add(self, name: str, made: Statistic | None) -> None:
        if made is not None:
            self.absorb(name, made)

    def end_block(self) -> None:  # noqa: B027  (nothing to do: every addition is exact)
        pass

    def absorb(self, key: str, statistic: Statistic) -> None:
        self._found[key] = self._found[key].merge(statistic) if key in self._found else statistic

    def found(self) -> Mapping[str, tuple[str, Statistic]]:
        return {name: (name, statistic) for name, statistic in self._found.items()}


class Histograms(PerValue):
    """Histograms of all values; of what only a Softmax reads, as far as it tells elements apart."""

    def __init__(self, graph: Graph, seed: int, spill: Spill) -> None:
        super().__init__(graph, seed, spill)
        self._axes = softmax_operands(graph)

    def of(self, name: str, data: np.ndarray, first: int) -> Histogram:
        return Histogram.of(told_apart(data, self._axes[name]) if name in self._axes else data, name)


class Bounds(PerValue):
    """What channels reach, of the values whose channels may be scaled."""

    def __init__(self, graph: Graph, seed: int, spill: Spill) -> None:
        super().__init__(graph, seed, spill)
        self._axes = {name: channels.axis for name, channels in Coupling.of(graph).values.items()}

    def of(self, name: str, data: np.ndarray, first: int) -> ChannelBounds | None:
        return ChannelBounds.of(data, self._axes[name], first, self._seed) if name in self._axes and data.size else None


class Grams:
    """Gram matrices of the layers with constant weights, under the layer's name."""

    def __init__(self, graph: Graph, seed: int, spill: Spill) -> None:
        self._seed, self._spill = seed, spill
        self._layers: dict[str, list[tuple[Node, tuple[int, ...]]]] = {}
        self._reads: dict[str, str] = {}
        for node in graph.nodes:
            slots = weighted(node, graph)
            if slots is not None:
                shape = graph.constants[node.inputs[slots.weight]].value.shape
                self._layers.setdefault(node.inputs[0], []).append((node, shape))
                self._reads[node.name] = node.inputs[0]
        self._rows: dict[str, list[np.ndarray]] = {}
        self._samples: dict[str, list[RowSample]] = {}
        self._waiting = 0
        self._sums: dict[str, GramAccumulator] = {}

    def of(self, name: str, data: np.ndarray, first: int) -> list[tuple[str, np.ndarray, RowSample]]:
        found = [
            (node.name, im2col_rows(node, data, shape, first, self._seed)) for node, shape in self._layers.get(name, ())
        ]
        return [(key, rows, RowSample.of(rows, first, self._seed)) for key, rows in found
                if rows is not None and rows.size and np.isfinite(rows).all()]  # fmt: skip

    def add(self, name: str, made: list[tuple[str, np.ndarray, RowSample]]) -> None:
        for key, rows, sample in made:
            self._rows.setdefault(key, []).append(rows)
            self._samples.setdefault(key, []).append(sample)
            self._waiting += rows.nbytes
        if self._waiting > _ROW_BYTES:
            self.end_block()

    def end_block(self) -> None:
        for key, parts in self._rows.items():
            total = self._sum(key, parts[0].shape[0], parts[0].shape[2])
            total.add(np.concatenate(parts, axis=1))
            for sample in self._samples[key]:
                total.add_sample(sample)
            self._spill.release()
        self._rows, self._samples, self._waiting = {}, {}, 0

    def absorb(self, key: str, statistic: Gram) -> None:
        self._sum(key, statistic.groups, statistic.size).absorb(statistic)
        self._spill.release()

    def found(self) -> Mapping[str, tuple[str, Statistic]]:
        return {key: (self._reads[key], total.gram()) for key, total in self._sums.items()}

    def _sum(self, key: str, groups: int, size: int) -> GramAccumulator:
        if key not in self._sums:
            self._sums[key] = GramAccumulator(groups, size, self._spill)
        return self._sums[key]


COLLECTORS: Mapping[str, Callable[[Graph, int, Spill], Collector]] = {
    Histogram.kind: Histograms,
    Gram.kind: Grams,
    ChannelBounds.kind: Bounds,
}
"""What one pass over the data collects, by kind."""


def collect(
    graph: Graph,
    feeds: Feeds,
    watch: Wanted,
    *,
    executor: Executor | None = None,
    seed: int = 0,
    notes: list[str] | None = None,
) -> Statistics:
    """Runs the samples once and gives the statistics of values and layers.

    Args:
        graph: FLOAT or QUANT.
        watch: names the float values to watch in a graph, or in the body of an If, Loop or Scan. It must pickle for an
            executor of other processes.
        executor: of `concurrent.futures`, or like it; runs shards of the data. Each task runs on one thread.
        seed: of the choice of rows for Gram matrices.
        notes: where to say what was found.

    Raises:
        DataError: for NaN, naming the first tensor that has it, and for empty data.
    """
    axes = feeds.interface.batch_axes if feeds.may_be_cut else {}
    plan = _Plan(graph, watch, seed, axes, _run_length(graph, watch))
    total = _Collection(plan)
    if executor is None:
        observer = plan.observer()
        for first, batch in progress(_numbered(feeds), "calibrating"):
            total.block(observer, first, batch)
    else:
        work = pickle.dumps(plan, protocol=5)
        pending: deque[Future[Statistics]] = deque()
        for shard in progress(_shards(feeds), "calibrating"):
            if len(pending) >= _PENDING:
                total.absorb(pending.popleft().result())
            pending.append(executor.submit(_run_shard, work, shard))
        while pending:
            total.absorb(pending.popleft().result())
    found = total.statistics()
    if notes is not None:
        values, layers = found.names(Histogram.kind), found.names(Gram.kind)
        notes.append(f"calibrated {len(values)} values on {feeds.n_samples} samples")
        split = [key for key in layers if not gram_of(found, key).is_whole]
        if split:
            notes.append(f"Gram matrices are block-diagonal, for more than 2048 inputs: {', '.join(split)}")
    return found


def gram_of(statistics: Statistics, layer: str, fingerprint: str | None = None) -> Gram:
    """The Gram matrix of a layer's input; arguments and errors as for `Statistics.get`."""
    found = statistics.get(Gram.kind, layer, fingerprint)
    assert isinstance(found, Gram)
    return found


@dataclass(frozen=True)
class _Plan:
    """What a worker has to know.

    Attributes:
        axes: the batch axis of each input; empty where blocks must run whole.
        length: how many samples run at once.
    """

    graph: Graph
    watch: Wanted
    seed: int
    axes: Mapping[str, int]
    length: int

    def observer(self, threads: int = 0) -> Observer:
        return Observer(self.graph, self.watch, optimize=True, threads=threads)

    def runs(self, batch: Batch) -> Iterator[Batch]:
        """A block in parts that fit the memory."""
        if not self.axes or batch.size <= self.length:
            yield batch
            return
        for start in range(0, batch.size, self.length):
            rows = slice(start, min(start + self.length, batch.size))
            arrays = {
                name: array[(slice(None),) * self.axes[name] + (rows,)] if name in self.axes else array
                for name, array in batch.items()
            }
            yield Batch(arrays, rows.stop - start, rows.stop - start)


class _Collection:
    """All kinds of statistics in the making."""

    def __init__(self, plan: _Plan, threads: int | None = None) -> None:
        self._plan = plan
        self._pool = ThreadPoolExecutor(threads or os.cpu_count())
        spill = Spill()
        self._collectors = {kind: make(plan.graph, plan.seed, spill) for kind, make in COLLECTORS.items()}

    def block(self, observer: Observer, first: int, batch: Batch) -> None:
        """Runs the samples of a block."""
        for run in self._plan.runs(batch):
            values = observer(run)
            while some := list(islice(values, _AT_ONCE)):
                for name, made in self._pool.map(partial(self._of, run, first), some):
                    for collector, part in zip(self._collectors.values(), made, strict=True):
                        collector.add(name, part)
            first += run.valid
        for collector in self._collectors.values():
            collector.end_block()

    def _of(self, run: Batch, first: int, item: tuple[str, Any]) -> tuple[str, list[Any]]:
        name, data = item[0], np.asarray(item[1])
        if data.ndim and data.shape[0] == run.size != run.valid:
            data = data[: run.valid]
        return name, [collector.of(name, data, first) for collector in self._collectors.values()]

    def absorb(self, shard: Statistics) -> None:
        """Merges the statistics of other blocks."""
        for (kind, key), entry in shard.entries.items():
            self._collectors[kind].absorb(key, entry.statistic)

    def statistics(self) -> Statistics:
        """All that was collected; nothing can be added afterwards."""
        self._pool.shutdown()
        prints = fingerprints(self._plan.graph)
        result = Statistics()
        for collector in self._collectors.values():
            found = collector.found()
            result = result.add({key: statistic for key, (_, statistic) in found.items()},
                                {key: prints[value] for key, (value, _) in found.items()})  # fmt: skip
        return _without_infinite(result)


def _without_infinite(found: Statistics) -> Statistics:
    """Without the bounds of channels of what holds infinite numbers: there is nothing to scale by."""
    infinite = {name for name in found.names(Histogram.kind) if found.histogram(name).infinite}
    dropped = {(ChannelBounds.kind, name) for name in infinite}
    return Statistics({key: entry for key, entry in found.entries.items() if key not in dropped}, found.dropped)


def _run_shard(work: bytes, blocks: list[tuple[int, Batch]]) -> Statistics:
    """What a worker does: the statistics of some blocks."""
    plan, observer = _prepared(work)
    total = _Collection(plan, threads=1)
    for first, batch in blocks:
        total.block(observer, first, batch)
    return total.statistics()


@lru_cache(maxsize=1)
def _prepared(work: bytes) -> tuple[_Plan, Observer]:
    plan: _Plan = pickle.loads(work)
    return plan, plan.observer(threads=1)


def _numbered(feeds: Feeds) -> Iterator[tuple[int, Batch]]:
    """Blocks, each with the number of samples before it."""
    first = 0
    for batch in feeds:
        yield first, batch
        first += batch.valid


def _shards(feeds: Feeds) -> Iterator[list[tuple[int, Batch]]]:
    """Runs of blocks, each for one task."""
    shard: list[tuple[int, Batch]] = []
    for first, batch in _numbered(feeds):
        shard.append((first, batch))
        if sum(array.nbytes for _, one in shard for array in one.values()) >= _SHARD_BYTES:
            yield shard
            shard = []
    if shard:
        yield shard


def _run_length(graph: Graph, watch: Wanted) -> int:
    """Samples to run at once: a power of two, by the bytes of a sample's watched values as far as they are known."""
    kinds = [kind for name in watch(graph) if isinstance(kind := graph.types[name], TensorType) and kind.shape]
    sizes = [prod(dim for dim in (kind.shape or ())[1:] if isinstance(dim, int)) for kind in kinds]
    fitting = _RUN_BYTES // max(4 * sum(sizes), 1)
    return 1 << max(fitting.bit_length() - 1, 0)
