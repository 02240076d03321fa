"""Where a kernel is to be called: a node with its operands, each with the order in which its axes are stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf, prod
from typing import TypeAlias

import numpy as np

from qir.backends.c.binding.coded import Coded
from qir.backends.c.program import SHORT, Arg, Data, Input, Output, ctype
from qir.ir.dtype import DType
from qir.ir.graph import Node

Order: TypeAlias = tuple[int, ...]
"""Stored axis k is logical axis order[k], outermost first. (0, 2, 3, 1) stores [N, C, H, W] as N, H, W, C."""


def plain(rank: int) -> Order:
    """ONNX's own order."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """N, spatial axes, C."""
    return plain(rank) if rank < 3 else (0, *range(2, rank), 1)


def same_bytes(shape: tuple[int, ...], first: Order, second: Order) -> bool:
    """True where two orders differ at most in axes of size 1."""
    return [a for a in first if shape[a] != 1] == [a for a in second if shape[a] != 1]


@dataclass(frozen=True, eq=False)
class Operand:
    """An input or output of a site.

    Attributes:
        name: of the value.
        dtype, shape: logical, as in the graph.
        order: how its axes are stored.
        value: the constant, in logical layout; None for values that are computed.
        rows: only for inputs of families with `permuted_rows`: element k of the stored last axis is element rows[k]
            of the logical one; the family permutes its weights by it.
        coded: the codes behind a constant of floats, for kernels that store these instead.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    order: Order
    value: np.ndarray | None = None
    rows: np.ndarray | None = None
    coded: Coded | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.numpy.itemsize

    @property
    def ctype(self) -> str:
        return ctype(self.dtype, tensor=self.name)

    @property
    def short(self) -> str:
        """The element type inside a kernel's name: u8, f32, ..."""
        return SHORT[self.dtype.name] if self.ctype else ""

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Sizes of the axes as stored, outermost first."""
        return tuple(self.shape[axis] for axis in self.order)

    def stored_axis(self, axis: int) -> int:
        """Where a logical axis (negative ones count from the end) is stored."""
        return self.order.index(axis % self.rank)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Elements between neighbours along each logical axis."""
        result, step = [0] * self.rank, 1
        for axis in reversed(self.order):
            result[axis] = step
            step *= self.shape[axis]
        return tuple(result)

    @property
    def is_plain(self) -> bool:
        return same_bytes(self.shape, self.order, plain(self.rank))

    @cached_property
    def stored(self) -> np.ndarray:
        """The constant's elements as stored, contiguous.

        Raises:
            ValueError: where the operand is not a constant.
        """
        if self.value is None:
            raise ValueError(f"{self.name} is not a constant")
        return np.ascontiguousarray(self.value.transpose(self.order).reshape(self.stored_shape))

    @property
    def read(self) -> Arg:
        """The argument through which a kernel reads it: arena or flash."""
        return Input(self.name) if self.value is None else Data(self.stored, self.name)

    @property
    def write(self) -> Output:
        return Output(self.name)

    def broadcast_strides(self, output: Operand) -> tuple[int, ...]:
        """Elements to step in this operand for one step along each *stored* axis of `output`; 0 where it broadcasts."""
        lead = output.rank - self.rank
        return tuple(
            0 if axis < lead or self.shape[axis - lead] == 1 else self.strides[axis - lead] for axis in output.order
        )


@dataclass(frozen=True, eq=False)
class Site:
    """A node about to be given a kernel.

    Attributes:
        node: the operator and its attributes.
        inputs: one entry an input slot; None where omitted.
        outputs: one entry an output slot; None where nobody wants it.
        bounds: to which results are clamped besides what the operator says; only kernels whose variant `clamps` see it.
        added: a qir.IntAdd of codes that the last input is added to as they are stored; `outputs` are its own. Only
            kernels whose variant `sums` see it.
    """

    node: Node
    inputs: tuple[Operand | None, ...]
    outputs: tuple[Operand | None, ...]
    bounds: tuple[float, float] = (-inf, inf)
    added: Node | None = None

    def input(self, slot: int) -> Operand:
        """The operand at a slot that must be there.

        Raises:
            ValueError: where it was omitted.
        """
        found = self.inputs[slot] if slot < len(self.inputs) else None
        if found is None:
            raise ValueError(f"{self.node.name} has no input {slot}")
        return found

    def optional(self, slot: int) -> Operand | None:
        """The operand at a slot, None where omitted."""
        return self.inputs[slot] if slot < len(self.inputs) else None

    @property
    def output(self) -> Operand:
        """The first output."""
        found = self.outputs[0]
        if found is None:
            raise ValueError(f"{self.node.name} has no first output")
        return found

    def constant(self, slot: int) -> np.ndarray | None:
        """The constant at an input slot, in logical layout; None where omitted or computed."""
        operand = self.optional(slot)
        return None if operand is None else operand.value

    @property
    def types(self) -> str:
        """Element types for messages: (uint8, int8) -> uint8."""
        inputs = ", ".join(str(x.dtype) if x else "-" for x in self.inputs)
        return f"({inputs}) -> {', '.join(str(y.dtype) if y else '-' for y in self.outputs)}"
