"""Inputs and outputs of a network in C, and the ways in which its caller gives and takes them (`io`).

model: arrays as the model has them: net_run takes reals in row-major order, net_run_q codes.
native: arrays as the layers have them: codes, channels last. Nothing is converted or copied.
arena: as native, inside the arena, at places that net.h names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qir.ir.dtype import DType
from qir.ops import OPS

if TYPE_CHECKING:
    from qir.backends.c.program import Call
    from qir.ir.graph import Node

WAYS = ("model", "native", "arena")


@dataclass(frozen=True)
class Port:
    """An input or output of the program.

    Attributes:
        name: the model's name for it.
        dtype, shape: at the real interface, in plain (ONNX) layout.
        value: the value that the calls between the borders read or write.
        code: element type of its codes where it is quantized, else None.
        scale, zero_point: of those codes.
        border: the call by which net_run turns reals into codes or back; None where `value` is the port itself.
        reorder: the call by which net_run_q moves codes between plain order and that of `value`; None where these are
            the same bytes.
        order: stored axis k of the caller's array is axis order[k]; () is plain order.
        outside: the node that the caller does, turning reals into codes or back; None where the network does that.
        state: of an input whose value is kept, and of the output that becomes its next value, the input; else "".
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    value: str
    code: DType | None = None
    scale: float = 1.0
    zero_point: int = 0
    border: Call | None = None
    reorder: Call | None = None
    order: tuple[int, ...] = ()
    outside: Node | None = None
    state: str = ""

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def given(self, codes: bool = False) -> DType:
        """Element type of the caller's array, at net_run or at net_run_q."""
        return self.code if self.code is not None and (codes or self.outside is not None) else self.dtype

    @property
    def given_shape(self) -> tuple[int, ...]:
        """Of the caller's array."""
        return tuple(self.shape[axis] for axis in self.order) if self.order else self.shape

    def inward(self, array: np.ndarray, codes: bool = False) -> np.ndarray:
        """What the caller makes of an array of the model, which holds codes already where it says so."""
        found = array if codes else self._converted(array)
        return np.ascontiguousarray(found.transpose(self.order) if self.order else found)

    def expected(self, array: np.ndarray) -> np.ndarray:
        """What the network gives where the model gives `array`: the numbers that `outward` turns into it."""
        laid = array.transpose(self.order) if self.order else array
        if self.outside is None or self.code is None:
            return np.ascontiguousarray(laid)
        return np.ascontiguousarray(np.rint(laid / np.float32(self.scale)) + self.zero_point, self.code.numpy)

    def outward(self, array: np.ndarray, codes: bool = False) -> np.ndarray:
        """What the caller makes of the network's array; as codes, but in the model's order, where these are wanted."""
        found = array.transpose(np.argsort(self.order).tolist()) if self.order else array
        return found if codes else self._converted(found)

    def _converted(self, array: np.ndarray) -> np.ndarray:
        if self.outside is None:
            return array
        reference = OPS[self.outside.op].reference
        assert reference is not None
        return np.asarray(reference(self.outside, [array])[0])
