"""Causes that sit in the codes of a layer's result: range, zero point, sharing."""

from __future__ import annotations

import numpy as np

from qir.debug.explain.probe import Probe
from qir.debug.explain.repairs import MOVERS, with_codes
from qir.debug.explain.table import Diagnosis, Part, Repair, override, register_cause
from qir.ir.graph import Node
from qir.ir.types import Affine, TensorType
from qir.quant.scales import decode, encode
from qir.statistics import value_range

_STUCK = 0.9
_SHARING = frozenset(("Concat", "Add", "Sub", "Where", "Max", "Min", "Sum"))


@register_cause("zero-not-representable", Part.CODES, "no code of the result stands for zero")
def zero_not_representable(probe: Probe) -> Diagnosis | None:
    if probe.quant is None or probe.quant.axis is not None:
        return None
    zero = float(np.abs(probe.rounded(np.zeros(1, np.float32))).max())
    low, high = float(probe.expected.min(initial=0)), float(probe.expected.max(initial=0))
    if zero == 0 or not (probe.expected == 0).any() or not low <= 0 <= high:
        return None
    evidence = f"zero becomes {zero:.4g}, and {_share(probe.expected == 0)} of the values are zero"
    return Diagnosis(evidence, _refit(probe))


@register_cause("stuck-at-bound", Part.CODES, "nearly all results are one of the two outermost codes")
def stuck_at_bound(probe: Probe) -> Diagnosis | None:
    if probe.quant is None or probe.best_quant is None:
        return None
    low, high = _at_bounds(probe.expected, probe.quant)
    usual = sum(_at_bounds(probe.expected, probe.best_quant))
    if low + high < _STUCK or 1 - low - high > 0.3 * (1 - usual):
        return None
    return Diagnosis(
        f"{low:.1%} of the results have the smallest code and {high:.1%} the largest; with a range of "
        f"{_text(probe.best_quant)} it were {usual:.1%} together", _refit(probe),
    )  # fmt: skip


@register_cause("shared-scale", Part.CODES, "branches of unlike ranges share one scale")
def shared_scale(probe: Probe) -> Diagnosis | None:
    sharer = _sharer(probe)
    if sharer is None:
        return None
    node, other = sharer
    low, high = probe.range
    return Diagnosis(
        f"it shares the range {low:.4g} to {high:.4g} with %{other} at {node.op} {node.name}, but its own values run "
        f"from {float(probe.expected.min()):.4g} to {float(probe.expected.max()):.4g}", _refit(probe),
    )  # fmt: skip


@register_cause("zero-point-wrong", Part.CODES, "the range has the right width in the wrong place")
def zero_point_wrong(probe: Probe) -> Diagnosis | None:
    best = probe.best_quant
    if probe.quant is None or best is None:
        return None
    width, wanted = float(probe.quant.scale), float(best.scale)
    if not 0.5 < width / wanted < 2.0 or int(probe.quant.zero_point) == int(best.zero_point):
        return None
    low, high = probe.range
    below, above = float(probe.expected.min(initial=0)), float(probe.expected.max(initial=0))
    slack = 0.05 * (high - low)
    one_sided = (below < low and above < high - slack) or (above > high and below > low + slack)
    moved = Affine(probe.quant.storage, probe.quant.scale, best.zero_point)
    if not one_sided or probe.noise(probe.rounded(probe.expected, moved)) > 0.25 * probe.rounding_noise:
        return None
    return Diagnosis(
        f"zero point {int(probe.quant.zero_point)} puts the range at {low:.4g} to {high:.4g}, the values run from "
        f"{below:.4g} to {above:.4g}: {int(best.zero_point)} fits them", _refit(probe),
    )  # fmt: skip


@register_cause("range-clipped", Part.CODES, "values lie outside of the calibrated range")
def range_clipped(probe: Probe) -> Diagnosis | None:
    if probe.quant is None or probe.clipping_noise < 0.5 * probe.rounding_noise:
        return None
    low, high = probe.range
    outside = (probe.expected < low) | (probe.expected > high)
    return Diagnosis(
        f"{_share(outside)} of the values lie outside of {low:.4g} to {high:.4g} (they reach from "
        f"{float(probe.expected.min()):.4g} to {float(probe.expected.max()):.4g}), which makes "
        f"{probe.clipping_noise / max(probe.rounding_noise, 1e-30):.0%} of the rounding error", _refit(probe),
    )  # fmt: skip


@register_cause("range-too-wide", Part.CODES, "the range is much wider than nearly all values, blown up by outliers")
def range_too_wide(probe: Probe) -> Diagnosis | None:
    if probe.quant is None or probe.best_quant is None:
        return None
    ratio = float(probe.quant.scale) / float(probe.best_quant.scale)
    if ratio < 1.2:
        return None
    low, high = probe.range
    outliers = value_range(probe.histogram, "percentile", p=99.9)
    return Diagnosis(
        f"the codes reach from {low:.4g} to {high:.4g}, {ratio:.1f} times as wide as {_text(probe.best_quant)}, which "
        f"loses least; 99.9 % of the values lie between {outliers[0]:.4g} and {outliers[1]:.4g}", _refit(probe),
    )  # fmt: skip


@register_cause("scale-wrong", Part.CODES, "the codes do not fit the values")
def scale_wrong(probe: Probe) -> Diagnosis | None:
    if probe.quant is None or probe.best_quant is None:
        return None
    return Diagnosis(f"codes {probe.quant} do not fit values that need {_text(probe.best_quant)}", _refit(probe))


def _refit(probe: Probe) -> Repair:
    """The range of least squared error on the samples."""
    best = probe.best_quant
    if best is None:
        return Repair("Keep this layer in float", override=_float(probe))
    low, high = (float(end) for end in decode(np.array([best.qmin, best.qmax]), best))
    if probe.node is None:
        return Repair(f"Calibrate %{probe.layer} to {low:.6g} to {high:.6g}", with_codes({probe.layer: best}))
    return Repair(
        f"Set the range to {low:.6g} to {high:.6g}", with_codes({probe.layer: best}),
        override(probe.node.name, range=(low, high)),
    )  # fmt: skip


def _float(probe: Probe) -> str:
    return "" if probe.node is None else override(probe.node.name, float=True)


def _at_bounds(value: np.ndarray, quant: Affine) -> tuple[float, float]:
    """The shares of values with the smallest and with the largest code."""
    codes = encode(value, quant)
    return float((codes == quant.qmin).mean()), float((codes == quant.qmax).mean())


def _sharer(probe: Probe) -> tuple[Node, str] | None:
    """A node that joins this value with one that has the same codes and fills them better."""
    graph = probe.graph
    queue, seen = [probe.layer], {probe.layer}
    while queue:
        name = queue.pop()
        for node in graph.index.consumers(name):
            if node.op in MOVERS:
                fresh = [output for output in node.outputs if output and output not in seen]
                queue += fresh
                seen.update(fresh)
            elif node.op in _SHARING:
                for other in node.inputs:
                    kind = graph.types.get(other)
                    if other not in seen and isinstance(kind, TensorType) and kind.quant == probe.quant:
                        return node, other
    return None


def _text(quant: Affine) -> str:
    low, high = decode(np.array([quant.qmin, quant.qmax]), quant)
    return f"{float(low):.4g} to {float(high):.4g}"


def _share(mask: np.ndarray) -> str:
    share = float(mask.mean())
    return f"{share:.1%}" if share >= 0.001 else f"{int(mask.sum())} of {mask.size:,}"
