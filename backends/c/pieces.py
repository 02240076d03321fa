"""Heavy calls cut into pieces for threads: the same kernel on parts of its operands, equal bit for bit.

Output rows o .. of a window that slides by `stride` over an axis start at the input's row o stride - pad. With

    skip = max(o stride - pad, 0)      rows of the input that none of them reads
    pad' = skip - (o stride - pad)     what is still before the first row
    in'  = in - skip

the window of output row o + i starts at i stride - pad' of the input without its first `skip` rows: the rows are a
convolution, or pool, of their own, and a kernel computes each row as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import TypeAlias, cast

from qir.backends.c.program import Arg, Call, Field, Input, Output, Scratch, Struct
from qir.backends.c.site import Operand

_LEAST = 1 << 18
"""Multiply-accumulates of a piece: on vectors a few microseconds, several times what handing it over takes."""
_WINDOWS = ("qir_conv_u8_shape", "qir_pool_u8_shape", "qir_conv_f32_shape", "qir_pool_f32_shape")
"""Structs of kernels that compute output pixels one by one from pixels of their first operand, in order of storage."""
_MATRICES = ("qir_gemm_u8_shape",)
"""The same for rows of a product of matrices."""

Three: TypeAlias = "tuple[int, int, int]"
Window: TypeAlias = "tuple[int, Three, Three, Three, Three, Three, Three]"
"""A qir_window: batch, in, out, kernel, stride, dilation, pad."""


def in_pieces(call: Call, operands: Mapping[str, Operand], threads: int) -> Call:
    """The call with up to `threads` pieces, where it is heavy and its kernel is known to take parts."""
    shape = next((arg for arg in call.args if isinstance(arg, Struct)), None)
    if threads < 2 or call.pieces or shape is None or shape.kind not in (*_WINDOWS, *_MATRICES):
        return call
    if len({arg.value for arg in call.args if isinstance(arg, Input) and not arg.beside}) != 1 or len(call.writes) != 1:
        return call
    fields, y = dict(shape.fields), operands[call.writes[0]]
    if shape.kind in _MATRICES:
        window, axis = None, 0
        count, unit, work = cast(int, fields["rows"]), 4, call.macs
    else:
        window = cast(Window, fields["window"])
        axis = _axis(window)
        count = window[0] if axis < 0 else window[2][axis]
        unit = (1, 2, 2, 16)[axis + 1]  # Winograd computes rows in pairs; pixels in a row fill tiles
        work = max(call.macs, y.size * prod(window[3]))
    pieces = min(threads, count // unit, work // _LEAST)
    if pieces < 2:
        return call
    ends = [count * number // pieces // unit * unit for number in range(pieces)] + [count]
    if window and axis >= 0 and _slid(window, axis, ends[-2], count)[1] >= window[1][axis]:
        return call  # the last rows see padding alone
    parts = [_part(call, shape, operands, first, last, number)
             for number, (first, last) in enumerate(pairwise(ends))]  # fmt: skip
    return replace(call, pieces=tuple(parts))


def _axis(window: Window) -> int:
    """The outermost axis of which there is more than one output; -1 is the batch."""
    return -1 if window[0] != 1 else next((axis for axis in range(3) if window[2][axis] != 1), 2)


def _part(
    call: Call, shape: Struct, operands: Mapping[str, Operand], first: int, last: int, number: int
) -> tuple[Arg, ...]:
    """The arguments that compute rows `first` .. `last` - 1 of the result, with scratch of their own."""
    x, y = operands[call.reads[0]], operands[call.writes[0]]
    fields = dict(shape.fields)
    if shape.kind in _MATRICES:
        skip, skipped_of, count = first, cast(int, fields["rows"]), cast(int, fields["rows"])
        changed: dict[str, Field] = {"rows": last - first}
    else:
        window = cast(Window, fields["window"])
        axis = _axis(window)
        part, skip = _slid(window, axis, first, last)
        skipped_of = window[0] * prod(window[1][: axis + 1])
        count = window[0] * prod(window[2][: axis + 1])
        changed = {"window": cast(Field, part)}
        if "counted_end" in fields and axis >= 0:
            end = cast(Three, fields["counted_end"])
            changed["counted_end"] = _with(end, axis, end[axis] - skip)
    own = Struct(shape.kind, tuple((name, changed.get(name, value)) for name, value in shape.fields))

    def moved(arg: Arg) -> Arg:
        if arg is shape:
            return own
        if isinstance(arg, Input) and not arg.beside:
            return replace(arg, skip=x.size // skipped_of * skip)
        if isinstance(arg, (Input, Output)):
            return replace(arg, skip=y.size // count * first)
        return replace(arg, name=f"{arg.name}/piece{number}") if isinstance(arg, Scratch) else arg

    return tuple(map(moved, call.args))


def _slid(window: Window, axis: int, first: int, last: int) -> tuple[Window, int]:
    """The window of some output rows, and how many rows of the input lie before those that it sees."""
    batch, inputs, outputs, kernel, stride, dilation, pad = window
    if axis < 0:
        return (last - first, inputs, outputs, kernel, stride, dilation, pad), first
    start = first * stride[axis] - pad[axis]
    skip = max(start, 0)
    inputs, outputs = _with(inputs, axis, inputs[axis] - skip), _with(outputs, axis, last - first)
    return (batch, inputs, outputs, kernel, stride, dilation, _with(pad, axis, skip - start)), skip


def _with(values: Three, axis: int, value: int) -> Three:
    changed = [*values]
    changed[axis] = value
    return cast(Three, tuple(changed))
