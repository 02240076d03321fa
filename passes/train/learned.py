"""What is learned: latent weights behind codes, scales, thresholds and biases, each in a unit of its own.

A step of the optimizer moves every number by about its learning rate, so numbers are learned in units in which that is
sensible: weights in the root mean square of their channel, scales and thresholds in themselves, biases in the standard
deviation of what their layer gives. Nothing then depends on how the network's channels are scaled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from qir.ir.types import Affine
from qir.ops.weighted import FEW_CODES
from qir.passes.train.rounding import among, binary, nearest, straight_through, ternary
from qir.quant.channels import along, rows
from qir.quant.scales import decode

_SMALLEST_FACTOR = 0.05
"""Scales keep at least this share of what they were: they have to stay positive."""
_WITHIN = 0.95
"""Of its scale, how far a threshold may be from 0."""
_SPARSE = 0.2
"""Share of zeros from which on they are taken for a pattern that has to stay; of weights with many codes."""
_TOWARDS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the way from a code's real back to the weight; the largest that does not leave the code's cell counts."""


class Rounded(nn.Module):  # type: ignore[misc]  # torch is not typed here
    """Rounding to the codes of a type, of which the scale may be learned; of binary activations the threshold too.

    The threshold of ternary codes keeps its ratio to the scale.

    Args:
        quant: the codes, as they are.
        shape: of what is rounded, as far as the scale runs along it.
        count: how many numbers share a scale.
        learns: whether the scale changes.
        shifts: whether the threshold of binary codes does.
        levels: the only codes of each channel, [C, L] rising, where not all between the first and the last are.
    """

    def __init__(self, quant: Affine, shape: tuple[int, ...], count: int, *, learns: bool, shifts: bool = False,
                 levels: np.ndarray | None = None) -> None:  # fmt: skip
        super().__init__()
        self.quant, self._shape = quant, shape
        self._put("scale", quant.scale)
        self._put("threshold", quant.threshold)
        self.low, self.high = self._bound(quant.qmin - quant.zero_point), self._bound(quant.qmax - quant.zero_point)
        self.register_buffer("levels", None if levels is None else self._levels(levels))
        self.gain = float(1 / np.sqrt(max(count, 1) * max(quant.qmax - int(quant.zero_point.min(initial=0)), 1)))
        self.factor = nn.Parameter(torch.ones_like(self.scale)) if learns else None
        self.shift = nn.Parameter(torch.zeros_like(self.scale)) if shifts and quant.rounding == "binary" else None

    def _put(self, name: str, values: np.ndarray) -> None:
        placed = along(np.asarray(values, np.float32), self.quant.axis, self._shape, self.quant.block_size)
        self.register_buffer(name, torch.from_numpy(np.array(placed)))

    def _levels(self, levels: np.ndarray) -> Any:
        """[..., L], the axes before as those of what is rounded."""
        axis = 0 if self.quant.axis is None else self.quant.axis % len(self._shape)
        form = [len(levels) if place == axis else 1 for place in range(len(self._shape))]
        return torch.from_numpy(levels.astype(np.float32)).reshape(*form, -1)

    def _bound(self, codes: np.ndarray) -> Any:
        """A float where all are the same."""
        if codes.size and (codes == codes.reshape(-1)[0]).all():
            return float(codes.reshape(-1)[0])
        return torch.from_numpy(np.array(along(codes.astype(np.float32), self.quant.axis, self._shape)))

    def scales(self) -> Any:
        return self.scale if self.factor is None else self.scale * self.factor

    def _beside(self, scale: Any) -> Any:
        """The threshold of ternary codes with a scale."""
        return self.threshold if self.factor is None else self.threshold / self.scale * scale

    def thresholds(self) -> Any:
        """Of binary codes."""
        return self.threshold if self.shift is None else self.threshold + self.scale * self.shift

    def codes(self, x: Any) -> Any:
        """Codes less their zero point."""
        scale = self.scales().detach()
        if self.levels is not None:
            return among(x, scale, self.levels)
        if self.quant.rounding == "ternary":
            return ternary(x, self._beside(scale))
        if self.quant.rounding == "binary":
            return binary(x, self.thresholds().detach())
        return nearest(x, scale, self.low, self.high)

    def forward(self, x: Any) -> Any:
        scale, codes = self.scales(), self.codes(x.detach())
        if self.quant.rounding == "binary":
            x = x - self.thresholds()
        return straight_through(x, scale, codes, self.low, self.high, self.gain)

    def settle(self) -> None:
        """Scales stay positive, thresholds within what codes stand for: rounding twice has to be rounding once."""
        if self.factor is not None:
            self.factor.data.clamp_(min=_SMALLEST_FACTOR)
        if self.shift is not None:
            reach = _WITHIN * self.scales().detach() / self.scale
            start = self.threshold / self.scale
            self.shift.data.copy_(torch.minimum(torch.maximum(self.shift.data, -reach - start), reach - start))

    def learned(self) -> Affine:
        """The codes as they are now."""
        scale, threshold = (np.asarray(values.detach().cpu().numpy()) for values in (self.scales(), self.thresholds()))
        if self.quant.rounding == "ternary" and self.factor is not None:
            threshold = self._beside(self.scales()).detach().cpu().numpy()
        if self.factor is None and self.shift is None:
            return self.quant
        form = self.quant.scale.shape
        return replace(self.quant, scale=scale.reshape(form), threshold=threshold.reshape(form))


