"""Saved graphs reload as they were; files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from qir.errors import ModelError, OutputError
from qir.ir.dtype import INT4, INT8, UINT8
from qir.ir.graph import Constant, EmptyList, Graph, Node, Stage
from qir.ir.text import diff, graph_text
from qir.ir.types import Affine, TensorType
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.onnxio.store import load_graph, save_graph, save_model
from tests.onnxio.running import normal, parse, run


def reloaded(graph: Graph, folder: Path) -> Graph:
    save_graph(graph, folder / "g.onnx")
    onnx.load(folder / "g.onnx")
    again = load_graph(folder / "g.onnx")
    assert_equal(graph, again)
    return again


def assert_equal(first: Graph, second: Graph) -> None:
    assert graph_text(first) == graph_text(second)
    for name in ("name", "inputs", "outputs", "types", "stage", "opsets", "ranges", "functions", "metadata"):
        assert getattr(first, name) == getattr(second, name), name
    assert list(first.constants) == list(second.constants)
    for name, constant in first.constants.items():
        same(constant.value, second.constants[name].value)
        same(constant.codes, second.constants[name].codes)
    for a, b in zip(first.nodes, second.nodes, strict=True):
        assert (a.op, a.domain, a.name, a.inputs, a.outputs, a.origin) == (
            b.op,
            b.domain,
            b.name,
            b.inputs,
            b.outputs,
            b.origin,
        )
        assert a.attrs.keys() == b.attrs.keys()
        for key, value in a.attrs.items():
            if isinstance(value, Graph):
                assert_equal(value, b.attrs[key])
            elif isinstance(value, np.ndarray):
                same(value, b.attrs[key])
            else:
                assert type(value) is type(b.attrs[key])
                assert value == b.attrs[key]


def same(first: np.ndarray | None, second: np.ndarray | None) -> None:
    if first is None or second is None:
        assert first is second
        return
    assert (first.dtype, first.shape) == (second.dtype, second.shape)
    assert first.tolist() == second.tolist()


def test_a_lifted_model(tmp_path: Path) -> None:
    graph = lift(
        parse(
            """g (float[N,3] x, bool c, seq(float[2]) s) => (float[?,3] y, float[2] k, int64 n) {
        k = Constant<value = float[2] {1, 2}>() a = Odd.op<f = 0.1, t = "x", l = [1, 2]>(x) n = SequenceLength(s)
        y = If(c) <then_branch = t () => (float[N,3] r, float[1] one) {
            one = Constant<value = float[1] {1}>() r = Add(a, one) },
          else_branch = e () => (float[N,3] r) { r = Neg(a) }> }""",
            imports=', "Odd": 1',
        )
    )
    assert graph.nodes[-1].op == "If"
    reloaded(graph, tmp_path)


def test_everything_that_onnx_cannot_say(tmp_path: Path) -> None:
    channel = Affine(INT8, np.array([0.1, 0.3], np.float32), np.array([0, 0]), axis=0, qmin=-7, qmax=7)
    blocked = Affine(INT4, np.array([[0.1], [0.3]], np.float32), np.zeros((2, 1)), axis=1, block_size=3)
    signs = Affine(INT8, np.array([0.1, 0.3], np.float32), np.array([0, 0]), 0, rounding="binary", threshold=[0, 0.2])
    codes = np.array([[1, 2, 3], [4, 5, -6]], np.int8)
    attrs = {"scale": 0.1, "exact": 0.5, "flag": True, "quant": channel, "list": (0.1, 0.2), "none": None,
             "axes": EmptyList("ints"), "many": np.array([0.1, 0.2], np.float32), "to": "uint8"}  # fmt: skip
    quantize = {"scale": 0.1, "zero_point": 3, "qmin": 0, "qmax": 255}
    graph = Graph(
        "net", ("x",), ("y", "v"),
        (Node("qir.Quantize", ("x",), ("q",), quantize, "same", origin=("a", "b")),
         Node("qir.Odd", ("q", "", "w"), ("y", ""), attrs, "same", origin=())),
        {"x": TensorType(UINT8, None), "y": TensorType(UINT8, ("N", None, 3), Affine(UINT8, 0.1, 3)),
         "q": TensorType(UINT8), "w": TensorType(INT8, (2, 3), channel), "v": TensorType(INT8, (2, 3), blocked),
         "s": TensorType(INT8, (2, 3), signs)},
        {"w": Constant(codes * np.float32(0.1), codes), "v": Constant(codes * np.float32(0.3)),
         "s": Constant(codes * np.float32(0.2))},
        stage=Stage.INT, opsets={"": 21, "qir": 1}, ranges={"x": (-0.1, 1e300), "y": (0.0, float("inf"))},
        metadata={"k": "v"},
    )  # fmt: skip
    again = reloaded(graph, tmp_path)
    assert not diff(graph, again).removed


def test_a_quantized_model_computes_the_same_after_reloading(tmp_path: Path) -> None:
    graph = lift(parse("g (float[3,2] x) => (float[3,2] y) <float[2,2] w = {0.6, 0.3, -1.1, 99}> { y = MatMul(x, w) }"))
    types = {**graph.types, "w": TensorType(graph.tensor("w").dtype, (2, 2), Affine(INT8, 0.5, 0)),
             "y": TensorType(graph.tensor("y").dtype, (3, 2), Affine(UINT8, 0.1, 128))}  # fmt: skip
    graph = graph.with_(types=types, stage=Stage.QUANT, ranges={"y": (-1.0, 1.0)})
    again = reloaded(graph, tmp_path)
    assert export(again).SerializeToString(deterministic=True) == export(graph).SerializeToString(deterministic=True)


def test_saving_twice_gives_equal_bytes(tmp_path: Path) -> None:
    graph = lift(parse("g (float[2] x) => (float[2] y) { y = Relu(x) }"))
    save_graph(graph, tmp_path / "a.onnx")
    save_graph(load_graph(tmp_path / "a.onnx"), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_large_tensors_go_to_a_file_of_their_own(tmp_path: Path) -> None:
    proto = parse("g (float[64,64] x) => (float[64,64] y) { a = Add(x, w) y = Add(a, v) }")
    for name in "wv":
        proto.graph.initializer.append(onnx.numpy_helper.from_array(normal(64, 64), name))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(normal(2), "small"))
    path = tmp_path / "m.onnx"
    before = proto.SerializeToString(deterministic=True)
    save_model(proto, path, limit=20000)
    assert proto.SerializeToString(deterministic=True) == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert path.stat().st_size < 2000
    onnx.checker.check_model(str(path))
    x = normal(64, 64)
    np.testing.assert_array_equal(run(lift(path), x=x)[0], run(proto, x=x)[0])


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    proto = parse("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(proto, tmp_path / "none" / "m.onnx")
    (tmp_path / "d.onnx").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(proto, tmp_path / "d.onnx")
    assert [item.name for item in tmp_path.iterdir()] == ["d.onnx"]


def test_other_files_are_no_saved_graphs(tmp_path: Path) -> None:
    save_model(parse("g (float[2] x) => (float[2] y) { y = Relu(x) }"), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=r"not a saved graph\. Read it with lift"):
        load_graph(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        load_graph(tmp_path / "none.onnx")
