"""Window geometry against onnxruntime, and counts of multiplications against loops."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qir.ir.graph import Node
from qir.ops.weighted import macs, weighted
from qir.ops.window import transposed_window, window
from tests.ops.running import onnx_node
from tests.passes.graphs import net, normal

AUTO = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


def accepted(op: str, arrays: list[np.ndarray], attrs: dict[str, Any]) -> np.ndarray:
    """onnxruntime's result; cases that it refuses (sizes that contradict each other, ...) are skipped."""
    try:
        return np.asarray(onnx_node(op, arrays, attrs)[0, 0])
    except Exception:  # onnxruntime's errors have no common base of use
        assume(False)
        raise


@st.composite
def geometry(draw: Any, auto: tuple[str, ...], transposed: bool = False) -> tuple[int, int, dict[str, Any]]:
    """Size of an axis, taps, and the attributes of a node with one spatial axis."""
    size, kernel = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    stride, dilation, how = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.sampled_from(auto))
    attrs: dict[str, Any] = {"strides": [stride], "dilations": [dilation], "auto_pad": how}
    if how == "NOTSET":
        attrs["pads"] = [draw(st.integers(0, kernel - 1)), draw(st.integers(0, kernel - 1))]
    elif how.startswith("SAME") and not transposed:
        attrs["dilations"] = [dilation] = [1]  # onnxruntime's pools leave the dilation out there, unlike ONNX
    if not transposed:
        assume(size + sum(attrs.get("pads", [0])) >= (kernel - 1) * dilation + 1 or how.startswith("SAME"))
    return size, kernel, attrs


@settings(max_examples=120, deadline=None)
@given(geometry(AUTO), st.sampled_from(["MaxPool", "AveragePool", "Conv"]), st.booleans())
def test_window_has_the_size_and_the_taps_of_onnxruntime(
    case: tuple[int, int, dict[str, Any]], op: str, ceil: bool
) -> None:
    size, kernel, attrs = case
    x = np.arange(1, size + 1, dtype=np.float32)
    if attrs["auto_pad"].startswith("SAME"):
        assume(attrs["strides"][0] <= kernel)  # else onnxruntime pads by less than zero
    if op == "Conv":
        arrays = [x[None, None], 10.0 ** np.arange(kernel, dtype=np.float32)[None, None]]
    else:
        arrays = [x[None, None]]
        attrs |= {"kernel_shape": [kernel], "ceil_mode": int(ceil)}
    expected = accepted(op, arrays, attrs)
    win = window(Node(op, ("x",), ("y",), attrs), (size,), (kernel,))
    assert win.output == expected.shape
    padded = np.pad(x, [(win.begin[0], win.end[0])], constant_values=np.nan)
    taps = np.stack([padded[slices] for _, slices in win.taps()])
    assume(op == "Conv" or not np.isnan(taps).all(axis=0).any())  # what a pool of padding alone gives is not defined
    if op == "MaxPool":
        found = np.nanmax(taps, axis=0)
    elif op == "AveragePool":
        found = np.nanmean(taps, axis=0)
    else:
        found = np.nansum(taps * 10.0 ** np.arange(kernel)[:, None], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@settings(max_examples=120, deadline=None)
@given(geometry(AUTO, transposed=True), st.integers(0, 2), st.none() | st.integers(1, 20))
def test_transposed_window_places_taps_as_onnxruntime(
    case: tuple[int, int, dict[str, Any]], adj: int, wanted: int | None
) -> None:
    size, kernel, attrs = case
    stride, dilation = attrs["strides"][0], attrs["dilations"][0]
    attrs["output_padding"] = [min(adj, stride - 1)]
    full = stride * (size - 1) + attrs["output_padding"][0] + (kernel - 1) * dilation + 1
    if wanted is not None:
        attrs["output_shape"] = [wanted]
    elif attrs["auto_pad"].startswith("SAME"):
        assume(full >= size * stride)  # else onnxruntime's result is smaller than ONNX says
    else:
        assume(full > sum(attrs.get("pads", [0])))
    x, w = np.arange(1, size + 1, dtype=np.float32), 10.0 ** np.arange(kernel, dtype=np.float32)
    expected = accepted("ConvTranspose", [x[None, None], w[None, None]], attrs)
    win = transposed_window(Node("ConvTranspose", ("x", "w"), ("y",), attrs), (size,), (kernel,))
    found = np.zeros(win.output)
    for position in range(size):
        for tap in range(kernel):
            at = position * stride + tap * dilation - win.begin[0]
            if 0 <= at < found.size:
                found[at] += x[position] * w[tap]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("size", "kernel", "stride", "pads", "out"), [
    (5, 2, 2, (0, 0), 3),  # the last window holds one element
    (4, 1, 3, (0, 0), 2),
    (3, 1, 3, (0, 0), 1),  # a second one would start behind the input
    (4, 2, 4, (0, 1), 1),  # as would one that starts in the padding behind it
])  # fmt: skip
def test_ceil_mode_drops_windows_that_start_behind_the_input(
    size: int, kernel: int, stride: int, pads: tuple[int, int], out: int
) -> None:
    attrs = {"strides": [stride], "pads": list(pads), "ceil_mode": 1, "kernel_shape": [kernel]}
    assert onnx_node("MaxPool", [np.ones((1, 1, size), np.float32)], attrs).shape[2:] == (out,)
    assert window(Node("MaxPool", ("x",), ("y",), attrs), (size,), (kernel,)).output == (out,)


