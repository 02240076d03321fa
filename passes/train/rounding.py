"""Rounding to codes with gradients: the straight-through estimator.

What a value is rounded to is `y = s q(x)` with the scale s and a step function q, whose derivative is zero wherever
there is one. The estimator takes q for the identity between its first and its last code (Bengio et al., arXiv
1308.3432; with learned scales LSQ, arXiv 1902.08153):

    dL/dx = dL/dy         inside the clip range, low <= x / s <= high, else 0
    dL/ds = sum dL/dy k   with k = q - x / s inside, q outside; times 1 / sqrt(n high) for n values a scale

for nearest, ternary and binary codes and for sums of planes alike. The factor of the first line is 1: the gradient goes
through the dequantized weight `w_q = s q` as it is. With respect to the integer codes it is dL/dq = s dL/dw_q, so that
dL/dw = dL/dw_q = dL/dq / s. (Where a text prints "dL/dw = dL/dw_q * s", it takes the scale into account twice: both
gradients are with respect to numbers of the same size.)
"""

from __future__ import annotations

from typing import Any

import torch

_ROOM = 2.0**-20
"""The clip range is closed, but for float error."""


class _StraightThrough(torch.autograd.Function):  # type: ignore[misc]  # torch is not typed here
    """`scale * codes`, the codes for a step function of `x / scale`.

    With y = s q, the sum over the clip range of `q - x / s`, and outside of it of q, is `(y - [inside] x) / s`.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, scale: Any, codes: Any, low: Any, high: Any, gain: float) -> Any:
        result = codes * scale
        ctx.save_for_backward(x, scale, result)
        ctx.low, ctx.high, ctx.gain = low, high, gain
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        x, scale, result = ctx.saved_tensors
        inner = _inside(grads[0], x, scale, ctx.low, ctx.high)
        scale_grad = None
        if ctx.needs_input_grad[1]:
            scale_grad = (_summed(grads[0], result, scale) - _summed(inner, x, scale)) / scale * ctx.gain
        return inner, scale_grad, None, None, None, None


def _inside(grad: Any, x: Any, scale: Any, low: Any, high: Any) -> Any:
    """The gradient where `x / scale` is in the clip range, 0 elsewhere."""
    if scale.numel() == 1 and isinstance(low, float) and isinstance(high, float):
        one = float(scale)
        return torch.ops.aten.hardtanh_backward(grad, x, (low - _ROOM) * one, (high + _ROOM) * one)
    ratio = x / scale
    return grad * ((ratio >= low) & (ratio <= high))


def _summed(first: Any, second: Any, scale: Any) -> Any:
    """The sum of products that share a scale."""
    if scale.numel() == 1:
        return inner_product(first, second).reshape(scale.shape)
    return (first * second).sum_to_size(scale.shape)


def inner_product(first: Any, second: Any) -> Any:
    """The sum of products of two tensors, in one pass over them where they lie alike and without gaps."""
    if first.ndim == 4 and all(one.is_contiguous(memory_format=torch.channels_last) for one in (first, second)):
        first, second = first.permute(0, 2, 3, 1), second.permute(0, 2, 3, 1)
    if first.is_contiguous() and second.is_contiguous() and first.shape == second.shape:
        return torch.dot(first.view(-1), second.view(-1))
    return torch.sum(first * second)


class _SquaredDistance(torch.autograd.Function):  # type: ignore[misc]
    @staticmethod
    def forward(ctx: Any, x: Any, wanted: Any) -> Any:
        off = x - wanted
        ctx.save_for_backward(off)
        return inner_product(off, off)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        return ctx.saved_tensors[0] * (2 * grads[0]), None


def squared_distance(x: Any, wanted: Any) -> Any:
    """The sum of `(x - wanted)^2`; its gradient goes to `x` alone."""
    return _SquaredDistance.apply(x, wanted)


def straight_through(x: Any, scale: Any, codes: Any, low: Any, high: Any, gain: float = 1.0) -> Any:
    """`scale * codes` with the gradients above.

    Args:
        x: reals.
        scale: positive; broadcasts against `x`.
        codes: of `x`, less their zero point, as float32.
        low, high: first and last code, less the zero point: the clip range in units of the scale; floats, or one a
            scale.
        gain: factor of the scale's gradient.
    """
    return _StraightThrough.apply(x, scale, codes, low, high, gain)


def nearest(x: Any, scale: Any, low: Any, high: Any) -> Any:
    """clamp(rint(x / scale), low, high), halves to even."""
    return (x / scale).round_().clamp_(low, high)


def ternary(x: Any, threshold: Any) -> Any:
    """+1 where x > threshold, -1 where x < -threshold, else 0."""
    return (x > threshold).to(x.dtype) - (x < -threshold).to(x.dtype)


def binary(x: Any, threshold: Any = 0.0) -> Any:
    """+1 where x >= threshold, else -1."""
    return (x >= threshold).to(x.dtype) * 2 - 1


def among(x: Any, scale: Any, levels: Any) -> Any:
    """The nearest of some codes; of two equally near the lower.

    Args:
        levels: rising along the last axis, [..., L]; the axes before broadcast against `x`.
    """
    ratio, codes = x / scale, levels[..., 0]
    for place in range(1, levels.shape[-1]):
        last, this = levels[..., place - 1], levels[..., place]
        codes = torch.where(ratio > (last + this) / 2, this, codes)
    return codes.expand_as(ratio)
