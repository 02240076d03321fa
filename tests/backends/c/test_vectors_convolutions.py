"""Convolutions on vectors that have kernels of their own: depthwise, transposed, three by three by Winograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import here_or_emulated, prefer
from graphs import Case, case, check_cases, joined
from test_conv_u8 import weighted
from test_vectors import shaped

from qir.backends.c import compile_c
from qir.backends.c.kernels import Variant
from qir.backends.c.kernels.conv_u8.winograd import TILES, Tile, transformed
from qir.backends.c.targets import C_TARGETS


def depthwise_cases() -> list[Case]:
    """Windows of every kind over channels around the widths of vectors, rows and columns around those of tiles."""
    shapes: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
        ((4, 5), (3, 3), {"pads": (1, 1, 1, 1)}), ((5, 7), (5, 5), {"pads": (2, 2, 2, 2)}),
        ((7, 8), (3, 3), {"stride": 2, "pads": (0, 0, 1, 1)}), ((6, 1), (3, 1), {"pads": (1, 0, 1, 0)}),
        ((1, 9), (1, 3), {"pads": (0, 1, 0, 1)}), ((9, 10), (3, 3), {"dilation": 2, "pads": (2, 2, 2, 2)}),
        ((11, 6), (9, 1), {"pads": (4, 0, 4, 0)}), ((8, 9), (4, 2), {"stride": 3, "pads": (3, 0, 1, 1)}),
        ((2, 3), (3, 3), {"pads": (2, 2, 2, 2)}), ((3, 70), (3, 3), {"pads": (0, 1, 0, 0)}), ((40,), (7,), {}),
        ((3, 4, 5), (2, 3, 2), {"pads": (1, 0, 1, 0, 1, 1)}), ((2, 3), (1, 1), {}), ((7, 7), (7, 7), {}),
    ]  # fmt: skip
    found = [
        shaped(n, c, size, c, kernel, c, fill=("extreme", "random", "ties")[n % 3], zero=(0, 9, 255)[n % 3], **how)
        for n, (size, kernel, how) in enumerate(shapes)
        for c in ((3, 65), (24, 72), (16, 130))[n % 3]
    ]
    batch = weighted("qir.IntConv", 5, (3, 33, 5, 4), (33, 1, 3, 3), 33, 4, "extreme", False, True, group=33,
                     pads=(1, 1, 1, 1))  # fmt: skip
    return [*found, batch]


def transposed_cases() -> list[Case]:
    """Residues without taps, dilations with and without a common divisor with the stride, pads, one to three axes."""
    shapes: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
        ((4, 5), (2, 2), {"strides": (2, 2)}), ((5, 3), (3, 3), {"strides": (2, 2), "pads": (1, 1, 1, 1)}),
        ((4, 4), (4, 4), {"strides": (2, 2), "pads": (1, 1, 1, 1)}), ((3, 6), (2, 3), {"strides": (3, 1)}),
        ((5, 4), (3, 2), {"dilations": (2, 3), "strides": (2, 2), "pads": (2, 0, 1, 1)}),
        ((9,), (5,), {"strides": (4,)}), ((1, 1), (5, 5), {"strides": (2, 2)}),
        ((2, 3, 4), (2, 3, 2), {"strides": (2, 1, 2), "pads": (1, 0, 0, 1, 1, 0)}),
        ((3, 3), (3, 3), {"strides": (2, 2), "pads": (1, 1, 1, 1), "output_padding": (1, 1)}),
    ]  # fmt: skip
    found = []
    for n, (size, kernel, how) in enumerate(shapes):
        for c, m, group in (((16, 17, 1), (8, 5, 2)), ((3, 16, 1), (32, 33, 1)))[n % 2]:
            attrs = {"strides": (1,) * len(size), "pads": (0,) * 2 * len(size), "group": group, **how}
            found.append(weighted(
                "qir.IntConvTranspose", n, (1 + n % 2, group * c, *size), (group * c, m, *kernel), group * m,
                (0, 9, 255)[n % 3], ("extreme", "random", "ties")[n % 3], n % 4 == 3, False, **attrs,
            ))  # fmt: skip
    return found


def test_transposed_convolutions(vector_target: str) -> None:
    module = check_cases(transposed_cases(), target=vector_target)
    isa = C_TARGETS[vector_target].isas[0]
    assert f"qir_conv_u8s8_u8__{isa}" in module.explain()


def test_depthwise_windows(vector_target: str) -> None:
    module = check_cases(depthwise_cases(), target=vector_target)
    isa = C_TARGETS[vector_target].isas[0]
    if isa.startswith("avx"):
        assert not [line for line in module.explain().splitlines() if "depthwise" in line and "portable" in line]
    if isa == "avx2":
        assert all(f"depthwise_3x3_by{step}_u8__avx2" in module.explain() for step in (1, 2))


@pytest.mark.parametrize(("bias", "multiplier", "fits"), [((1 << 25) + 1, 1e-6, True), (0, 1e5, False)])
def test_depthwise_sums_that_leave_a_float_or_an_integer(
    vector_target: str, bias: int, multiplier: float, fits: bool
) -> None:
    """Beyond 2^24 sums are rounded to floats; rounded results beyond int32 are for portable C."""
    one = shaped(0, 32, (4, 5), 32, (3, 3), 32, fill="extreme")
    x, w, biases, scales = one.arrays
    assert w is not None
    assert biases is not None
    assert scales is not None
    changed = (x, w, np.full_like(biases, bias), np.full_like(scales, multiplier))
    module = check_cases([Case(one.node, changed)], target=vector_target)
    if C_TARGETS[vector_target].isas[0].startswith("avx"):
        assert fits == ("a rounded result could leave int32" not in module.explain())


@pytest.mark.parametrize(("multiplier", "kind"), [(1e5, "bounded_u8"), (1e-2, "u8")])
def test_results_that_leave_an_integer_are_clamped_before(vector_target: str, multiplier: float, kind: str) -> None:
    """Of either sign; where none can, packing alone saturates, on x86 by an instance of its own."""
    cases = []
    for one in (shaped(1, 24, (1, 9), 33, (1, 1), fill="extreme"), shaped(2, 3, (4, 5), 24, (3, 3), fill="extreme"),
                shaped(3, 16, (6, 7), 24, (3, 3), pads=(1, 1, 1, 1), fill="extreme")):  # fmt: skip
        x, w, biases, scales = one.arrays
        assert scales is not None
        every = one.node.with_(attrs=one.node.attrs | {"qmin": 0, "qmax": 255, "y_zero_point": 100})
        cases.append(Case(every, (x, w, biases, np.full_like(scales, multiplier))))
    module = check_cases(cases, target=vector_target)
    isa = C_TARGETS[vector_target].isas[0]
    if isa.startswith("avx"):
        names = {call.kernel.emitted for call in module.program.every_call}
        assert {name.partition("__")[0].rpartition("s8_")[2] for name in names} >= {kind}


def woven_cases() -> list[Case]:
    """As many pixels as leave tiles of every height, channels that fill one vector, two, or part of either."""
    fills = ("extreme", "random", "ties")
    return [shaped(n, 8 * (1 + n % 3), (1, n + 1), (8, 16, 24, 5, 13, 33)[n % 6], (1, 1 + 2 * (n % 2)),
                   fill=fills[n % 3], pads=(0, n % 2, 0, n % 2), real=n % 5 == 4, zero=(0, 9, 255)[n % 3])
            for n in range(14)]  # fmt: skip


@pytest.mark.parametrize("target", here_or_emulated(["x86-avx2"]))
def test_windows_are_woven_for_tiles_of_any_height(
    target: str, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None], need: Callable[[str], str],
) -> None:  # fmt: skip
    prefer(target, monkeypatch, evidence, need)
    module = check_cases(woven_cases(), target=target)
    assert len(woven_cases()) == sum("_woven_" in call.kernel.emitted for call in module.program.calls)


def winograd_cases(step: int, unit: int) -> list[Case]:
    """Tiles that reach beyond the output, channels that fill no panel, several blocks, pads that differ.

    Args:
        step: pixels from window to window.
        unit: input channels go by as many.
    """
    sizes = [((1, 1), (1, 1, 1, 1)), ((2, 3), (1, 1, 1, 1)), ((5, 4), (0, 0, 0, 0)), ((7, 9), (2, 0, 1, 2)),
             ((11, 12), (1, 1, 1, 1)), ((16, 9), (0, 1, 2, 0))]  # fmt: skip
    fills = ("extreme", "random", "ties")
    found = [shaped(n, -(-c // unit) * unit, size, m, (3, 3), pads=pads, fill=fills[n % 3], real=n % 4 == 3, zero=z,
                    stride=step)
             for n, ((size, pads), c, m, z) in enumerate(
                 zip(sizes * 2, (16, 17, 31, 32, 33, 40) * 2, (1, 15, 16, 17, 33, 48, 16) * 2, (0, 255, 9) * 4,
                     strict=False))]  # fmt: skip
    c = -(-20 // unit) * unit
    batch = weighted("qir.IntConv", 5, (2, c, 6, 7), (18, c, 3, 3), 18, 4, "extreme", False, True, pads=(1, 1, 1, 1),
                     strides=(step, step))  # fmt: skip
    return [*found, batch]


INTO = {
    "winograd": ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    "winograd_by2": ((1, 0, -1, 0, 0), (0, 0, 1, 0, 0), (0, 0, -1, 0, 1), (0, 1, 0, 0, 0), (0, 0, 0, 1, 0)),
    "winograd4": ((4, 0, -5, 0, 1, 0), (0, -4, -4, 1, 1, 0), (0, 4, -4, -1, 1, 0), (0, -2, -1, 2, 1, 0),
                  (0, 2, -1, -2, 1, 0), (0, 4, 0, -5, 0, 1)),
}  # fmt: skip
"""By Tile.name, the matrix B' by which codes are transformed."""