@pytest.mark.parametrize(
    ("text", "x", "w", "y", "expected"),
    [
        ("Conv <group=2, strides=[2,2]> (x, w)", "1,4,8,8", (6, 2, 3, 3), "1,6,3,3", 6 * 9 * (2 * 9)),
        ("ConvTranspose <strides=[2,2]> (x, w)", "1,4,8,8", (4, 6, 3, 3), "1,6,17,17", 4 * 64 * (6 * 9)),
        ("Gemm (x, w)", "3,4", (4, 5), "3,5", 60),
        ("Gemm <transB=1> (x, w)", "3,4", (5, 4), "3,5", 60),
        ("Gemm <transA=1> (x, w)", "4,3", (4, 5), "3,5", 60),
        ("MatMul (x, w)", "4", (4,), "", 4),
        ("MatMul (x, w)", "2,3,4", (2, 4, 5), "2,3,5", 120),
        ("MatMul (x, w)", "1,4,8,8", (8, 5), "1,4,8,5", 4 * 8 * 5 * 8),
    ],
)
def test_macs(text: str, x: str, w: tuple[int, ...], y: str, expected: int) -> None:
    graph = net(f"(float[{x}] x) => (float{f'[{y}]' if y else ''} y) {{ y = {text} }}", w=normal(*w))
    assert macs(graph.nodes[0], graph) == expected


def test_macs_of_other_nodes_and_open_shapes_are_unknown() -> None:
    graph = net("(float[N,4] x) => (float[N,5] y) { m = MatMul(x, w) y = Relu(m) }", w=normal(4, 5))
    assert [macs(node, graph) for node in graph.nodes] == [None, None]


@pytest.mark.parametrize(
    ("text", "shape", "channels"),
    [("Conv (x, w)", (6, 4, 1, 1), 6), ("ConvTranspose (x, w)", (4, 6, 1, 1), 6)],
)
def test_channel_axis_of_convolutions(text: str, shape: tuple[int, ...], channels: int) -> None:
    graph = net(f"(float[1,4,8,8] x) => (float[a,b,c,d] y) {{ y = {text} }}", w=normal(*shape))
    slots = weighted(graph.nodes[0], graph)
    assert slots is not None
    assert shape[slots.channel_axis] == channels
    assert prod(shape) == 24
