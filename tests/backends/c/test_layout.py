"""Storage orders: no copy where none is needed, right bytes wherever one is."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Builder
from hypothesis import given
from hypothesis import strategies as st
from networks import conv, residual

from qir.backends.c import compile_c
from qir.backends.c.binding.orders import reshaped, transposed
from qir.backends.c.planning.memory import check
from qir.errors import ShapeError, UnsupportedError
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from tests.passes.graphs import net


def agrees(b: Builder, outputs: list[str], **options: str) -> list[str]:
    """Compiles, compares every output bit for bit, and gives the kernels called."""
    module = compile_c(b.graph(outputs), **options)
    got = module.run(b.feeds)
    for name in outputs:
        assert np.array_equal(got[name], b.values[name]), name
    again = module.run(b.feeds)
    assert all(np.array_equal(got[name], again[name]) for name in outputs)
    program = module.program
    arena = [buffer for buffer in program.buffers if buffer.place == "arena"]
    check(arena, program.arena_bytes, program.alignment)
    return [call.kernel.emitted for call in program.every_call]


def test_whole_network_moves_bytes_once() -> None:
    graph, b, outputs = residual()
    kernels = agrees(b, outputs)
    assert not any("strided" in k for k in kernels), kernels
    module = compile_c(graph)
    assert module.arena_bytes == module.arena_lower_bound


def test_codes_at_the_borders() -> None:
    graph, b, _ = residual()
    module = compile_c(graph)
    got = module.run_codes({"input": b.values["q"]})
    assert np.array_equal(got["output"], b.values["logits"])
    assert "NET_IN_INPUT_SCALE 0.02f" in module.files()["net.h"]
    assert "NET_OUT_OUTPUT_ZERO_POINT 7" in module.files()["net.h"]


def test_transposes_between_layers() -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, (1, 5, 6, 4)).astype(np.uint8))
    nchw = b.transpose(x, (0, 3, 1, 2), "nchw")
    y = conv(b, rng, nchw, "c", 6)
    back = b.transpose(y, (0, 2, 3, 1), "nhwc")
    assert agrees(b, [back]) == ["qir_conv_u8s8_u8__portable"]


def test_square_transpose_and_its_source_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, (4, 4)).astype(np.uint8))
    attrs = {"a_multiplier": 0.5, "b_multiplier": 0.25, "offset": 3.0, "qmin": 0, "qmax": 255}
    y = b.node("qir.IntAdd", [x, b.transpose(x, (1, 0), "t")], "y", **attrs)
    agrees(b, [y, b.transpose(y, (1, 0), "yt"), "t"])


def test_in_place_spares_values_that_are_still_needed() -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, (3, 64)).astype(np.uint8))
    table = b.constant("table", rng.permutation(256).astype(np.uint8))
    one = b.node("qir.Lookup", [x, table], "one")
    two = b.node("qir.Lookup", [one, table], "two")
    three = b.node("qir.Lookup", [two, table], "three")
    attrs = {"a_multiplier": 0.5, "b_multiplier": 0.25, "offset": 3.0, "qmin": 0, "qmax": 255}
    four = b.node("qir.IntAdd", [three, one], "four", **attrs)
    five = b.node("qir.IntAdd", [four, four], "five", **attrs)
    agrees(b, [five, two])
    assert compile_c(b.graph([five])).arena_bytes <= 3 * 192


def test_broadcast_operand_is_not_overwritten() -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    table = b.constant("table", rng.permutation(256).astype(np.uint8))
    x = b.node("qir.Lookup", [b.feed("x", rng.integers(0, 256, (1, 16)).astype(np.uint8)), table], "lx")
    column = b.reshape(x, (16, 1), "column")
    attrs = {"a_multiplier": 0.5, "b_multiplier": 0.25, "offset": 3.0, "qmin": 0, "qmax": 255}
    y = b.node("qir.IntAdd", [column, x], "y", **attrs)
    agrees(b, [b.node("qir.IntAdd", [y, column], "z", **attrs)])


def test_inputs_constants_and_aliases_as_outputs() -> None:
    b = Builder()
    x = b.feed("x", np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    c = b.constant("c", np.arange(6, dtype=np.int32).reshape(2, 3))
    first, second = b.reshape(x, (6, 4), "r1"), b.transpose(x, (2, 0, 1), "t1")
    agrees(b, [first, second, c, b.transpose(c, (1, 0), "t2"), b.reshape(first, (24,), "r2")])


def test_float_nets_have_no_code_interface() -> None:
    b = Builder()
    x = b.feed("x", np.arange(6, dtype=np.float32).reshape(2, 3))
    y = b.transpose(x, (1, 0), "y")
    module = compile_c(b.graph([y], Stage.FLOAT))
    assert "net_run_q" not in module.files()["net.h"]
    assert np.array_equal(module.run_codes(b.feeds)["y"], b.values["y"])


def test_channel_shuffle_costs_one_copy() -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.feed("x", rng.integers(0, 256, (1, 4, 5, 5)).astype(np.uint8))
    y = conv(b, rng, x, "c1", 8)
    split = b.reshape(y, (1, 2, 4, 5, 5), "split")
    mixed = b.transpose(split, (0, 2, 1, 3, 4), "mixed")
    z = conv(b, rng, b.reshape(mixed, (1, 8, 5, 5), "joined"), "c2", 8)
    assert sum("transpose" in k for k in agrees(b, [z])) <= 4


@given(st.permutations(range(4)), st.lists(st.integers(1, 4), min_size=4, max_size=4), st.data())
def test_reshaped_orders_hold_the_same_bytes(perm: list[int], shape: list[int], data: st.DataObject) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    stored = array.transpose(perm).ravel()
    flat = [d for size in shape for d in ((2, 2) if size == 4 and data.draw(st.booleans()) else (size,))]
    at = data.draw(st.integers(0, len(flat) - 2))
    target = (*flat[:at], flat[at] * flat[at + 1], *flat[at + 2 :]) if data.draw(st.booleans()) else tuple(flat)
    order = reshaped(tuple(shape), tuple(perm), target)
    if order is not None:
        assert np.array_equal(array.reshape(target).transpose(order).ravel(), stored)
    turned = data.draw(st.permutations(range(4)))
    view = array.transpose(turned)
    assert np.array_equal(view.transpose(transposed(tuple(perm), tuple(turned))).ravel(), stored)


def test_unknown_operator_and_unknown_size() -> None:
    b = Builder()
    x = b.feed("x", np.zeros((2, 3), np.float32))
    b.node("NoSuchOp", [x], "y", result=np.zeros((2, 3), np.float32))
    with pytest.raises(UnsupportedError, match=r"node 'node_y'.*NoSuchOp with \(float32\) -> float32"):
        compile_c(b.graph(["y"]))
    kind = TensorType(b.types["x"].dtype, ("N", 3))
    graph = Graph("g", ("x",), ("y",), (Node("Identity", ("x",), ("y",)),), {"x": kind, "y": kind})
    with pytest.raises(ShapeError, match=r"tensor 'x'.*shapes=\{'N': 1\}"):
        compile_c(graph)


def test_half_precision_is_refused_by_name() -> None:
    b = Builder()
    x = b.feed("x", np.zeros((2, 3), np.float16))
    with pytest.raises(UnsupportedError, match="float16"):
        compile_c(b.graph([b.transpose(x, (1, 0), "y")])).files()


def test_sizes_that_data_decide_are_refused_with_the_node() -> None:
    graph = net("(float[2,3] x) => (int64[2,n] y) { r = Relu(x) y = NonZero(r) }")
    with pytest.raises(ShapeError, match=r"node 'NonZero_1'.*NonZero gives depends on its data"):
        compile_c(graph)
