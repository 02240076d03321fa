"""Old models mean after normalisation what they meant before, in onnxruntime."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import onnx
import pytest

from qir.onnxio.export import export
from qir.onnxio.lift import lift
from qir.onnxio.opset import _CHANGED
from qir.onnxio.upgrade_rules import RULES
from tests.onnxio.running import imported, normal, parse, run

CASES = {
    "clip": (9, "g (float[4] x) => (float[4] y) { y = Clip<min = -0.5, max = 0.5>(x) }"),
    "clip-one-side": (9, "g (float[4] x) => (float[4] y) { y = Clip<max = 0.5>(x) }"),
    "pad": (9, "g (float[4] x) => (float[7] y) { y = Pad<pads = [1, 2], value = 3.0>(x) }"),
    "slice": (9, "g (float[4] x) => (float[2] y) { y = Slice<starts = [1], ends = [3]>(x) }"),
    "slice-axes": (9, "g (float[2,2] x) => (float[2,1] y) { y = Slice<axes = [1], starts = [-1], ends = [9]>(x) }"),
    "topk": (9, "g (float[4] x) => (float[2] y, int64[2] i) { y, i = TopK<k = 2>(x) }"),
    "split": (11, "g (float[4] x) => (float[1] y, float[3] z) { y, z = Split<split = [1, 3]>(x) }"),
    "split-even": (13, "g (float[4] x) => (float[2] y, float[2] z) { y, z = Split(x) }"),
    "squeeze": (11, "g (float[1,4] x) => (float[4] y) { y = Squeeze<axes = [0]>(x) }"),
    "squeeze-all": (11, "g (float[1,4] x) => (float[4] y) { y = Squeeze(x) }"),
    "unsqueeze": (12, "g (float[4] x) => (float[1,4,1] y) { y = Unsqueeze<axes = [0, -1]>(x) }"),
    "reduce-sum": (11, "g (float[2,2] x) => (float[2] y) { y = ReduceSum<axes = [1], keepdims = 0>(x) }"),
    "reduce-mean": (17, "g (float[2,2] x) => (float[1,2] y) { y = ReduceMean<axes = [0]>(x) }"),
    "reduce-max-all": (13, "g (float[2,2] x) => (float y) { y = ReduceMax<keepdims = 0>(x) }"),
    "dropout": (10, "g (float[4] x) => (float[4] y) { y = Dropout<ratio = 0.3>(x) }"),
    "dropout-mask": (9, "g (float[4] x) => (float[4] y) { y, m = Dropout(x) }"),
    "softmax": (11, "g (float[2,2,2] x) => (float[2,2,2] y) { y = Softmax(x) }"),
    "softmax-last": (11, "g (float[2,3] x) => (float[2,3] y) { y = Softmax<axis = 1>(x) }"),
    "softmax-negative": (11, "g (float[2,2,2] x) => (float[2,2,2] y) { y = LogSoftmax<axis = -2>(x) }"),
    "softmax-dynamic": (11, "g (float[N,2,2] x) => (float[N,2,2] y) { y = Softmax(x) }"),
    "hardmax": (11, "g (float[2,2,2] x) => (float[2,2,2] y) { y = Hardmax<axis = 0>(x) }"),
    "upsample": (9, "g (float[1,1,2,2] x) => (float[1,1,4,6] y) { s = Constant<value = float[4] {1, 1, 2, 3}>()"
                    " y = Upsample<mode = \"nearest\">(x, s) }"),
    "upsample-linear": (9, "g (float[1,1,2,2] x) => (float[1,1,4,6] y) { s = Constant<value = float[4] {1, 1, 2, 3}>()"
                           " y = Upsample<mode = \"linear\">(x, s) }"),
    "resize-10": (10, "g (float[1,1,2,2] x) => (float[1,1,5,5] y) { s = Constant<value = float[4] {1, 1, 2.5, 2.5}>()"
                      " y = Resize<mode = \"nearest\">(x, s) }"),
    "resize-11": (11, "g (float[1,1,2,2] x) => (float[1,1,3,5] y) <float[0] r = {}, float[0] s = {}> {"
                      " n = Constant<value = int64[4] {1, 1, 3, 5}>() y = Resize<mode = \"linear\">(x, r, s, n) }"),
    "batchnorm": (9, "g (float[2,2] x) => (float[2,2] y) <float[2] s = {1, 2}, float[2] b = {3, 4}, float[2] m = {0, 1}"
                     ", float[2] v = {1, 4}> { y = BatchNormalization<epsilon = 0.1>(x, s, b, m, v) }"),
    "scatter": (10, "g (float[4] x) => (float[4] y) <int64[1] i = {2}, float[1] u = {9}> { y = Scatter(x, i, u) }"),
    "gridsample": (16, "g (float[1,1,2,2] x) => (float[1,1,1,2] y) <float[1,1,2,2] g = {0, 0, 0.3, -0.4}> {"
                       " y = GridSample<mode = \"bicubic\">(x, g) }"),
    "gridsample-default": (16, "g (float[1,1,2,2] x) => (float[1,1,1,2] y) <float[1,1,2,2] g = {0, 0, 0.3, -0.4}> {"
                               " y = GridSample(x, g) }"),
    "groupnorm": (18, "g (float[1,4,3] x) => (float[1,4,3] y) <float[2] s = {1, 2}, float[2] b = {3, 4}> {"
                      " y = GroupNormalization<num_groups = 2>(x, s, b) }"),
    "dft": (17, "g (float[1,4,1] x) => (float[1,4,2] y) { y = DFT(x) }"),
    "roialign": (10, "g (float[1,1,4,4] x) => (float[1,1,2,2] y) <float[1,4] r = {0, 0, 3, 3}, int64[1] b = {0}> {"
                     " y = RoiAlign<output_height = 2, output_width = 2>(x, r, b) }"),
    "gemm": (9, "g (float[2,2] x) => (float[2,2] y) <float[2] c = {1, 2}> { y = Gemm<transB = 1>(x, x, c) }"),
    "body": (10, "g (float[1,4] x, bool c) => (float[4] y) { y = If(c) <then_branch = t () => (float[4] r) {"
                 " a = Clip<min = 0.0>(x) r = Squeeze<axes = [0]>(a) }, else_branch = e () => (float[4] s) {"
                 " s = Squeeze<axes = [0]>(x) }> }"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_raised_model_computes_the_same(name: str) -> None:
    opset, text = CASES[name]
    proto = parse(text, opset=opset, ir=7)
    shape = [dim.dim_value or 3 for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    inputs = {"x": normal(*shape), **({"c": np.array(True)} if name == "body" else {})}
    graph = lift(proto)
    assert graph.opsets[""] == 21
    for emitted in (export(graph), export(graph, minimal_opset=False)):
        onnx.checker.check_model(emitted, full_check=True)
        found = run(emitted, **inputs)
        if name == "groupnorm":  # onnxruntime has no kernel for the form of 18
            wanted = [onnx.reference.ReferenceEvaluator(proto).run(None, inputs)[0]]
            np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5, atol=1e-6)
            continue
        for got, want in zip(found, run(proto, **inputs), strict=True):
            np.testing.assert_array_equal(got, want)
            assert got.dtype == want.dtype


@pytest.mark.parametrize("opset", range(9, 21))
def test_models_from_9_on_are_raised_to_21(opset: int) -> None:
    assert lift(parse("g (float[2] x) => (float[2] y) { y = Relu(x) }", opset=opset)).opsets == {"": 21}


@pytest.mark.parametrize("opset", [22, 23, 24])
def test_newer_models_keep_their_version(opset: int) -> None:
    assert lift(parse("g (float[2] x) => (float[2] y) { y = Relu(x) }", opset=opset, ir=10)).opsets == {"": opset}


@pytest.mark.parametrize(
    "text",
    [
        "g (float[2,2] x) => (float[2,2] y, float[2] n) <float[2] s = {1, 2}> {"
        " y, n, o = BatchNormalization(x, s, s, s, s) }",
        "g (float[2] x) => (float[2] y, bool[2] m) { y, m = Dropout(x) }",
        "g (float[1,1,2,2] x) => (float[1,1,4,4] y) <float[8] r = {0, 0, 0, 0, 1, 1, 1, 1}, float[4] s = {1, 1, 2, 2}>"
        ' { y = Resize<coordinate_transformation_mode = "tf_half_pixel_for_nn">(x, r, s) }',
    ],
)
def test_a_node_without_an_equal_keeps_the_whole_model_back(text: str, caplog: pytest.LogCaptureFixture) -> None:
    graph = lift(parse(text, opset=11, ir=6))
    assert graph.opsets == {"": 11}
    assert "the model keeps opset 11" in caplog.text
    assert imported(export(graph)) == 11


def test_every_breaking_change_of_onnx_has_a_rule() -> None:
    """Inputs or attributes that went away or became needed, and defaults that changed, by ONNX's own definitions."""
    history: dict[str, dict[int, onnx.defs.OpSchema]] = defaultdict(dict)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            history[schema.name][schema.since_version] = schema
    broken = set()
    for name, versions in history.items():
        order = sorted(versions)
        for old, new in itertools.pairwise(order):
            if 9 < new <= 21 and _breaks(versions[old], versions[new]):
                broken.add((name, new))
    exempt = {("Constant", 11)}  # its value became one of several
    assert broken - exempt <= RULES.keys()
    assert {key for key in _CHANGED if _CHANGED[key] is None} <= RULES.keys()


def _breaks(old: onnx.defs.OpSchema, new: onnx.defs.OpSchema) -> bool:
    if new.deprecated or old.attributes.keys() - new.attributes.keys() or new.min_input > old.min_input:
        return True
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    needed = [[item.option == single for item in schema.inputs] for schema in (old, new)]
    if any(after and not before for before, after in zip(*needed, strict=False)) or len(new.outputs) < len(old.outputs):
        return True
    return any(
        old.attributes[key].default_value.SerializeToString() != item.default_value.SerializeToString()
        for key, item in new.attributes.items()
        if key in old.attributes
    )
