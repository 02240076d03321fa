"""Integer convolutions and transposed convolutions equal their references bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from graphs import Case, both_modes, case, check_cases
from hypothesis import given, settings
from hypothesis import strategies as st

FILLS = ("random", "extreme", "ties")
BITS = st.sampled_from([8, 8, 5, 4, 3, 2, 1, 16])


def weighted(
    op: str, seed: int, x: tuple[int, ...], w: tuple[int, ...], channels: int, zero: int, fill: str, real: bool,
    fold: bool, bits: int = 8, wide: bool = False, **attrs: Any,
) -> Case:  # fmt: skip
    """A case of an operator with weights.

    Args:
        fill: random codes; only the ends of the ranges; or products that land on ties.
        real: without requantization.
        fold: the bias holds the zero-point term, as IntConv's does.
        bits: of the weights; fewer than 8 may be stored packed, every other time they are.
        wide: activations have 16 bits and zero point 0, results with codes have 16 bits every other time.
    """
    rng = np.random.default_rng(seed)
    half = 1 << (bits - 1)
    low, high, kind = (-(1 << 15), 1 << 15, np.int16) if wide else (0, 256, np.uint8)
    stored = np.int16 if bits > 8 else np.int8
    zero = 0 if wide else zero
    if fill == "extreme":
        codes, weights = rng.choice([low, high - 1], x).astype(kind), rng.choice([-half, half - 1], w).astype(stored)
    else:
        codes, weights = rng.integers(low, high, x).astype(kind), rng.integers(-half, half, w).astype(stored)
    if bits == 1:
        weights = (2 * weights + 1).astype(stored)
    bias = rng.integers(-4000, 4000, channels)
    if fold:
        bias = bias - zero * weights.reshape(channels, -1).astype(np.int64).sum(axis=1)
    ties = np.float32(1 / 2 ** rng.integers(1, 8))
    multiplier = np.full(channels, ties) if fill == "ties" else rng.uniform(1e-5, 1e-1, channels)
    settings_: dict[str, Any] = {"x_zero_point": zero, **({"weight_bits": bits, "small": seed % 2} if bits < 8 else {})}
    if not real:
        settings_ |= requantization(rng, wide and seed % 2 == 0)
    multiplier = multiplier / (128 if wide else 1) / (256 if bits > 8 else 1)
    arrays = (codes, weights, bias.astype(np.int64 if wide and bits > 8 else np.int32), multiplier.astype(np.float32))
    return case(op, arrays, **settings_, **attrs)


def requantization(rng: np.random.Generator, wide: bool) -> dict[str, Any]:
    """Attributes of a result with codes, every third time with all of them."""
    least, most = (-(1 << 15), 1 << 15) if wide else (0, 256)
    low = int(rng.integers(least, least + (most - least) // 2))
    found = {"y_zero_point": int(rng.integers(least, most)), "qmin": low, "qmax": int(rng.integers(low, most))}
    if found["y_zero_point"] % 3 == 0:
        found |= {"qmin": least, "qmax": most - 1}
    return {**found, "to": "int16"} if wide else found


@st.composite
def convs(draw: st.DrawFn, transposed: bool = False) -> Case:
    """Any IntConv or IntConvTranspose that the kernels claim to take."""

    def each(low: int, high: int, count: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(count))

    axes = draw(st.integers(1, 3))
    group, c, m = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 18))
    if draw(st.booleans()):
        group, c, m = draw(st.integers(1, 37)), 1, draw(st.integers(1, 2))
    kernel, strides, dilations = each(1, 3, axes), each(1, 3, axes), each(1, 2, axes)
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = tuple(draw(st.integers(0, e - 1)) for e in (*extent, *extent))
    attrs: dict[str, Any] = {"strides": strides, "dilations": dilations, "group": group}
    if transposed:
        sizes = each(1, 4, axes)
        lost = [a + b for a, b in zip(pads[:axes], pads[axes:], strict=True)]
        full = [(n - 1) * s + e for n, s, e in zip(sizes, strides, extent, strict=True)]
        pads = pads if all(f > p for f, p in zip(full, lost, strict=True)) else (0,) * (2 * axes)
        attrs["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in strides)
    else:
        sizes = tuple(e + draw(st.integers(0, 4)) for e in extent)
    attrs["pads"] = pads
    w = (group * c, m, *kernel) if transposed else (group * m, c, *kernel)
    return weighted(
        "qir.IntConvTranspose" if transposed else "qir.IntConv", draw(st.integers(0, 2**31)),
        (draw(st.integers(1, 2)), group * c, *sizes), w, group * m, draw(st.sampled_from([0, 1, 128, 255])),
        draw(st.sampled_from(FILLS)), draw(st.booleans()), not transposed, draw(BITS), draw(st.booleans()), **attrs,
    )  # fmt: skip


@settings(max_examples=4)
@given(st.lists(convs(), min_size=20, max_size=20))
def test_any_convolution(cases: list[Case]) -> None:
    check_cases(both_modes(cases))


@settings(max_examples=3)
@given(st.lists(convs(transposed=True), min_size=20, max_size=20))
def test_any_transposed_convolution(cases: list[Case]) -> None:
    check_cases(both_modes(cases))


def test_depthwise_has_its_own_kernel() -> None:
    one = weighted("qir.IntConv", 0, (1, 20, 5, 5), (20, 1, 3, 3), 20, 3, "random", False, True, group=20)
    module = check_cases([one])
    assert "depthwise_u8__portable" in module.explain()


def test_automatic_padding() -> None:
    shapes = ((1, 2, 7, 6), (4, 2, 3, 2), 4, 9)
    modes = enumerate(("SAME_UPPER", "SAME_LOWER", "VALID"))
    check_cases([
        weighted("qir.IntConv", i, *shapes, "random", False, True, auto_pad=mode, strides=(2, 2)) for i, mode in modes
    ])  # fmt: skip