def farthest_case(tile: Tile) -> Case:
    """Codes and weights whose transforms are as far from zero as they can be, either way, at each place in turn."""

    def signs(matrix: np.ndarray) -> np.ndarray:
        """[either sign of each place, n, n]"""
        places = np.einsum("ia,jb->ijab", matrix, matrix).reshape(-1, matrix.shape[1], matrix.shape[1])
        return np.concatenate([places, -places]) > 0

    codes, weights = (np.repeat(signs(np.array(m))[:, None], 16, 1) for m in (INTO[tile.name], tile.cleared))
    x, w = np.where(codes, 255, 0).astype(np.uint8), np.where(weights, 127, -128).astype(np.int8)
    none, one = np.zeros(w.shape[0], np.int32), np.ones(w.shape[0], np.float32)
    return case("qir.IntConv", (x, w, none, one), pads=(0, 0, 0, 0), strides=(tile.step, tile.step))


def winograd_kernels() -> list[object]:
    """Targets, tiles, and what each tile's products go by there."""
    found = []
    for target in ("x86-avx2", "arm-neon", "armv7-neon"):
        marks = getattr(here_or_emulated([target])[0], "marks", ())
        found += [pytest.param(target, tile, products, marks=marks, id=f"{target}-{tile.name}-{products}")
                  for tile in TILES for products in tile.rooms
                  if products.partition("_")[0] == C_TARGETS[target].isas[0]]  # fmt: skip
    return found


