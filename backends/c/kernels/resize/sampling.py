"""Which elements of an axis Resize reads, and what they count: the definitions of ONNX's Resize, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qir.backends.c.binding.site import Site


@dataclass(frozen=True)
class Axis:
    """How one axis is resampled.

    Attributes:
        size, out: elements before and after.
        scale: the factor, which need not be out / size exactly.
        begin, end: the region of interest in [0, 1] (tf_crop_and_resize).
    """

    size: int
    out: int
    scale: float
    begin: float = 0.0
    end: float = 1.0

    @property
    def is_identity(self) -> bool:
        return self.size == self.out and abs(self.scale - 1.0) < 1e-9 and (self.begin, self.end) == (0.0, 1.0)


def text(site: Site, name: str, default: str) -> str:
    """An attribute that is text."""
    value = site.node.attr(name, default)
    return value.decode() if isinstance(value, bytes) else str(value)


def axes(site: Site) -> list[Axis]:
    """Every logical axis of a Resize whose operands are constants."""
    x, y, node = site.input(0), site.output, site.node
    listed = [int(axis) % x.rank for axis in node.attr("axes") or range(x.rank)]
    scales, sizes, roi = site.constant(2), site.constant(3), site.constant(1)
    factors = {axis: y.shape[axis] / x.shape[axis] if x.shape[axis] else 1.0 for axis in listed}
    if scales is not None and scales.size:
        factors = {axis: float(scale) for axis, scale in zip(listed, scales.reshape(-1), strict=True)}
    elif sizes is not None and text(site, "keep_aspect_ratio_policy", "stretch") != "stretch":
        wanted = [float(size) / x.shape[axis] for axis, size in zip(listed, sizes.reshape(-1), strict=True)]
        smaller = text(site, "keep_aspect_ratio_policy", "stretch") == "not_larger"
        factors = dict.fromkeys(listed, min(wanted) if smaller else max(wanted))
    regions = {axis: (0.0, 1.0) for axis in range(x.rank)}
    if roi is not None and roi.size and text(site, "coordinate_transformation_mode", "") == "tf_crop_and_resize":
        flat = roi.reshape(-1).tolist()
        regions.update({axis: (flat[i], flat[i + len(listed)]) for i, axis in enumerate(listed)})
    return [Axis(x.shape[a], y.shape[a], factors.get(a, 1.0), *regions[a]) for a in range(x.rank)]


def coordinates(axis: Axis, mode: str) -> np.ndarray:
    """Where each output lies on the input's axis, [out]."""
    i = np.arange(axis.out, dtype=np.float64)
    width = axis.scale * axis.size
    if mode == "align_corners":
        return i * 0 if width == 1 else i * (axis.size - 1) / (width - 1)
    if mode == "asymmetric":
        return i / axis.scale
    if mode == "tf_crop_and_resize":
        span = (axis.end - axis.begin) * (axis.size - 1)
        return axis.begin * (axis.size - 1) + (i * 0 + span / 2 if width == 1 else i * span / (width - 1))
    if mode == "pytorch_half_pixel" and width == 1:
        return i * 0 - 0.5
    shift = axis.size / 2 * (1 - axis.out / width) if mode == "half_pixel_symmetric" else 0.0
    return shift + (i + 0.5) / axis.scale - 0.5


def _linear(t: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(1 - np.abs(t), 0))


def _cubic(coefficient: float) -> Callable[[np.ndarray], np.ndarray]:
    """Keys' kernel: 1 - (a + 3) t^2 + (a + 2) t^3 up to |t| = 1, a (t^3 - 5 t^2 + 8 t - 4) up to 2."""
    a = coefficient

    def weight(t: np.ndarray) -> np.ndarray:
        t = np.abs(t)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        return np.where(t <= 1, near, np.where(t < 2, a * (((t - 5) * t + 8) * t - 4), 0))

    return weight


def _rounded(x: np.ndarray, mode: str) -> np.ndarray:
    if mode == "round_prefer_floor":
        return np.asarray(np.ceil(x - 0.5))
    if mode == "round_prefer_ceil":
        return np.asarray(np.floor(x + 0.5))
    return np.asarray(np.floor(x) if mode == "floor" else np.ceil(x))


def taps(site: Site, axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """Indices [out, taps], -1 in the first where an output lies outside, and weights of the same shape."""
    method, coordinate = text(site, "mode", "nearest"), text(site, "coordinate_transformation_mode", "half_pixel")
    if axis.is_identity:
        return np.arange(axis.out)[:, None], np.ones((axis.out, 1))
    x = coordinates(axis, coordinate)
    if method == "nearest":
        index = _rounded(x, text(site, "nearest_mode", "round_prefer_floor"))[:, None]
        weights = np.ones_like(index)
    else:
        index, weights = _filtered(site, axis, x, method)
    index = np.clip(index, 0, axis.size - 1).astype(np.int64)
    if coordinate == "tf_crop_and_resize":
        index[(x < 0) | (x > axis.size - 1), 0] = -1
    return index, weights


def _filtered(site: Site, axis: Axis, x: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    radius, weight = (1, _linear) if method == "linear" else (2, _cubic(float(site.node.attr("cubic_coeff_a", -0.75))))
    shrink = min(axis.scale, 1.0) if site.node.attr("antialias", 0) else 1.0
    reach = int(np.ceil(radius / shrink))
    index = np.floor(x)[:, None] + np.arange(1 - reach, reach + 1)
    weights = weight((index - x[:, None]) * shrink)
    if site.node.attr("exclude_outside", 0):
        weights = np.where((index < 0) | (index >= axis.size), 0, weights)
    if site.node.attr("exclude_outside", 0) or shrink != 1.0:
        total = weights.sum(axis=1, keepdims=True)
        weights = weights / np.where(total == 0, 1, total)
    return index, weights
