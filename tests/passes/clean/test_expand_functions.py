"""Operators that only have a definition are written out."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import qir
from qir.passes.clean.expand_functions import ExpandFunctions
from qir.passmanager.base import Context
from qir.target import Target

CONTEXT = Context(Target("c", "c", {}))
FLOAT = TensorProto.FLOAT


def attention_model(**attrs: object) -> object:
    inputs = [helper.make_tensor_value_info(name, FLOAT, [1, 2, 5, 8]) for name in "qkv"]
    node = helper.make_node("Attention", ["q", "k", "v"], ["y"], name="attend", **attrs)
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", FLOAT, [1, 2, 5, 8])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)


@pytest.mark.parametrize("attrs", [{}, {"is_causal": 1}, {"scale": 0.1}, {"softcap": 2.0}], ids=str)
def test_attention_becomes_products_and_means_the_same(attrs: dict[str, object]) -> None:
    model = attention_model(**attrs)
    graph = qir.lift(model)
    after = ExpandFunctions().run(graph, CONTEXT)
    qir.verify_graph(after)
    ops = [node.op for node in after.nodes]
    assert "Attention" not in ops
    assert ops.count("MatMul") >= 2
    assert all("attend" in node.origin for node in after.nodes)
    random = np.random.default_rng(0)
    feeds = {name: random.standard_normal((1, 2, 5, 8)).astype(np.float32) for name in "qkv"}
    (wanted,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_allclose(qir.evaluate_graph(after, feeds)["y"], wanted, rtol=1e-4, atol=1e-6)


def test_operators_with_kernels_stay_whole() -> None:
    node = helper.make_node("Gelu", ["x"], ["y"])
    values = [helper.make_tensor_value_info(name, FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    lifted = qir.lift(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
    assert ExpandFunctions().run(lifted, CONTEXT) is lifted


def test_attention_quantizes_and_compiles_to_c() -> None:
    random = np.random.default_rng(1)
    feeds = [{n: random.standard_normal((1, 2, 5, 8)).astype(np.float32) for n in "qkv"} for _ in range(4)]
    c = qir.compile(attention_model(), feeds, target="portable")
    real = qir.compile(attention_model(), recipe="float", target="portable").run(feeds[0])
    np.testing.assert_allclose(c.run(feeds[0])["y"], real["y"], atol=0.1)
