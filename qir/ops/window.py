"""Sliding windows: the geometry that convolutions and pools share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qir.ir.graph import Node


@dataclass(frozen=True)
class Window:
    """A resolved window over the spatial axes (1, 2, 3 ... of them), all fields one entry an axis.

    Attributes:
        kernel, strides, dilations: taps, step and spacing.
        begin, end: padding before and after; `end` includes what ceil_mode adds beyond the declared padding.
        declared_end: padding after as declared: average pools that count padding count only that far.
        input, output: spatial sizes.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    declared_end: tuple[int, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]

    def taps(self) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Each tap's position in the kernel with the slices of the padded input it meets, one element an output."""
        for tap in np.ndindex(*self.kernel):
            starts = [t * d for t, d in zip(tap, self.dilations, strict=True)]
            yield (
                tap,
                tuple(
                    slice(s, s + (o - 1) * step + 1, step)
                    for s, o, step in zip(starts, self.output, self.strides, strict=True)
                ),
            )


def window(node: Node, input_sizes: Sequence[int], kernel: Sequence[int]) -> Window:
    """The window of a Conv, MaxPool, AveragePool or LpPool node.

    Args:
        node: its strides, dilations, pads, auto_pad and ceil_mode are read, with ONNX's defaults.
        input_sizes: spatial sizes of the input.
        kernel: spatial sizes of the kernel.

    Source: the ONNX operator definitions of Conv-22 and AveragePool-22.
    """
    rank = len(kernel)
    strides = tuple(node.attr("strides") or (1,) * rank)
    dilations = tuple(node.attr("dilations") or (1,) * rank)
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    auto = node.attr("auto_pad", "NOTSET")
    ceil_mode = bool(node.attr("ceil_mode", 0)) and auto not in ("SAME_UPPER", "SAME_LOWER")
    pads = tuple(node.attr("pads") or (0,) * (2 * rank))
    begin, declared_end = list(pads[:rank]), list(pads[rank:])
    if auto == "VALID":
        begin, declared_end = [0] * rank, [0] * rank
    output, end = [], []
    for axis in range(rank):
        size, step, reach = input_sizes[axis], strides[axis], extent[axis]
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            out = -(-size // step)
            total = max((out - 1) * step + reach - size, 0)
            small, large = total // 2, total - total // 2
            begin[axis], declared_end[axis] = (small, large) if auto == "SAME_UPPER" else (large, small)
        else:
            free = size + begin[axis] + declared_end[axis] - reach
            out = (-(-free // step) if ceil_mode else free // step) + 1
            if ceil_mode and (out - 1) * step >= size + begin[axis]:
                out -= 1  # a window must start inside the input or its left padding
        output.append(out)
        end.append(max((out - 1) * step + reach - size - begin[axis], declared_end[axis]))
    return Window(tuple(kernel), strides, dilations, tuple(begin), tuple(end), tuple(declared_end),
                  tuple(input_sizes), tuple(output))  # fmt: skip


@dataclass(frozen=True)
class TransposedWindow:
    """A resolved ConvTranspose window: output position = input * stride + tap * dilation - begin."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    input: tuple[int, ...]
    output: tuple[int, ...]


def transposed_window(node: Node, input_sizes: Sequence[int], kernel: Sequence[int]) -> TransposedWindow:
    """The window of a ConvTranspose node. Source: the ONNX operator definition of ConvTranspose-22."""
    rank = len(kernel)
    strides = tuple(node.attr("strides") or (1,) * rank)
    dilations = tuple(node.attr("dilations") or (1,) * rank)
    adj = tuple(node.attr("output_padding") or (0,) * rank)
    pads = tuple(node.attr("pads") or (0,) * (2 * rank))
    auto = node.attr("auto_pad", "NOTSET")
    wanted = node.attr("output_shape")
    begin, output = [], []
    for axis in range(rank):
        full = strides[axis] * (input_sizes[axis] - 1) + adj[axis] + (kernel[axis] - 1) * dilations[axis] + 1
        if wanted or auto in ("SAME_UPPER", "SAME_LOWER"):
            out = wanted[len(wanted) - rank + axis] if wanted else input_sizes[axis] * strides[axis]
            total = max(full - out, 0)  # an output that is larger still ends in positions without any tap
            begin.append(total - total // 2 if auto != "SAME_UPPER" else total // 2)
            output.append(out)
        else:
            begin.append(0 if auto == "VALID" else pads[axis])
            output.append(full - begin[-1] - (0 if auto == "VALID" else pads[rank + axis]))
    return TransposedWindow(tuple(kernel), strides, dilations, tuple(begin), tuple(input_sizes), tuple(output))
