"""GridSample, RoiAlign, AffineGrid, DeformConv, Einsum, DFT and Det against onnxruntime and onnx."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import case, check_cases
from onnx_results import check_with_onnxruntime, results
from test_conv_f32 import reals


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(padding: str) -> None:
    image, grid = reals(0, (2, 3, 5, 7)), reals(1, (2, 4, 6, 2)) * np.float32(0.9)
    volume, space = reals(2, (1, 2, 3, 4, 5)), reals(3, (1, 2, 3, 4, 3)) * np.float32(0.9)
    cases = []
    for aligned in (0, 1):
        attrs = {"padding_mode": padding, "align_corners": aligned}
        cases += [
            case("GridSample", (image, grid), (0, 1), mode=mode, **attrs) for mode in ("linear", "nearest", "cubic")
        ]
        cases += [case("GridSample", (volume, space), (0, 1), mode=mode, **attrs) for mode in ("linear", "nearest")]
    check_with_onnxruntime(cases, 2e-5)


def test_grid_sample_survives_coordinates_that_are_no_numbers() -> None:
    grid = np.array([[[np.nan, 0], [np.inf, 0], [-np.inf, -np.inf], [1e30, 0]]], np.float32)[None, 0]
    one = case("GridSample", (reals(0, (1, 1, 3, 3)), grid), (0, 1), mode="nearest")
    check_cases([one], [[np.zeros((1, 1, 1, 4), np.float32)]])


def test_regions_and_moved_taps() -> None:
    boxes = np.array([[0, 0, 9, 9], [2.5, 1, 7, 4], [5, 5, 5, 5], [-3, -2, 30, 20]], np.float32)
    which = np.array([0, 1, 1, 0])
    image = reals(0, (2, 3, 12, 10))
    regions = [
        case(
            "RoiAlign",
            (image, boxes, which),
            (0, 1, 2),
            output_height=3,
            output_width=2,
            sampling_ratio=ratio,
            mode=mode,
            spatial_scale=0.5,
            coordinate_transformation_mode=form,
        )
        for ratio in (0, 2)
        for mode in ("avg", "max")
        for form in ("half_pixel", "output_half_pixel")
    ]
    check_with_onnxruntime(regions)
    x, w = reals(1, (2, 4, 6, 5)), reals(2, (6, 2, 3, 2))
    attrs = {"group": 2, "offset_group": 2, "pads": (1, 0, 1, 1), "strides": (2, 1), "kernel_shape": (3, 2)}
    rows, columns = (6 + 2 - 3) // 2 + 1, 5 + 1 - 2 + 1
    offset, mask = reals(3, (2, 2 * 6 * 2, rows, columns)), reals(4, (2, 2 * 6, rows, columns))
    moved = [
        case("DeformConv", (x, w, offset), (0, 2), **attrs),
        case("DeformConv", (x, w, offset, reals(5, (6,)), mask), (0, 2, 4), **attrs),
    ]
    check_cases(moved, [results(one, exact=True) for one in moved], tolerance=2e-5)


@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 3, 4, 1, 5)])
def test_affine_grid(size: tuple[int, ...]) -> None:
    axes = len(size) - 2
    theta = reals(0, (2, axes, axes + 1))
    cases = [case("AffineGrid", (theta, np.array(size)), align_corners=aligned) for aligned in (0, 1)]
    check_cases(cases, [results(one, exact=True) for one in cases], tolerance=1e-5)


def test_einsum() -> None:
    a, b = reals(0, (2, 3, 4, 5)), reals(1, (2, 3, 6, 5))
    rows = [
        ("bhqd,bhkd->bhqk", (a, b)),
        ("bhqd,bhkd", (a, b)),
        ("...qd,...kd->...qk", (a, b)),
        ("bhqd->dqhb", (a,)),
        ("bhqd->bd", (a,)),
        ("ii->i", (reals(2, (4, 4)),)),
        ("ii", (reals(3, (4, 4)),)),
        ("i,j->ij", (reals(4, (3,)), reals(5, (4,)))),
        ("b...->...", (a,)),
        ("ij,jk->ik", (np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4))),
    ]
    cases = [case("Einsum", arrays, tuple(range(len(arrays))), equation=equation) for equation, arrays in rows]
    check_cases(cases, [[np.asarray(np.einsum(equation, *arrays))] for equation, arrays in rows], tolerance=1e-5)


def test_fourier_transforms_and_determinants() -> None:
    x, z = reals(0, (2, 12, 3, 1)), reals(1, (2, 12, 3, 2))
    half = np.fft.rfft(x[..., 0], axis=1)
    spectrum = np.stack([half.real, half.imag], -1).astype(np.float32)

    def pair(values: np.ndarray) -> list[np.ndarray]:
        return [np.stack([values.real, values.imag], -1).astype(np.float32)]

    axis, complex_z = np.array(1), z[..., 0] + 1j * z[..., 1]
    cases = [
        case("DFT", (x, None, axis)),
        case("DFT", (z, None, axis)),
        case("DFT", (z, None, axis), inverse=1),
        case("DFT", (x, None, axis), onesided=1),
        case("DFT", (x, np.array(16), axis)),
        case("DFT", (z, np.array(7), axis)),
        case("DFT", (spectrum, np.array(12), axis), onesided=1, inverse=1),
    ]
    wanted = [
        pair(np.fft.fft(x[..., 0], axis=1)),
        pair(np.fft.fft(complex_z, axis=1)),
        pair(np.fft.ifft(complex_z, axis=1)),
        [spectrum],
        pair(np.fft.fft(x[..., 0], 16, axis=1)),
        pair(np.fft.fft(complex_z, 7, axis=1)),
        [x],
    ]
    square, singular = reals(2, (2, 3, 5, 5)), np.ones((3, 3), np.float32)
    cases += [case("Det", (square,)), case("Det", (singular,)), case("Det", (square.astype(np.float64),))]
    wanted += [[np.linalg.det(square)], [np.zeros((), np.float32)], [np.linalg.det(square.astype(np.float64))]]
    check_cases(cases, wanted, tolerance=1e-5)
