"""Properties of all clean and fuse passes: on random small graphs and on the measuring models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qir.ir.graph import Graph, Stage
from qir.onnxio.lift import lift
from tests.passes.graphs import apply, assert_same, count, net, normal

PASSES = (
    "fold-constants", "eliminate-identities", "merge-duplicates", "eliminate-dead-code", "cancel-transposes",
    "fuse-pad", "recognize-codes",
    "recognize-activations", "recognize-layernorm", "fold-batchnorm", "fuse-matmul-add", "fold-affine", "gemm-on-rows",
)  # fmt: skip
ALL = ",".join((*PASSES, "eliminate-dead-code"))

KEEP = [
    "{y} = Relu({x})", "{y} = Identity({x})", "{y} = Add({x}, {z})", "{y} = Mul({x}, {z})", "{y} = Mul({x}, s)",
    "{y} = Add({x}, c)",
    "{y} = Sub(s, {x})", "{y} = Div({x}, d)", "{y} = Sigmoid({x})", "{y} = Clip({x}, zero, s)", "{y} = Max({x}, zero)",
    "{y} = Conv<pads=[1,1,1,1]>({x}, w)", "{y} = Conv({x}, v, b)", "{y} = Conv<group=4>({x}, u)",
    "{y} = ConvTranspose({x}, v)",
    "{y} = BatchNormalization({x}, b, b, b, p)", "{y} = Dropout({x})", "{y} = MaxPool<kernel_shape=[3,3], "
        "pads=[1,1,1,1]>({x})",
    "{y} = AveragePool<kernel_shape=[1,1]>({x})", "{y} = Softmax<axis=1>({x})", "{y} = Erf({x})", "{y} = Neg({x})",
    "{y}t = Transpose<perm=[0,2,3,1]>({x}) {y}u = Relu({y}t) {y} = Transpose<perm=[0,3,1,2]>({y}u)",
    "{y}t = Transpose<perm=[0,2,3,1]>({x}) {y}u = Add({y}t, b) {y}v = Add({y}u, {y}t) {y} = "
    "Transpose<perm=[0,3,1,2]>({y}v)",
    "{y} = Transpose<perm=[0,1,3,2]>({x})", "{y}s = Shape({x}) {y} = Reshape({z}, "
        "{y}s)", "{y}f = Flatten({x}) {y} = Reshape({y}f, "
        "full)",
    "{y}p = Pad({x}, around) {y} = Conv({y}p, w)", "{y}a = Add({x}, three) {y}c = Clip({y}a, zero, six) {y}m = "
        "Mul({x}, {y}c) {y} = Div({y}m, six)",
    "{y}m = ReduceMean({x}, last) {y}d = Sub({x}, {y}m) {y}q = Mul({y}d, {y}d) {y}v = ReduceMean({y}q, last) "
    "{y}e = Add({y}v, s) "
    "{y}r = Sqrt({y}e) {y} = Div({y}d, {y}r)",
    "{y}k = Concat<axis=1>({x}, {z}) {y}l, {y}n = Split<axis=1, num_outputs=2>({y}k) {y} = Sub({y}l, {y}n)",
    "{y}e = Exp(c) {y} = Mul({x}, {y}e)", "{y}g = Greater({x}, zero) {y}h = Mul({x}, s) {y} = Where({y}g, {x}, {y}h)",
]  # fmt: skip
CONSTANTS = {
    "s": np.float32(0.5), "c": normal(4, 1, 1), "d": np.abs(normal(1, 4, 1, 1, seed=2)) + 0.5, "zero": np.float32(0),
    "w": normal(4, 4, 3, 3) / 6, "v": normal(4, 4, 1, 1) / 2, "u": normal(4, 1, 1, 1), "b": normal(4),
    "p": np.abs(normal(4)) + 0.5,
    "full": [-1, 4, 5, 5], "around": [0, 0, 1, 1, 0, 0, 1, 1], "three": np.float32(3), "six": np.float32(6),
    "last": [-1],
}  # fmt: skip


def random_net(choices: list[tuple[int, int, int]], outputs: list[int], batch: str) -> Graph:
    """A chain of operators that keep [batch, 4, 5, 5], each on earlier values."""
    names, lines = ["x0", "x1"], []
    for position, (template, first, second) in enumerate(choices):
        x, z = names[-1 - first % len(names)], names[-1 - second % len(names)]
        lines.append(KEEP[template % len(KEEP)].format(x=x, z=z, y=f"n{position}"))
        names.append(f"n{position}")
    results = sorted({names[2:][output % len(choices)] for output in (*outputs, -1)})
    declared = ", ".join(f"float[{batch},4,5,5] {name}" for name in results)
    text = f"(float[{batch},4,5,5] x0, float[{batch},4,5,5] x1) => ({declared}) {{ {' '.join(lines)} }}"
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return net(text, **{name: value for name, value in CONSTANTS.items() if name in words})


NUMBER = st.integers(0, 40)
NETS = st.builds(random_net, st.lists(st.tuples(NUMBER, st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9),
                 st.lists(NUMBER, max_size=2), st.sampled_from(["2", "N"]))  # fmt: skip


@settings(max_examples=60)
@given(NETS)
def test_random_graphs_keep_their_meaning(graph: Graph) -> None:
    after = apply(ALL, graph, tolerance=2e-4)
    assert_same(graph, after, tolerance=5e-4)
    assert "Dropout" not in count(after)


MODELS = ("cnn_mnist", "mlp_mnist", "lstm_mnist", "vit_mnist", "onnxzoo_mnist", "ppocr_cls", "resnet8_cifar10",
        "dscnn_kws",
          "digits_dscnn", "sww_tiny", "tfc_w1a1_mnist", "tfc_w2a2_mnist", "mobilenetv2_imagenet")  # fmt: skip
GONE = {"BatchNormalization", "Shape", "ConstantOfShape", "Identity", "Dropout", "Cast", "Erf", "Div", "Pad"}


@pytest.mark.parametrize("model", MODELS)
def test_measuring_models(zoo: Path, model: str) -> None:
    graph = lift(str(zoo / model / "model.onnx"))
    after = apply(ALL, graph, tolerance=1e-4)
    assert_same(graph, after, tolerance=1e-4)
    kept = {"BatchNormalization"} if graph.stage is Stage.QUANT else set()  # exact sums of few codes stay exact
    assert not (GONE - kept) & set(count(after))
    assert len(after.nodes) <= len(graph.nodes)