@pytest.mark.parametrize(("target", "tile", "products"), winograd_kernels())
def test_winograd_is_exact(
    target: str, tile: Tile, products: str, monkeypatch: pytest.MonkeyPatch, evidence: Callable[[str, str], None],
    need: Callable[[str], str],
) -> None:  # fmt: skip
    prefer(target, monkeypatch, evidence, need)
    usual, title = Variant.cycles, f"conv_u8_{tile.name}__{products}"
    monkeypatch.setattr(Variant, "cycles", lambda self, *of: usual(self, *of) / (9 if self.title == title else 1))
    cases = [*winograd_cases(tile.step, 16 if "crossed" in products else 1), farthest_case(tile)]
    module = check_cases(cases, target=target)
    names = [call.kernel.emitted for call in module.program.calls]
    assert len(cases) == sum(f"_{tile.name}_" in name and name.endswith(f"__{products}") for name in names)


@pytest.mark.parametrize("tile", [tile for tile in TILES if tile.shift], ids=lambda tile: tile.name)
@pytest.mark.parametrize("extreme", [-128, 127])
def test_transformed_weights_keep_to_their_range(extreme: int, tile: Tile) -> None:
    """The range from which the kernel concludes that its products are exact; and the reason where sums would not be."""
    kernel = np.full((1, 1, 3, 3), extreme, np.int8)
    assert (144 if tile.side == 4 else 9) * 128 >= np.abs(transformed(kernel, tile).astype(int)).max()
    channels = 1840 >> tile.shift - 2
    w = np.full((1, channels, 3, 3), extreme, np.int8)
    x = np.full((1, channels, 3, 3), 255, np.uint8)
    one = case("qir.IntConv", (x, w, np.zeros(1, np.int32), np.ones(1, np.float32)), pads=(0, 0, 0, 0))
    graph, _ = joined([one])
    explained = compile_c(graph, target="x86-avx2").explain()
    factor = 1 << tile.shift
    refused = f"not conv_u8_{tile.name}__avx2: {factor} times an accumulator could leave int32" in explained
    assert (factor * channels * 9 * 255 * abs(extreme) >= 1 << 31) == refused


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1e-37, 1e-36])
def test_winograd_refuses_multipliers_of_which_a_part_is_subnormal(scale: float) -> None:
    one = shaped(0, 16, (4, 4), 16, (3, 3), pads=(1, 1, 1, 1), real=True)
    x, w, bias, multiplier = one.arrays
    graph, _ = joined([Case(one.node, (x, w, bias, np.full_like(multiplier, scale)))])
    explained = compile_c(graph, target="x86-avx2").explain()
    found = [f"a multiplier over {1 << tile.shift} could be subnormal" in explained for tile in TILES if tile.shift]
    assert [0 < scale < 6e-37, 0 < scale < 3e-38] == found
