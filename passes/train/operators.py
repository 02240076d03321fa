"""ONNX operators as differentiable torch functions.

Each takes the node and its operands, torch tensors or None where omitted, and gives the first result, or a list of all.
Attributes are read as ONNX defines them at opset 21.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn import functional

from qir.ir.graph import Node
from qir.ops.window import Window, transposed_window, window

Operator: TypeAlias = Callable[[Node, Sequence[Any]], Any]


def _padded(x: Any, win: Window, value: float) -> Any:
    """The input of a window with its padding in place."""
    pads = [side for pair in zip(reversed(win.begin), reversed(win.end), strict=True) for side in pair]
    return functional.pad(x, pads, value=value) if any(pads) else x


def _conv(node: Node, operands: Sequence[Any]) -> Any:
    x, w, bias = (*operands, None)[:3]
    win = window(node, x.shape[2:], w.shape[2:])
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[w.ndim - 3]
    options = {"stride": win.strides, "dilation": win.dilations, "groups": node.attr("group", 1)}
    if win.begin == win.end:
        return convolve(x, w, bias, padding=win.begin, **options)
    return convolve(_padded(x, win, 0.0), w, bias, **options)


def _conv_transpose(node: Node, operands: Sequence[Any]) -> Any:
    """All of the sums, then cut to the output, or filled up with the bias where no tap reaches."""
    x, w, bias = (*operands, None)[:3]
    win = transposed_window(node, x.shape[2:], w.shape[2:])
    convolve = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[w.ndim - 3]
    full = convolve(x, w, stride=win.strides, dilation=win.dilations, groups=node.attr("group", 1))
    cut = [(-begin, begin + output - size)
           for begin, output, size in zip(win.begin, win.output, full.shape[2:], strict=True)]  # fmt: skip
    full = functional.pad(full, [side for pair in reversed(cut) for side in pair])
    return full if bias is None else full + bias.reshape(-1, *[1] * (full.ndim - 2))


def _gemm(node: Node, operands: Sequence[Any]) -> Any:
    a, b, c = (*operands, None)[:3]
    a, b = (m.T if node.attr(key, 0) else m for m, key in ((a, "transA"), (b, "transB")))
    product = a @ b
    alpha, beta = node.attr("alpha", 1.0), node.attr("beta", 1.0)
    product = product if alpha == 1 else product * alpha
    return product if c is None else product + (c if beta == 1 else c * beta)


def _max_pool(node: Node, operands: Sequence[Any]) -> Any:
    (x,) = operands
    win = window(node, x.shape[2:], node.attr("kernel_shape"))
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[x.ndim - 3]
    return pool(_padded(x, win, -math.inf), win.kernel, win.strides, dilation=win.dilations)


def _average_pool(node: Node, operands: Sequence[Any]) -> Any:
    """Sums over windows, divided by how many of their taps count."""
    (x,) = operands
    win = window(node, x.shape[2:], node.attr("kernel_shape"))
    if any(step != 1 for step in win.dilations):
        raise NotImplementedError("its windows are dilated")
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[x.ndim - 3]
    sums = pool(_padded(x, win, 0.0), win.kernel, win.strides)
    counted = torch.ones((1, 1, *x.shape[2:]), device=x.device, dtype=x.dtype)
    if node.attr("count_include_pad", 0):
        pads = [side for pair in zip(reversed(win.begin), reversed(win.declared_end), strict=True) for side in pair]
        counted = functional.pad(counted, pads, value=1.0)
        rest = [more - declared for more, declared in zip(win.end, win.declared_end, strict=True)]
        counted = functional.pad(counted, [side for more in reversed(rest) for side in (0, more)])
    else:
        counted = _padded(counted, win, 0.0)
    return sums / pool(counted, win.kernel, win.strides)


def _spatial(x: Any) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def _ints(operand: Any) -> list[int]:
    return [int(value) for value in operand.reshape(-1).tolist()]


def _reshape(node: Node, operands: Sequence[Any]) -> Any:
    x, wanted = operands[0], _ints(operands[1])
    sizes = [x.shape[i] if size == 0 and not node.attr("allowzero", 0) else size for i, size in enumerate(wanted)]
    return x.reshape(sizes)


def _flatten(node: Node, operands: Sequence[Any]) -> Any:
    (x,) = operands
    axis = node.attr("axis", 1)
    return x.reshape(math.prod(x.shape[: axis if axis >= 0 else axis + x.ndim]), -1)


def _transpose(node: Node, operands: Sequence[Any]) -> Any:
    (x,) = operands
    return x.permute(*(node.attr("perm") or reversed(range(x.ndim))))


def _slice(node: Node, operands: Sequence[Any]) -> Any:
    x, starts, ends, axes, steps = (*operands, None, None)[:5]
    begin, end = _ints(starts), _ints(ends)
    places = list(range(len(begin))) if axes is None else _ints(axes)
    for axis, first, last, step in zip(places, begin, end, [1] * len(begin) if steps is None else _ints(steps),
                                       strict=True):  # fmt: skip
        chosen = range(x.shape[axis])[slice(first, last if step > 0 or last >= -x.shape[axis] else None, step)]
        x = x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))
    return x


def _split(node: Node, operands: Sequence[Any]) -> list[Any]:
    x, sizes = (*operands, None)[:2]
    axis = node.attr("axis", 0)
    if sizes is not None:
        return list(x.split(_ints(sizes), axis))
    return list(x.split(-(-x.shape[axis] // node.attr("num_outputs", len(node.outputs))), axis))


def _squeeze(node: Node, operands: Sequence[Any]) -> Any:
    x, axes = (*operands, None)[:2]
    return x.squeeze() if axes is None else x.squeeze(tuple(_ints(axes)))


def _unsqueeze(node: Node, operands: Sequence[Any]) -> Any:
    x, axes = operands
    rank = x.ndim + axes.numel()
    for axis in sorted(axis % rank for axis in _ints(axes)):
        x = x.unsqueeze(axis)
    return x


def _gather(node: Node, operands: Sequence[Any]) -> Any:
    x, places = operands
    axis = node.attr("axis", 0) % x.ndim
    chosen = x.index_select(axis, places.reshape(-1) % x.shape[axis])
    return chosen.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _pad(node: Node, operands: Sequence[Any]) -> Any:
    x, pads, value, axes = (*operands, None, None)[:4]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(node.attr("mode", "constant"))
    given = _ints(pads)
    places = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in _ints(axes)]
    sides = dict.fromkeys(range(x.ndim), (0, 0))
    sides |= dict(zip(places, zip(given[: len(places)], given[len(places) :], strict=True), strict=True))
    if mode is None or (mode != "constant" and any(sides[0] + sides[1])):
        raise NotImplementedError(f"its mode is {node.attr('mode')}")
    last = [side for axis in reversed(range(0 if mode == "constant" else 2, x.ndim)) for side in sides[axis]]
    fill = 0.0 if value is None or mode != "constant" else float(value)
    return functional.pad(x, last, mode=mode, value=fill) if mode == "constant" else functional.pad(x, last, mode=mode)


_LINEAR = {"half_pixel": False, "pytorch_half_pixel": False, "align_corners": True}
"""How torch is told of each way to count positions."""


def _resize(node: Node, operands: Sequence[Any]) -> Any:
    """Images by linear interpolation, anything by repetition."""
    x, _, scales, sizes = (*operands, None, None, None)[:4]
    mode, where = node.attr("mode", "nearest"), node.attr("coordinate_transformation_mode", "half_pixel")
    wanted = _ints(sizes) if sizes is not None else [math.floor(size * scale) for size, scale in
                                                     zip(x.shape, scales.tolist(), strict=True)]  # fmt: skip
    if tuple(wanted[:2]) != tuple(x.shape[:2]) or node.attr("axes") is not None:
        raise NotImplementedError("it resizes other than the spatial axes")
    repeats = all(size % old == 0 for size, old in zip(wanted, x.shape, strict=True))
    floors = node.attr("nearest_mode", "round_prefer_floor") == "floor" if where == "asymmetric" else True
    if mode == "nearest" and repeats and floors and where != "align_corners":
        return functional.interpolate(x, wanted[2:], mode="nearest")
    if mode == "linear" and where in _LINEAR and x.ndim == 4 and not node.attr("antialias", 0):
        return functional.interpolate(x, wanted[2:], mode="bilinear", align_corners=_LINEAR[where])
    raise NotImplementedError(f"it resizes by {mode}, {where}")


def _layer_norm(node: Node, operands: Sequence[Any]) -> Any:
    x, scale, bias = (*operands, None)[:3]
    return functional.layer_norm(x, x.shape[node.attr("axis", -1) % x.ndim :], scale, bias, node.attr("epsilon", 1e-5))


def _batch_norm(node: Node, operands: Sequence[Any]) -> Any:
    x, scale, bias, mean, variance = operands
    return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, node.attr("epsilon", 1e-5))


def _instance_norm(node: Node, operands: Sequence[Any]) -> Any:
    x, scale, bias = operands
    return functional.instance_norm(x, weight=scale, bias=bias, eps=node.attr("epsilon", 1e-5))


def _reduced(reduce: Callable[..., Any]) -> Operator:
    def run(node: Node, operands: Sequence[Any]) -> Any:
        x, axes = (*operands, None)[:2]
        given = _ints(axes) if axes is not None else node.attr("axes")
        if not given:
            return x if node.attr("noop_with_empty_axes", 0) else reduce(x, tuple(range(x.ndim)), node)
        return reduce(x, tuple(given), node)

    return run


def _keeps(node: Node) -> bool:
    return bool(node.attr("keepdims", 1))


def _clip(node: Node, operands: Sequence[Any]) -> Any:
    x, low, high = (*operands, None, None)[:3]
    return x if low is None and high is None else torch.clamp(x, low, high)


def _gelu(node: Node, operands: Sequence[Any]) -> Any:
    return functional.gelu(operands[0], approximate=node.attr("approximate", "none"))


def _softmax(node: Node, operands: Sequence[Any]) -> Any:
    return torch.softmax(operands[0], node.attr("axis", -1))


def _hard_sigmoid(node: Node, operands: Sequence[Any]) -> Any:
    return torch.clamp(operands[0] * node.attr("alpha", 0.2) + node.attr("beta", 0.5), 0, 1)


def _folded(combine: Callable[[Any, Any], Any]) -> Operator:
    def run(node: Node, operands: Sequence[Any]) -> Any:
        result = operands[0]
        for other in operands[1:]:
            result = combine(result, other)
        return result

    return run


def _of(function: Callable[..., Any]) -> Operator:
    """An operator without attributes."""
    return lambda node, operands: function(*operands)


TABLE: dict[str, Operator] = {
    "Abs": _of(torch.abs),
    "Add": _of(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda node, operands: torch.cat(tuple(operands), node.attr("axis")),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _of(torch.div),
    "Dropout": lambda node, operands: operands[0],
    "Elu": lambda node, operands: functional.elu(operands[0], node.attr("alpha", 1.0)),
    "Erf": _of(torch.erf),
    "Exp": _of(torch.exp),
    "Expand": lambda node, operands: operands[0] * torch.ones(_ints(operands[1]), device=operands[0].device),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node, operands: operands[0].mean(_spatial(operands[0]), keepdim=True),
    "GlobalMaxPool": lambda node, operands: operands[0].amax(_spatial(operands[0]), keepdim=True),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda node, operands: operands[0] * torch.clamp(operands[0] / 6 + 0.5, 0, 1),
    "Identity": lambda node, operands: operands[0],
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda node, operands: functional.leaky_relu(operands[0], node.attr("alpha", 0.01)),
    "Log": _of(torch.log),
    "LogSoftmax": lambda node, operands: torch.log_softmax(operands[0], node.attr("axis", -1)),
    "MatMul": _of(torch.matmul),
    "Max": _folded(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _folded(torch.minimum),
    "Mish": _of(functional.mish),
    "Mul": _of(torch.mul),
    "Neg": _of(torch.neg),
    "PRelu": lambda node, operands: torch.where(operands[0] < 0, operands[0] * operands[1], operands[0]),
    "Pad": _pad,
    "Pow": _of(torch.pow),
    "Reciprocal": _of(torch.reciprocal),
    "ReduceMax": _reduced(lambda x, axes, node: x.amax(axes, keepdim=_keeps(node))),
    "ReduceMean": _reduced(lambda x, axes, node: x.mean(axes, keepdim=_keeps(node))),
    "ReduceSum": _reduced(lambda x, axes, node: x.sum(axes, keepdim=_keeps(node))),
    "Relu": _of(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda node, operands: torch.tensor(operands[0].shape)[node.attr("start", 0) : node.attr("end")],
    "Sigmoid": _of(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _of(functional.softplus),
    "Split": _split,
    "Sqrt": _of(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _of(torch.sub),
    "Sum": _folded(torch.add),
    "Tanh": _of(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _of(torch.where),
    "qir.Requantize": lambda node, operands: operands[0],
}
