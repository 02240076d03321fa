"""Families that move elements: every element size, storage order and way to index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import Case, case, check_cases, joined
from oracle import check_against_onnx, check_stored, expected

from qir.backends.c import compile_c
from qir.errors import UnsupportedError

TYPES = (np.float32, np.float64, np.uint8, np.int16, np.int64, np.bool_)
PERMS = ((0, 2, 3, 1), (3, 0, 1, 2))


def values(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2 if dtype is np.bool_ else 100, shape).astype(dtype)


def ints(*listed: int) -> np.ndarray:
    return np.array(listed, np.int64)


def moves(x: np.ndarray) -> list[Case]:
    """Cases of every operator that moves elements of x [2, 4, 6, 5] as its shape says."""
    y = x[:, :1]
    return [
        case("Concat", [x, y, x], (0, 1), axis=1), case("Concat", [x, x], (0, 1), axis=-1),
        case("Split", [x, ints(1, 3)], axis=1, outputs=2), case("Split", [x], axis=2, num_outputs=3, outputs=3),
        case("Slice", [x, ints(1, 0), ints(4, 99), ints(1, 3), ints(2, 1)]),
        case("Slice", [x, ints(-1, 4), ints(-99, 0), ints(2, -1), ints(-1, -2)]),
        case("Expand", [y, ints(2, 4, 6, 5)]), case("Tile", [x, ints(1, 2, 1, 3)]),
        case("DepthToSpace", [x], blocksize=2), case("DepthToSpace", [x], blocksize=2, mode="CRD"),
        case("SpaceToDepth", [np.concatenate([x, x], 3)], blocksize=2),
        case("Pad", [x, ints(0, 1, 2, 0, 0, 0, 1, 3)]),
        case("CenterCropPad", [x, ints(3, 7)], axes=[2, 3]), case("CenterCropPad", [x, ints(5, 2)], axes=[1, 2]),
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", TYPES)
def test_moves_of_every_type(dtype: Any) -> None:
    check_against_onnx(moves(values(2, 4, 6, 5, dtype=dtype)))


@pytest.mark.parametrize("perm", PERMS)
def test_moves_in_storage_orders(perm: tuple[int, ...]) -> None:
    for one in moves(values(2, 4, 6, 5)):
        check_stored(one, perm)


@pytest.mark.parametrize("mode", ["edge", "reflect", "wrap"])
def test_padding_modes(mode: str) -> None:
    x = values(2, 3, 4, 5)
    cases = [case("Pad", [x, ints(*pads)], mode=mode) for pads in
             ((0, 0, 1, 2, 0, 0, 3, 1), (1, 2, 0, 0, 1, 0, 0, 4), (0, 2, 0, 9, 0, 1, 0, 7))]  # fmt: skip
    check_against_onnx(cases)
    check_stored(cases[0], PERMS[0])


def test_negative_padding_crops() -> None:
    x = values(2, 3, 4, 5)
    one = case("Pad", [x, ints(1, -1, -2, 0), None, ints(2, 1)])
    check_cases([one], [[np.pad(x[:, 1:, :2], ((0, 0), (0, 0), (1, 0), (0, 0)))]])


def test_padding_with_computed_value() -> None:
    check_against_onnx([case("Pad", [values(3, 4), ints(1, 0, 2, 2), np.float32(7)], (0, 2))])


def test_gathers() -> None:
    cases = []
    for dtype in (np.int32, np.int64):
        rows = np.array([[0, -1], [2, 1]], dtype)
        for x in (values(3, 4, 5), values(3, 4, 5, dtype=np.uint8)):
            cases += [
                case("Gather", [x, rows], slots, axis=axis) for axis in (0, 1, -1) for slots in ((0,), (0, 1), (1,))
            ]
            cases += [case("Gather", [x, np.array(-2, dtype)], (0, 1), axis=1)]
        for axis, shape in ((0, (2, 4, 5)), (1, (3, 6, 5)), (2, (3, 4, 1))):
            picked = np.random.default_rng(0).integers(-3, 3, shape).astype(dtype)
            cases.append(case("GatherElements", [values(3, 4, 5), picked], (0, 1), axis=axis))
    pairs = np.array([[[0, 1], [-1, 2]]], np.int64)
    cases += [
        case("GatherND", [values(3, 4, 5), pairs], (0, 1)),
        case("GatherND", [values(1, 3, 4, 5), pairs], (0, 1), batch_dims=1),
    ]
    check_against_onnx(cases)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatters(reduction: str) -> None:
    cases = []
    for dtype in (np.float32, np.int32, np.uint8):
        rows, updates = np.array([[0, -1, 0], [1, 0, 2]], np.int64), values(2, 3, dtype=dtype, seed=1)
        places = rows if reduction != "none" else np.array([[0, -1, 1], [1, 0, 2]], np.int64)
        arrays = [values(3, 5, dtype=dtype), places, updates]
        cases += [case("ScatterElements", arrays, (0, 1, 2), axis=axis, reduction=reduction)
                  for axis in (0, 1)]  # fmt: skip
    check_against_onnx(cases)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatters_of_slices(reduction: str) -> None:
    change = {"none": lambda a, b: b, "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[
        reduction
    ]
    where = np.array([[0, 1], [2, -1], [1, 1]], np.int64)
    cases, results = [], []
    for dtype in (np.float32, np.int32, np.uint8):
        x, updates = values(3, 5, 2, dtype=dtype), values(3, 2, dtype=dtype, seed=2)
        wanted = x.copy()
        for place, update in zip(where.tolist(), updates, strict=True):
            wanted[tuple(place)] = change(wanted[tuple(place)], update)
        cases.append(case("ScatterND", [x, where, updates], (0, 1, 2), reduction=reduction))
        results.append([wanted])
    check_cases(cases, results)


def test_indices_outside_their_axis_do_no_harm() -> None:
    x, wild = values(3, 4), np.array([7, -9, 2**40, -(2**40), -3], np.int64)
    near = np.array([2, 0, 2, 0, 0])
    updates = np.full((5, 4), -1, np.float32)
    untouched = x.copy()
    untouched[0] = -1
    tall = wild[:, None] * np.ones((1, 4), np.int64)
    rows = [
        (case("Gather", [x, wild], (0, 1)), x[near]),
        (case("GatherElements", [x, tall], (0, 1)), x[near]),
        (case("GatherND", [x, wild[:, None]], (0, 1)), x[near]),
        (case("ScatterND", [x, wild[:, None], updates], (0, 1, 2)), untouched),
        (case("ScatterElements", [x, tall, updates], (0, 1, 2)), untouched),
        (case("OneHot", [wild, ints(3), np.array([0, 1], np.float32)], (0,)), (wild[:, None] + 3 == np.arange(3))),
    ]
    check_cases([one for one, _ in rows], [[wanted.astype(np.float32)] for _, wanted in rows])


def test_one_hot_triangles_and_sequences() -> None:
    off_on = np.array([2, 5], np.float32)
    cases = [case("OneHot", [np.array([[1, -1], [3, 0]], kind), np.array(4), off_on], (0, 2), axis=axis)
             for kind in (np.int64, np.int32, np.float32) for axis in (-1, 0, 1)]  # fmt: skip
    for k in (-9, -1, 0, 2, 9):
        cases += [
            case("Trilu", [values(2, 3, 4), np.array(k)], slots, upper=upper)
            for upper in (0, 1)
            for slots in ((0,), (0, 1))
        ]
    cases += [case("ReverseSequence", [values(4, 3, 2), ints(1, 4, 2)], (0, 1), time_axis=0, batch_axis=1),
              case("ReverseSequence", [values(3, 4), ints(1, 4, 2)], (0, 1), time_axis=1, batch_axis=0)]  # fmt: skip
    cases += [
        case("Compress", [values(3, 4), np.array([0, 1, 1], bool)], axis=0),
        case("Compress", [values(3, 4), np.array([0, 1, 1, 0, 1], bool)]),
    ]
    check_against_onnx(cases)


def test_columns_to_image() -> None:
    cases = [
        case("Col2Im", [values(1, 8, 9), ints(4, 4), ints(2, 2)]),
        case("Col2Im", [values(2, 12, 12), ints(6, 7), ints(3, 2)], pads=[1, 0, 1, 1], strides=[2, 2]),
        case("Col2Im", [values(1, 4, 9), ints(5, 5), ints(2, 2)], dilations=[2, 2]),
    ]  # fmt: skip
    check_against_onnx(cases)


def resizes(x: np.ndarray) -> list[Case]:
    scales, sizes = np.array([1, 1, 1.7, 0.6], np.float32), ints(2, 3, 9, 4)
    cases = []
    for coordinate in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"):
        common: dict[str, Any] = {"coordinate_transformation_mode": coordinate}
        for mode in ("linear", "cubic"):
            cases += [
                case("Resize", [x, None, scales], mode=mode, **common),
                case("Resize", [x, None, None, sizes], mode=mode, **common),
            ]
        for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            cases.append(case("Resize", [x, None, None, sizes], mode="nearest", nearest_mode=nearest, **common))
    cases += [case("Resize", [x, None, scales], mode=mode, antialias=1) for mode in ("linear", "cubic")]
    cases.append(case("Resize", [x, None, scales], mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5))
    region = np.array([0, 0, 0.2, -0.3, 1, 1, 0.8, 1.2], np.float32)
    cases += [case("Resize", [x, region, None, sizes], mode=mode, coordinate_transformation_mode="tf_crop_and_resize",
                   extrapolation_value=9.0) for mode in ("linear", "nearest")]  # fmt: skip
    policies = [case("Resize", [x, None, None, ints(9, 9)], mode="linear", axes=[2, 3], keep_aspect_ratio_policy=policy)
                for policy in ("not_larger", "not_smaller")]  # fmt: skip
    return cases + policies


def test_resize() -> None:
    check_against_onnx(resizes(values(2, 3, 5, 7) / np.float32(100)), tolerance=1e-5)


def test_resize_in_storage_orders() -> None:
    for one in resizes(values(2, 3, 5, 7) / np.float32(100))[::4]:
        check_stored(one, PERMS[0], tolerance=1e-5)


def test_resize_of_codes() -> None:
    x, scales = values(1, 20, 5, 7, dtype=np.uint8), np.array([1, 1, 2, 2], np.float32)
    nearest = case("Resize", [x, None, scales], mode="nearest", coordinate_transformation_mode="asymmetric",
                   nearest_mode="floor")  # fmt: skip
    check_against_onnx([nearest])
    check_stored(nearest, PERMS[0])
    real = expected("Resize", [x.astype(np.float32), None, scales], mode="linear")[0]
    check_cases([case("Resize", [x, None, scales], mode="linear")], [[np.trunc(real).astype(np.uint8)]])


@pytest.mark.parametrize(("op", "arrays", "given"), [
    ("Slice", [values(3, 4), ints(0), ints(2)], (0, 1)), ("Pad", [values(3), ints(0, 0)], (0, 1)),
    ("Compress", [values(3), np.array([True, True, True])], (0, 1)),
])  # fmt: skip
def test_what_decides_shapes_must_be_constant(op: str, arrays: list[np.ndarray], given: tuple[int, ...]) -> None:
    graph, _ = joined([case(op, arrays, given)], [[arrays[0]]])
    with pytest.raises(UnsupportedError, match="computed"):
        compile_c(graph)


def test_bits_under_another_type() -> None:
    x = np.array([[1.5, -0.0, np.nan]], np.float32)
    pairs = [(x, np.int32), (x.astype(np.float64), np.int64), (values(2, 2, dtype=np.uint8), np.int8)]
    check_cases([case("BitCast", [array]) for array, _ in pairs], [[array.view(kind)] for array, kind in pairs])


def test_cache_updates() -> None:
    x, updates, first = values(2, 3, 5, 2), values(2, 3, 2, 2, seed=1), ints(4, 1)
    circular, linear = x.copy(), x.copy()
    for sample, start in enumerate(first.tolist()):
        for step in range(2):
            circular[sample, :, (start + step) % 5] = updates[sample, :, step]
            if start + step < 5:
                linear[sample, :, start + step] = updates[sample, :, step]
    cases = [case("TensorScatter", [x, updates, first], (0, 1, 2), mode=mode) for mode in ("circular", "linear")]
    check_cases(cases, [[circular], [linear]])
