"""What lifting promises, on small models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from qir.errors import DataError, ModelError, ShapeError
from qir.ir.dtype import FLOAT32, INT64
from qir.ir.graph import EmptyList, Stage
from qir.ir.types import OpaqueType, OptionalType, SequenceType, TensorType
from qir.onnxio.export import export
from qir.onnxio.lift import lift
from tests.onnxio.running import normal, parse, run

RELU = "g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }"


def test_a_model_comes_from_path_bytes_and_object(tmp_path: Path) -> None:
    proto = parse(RELU)
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    for model in (path, str(path), path.read_bytes(), proto):
        graph = lift(model)
        assert (graph.inputs, graph.outputs, graph.stage) == (("x",), ("y",), Stage.FLOAT)
        assert graph.types["y"] == TensorType(FLOAT32, ("N", 3))
        assert graph.opsets == {"": 21}


def test_every_value_has_a_type_and_names_of_nodes_are_unique() -> None:
    graph = lift(
        parse("""g (float[2,3] x) => (float[2,3] y) {
        [same] a = Relu(x)  [same] b = Neg(a)  c = Abs(b)  y, = Dropout(c) }""")
    )
    assert [node.name for node in graph.nodes] == ["same", "same_1", "Abs_2", "Dropout_3"]
    assert [node.origin for node in graph.nodes] == [(node.name,) for node in graph.nodes]
    assert all(graph.types[name].shape == (2, 3) for name in "abcy")  # type: ignore[union-attr]


def test_a_name_that_the_user_gave_is_not_taken_by_an_unnamed_node() -> None:
    graph = lift(parse("g (float[2] x) => (float[2] y) { a = Relu(x)  [Relu_0] y = Neg(a) }"))
    assert [node.name for node in graph.nodes] == ["Relu_0_1", "Relu_0"]


def test_omitted_outputs_and_inputs_stay() -> None:
    graph = lift(parse("g (float[3,1,4] x, float[1,8,4] w, float[1,8,2] r, float[1,1,2] h) => (float[1,1,2] y) {"
                       ' "", y = LSTM<hidden_size=2>(x, w, r, "", "", h) }'))  # fmt: skip
    (node,) = graph.nodes
    assert node.outputs == ("", "y")
    assert node.inputs == ("x", "w", "r", "", "", "h")


@pytest.mark.parametrize(
    ("attribute", "array"),
    [
        ("value = float[2] {1, 2}", np.array([1, 2], np.float32)),
        ("value_int = 3", np.array(3, np.int64)),
        ("value_float = 0.5", np.array(0.5, np.float32)),
        ("value_ints = [1, 2]", np.array([1, 2], np.int64)),
        ("value_floats = [1.0, 2.0]", np.array([1, 2], np.float32)),
        ('value_string = "a"', np.array("a", object)),
        ('value_strings = ["a", "b"]', np.array(["a", "b"], object)),
    ],
)
def test_constant_nodes_become_constants(attribute: str, array: np.ndarray) -> None:
    graph = lift(parse(f"g () => (y) {{ c = Constant<{attribute}>()  y = Identity(c) }}"))
    assert [node.op for node in graph.nodes] == ["Identity"]
    value = graph.constants["c"].value
    assert (value.dtype, value.shape, value.tolist()) == (array.dtype, array.shape, array.tolist())


def test_sparse_tensors_become_dense() -> None:
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [5.0, 6.0])
    for indices, dims in (([1, 5], [2]), ([0, 1, 1, 2], [2, 2])):
        index = helper.make_tensor("i", TensorProto.INT64, dims, indices)
        proto = parse("g (float[2,3] x) => (float[2,3] y) { y = Add(x, w) }")
        proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, index, [2, 3]))
        assert lift(proto).constants["w"].value.tolist() == [[0, 5, 0], [0, 0, 6]]


def test_an_initializer_that_is_an_input_too_is_a_constant() -> None:
    graph = lift(parse("g (float[2] x, float[2] w = {1, 2}) => (float[2] y) { y = Add(x, w) }"))
    assert graph.inputs == ("x",)
    assert graph.constants["w"].value.tolist() == [1, 2]


def test_nodes_out_of_order_are_sorted() -> None:
    proto = parse("g (float[2] x) => (float[2] y) { a = Relu(x)  b = Neg(a)  y = Abs(b) }")
    nodes = [proto.graph.node[i] for i in (2, 0, 1)]
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    assert [node.op for node in lift(copy).nodes] == ["Relu", "Neg", "Abs"]


def test_sequences_optionals_and_unknown_operators_travel() -> None:
    graph = lift(parse("g (seq(float[2]) s, optional(float[2]) o) => (float[2] y) {"
                       " i = Constant<value_int = 0>() a = SequenceAt(s, i) b = OptionalGetElement(o)"
                       ' c = my.Odd<k = [1, 2], t = "x">(a, b) y = Relu(c) }', imports=', "my": 3'))  # fmt: skip
    assert graph.types["s"] == SequenceType(TensorType(FLOAT32, (2,)))
    assert graph.types["o"] == OptionalType(TensorType(FLOAT32, (2,)))
    odd = next(node for node in graph.nodes if node.domain == "my")
    assert (odd.op, odd.op_type, odd.attrs["k"], odd.attrs["t"]) == ("my.Odd", "Odd", (1, 2), "x")
    assert {item.domain: item.version for item in export(graph).opset_import}["my"] == 3


def test_map_inputs_are_carried() -> None:
    proto = parse("g (float[1] x) => (float[1] y) { y = Relu(x) }", imports=', "ai.onnx.ml": 3')
    proto.graph.input.add(name="m", type=helper.make_map_type_proto(
        TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, [])))  # fmt: skip
    assert isinstance(lift(proto).types["m"], OpaqueType)


def test_an_empty_list_stays_one() -> None:
    node = helper.make_node("Odd", ["x"], ["y"], domain="my")
    node.attribute.append(onnx.AttributeProto(name="k", type=onnx.AttributeProto.FLOATS))
    proto = parse(RELU, imports=', "my": 1')
    del proto.graph.node[:]
    proto.graph.node.append(node)
    graph = lift(proto)
    assert graph.nodes[0].attrs["k"] == EmptyList("floats")
    assert export(graph).graph.node[0].attribute[0].type == onnx.AttributeProto.FLOATS


def test_functions_are_inlined() -> None:
    proto = parse("g (float[2] x) => (float[2] y) { y = own.twice(x) }", imports=', "own": 1',
                  extra='<domain: "own", opset_import: ["": 17]> twice (a) => (b) { b = Add(a, a) }')  # fmt: skip
    graph = lift(proto)
    assert [node.op for node in graph.nodes] == ["Add"]
    assert run(graph, x=np.array([1, 2], np.float32))[0].tolist() == [2, 4]


def test_a_function_written_for_other_versions_is_carried() -> None:
    proto = parse("g (float[2] x) => (float[2] y) { y = own.twice(x) }", imports=', "own": 1',
                  extra='<domain: "own", opset_import: ["": 18]> twice (a) => (b) { b = Add(a, a) }')  # fmt: skip
    graph = lift(proto)
    assert (len(graph.functions), graph.opsets[""]) == (1, 17)
    assert len(export(graph).functions) == 1


class TestShapes:
    def test_a_symbol_is_bound_everywhere(self) -> None:
        graph = lift(parse("g (float[N,3] x, float[N,1] z) => (float[N,3] y) { y = Add(x, z) }"), shapes={"N": 4})
        assert [graph.types[name].shape for name in "xzy"] == [(4, 3), (4, 1), (4, 3)]  # type: ignore[union-attr]

    def test_a_shape_by_input_name_binds_its_symbols(self) -> None:
        graph = lift(parse("g (float[N,3] x, float[N,1] z) => (float[N,3] y) { y = Add(x, z) }"), shapes={"x": (4, 3)})
        assert graph.types["y"].shape == (4, 3)  # type: ignore[union-attr]

    def test_symbols_in_bodies_are_bound(self) -> None:
        graph = lift(parse("g (float[N] x, bool c) => (float[N] y) { y = If(c)"
                           " <then_branch = t () => (float[N] r) { r = Relu(x) },"
                           "  else_branch = e () => (float[N] s) { s = Neg(x) }> }"), shapes={"N": 5})  # fmt: skip
        assert graph.nodes[0].attrs["then_branch"].types["r"].shape == (5,)

    @pytest.mark.parametrize(
        ("shapes", "text"),
        [
            ({"M": 1}, "no dimension 'M'. Its symbols are: N"),
            ({"M": (1, 3)}, "no input 'M'"),
            ({"x": (1, 3, 1)}, r"shape \[1, 3, 1\] does not fit"),
            ({"x": (1, 4)}, r"the model declares float32\[N,3\]"),
            ({"N": 2, "x": (3, 3)}, "both 2 and 3"),
            ({"N": -1}, "cannot be -1"),
            ({"N": 0}, "dimension 'N' cannot be 0: .* Give it 1 or more, such as N=1, or leave it open"),
            ({"x": (-1, 3)}, r"shape \[-1, 3\] has a negative size"),
        ],
    )
    def test_shapes_that_do_not_fit_are_refused(self, shapes: dict[str, object], text: str) -> None:
        with pytest.raises(ShapeError, match=text):
            lift(parse(RELU), shapes=shapes)  # type: ignore[arg-type]

    def test_a_whole_shape_may_be_empty(self) -> None:
        graph = lift(parse(RELU), shapes={"x": (0, 3)})
        assert graph.types["y"] == TensorType(FLOAT32, (0, 3))


class TestBind:
    MODEL = "g (float[2] x, int64 n, float[1] k) => (float[2] y) { f = Cast<to = 1>(n) a = Mul(x, f) y = Add(a, k) }"

    def test_inputs_become_constants_of_their_type_and_shape(self) -> None:
        graph = lift(parse(self.MODEL), bind={"n": 3, "k": 0.5})
        assert graph.inputs == ("x",)
        assert graph.types["n"] == TensorType(INT64, ())
        assert graph.types["k"] == TensorType(FLOAT32, (1,))
        assert run(graph, x=np.array([1, 2], np.float32))[0].tolist() == [3.5, 6.5]

    @pytest.mark.parametrize(
        ("bind", "text"),
        [
            ({"sr": 1}, "no input 'sr' to bind. Its inputs are: x, n, k"),
            ({"n": 1.5}, "does not fit int64"),
            ({"n": "a"}, "is no int64"),
            ({"k": [1, 2]}, "does not fit"),
        ],
    )
    def test_values_that_do_not_fit_are_refused(self, bind: dict[str, object], text: str) -> None:
        with pytest.raises(DataError, match=text):
            lift(parse(self.MODEL), bind=bind)


class TestExternalData:
    @staticmethod
    def saved(folder: Path) -> Path:
        proto = parse("g (float[2,64] x) => (float[2,64] y) <float[64] w> { y = Add(x, w) }")
        proto.graph.initializer.append(onnx.numpy_helper.from_array(normal(64), "w"))
        onnx.save(proto, folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
        return folder / "m.onnx"

    def test_it_is_read_from_beside_the_model(self, tmp_path: Path) -> None:
        graph = lift(self.saved(tmp_path))
        np.testing.assert_array_equal(graph.constants["w"].value, normal(64))

    def test_a_missing_file_is_named_with_its_tensor(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path)
        (tmp_path / "w.bin").unlink()
        with pytest.raises(ModelError, match=r"tensor 'w': its data file '.*w.bin' cannot be read"):
            lift(path)

    def test_a_short_file_is_named(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path)
        (tmp_path / "w.bin").write_bytes(b"1234")
        with pytest.raises(ModelError, match=r"tensor 'w': its data file '.*w.bin' is too short"):
            lift(path)

    def test_bytes_have_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="did not come from a file"):
            lift(self.saved(tmp_path).read_bytes())

    def test_files_outside_the_folder_are_not_opened(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path)
        proto = onnx.load(path, load_external_data=False)
        proto.graph.initializer[0].external_data[0].value = "../w.bin"
        path.write_bytes(proto.SerializeToString())
        with pytest.raises(ModelError, match="outside the model's folder"):
            lift(path)


class TestBadInput:
    @pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 64, b"PK\x03\x04 archive"])
    def test_other_files_are_refused(self, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "m.onnx"
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"'.*m.onnx' is not an ONNX model"):
            lift(path)

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
    def test_cut_off_files_are_refused(self, share: float) -> None:
        proto = parse("g (float[2,64] x) => (float[2,64] y) <float[64] w> { a = Add(x, w) y = Relu(a) }")
        proto.graph.initializer.append(onnx.numpy_helper.from_array(normal(64), "w"))
        data = proto.SerializeToString()
        with pytest.raises(ModelError):
            lift(data[: int(share * len(data))])

    def test_a_missing_file_and_other_objects_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="cannot be read"):
            lift(tmp_path / "none.onnx")
        with pytest.raises(ModelError, match="a dict is no model"):
            lift({})

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ("a = Relu(missing) y = Neg(a)", "node 'Relu_0', tensor 'missing': it uses a value that nothing makes"),
            ("a = Relu(x)", "tensor 'y': nothing makes this result"),
            ("y = Relu(x) y = Neg(x)", "tensor 'y': the value is defined twice"),
            ("a = Add(x, b) b = Relu(a) y = Neg(b)", "wait for each other: "),
            ("x = Relu(x) y = Neg(x)", "tensor 'x': the value is defined twice"),
        ],
    )
    def test_inconsistent_graphs_are_refused(self, body: str, text: str) -> None:
        with pytest.raises(ModelError, match=text):
            lift(parse(f"g (float[2] x) => (float[2] y) {{ {body} }}"))

    def test_names_that_are_no_text_are_refused(self) -> None:
        data = parse("g (float[2] wxyz) => (float[2] y) { y = Relu(wxyz) }").SerializeToString()
        with pytest.raises(ModelError, match="not UTF-8 text"):
            lift(data.replace(b"wxyz", b"wx\xff\xfe"))

    def test_initializers_that_do_not_fill_their_shape_are_named(self) -> None:
        proto = parse("g (float[4] x) => (float[4] y) { y = Add(x, w) }")
        proto.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[4], raw_data=b"12345678")
        with pytest.raises(ModelError, match="tensor 'w': the stored data does not fill a float32 tensor of shape 4"):
            lift(proto)

    def test_old_models_are_refused_unless_they_mean_the_same(self) -> None:
        text = "g (float[1,1,2,2] x) => (float[1,1,4,4] y) { y = Upsample<scales = [1.0, 1.0, 2.0, 2.0]>(x) }"
        with pytest.raises(ModelError, match="opset 8, whose Upsample differs from opset 9's"):
            lift(parse(text, opset=8))
        assert lift(parse(RELU, opset=8)).opsets == {"": 21}


SILERO = """g (float[2] x, int64 sr) => (float[2] y) {
    k = Constant<value_int = 16000>()
    c = Equal(sr, k)
    y = If(c) <
        then_branch = wide () => (float[2] r) {
            d = Not(c)
            r = If(d) <then_branch = p () => (float[2] q) { q = Neg(x) },
                  else_branch = o () => (float[2] q) { w = Relu(x) t = Constant<value = float {2}>() q = Mul(w, t) }>
        },
        else_branch = narrow () => (float[2] r) { w = Abs(x) r = Identity(w) }>
}"""


class TestIf:
    @pytest.mark.parametrize(("rate", "ops"), [(16000, ["Relu", "Mul"]), (8000, ["Abs", "Identity"])])
    def test_the_taken_branch_replaces_it(self, rate: int, ops: list[str]) -> None:
        proto = parse(SILERO)
        graph = lift(proto, bind={"sr": rate})
        assert [node.op for node in graph.nodes if node.op not in ("Equal", "Not")] == ops
        x = normal(2)
        np.testing.assert_array_equal(run(graph, x=x)[0], run(proto, x=x, sr=np.array(rate))[0])
        assert len({node.name for node in graph.nodes}) == len(graph.nodes)

    def test_it_stays_where_the_condition_is_open(self) -> None:
        graph = lift(parse(SILERO))
        assert [node.op for node in graph.nodes] == ["Equal", "If"]
        assert graph.nodes[1].captures == ("c", "x")

    def test_a_condition_on_a_static_shape_is_decided(self) -> None:
        graph = lift(
            parse("""g (float[N,3] x) => (float[N,3] y) {
            s = Shape(x) zero = Constant<value_int = 0>() n = Gather(s, zero)
            one = Constant<value_int = 1>() c = Equal(n, one)
            y = If(c) <then_branch = t () => (float[N,3] r) { r = Relu(x) },
                       else_branch = e () => (float[N,3] r) { r = Neg(x) }> }"""),
            shapes={"N": 1},
        )
        assert "Relu" in [node.op for node in graph.nodes]
        assert "If" not in [node.op for node in graph.nodes]

    def test_a_branch_may_give_captured_values_constants_and_one_value_twice(self) -> None:
        proto = parse("""g (float[2] x) => (float[2] y, float[2] z, float[2] v, float[2] w) {
            c = Constant<value = bool {1}>()
            y, z, v, w = If(c) <then_branch = t () => (float[2] x, float[2] k, float[2] a, float[2] a) {
                k = Constant<value = float[2] {1, 2}>() a = Neg(x) },
              else_branch = e () => (float[2] p, float[2] q, float[2] r, float[2] s) {
                p = Abs(x) q = Abs(x) r = Abs(x) s = Abs(x) }> }""")
        x = normal(2)
        graph = lift(proto)
        assert "If" not in [node.op for node in graph.nodes]
        for found, wanted in zip(run(graph, x=x), [x, np.array([1, 2], np.float32), -x, -x], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_bodies_use_constants_of_the_graph_around_them() -> None:
    proto = parse("""g (float[2] x, int64 n) => (float[2] y) <float[2] w = {1, 2}> {
        c = Constant<value = bool {1}>()
        y = Loop(n, c, x) <body = b (int64 i, bool ci, float[2] a) => (bool co, float[2] o) {
            co = Identity(ci) o = Add(a, w) }> }""")
    graph = lift(proto)
    assert graph.nodes[0].captures == ("w",)
    assert run(graph, x=np.zeros(2, np.float32), n=np.array(3))[0].tolist() == [3, 6]


def test_metadata_survives() -> None:
    proto = parse(RELU)
    proto.producer_name, proto.doc_string, proto.model_version = "someone", "text", 7
    proto.metadata_props.add(key="author", value="me")
    again = export(lift(proto))
    assert (again.producer_name, again.doc_string, again.model_version) == ("someone", "text", 7)
    assert {item.key: item.value for item in again.metadata_props} == {"author": "me"}


@pytest.mark.needs("module:torch", "module:onnxscript")
@pytest.mark.slow
def test_torch_modules_are_exported() -> None:
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(), torch.nn.ReLU())
    x = torch.from_numpy(normal(2, 4))
    graph = lift(module, example_inputs=x)
    assert module.training
    with torch.no_grad():
        wanted = module.eval()(x).numpy()
    np.testing.assert_allclose(run(graph, **{graph.inputs[0]: x.numpy()})[0], wanted, rtol=1e-5, atol=1e-6)