class Latent(nn.Module):  # type: ignore[misc]
    """A weight: reals, and the codes that the network sees of them.

    After every step the reals are put back into the clip range, so that no weight is where its gradient ends, and zeros
    of a sparse weight are zeros again.

    Args:
        value: the reals to start from.
        axis: of the channels, None for a single one.
        rounded: None for a real weight.
        codes: as they are.
    """

    def __init__(self, value: np.ndarray, axis: int | None, rounded: Rounded | None, codes: np.ndarray | None) -> None:
        super().__init__()
        start = value.astype(np.float32)
        if rounded is not None and codes is not None:
            start = _in_cells(start, codes, rounded)
        power = np.sqrt(np.square(rows(start.astype(np.float64), axis)).mean(axis=1))
        floor = power[power > 0].min(initial=1.0) if (power > 0).any() else 1.0
        unit = along(np.maximum(power, floor).astype(np.float32), axis, value.shape)
        self.rounded = rounded
        self.register_buffer("unit", torch.from_numpy(np.array(unit)))
        self.register_buffer("start", torch.from_numpy(start))
        self.moved = nn.Parameter(torch.zeros_like(self.start))
        sparse = not self.is_few and float((value == 0).mean()) >= _SPARSE
        self.register_buffer("kept", torch.from_numpy((value != 0).astype(np.float32)) if sparse else None)

    @property
    def is_few(self) -> bool:
        """Whether it has so few codes that it only moves from one to the next."""
        return self.rounded is not None and (self.rounded.levels is not None or self.rounded.quant.levels <= FEW_CODES)

    def real(self) -> Any:
        return self.start + self.moved * self.unit

    def forward(self) -> Any:
        return self.real() if self.rounded is None else self.rounded(self.real())

    def learned(self) -> tuple[np.ndarray, Affine | None, np.ndarray | None]:
        """The reals with their codes' type and the codes, where there are some."""
        real = self.real().detach().cpu()
        if self.rounded is None:
            return real.numpy(), None, None
        quant = self.rounded.learned()
        steps = self.rounded.codes(real.to(self.start.device)).cpu().numpy()
        zero = along(quant.zero_point, quant.axis, real.shape, quant.block_size)
        return real.numpy(), quant, (steps + zero).astype(np.int32).astype(quant.storage.numpy)

    def settle(self) -> None:
        if self.kept is not None:
            self.moved.data.mul_(self.kept)
        if self.rounded is not None:
            self.rounded.settle()
            scale = self.rounded.scales().detach()
            low, high = self.rounded.low * scale, self.rounded.high * scale
            kept = torch.minimum(torch.maximum(self.real().detach(), low), high)
            self.moved.data.copy_((kept - self.start) / self.unit)


class Offset(nn.Module):  # type: ignore[misc]
    """A bias, in units of what its layer gives; `unit` is 1 until that is known."""

    def __init__(self, value: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("start", torch.from_numpy(value.astype(np.float32)))
        self.register_buffer("unit", torch.ones_like(self.start))
        self.moved = nn.Parameter(torch.zeros_like(self.start))

    def forward(self) -> Any:
        return self.start + self.moved * self.unit

    def learned(self) -> np.ndarray:
        return np.asarray(self.forward().detach().cpu().numpy())


def _in_cells(value: np.ndarray, codes: np.ndarray, rounded: Rounded) -> np.ndarray:
    """The reals, those that are nearer to another code than to their own moved to where they are not."""
    quant = rounded.quant
    centre = decode(codes, quant)
    zero = along(quant.zero_point, quant.axis, codes.shape, quant.block_size)
    wanted, found = codes.astype(np.float32) - zero, centre.copy()
    low, high = (np.asarray(bound) * rounded.scale.numpy() for bound in (rounded.low, rounded.high))
    clipped = np.clip(value, low, high).astype(np.float32)
    for share in reversed(_TOWARDS):
        tried = (centre + np.float32(share) * (clipped - centre)).astype(np.float32)
        fits = rounded.codes(torch.from_numpy(tried)).numpy() == wanted
        found[fits] = tried[fits]
    return found
