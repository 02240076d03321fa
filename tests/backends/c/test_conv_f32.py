"""Conv and ConvTranspose on floats against onnxruntime."""

from __future__ import annotations

from typing import Any

import elsewhere
import numpy as np
from conftest import float_isa
from graphs import Case, case, joined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_results import check_with_onnxruntime

from qir.backends.c import compile_c


def reals(seed: int, shape: tuple[int, ...], kind: str = "float32") -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(kind)


@st.composite
def windows(draw: st.DrawFn, axes: int, kernel: tuple[int, ...]) -> dict[str, Any]:
    attrs: dict[str, Any] = {
        "strides": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "dilations": tuple(draw(st.integers(1, 2)) for _ in range(axes)),
    }
    auto = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto == "NOTSET":
        attrs["pads"] = tuple(draw(st.integers(0, k)) for k in (*kernel, *kernel))
    else:
        attrs |= {"auto_pad": auto, "dilations": (1,) * axes}
    return attrs


@st.composite
def convs(draw: st.DrawFn) -> Case:
    axes = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    groups, per_in, per_out = draw(
        st.sampled_from([(1, 5, 9), (1, 3, 8), (3, 2, 5), (17, 1, 1), (33, 1, 1), (2, 1, 3), (1, 1, 1)])
    )
    sizes = tuple(2 * (k - 1) + 1 + draw(st.integers(0, 4)) for k in kernel)
    seed = draw(st.integers(0, 2**31))
    bias = reals(seed + 2, (groups * per_out,)) if draw(st.booleans()) else None
    arrays = (reals(seed, (draw(st.integers(1, 2)), groups * per_in, *sizes)),
              reals(seed + 1, (groups * per_out, per_in, *kernel)), *([] if bias is None else [bias]))  # fmt: skip
    fed = draw(st.sampled_from([(0,), (0,), (0, 1)]))
    return case("Conv", arrays, fed, group=groups, kernel_shape=kernel, **draw(windows(axes, kernel)))


SHARED = settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""Examples may share a fixture that only names a target."""


@SHARED
@given(st.lists(convs(), min_size=25, max_size=25))
def test_any_conv(any_float_target: str, cases: list[Case]) -> None:
    check_with_onnxruntime(cases, target=any_float_target)


def test_pointwise_and_wide_convs(any_float_target: str) -> None:
    cases = [
        case("Conv", (reals(0, (2, 20, 9, 11)), reals(1, (13, 20, 1, 1)), reals(2, (13,)))),
        case("Conv", (reals(3, (1, 300, 5, 5)), reals(4, (8, 300, 3, 3)) / 10), pads=(1, 1, 1, 1)),
        case("Conv", (reals(5, (1, 3, 4, 6), "float64"), reals(6, (2, 3, 2, 2), "float64"))),
        case("Conv", (reals(7, (1, 4, 10)), reals(8, (4, 4, 1))), strides=(2,)),
    ]
    check_with_onnxruntime(cases, target=any_float_target)


def test_ends_of_tiles(float_target: str) -> None:
    """Widths of rows and numbers of channels around those of tiles and vectors."""
    rng = np.random.default_rng(0)
    cases = []
    for width in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 23, 29):
        for channels in rng.choice([1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 64, 65], 2, replace=False):
            pads = tuple(int(n) for n in rng.integers(0, 2, 4))
            cases.append(case("Conv", (reals(width, (1, 5, 4, width + 2)), reals(channels, (channels, 5, 3, 3)),
                                       reals(1, (channels,))), pads=pads))  # fmt: skip
            cases.append(case("Conv", (reals(width, (1, channels, 4, width + 2)), reals(channels, (channels, 1, 3, 3))),
                              pads=pads, group=int(channels)))  # fmt: skip
    module = check_with_onnxruntime(cases, target=float_target)
    assert f"qir_conv_f32f32__{float_isa(float_target)}" in module.explain()


def test_results_do_not_depend_on_the_batch(float_target: str) -> None:
    """A row's sums run in one order whatever goes beside it in a tile."""
    x, w = reals(0, (13, 70)), reals(1, (70, 45))
    wanted = compiled("MatMul", [x, w], float_target)
    for rows in (slice(0, 1), slice(0, 5), slice(3, 11)):
        assert np.array_equal(wanted[rows], compiled("MatMul", [x[rows], w], float_target))


def compiled(op: str, arrays: list[np.ndarray], target: str) -> np.ndarray:
    """What one node with a fed first operand gives."""
    graph, b = joined([case(op, arrays)], [[np.zeros((len(arrays[0]), arrays[1].shape[1]), np.float32)]])
    return elsewhere.run(compile_c(graph, target=target), b.feeds)["c0_o0"]


@st.composite
def transposed(draw: st.DrawFn) -> Case:
    axes = draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(axes))
    groups, per_in, per_out = draw(st.sampled_from([(1, 5, 9), (1, 3, 8), (3, 2, 5), (4, 1, 1)]))
    sizes = tuple(draw(st.integers(2, 6)) for _ in range(axes))
    seed = draw(st.integers(0, 2**31))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    attrs: dict[str, Any] = {"strides": strides, "group": groups, "kernel_shape": kernel}
    form = draw(st.sampled_from(["pads", "shape", "same"]))
    if form == "pads":
        attrs["pads"] = tuple(draw(st.integers(0, (k - 1) // 2)) for k in (*kernel, *kernel))
        attrs["dilations"] = tuple(draw(st.integers(1, 2)) for _ in range(axes))
        attrs["output_padding"] = tuple(draw(st.integers(0, s - 1)) for s in strides)
    elif form == "shape":
        attrs["output_shape"] = tuple(
            s * (n - 1) + k - draw(st.integers(0, k - 1)) for s, n, k in zip(strides, sizes, kernel, strict=True)
        )
    else:
        attrs["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        attrs["strides"] = tuple(min(s, k) for s, k in zip(strides, kernel, strict=True))
    arrays = [reals(seed, (draw(st.integers(1, 2)), groups * per_in, *sizes)),
              reals(seed + 1, (groups * per_in, per_out, *kernel))]  # fmt: skip
    if draw(st.booleans()):
        arrays.append(reals(seed + 2, (groups * per_out,)))
    return case("ConvTranspose", arrays, draw(st.sampled_from([(0,), (0, 1)])), **attrs)


@settings(max_examples=4)
@given(st.lists(transposed(), min_size=25, max_size=25))
def test_any_conv_transpose(cases: list[Case]) -> None:
    check_with_onnxruntime(cases)
