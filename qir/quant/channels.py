"""How a vector of per-channel parameters lies along a tensor."""

from __future__ import annotations

import numpy as np


def rows(tensor: np.ndarray, axis: int | None) -> np.ndarray:
    """The tensor as a matrix with one row per channel: [C, K]; [1, size] where axis is None."""
    if axis is None:
        return tensor.reshape(1, -1)
    return np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)


def along(values: np.ndarray, axis: int | None, shape: tuple[int, ...], block_size: int = 0) -> np.ndarray:
    """Parameters shaped so that they broadcast against a tensor.

    Args:
        values: shape [] or [1] per tensor, [C] per channel, or (block_size > 0) that of the tensor with `axis`
            divided by the block size, rounded up.
        axis: the axis of the tensor that the values run along; None per tensor.
        shape: of the tensor.
        block_size: elements along `axis` that share a value; 0 for a whole slice.

    Raises:
        ValueError: if there is not one value a channel.
    """
    values = np.asarray(values)
    if axis is None:
        return values.reshape(())
    if block_size:
        return np.repeat(values, block_size, axis)[(slice(None),) * (axis % len(shape)) + (slice(shape[axis]),)]
    form = [1] * len(shape)
    form[axis] = -1 if values.size == 1 else shape[axis]
    return values.reshape(form)


def per_channel(values: np.ndarray, axis: int | None) -> np.ndarray:
    """The inverse of `rows` for one number a row: shape [C], or [] where axis is None."""
    return values.reshape(()) if axis is None else values
