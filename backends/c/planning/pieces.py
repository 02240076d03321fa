"""Parts of a call: the same kernel on some rows of its result, equal bit for bit. Heavy calls are cut up for threads.

Output rows o .. of a window that slides by `stride` over an axis start at the input's row o stride - pad. With

    skip = max(o stride - pad, 0)      rows of the input that none of them reads
    pad' = skip - (o stride - pad)     what is still before the first row
    in'  = what they read after those

the window of output row o + i starts at i stride - pad' of the input without its first `skip` rows: the rows are a
convolution, or pool, of their own, and a kernel computes each row as before. So is what moves elements one by one, with
as many of the outermost ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from math import prod
from typing import TypeAlias, cast

from qir.backends.c.binding.site import Operand
from qir.backends.c.program import Arg, Call, Field, Input, Output, Scratch, Struct

_LEAST = 1 << 18
"""Multiply-accumulates of a piece: on vectors a few microseconds, several times what handing it over takes."""
_WINDOWS = (
    "qir_conv_u8_shape", "qir_pool_u8_shape", "qir_conv_f32_shape", "qir_pool_f32_shape", "qir_maxpool_shape",
)  # fmt: skip
"""Structs of kernels that compute output pixels one by one from pixels of their first operand, in order of storage."""
_LINES = "qir_conv_u8_depthwise_lines"
"""The same with an entry for each of two axes: in, out, stride, pad, and elements between neighbours in x and y."""
_MATRICES = ("qir_gemm_u8_shape",)
"""The same for rows of a product of matrices."""
_STRIDED, _MOVES = "qir_strided", ("qir.Quantize", "qir.Reorder")
"""Loops over the result of operators that make it element by element, in order of storage."""

Three: TypeAlias = "tuple[int, int, int]"
Window: TypeAlias = "tuple[int, Three, Three, Three, Three, Three, Three]"
"""A qir_window: batch, in, out, kernel, stride, dilation, pad."""


@dataclass(frozen=True)
class Rows:
    """A call by rows of its result, each of which sees some rows of its operand.

    Attributes:
        shape: its argument that says how many there are.
        window: None for a product of matrices, and for what moves elements.
        axis: the outermost one of which there is more than one output; -1 is the batch.
        count, taken: rows of the result and of the operand.
        unit: rows that kernels compute together: Winograd's in pairs, and pixels in a row fill tiles.
        work: multiply-accumulates, or elements.
        step: elements between rows of the operand, where these do not follow each other; else 0.
    """

    shape: Struct
    window: Window | None
    axis: int
    count: int
    taken: int
    unit: int
    work: int
    step: int = 0

    @property
    def outermost(self) -> bool:
        """Whether the rows of the operand follow each other in memory."""
        if self.step:
            return False
        return self.window is None or self.axis < 1 or prod(self.window[1][: self.axis]) == 1

    def under(self, first: int, last: int) -> tuple[int, int]:
        """The first row of the operand that rows `first` .. `last` - 1 of the result see, and the one after the last;
        these are none where all is padding."""
        if self.window is None or self.axis < 0:
            return first, last
        _, _, _, kernel, stride, dilation, pad = (_at(values, self.axis) for values in self.window)
        stride = stride or 1  # of windows that are pixels
        end = (last - 1) * stride - pad + (kernel - 1) * dilation + 1
        return max(first * stride - pad, 0), min(end, self.taken)

    def part(self, first: int, last: int) -> Struct:
        """The shape of those rows."""
        changed: dict[str, Field] = {"rows": last - first}
        if self.shape.kind == _STRIDED:
            sizes = cast("tuple[int, ...]", dict(self.shape.fields)["size"])
            place = _outer(sizes)
            own = sizes[place] // self.count * (last - first)
            changed["size"] = (*sizes[:place], own, *sizes[place + 1 :])
        if self.window is not None:
            start, stop = self.under(first, last)
            batch, inputs, outputs, kernel, stride, dilation, pad = self.window
            window: Window = (last - first, *self.window[1:])
            if self.axis >= 0:
                skipped = start - first * (stride[self.axis] or 1) + pad[self.axis]
                window = (batch, _with(inputs, self.axis, stop - start), _with(outputs, self.axis, last - first),
                          kernel, stride, dilation, _with(pad, self.axis, skipped))  # fmt: skip
                if self.shape.kind == _LINES:
                    return self._lines(first, last, stop - start, skipped)
                end = cast(Three, dict(self.shape.fields).get("counted_end", (0, 0, 0)))
                changed["counted_end"] = _with(end, self.axis, end[self.axis] - start)
            changed["window"] = window
        return Struct(self.shape.kind, tuple((name, changed.get(name, value)) for name, value in self.shape.fields))

    def _lines(self, first: int, last: int, taken: int, pad: int) -> Struct:
        """The shape of those rows where each axis has an entry."""
        fields = dict(self.shape.fields)
        name = _axes(fields)[self.axis - 1]
        _, _, stride, _, *apart = cast("tuple[int, ...]", fields[name])
        fields[name] = (taken, last - first, stride, pad, *apart)
        if name == "along":
            fields["pairs"] = stride * -(-(last - first) // 2) + 1
        return Struct(self.shape.kind, tuple(fields.items()))


def _outer(sizes: tuple[int, ...]) -> int:
    """The outermost loop that does anything."""
    return next((place for place, size in enumerate(sizes) if size != 1), len(sizes) - 1)


def _axes(fields: Mapping[str, Field]) -> tuple[str, str]:
    """Entries of the rows and of the columns: neighbouring rows lie farther apart."""
    along, across = (cast("tuple[int, ...]", fields[name])[4] for name in ("along", "across"))
    return ("along", "across") if along > across else ("across", "along")


def _window(shape: Struct) -> Window:
    """Of a shape that has one, or an entry for each axis."""
    fields = dict(shape.fields)
    if shape.kind != _LINES:
        return cast(Window, fields["window"])
    rows, columns = (cast("tuple[int, ...]", fields[name]) for name in _axes(fields))
    inputs, outputs, strides, pads = zip((1, 1, 1, 0), rows[:4], columns[:4], strict=True)
    return cast(int, fields["batch"]), inputs, outputs, (1, 3, 3), strides, (1, 1, 1), pads


def rows_of(call: Call, operands: Mapping[str, Operand]) -> Rows | None:
    """The call by rows, where its kernel is known to take parts."""
    shapes = (*_WINDOWS, _LINES, *_MATRICES, *([_STRIDED] if call.op in _MOVES else []))
    shape = next((arg for arg in call.args if isinstance(arg, Struct) and arg.kind in shapes), None)
    if call.pieces or shape is None:
        return None
    if len({arg.value for arg in call.args if isinstance(arg, Input) and not arg.beside}) != 1 or len(call.writes) != 1:
        return None
    fields, y = dict(shape.fields), operands[call.writes[0]]
    if shape.kind in _MATRICES:
        count = cast(int, fields["rows"])
        return Rows(shape, None, 0, count, count, 4, call.macs)
    if shape.kind == _STRIDED:
        return _moved(shape, y)
    window = _window(shape)
    batch, inputs, outputs, kernel, *_ = window
    axis = -1 if batch != 1 else next((axis for axis in range(3) if outputs[axis] != 1), 2)
    count, taken = (batch, batch) if axis < 0 else (outputs[axis], inputs[axis])
    return Rows(shape, window, axis, count, taken, (1, 2, 2, 16)[axis + 1], max(call.macs, y.size * prod(kernel)))


def _moved(shape: Struct, y: Operand) -> Rows | None:
    """Rows of a result that is made element by element: of its outermost axis."""
    sizes, strides = (cast("tuple[int, ...]", dict(shape.fields)[name]) for name in ("size", "stride"))
    count, place = next((size for size in y.stored_shape if size != 1), 1), _outer(sizes)
    if sizes[place] % count:
        return None
    return Rows(shape, None, 0, count, count, 1, y.size, strides[place] * (sizes[place] // count))


def part(call: Call, rows: Rows, operands: Mapping[str, Operand], first: int, last: int) -> tuple[Arg, ...]:
    """The arguments that compute rows `first` .. `last` - 1 of the result."""
    x, y, own = operands[call.reads[0]], operands[call.writes[0]], rows.part(first, last)
    outer = prod(rows.window[1][: rows.axis]) if rows.window and rows.axis > 0 else 1

    def moved(arg: Arg) -> Arg:
        if arg is rows.shape:
            return own
        if isinstance(arg, Input) and not arg.beside:
            step = rows.step or x.size // (outer * rows.taken)
            return replace(arg, skip=step * rows.under(first, last)[0])
        return replace(arg, skip=y.size // rows.count * first) if isinstance(arg, (Input, Output)) else arg

    return tuple(map(moved, call.args))


def in_pieces(call: Call, operands: Mapping[str, Operand], threads: int) -> Call:
    """The call with up to `threads` pieces, where it is heavy and its kernel is known to take parts."""
    rows = rows_of(call, operands)
    if threads < 2 or rows is None:
        return call
    pieces = min(threads, rows.count // rows.unit, rows.work // _LEAST)
    if pieces < 2:
        return call
    ends = rows_apart(rows.count, pieces, rows.unit)
    if any(start >= stop for start, stop in starmap(rows.under, pairwise(ends))):
        return call  # some rows see padding alone
    parts = [_alone(part(call, rows, operands, first, last), number)
             for number, (first, last) in enumerate(pairwise(ends))]  # fmt: skip
    return replace(call, pieces=tuple(parts))


def rows_apart(count: int, parts: int, unit: int) -> list[int]:
    """Where parts of some rows begin and end, nearly equal and in whole units."""
    return [count * number // parts // unit * unit for number in range(parts)] + [count]


def _alone(args: tuple[Arg, ...], number: int) -> tuple[Arg, ...]:
    """With scratch that no other piece has."""
    return tuple(replace(a, name=f"{a.name}/piece{number}") if isinstance(a, Scratch) else a for a in args)


def _at(values: int | Three, axis: int) -> int:
    return values if isinstance(values, int) else values[axis]


def _with(values: Three, axis: int, value: int) -> Three:
    changed = [*values]
    changed[axis] = value
    return cast(Three, tuple(changed))
