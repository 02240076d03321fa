"""Cutting and joining samples into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from qir.calibration.interface import Chunk, Interface

DEFAULT_BATCH = 32
"""Samples run at once where the model leaves it open."""


class Batch(dict[str, np.ndarray]):
    """Inputs of one run by name.

    Attributes:
        valid: how many of the samples are data. The rest repeat these to fill a batch of fixed size and should not
            count. Samples lie along axis 0 (`Interface.batch_axes` for others); 1 where the model has no batch axis.
        size: samples of the run, repeated ones included.
    """

    def __init__(self, arrays: dict[str, np.ndarray], valid: int, size: int) -> None:
        super().__init__(arrays)
        self.valid = valid
        self.size = size


def batches(chunks: Iterable[Chunk], interface: Interface, batch: int | None) -> Iterator[Batch]:
    """Batches of equal size, as far as the shapes of neighbouring samples allow.

    Neighbours join while all their sizes but the batch's, and the inputs without a batch axis, are the same. How the
    samples came grouped does not matter, unless `batch` is 0.

    Args:
        chunks: samples in order.
        batch: samples a batch, where the model leaves it open; 0 runs every chunk as it came; None lets qir choose.
    """
    target = interface.fixed_batch or ((DEFAULT_BATCH if interface.joins else 0) if batch is None else batch)
    pending: list[Chunk] = []
    waiting = 0
    for chunk in chunks:
        rows = chunk.rows
        if rows == 0:
            continue
        if rows is None or not target:
            yield Batch({name: _plain(array) for name, array in chunk.arrays.items()}, rows or 1, rows or 1)
            continue
        if pending and not _joins(pending[0], chunk, interface):
            yield _joined(pending, waiting, interface)
            pending, waiting = [], 0
        start = 0
        while start < rows:
            stop = min(rows, start + target - waiting)
            pending.append(_cut(chunk, start, stop, interface))
            waiting += stop - start
            start = stop
            if waiting == target:
                yield _joined(pending, waiting, interface)
                pending, waiting = [], 0
    if pending:
        yield _joined(pending, waiting, interface)


def _joins(first: Chunk, second: Chunk, interface: Interface) -> bool:
    for name, array in first.arrays.items():
        other, axis = second.arrays[name], interface.batch_axes.get(name)
        if axis is None:
            if not np.array_equal(array, other):
                return False
        elif array.shape[:axis] + array.shape[axis + 1 :] != other.shape[:axis] + other.shape[axis + 1 :]:
            return False
    return True


def _cut(chunk: Chunk, start: int, stop: int, interface: Interface) -> Chunk:
    arrays = {
        name: array if axis is None else array[(slice(None),) * axis + (slice(start, stop),)]
        for name, array in chunk.arrays.items()
        for axis in (interface.batch_axes.get(name),)
    }
    return Chunk(arrays, stop - start)


def _joined(parts: list[Chunk], valid: int, interface: Interface) -> Batch:
    size = interface.fixed_batch or valid
    arrays = {}
    for name, array in parts[0].arrays.items():
        axis = interface.batch_axes.get(name)
        if axis is not None:
            array = array if len(parts) == 1 else np.concatenate([part.arrays[name] for part in parts], axis)
            array = array if size == valid else np.take(array, np.arange(size) % valid, axis)
        arrays[name] = _plain(array)
    return Batch(arrays, valid, size)


def _plain(array: np.ndarray) -> np.ndarray:
    """A contiguous array, without numpy's memory-mapping subclass."""
    return np.ascontiguousarray(array).view(np.ndarray).reshape(array.shape)
