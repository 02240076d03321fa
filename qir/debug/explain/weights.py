"""Causes that sit in a layer's weight or bias."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from qir.debug.explain.probe import Heavy, Probe
from qir.debug.explain.repairs import Change, both, with_constant, with_weight
from qir.debug.explain.table import Diagnosis, Part, Repair, override, register_cause
from qir.ir.dtype import INT32
from qir.ir.types import Affine
from qir.quant.scales import decode, encode

_OFF = 0.04
"""Relative error of a channel's gain that rounding to 8 bits does not reach."""


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer's weight beside the float model's, channel by channel.

    Attributes:
        mine, real: [channels, K].
        codes: int64 [channels, K]; None where the weight has no codes.
        quant: how they are mapped to reals.
        gain: least-squares factor of each channel, `<mine, real> / <real, real>`; 1 for channels of zeros.
        residual: energy of each channel's error that is left once the gain is divided out, relative to its own.
    """

    mine: np.ndarray
    real: np.ndarray
    codes: np.ndarray | None
    quant: Affine | None
    gain: np.ndarray
    residual: np.ndarray


@lru_cache(maxsize=8)
def weights(probe: Probe) -> Weights | None:
    """The weights of a layer whose counterpart has the same form."""
    mine, real = probe.mine, probe.real
    if mine is None or real is None:
        return None
    axis = mine.slots.channel_axis % mine.weight.ndim
    rows = [_rows(value, axis).astype(np.float64) for value in (mine.weight, real.weight)]
    name = mine.node.inputs[mine.slots.weight]
    constant, quant = probe.graph.constants[name], probe.graph.tensor(name).quant
    codes = None if constant.codes is None else _rows(constant.codes, axis).astype(np.int64)
    energy = (rows[1] ** 2).sum(axis=1)
    used = energy > 0
    gain = np.where(used, (rows[0] * rows[1]).sum(axis=1) / np.where(used, energy, 1), 1.0)
    left = ((rows[0] - gain[:, None] * rows[1]) ** 2).sum(axis=1)
    own = (rows[0] ** 2).sum(axis=1)
    return Weights(rows[0], rows[1], codes, quant, gain, left / np.where(own > 0, own, 1))


def _rows(value: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)


@register_cause("dead-channels", Part.WEIGHT, "channels whose weights all became zero")
def dead_channels(probe: Probe) -> Diagnosis | None:
    found = weights(probe)
    if found is None:
        return None
    dead = np.flatnonzero((found.mine == 0).all(axis=1) & (found.real != 0).any(axis=1))
    if not dead.size:
        return None
    return Diagnosis(
        f"{_channels(dead, found)} all zero; in the float model their largest weight is "
        f"{np.abs(found.real[dead]).max():.4g}", _reround(probe),
    )  # fmt: skip


@register_cause("wrong-axis", Part.WEIGHT, "the weight's scales belong to another axis or to other channels")
def wrong_axis(probe: Probe) -> Diagnosis | None:
    found = weights(probe)
    if found is None or found.codes is None or found.quant is None or found.quant.axis is None or probe.mine is None:
        return None
    weight = probe.graph.constants[probe.mine.node.inputs[probe.mine.slots.weight]].codes
    assert weight is not None
    axis, channels = found.quant.axis % weight.ndim, probe.mine.slots.channel_axis % weight.ndim
    codes, real = weight.astype(np.float64), probe.real.weight.astype(np.float64) if probe.real else None
    if real is None or real.shape != codes.shape:
        return None
    if axis != channels:
        better = _explained(codes, real, channels)
        worse = 1 - _error(probe.mine.weight, real)
        if better < 0.99 or worse > 0.98:
            return None
        return Diagnosis(
            f"its scales run along axis {axis}, its channels along axis {channels}; along that axis the codes are the "
            f"float weights to {better:.2%}", _reround(probe),
        )  # fmt: skip
    flat, wanted = _rows(codes, axis), _rows(real, axis)
    fitted = (flat * wanted).sum(axis=1) / np.maximum((flat * flat).sum(axis=1), 1)
    stored = np.asarray(found.quant.scale, np.float64).reshape(-1)
    off = np.abs(stored / np.where(fitted > 0, fitted, np.inf) - 1) > _OFF
    same = np.allclose(np.sort(stored), np.sort(fitted), rtol=_OFF)
    if off.sum() < 2 or not same or _explained(codes, real, axis) < 0.99:
        return None
    return Diagnosis(f"the scales of {int(off.sum())} channels belong to other channels", _reround(probe))


@register_cause("weight-channel-scale", Part.WEIGHT, "a channel's weights are too large or too small by a factor")
def weight_channel_scale(probe: Probe) -> Diagnosis | None:
    found = weights(probe)
    if found is None:
        return None
    off = (np.abs(found.gain - 1) > _OFF) & (found.residual < 0.02) & (found.gain != 0)
    energy = ((found.mine - found.real) ** 2).sum(axis=1)
    if not off.any() or energy[off].sum() < 0.5 * energy.sum():
        return None
    which = np.flatnonzero(off)
    factors = found.gain[which]
    text = f"{factors.min():.3g}"
    text += "" if np.ptp(factors) < 0.02 * abs(factors.mean()) else f" to {factors.max():.3g}"
    return Diagnosis(f"the weights of {_channels(which, found)} {text} times the float model's", _reround(probe))


@register_cause("rounded-twice", Part.WEIGHT, "the weight was rounded to a coarser grid before")
def rounded_twice(probe: Probe) -> Diagnosis | None:
    found = weights(probe)
    if found is None or found.codes is None or found.quant is None:
        return None
    scale = np.asarray(found.quant.scale, np.float64).reshape(-1)
    if scale.size not in (1, len(found.codes)):
        return None
    steps = np.sqrt(((found.mine - found.real) ** 2).mean(axis=1)) / (scale / np.sqrt(12))
    grids = [_grid(row) for row in found.codes]
    coarse = np.array([grid > 0 for grid in grids]) & (steps > 1.5)
    if coarse.mean() < 0.5:
        return None
    period = float(np.median([grid for grid in grids if grid]))
    return Diagnosis(
        f"the codes of {coarse.mean():.0%} of its channels are multiples of about {period:.1f}, and the error is "
        f"{np.median(steps):.1f} times that of one rounding", _reround(probe),
    )  # fmt: skip


def _grid(codes: np.ndarray) -> float:
    """The distance of a coarser grid on which all codes lie but for one rounding; 0 where there is none.

    Grids are those that the largest code is a multiple of; chance puts K codes on one of distance p with p^-K.
    """
    largest = int(np.abs(codes).max(initial=0))
    for count in range(1, largest // 3 + 1) if largest >= 32 and np.unique(np.abs(codes)).size > 2 else ():
        distance = largest / count
        if (np.abs(codes - distance * np.rint(codes / distance)) <= 0.51).all():
            return distance
    return 0.0


@register_cause("per-tensor-weight", Part.WEIGHT, "one channel's weights spoil the scale of all others")
def per_tensor_weight(probe: Probe) -> Diagnosis | None:
    found = weights(probe)
    if found is None or found.quant is None or found.quant.scale.size != 1 or len(found.real) < 2:
        return None
    if probe.best_weight is None or probe.best_weight.axis is None:
        return None
    far = np.abs(found.mine - found.real) / float(found.quant.scale.reshape(-1)[0])
    if np.percentile(far, 99) > 2.5:
        return None  # errors of many steps are no rounding
    largest = np.abs(found.real).max(axis=1)
    worst = int(largest.argmax())
    return Diagnosis(
        f"one scale serves all {len(largest)} channels: channel {worst} reaches {largest[worst]:.4g}, half of them "
        f"stay below {np.median(largest):.4g}", _reround(probe, per_channel=True),
    )  # fmt: skip


@register_cause("weight-rounding", Part.WEIGHT, "the weight has too few levels")
def weight_rounding(probe: Probe) -> Diagnosis | None:
    found = weights(probe)
    if found is None or found.quant is None:
        return None
    step = np.asarray(found.quant.scale, np.float64).reshape(-1)
    if step.size not in (1, len(found.real)):
        return None
    far = np.abs(found.mine - found.real) / np.broadcast_to(step, len(found.real))[:, None]
    levels = (np.abs(found.real).max(axis=1) / step).max()
    if np.percentile(far, 99) > 2.5:
        return None  # errors of many steps are no rounding
    return Diagnosis(
        f"the largest weight is {levels:.0f} steps from zero (8 bits give 127), and rounding makes "
        f"{probe.weight_noise / max(probe.least_weight_noise, 1e-30):.0f} times the noise that 8 bits need",
        _reround(probe),
    )  # fmt: skip


@register_cause("weight-mismatch", Part.WEIGHT, "the weight is not the float model's")
def weight_mismatch(probe: Probe) -> Diagnosis | None:
    found = weights(probe)
    if found is None:
        return None
    energy = ((found.mine - found.real) ** 2).sum(axis=1)
    which = np.flatnonzero(energy > 0.02 * energy.sum())
    moved = _moved(found)
    return Diagnosis(
        f"the weights of {_channels(which, found)} not the float model's: relative error "
        f"{np.sqrt(energy[which].sum() / max((found.real[which] ** 2).sum(), 1e-30)):.2g}" + moved, _reround(probe),
    )  # fmt: skip


@register_cause("bias-overflow", Part.BIAS, "the bias does not fit 32 bits in units of its scale")
def bias_overflow(probe: Probe) -> Diagnosis | None:
    mine, real = probe.mine, probe.real
    codes, quant = _bias_codes(probe)
    if mine is None or real is None or codes is None or quant is None:
        return None
    full = np.abs(codes.astype(np.int64)) >= 2**31 - 1 - 256
    if not full.any():
        return None
    which = np.flatnonzero(full)
    return Diagnosis(
        f"{_list(which)} of {codes.size}: the code is at the end of int32, it stands for {mine.bias[which[0]]:.4g} "
        f"instead of {real.bias[which[0]]:.4g}", _rebias(probe),
    )  # fmt: skip


@register_cause("bias-scale", Part.BIAS, "the bias is stored in another scale than it is read in")
def bias_scale(probe: Probe) -> Diagnosis | None:
    mine, real = probe.mine, probe.real
    if mine is None or real is None or not (real.bias != 0).any() or not (mine.bias != 0).any():
        return None
    used = np.abs(real.bias) > 0.02 * np.abs(real.bias).max()
    ratio = (mine.bias[used] / real.bias[used]).astype(np.float64)
    factor = float(np.median(ratio))
    if abs(factor - 1) < _OFF or (np.abs(ratio / factor - 1) > 0.05).mean() > 0.2:
        return None
    return Diagnosis(f"every bias is {factor:.4g} times the float model's", _rebias(probe))


@register_cause("bias-mismatch", Part.BIAS, "the bias is not the float model's")
def bias_mismatch(probe: Probe) -> Diagnosis | None:
    mine, real = probe.mine, probe.real
    if mine is None or real is None:
        return None
    far = np.abs(mine.bias - real.bias)
    which = np.flatnonzero(far > 0.1 * far.max())
    zero = " (all zero)" if not mine.bias.any() else ""
    return Diagnosis(
        f"the biases of channel {_list(which)} are not the float model's{zero}: channel {int(far.argmax())} has "
        f"{mine.bias[far.argmax()]:.4g} instead of {real.bias[far.argmax()]:.4g}", _rebias(probe),
    )  # fmt: skip


def _reround(probe: Probe, **changes: object) -> Repair:
    """The float model's weight, rounded anew, channel by channel, within the pairs that int8 kernels can add."""
    assert probe.mine is not None
    assert probe.real is not None
    assert probe.best_weight is not None
    change: Change = with_weight(probe.mine, probe.real.weight, probe.best_weight)
    if changes:
        return Repair("Give each channel a scale of its own", change, override(probe.mine.node.name, **changes))
    return Repair("Round the float model's weight again, one scale a channel", change)


