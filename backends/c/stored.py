"""Values as they lie in memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from qir.ir.dtype import BOOL, DType


@dataclass(frozen=True, eq=False)
class Stored:
    """How a value lies in memory.

    Attributes:
        dtype, shape: of the value, as in the graph.
        order: stored axis k is logical axis order[k], outermost first.
        rows: element k of the stored last axis is element rows[k] of the logical one; None where they agree.
        holds: the value of the graph whose elements these are: another one for copies that the plan put in.
        skip: elements of its buffer before it.
    """

    dtype: DType
    shape: tuple[int, ...]
    order: tuple[int, ...]
    holds: str
    rows: np.ndarray | None = None
    skip: int = 0

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.numpy.itemsize

    @property
    def start(self) -> int:
        """Bytes of its buffer before it."""
        return self.skip * self.dtype.numpy.itemsize

    def plain(self, memory: np.ndarray) -> np.ndarray:
        """The value in ONNX's order, as a copy.

        Args:
            memory: [nbytes] uint8, as a kernel left it.
        """
        stored = np.frombuffer(memory.tobytes(), np.uint8 if self.dtype == BOOL else self.dtype.numpy)
        laid = stored.reshape([self.shape[axis] for axis in self.order]).transpose(np.argsort(self.order).tolist())
        result = np.empty(self.shape, self.dtype.numpy)
        result[... if self.rows is None else (..., self.rows)] = laid
        return result