def _rebias(probe: Probe) -> Repair:
    mine, real = probe.mine, probe.real
    assert mine is not None
    assert real is not None
    what = "Round the float model's bias again in units of the operand's scale times the weight's"
    name = mine.node.input(mine.slots.bias)
    if not name:
        return Repair("Give the layer its bias back")
    shape = probe.graph.constants[name].value.shape
    value = np.broadcast_to(real.bias, shape) if np.prod(shape) == real.bias.size else real.bias
    value = np.asarray(value).reshape(shape) if value.size == np.prod(shape) else value
    return Repair(what, both(with_constant(name, value, _bias_quant(probe, mine, value))))


def _bias_quant(probe: Probe, mine: Heavy, value: np.ndarray) -> Affine | None:
    """Codes in units of the accumulator, where they fit; otherwise the bias stays real."""
    data = probe.graph.tensor(mine.node.inputs[0]).quant
    weight = probe.graph.tensor(mine.node.inputs[mine.slots.weight]).quant
    if data is None or weight is None or data.axis is not None:
        return None
    scale = np.asarray(data.scale * weight.scale, np.float32).reshape(-1)
    if scale.size not in (1, value.size) or (np.abs(value).reshape(-1) / scale > 2**31 - 1).any():
        return None
    axis = None if scale.size == 1 else value.ndim - 1
    shaped = scale.reshape(()) if axis is None else scale
    quant = Affine(INT32, shaped, np.zeros_like(shaped, np.int32), axis)
    return quant if np.isfinite(decode(encode(value, quant), quant)).all() else None


def _bias_codes(probe: Probe) -> tuple[np.ndarray | None, Affine | None]:
    mine = probe.mine
    if mine is None or mine.slots.bias < 0 or not mine.node.input(mine.slots.bias):
        return None, None
    name = mine.node.input(mine.slots.bias)
    codes = probe.graph.constants[name].codes
    return None if codes is None else codes.reshape(-1), probe.graph.tensor(name).quant


def _explained(codes: np.ndarray, real: np.ndarray, axis: int) -> float:
    """Share of the float weight's energy that the codes hold with the best scale for each slice along an axis."""
    c, w = _rows(codes, axis), _rows(real, axis)
    best = (c * w).sum(axis=1) / np.maximum((c * c).sum(axis=1), 1)
    return 1 - _error(best[:, None] * c, w)


def _error(mine: np.ndarray, real: np.ndarray) -> float:
    return float(((mine - real) ** 2).sum() / max((np.asarray(real, np.float64) ** 2).sum(), 1e-30))


def _moved(found: Weights) -> str:
    """Whether the channels are all there in another order."""
    norms = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (found.mine, found.real)]
    alike = (found.mine / np.maximum(norms[0], 1e-30)) @ (found.real / np.maximum(norms[1], 1e-30)).T
    best = alike.argmax(axis=1)
    wrong = np.flatnonzero((best != np.arange(len(best))) & (alike.max(axis=1) > 0.99))
    if not wrong.size:
        return ""
    return f"; channel {int(wrong[0])} holds the weights of channel {int(best[wrong[0]])}"


def _channels(which: np.ndarray, found: Weights) -> str:
    if which.size == len(found.real):
        return "all channels are"
    return f"channel {_list(which)} {'is' if which.size == 1 else 'are'}"


def _list(which: np.ndarray) -> str:
    shown = ", ".join(str(int(i)) for i in which[:4])
    return shown + (f" and {which.size - 4} more" if which.size > 4 else "")
