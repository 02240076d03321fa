"""Graphs from ONNX's text form, and passes applied to them under the checks that every pass must stand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

import qir.passes  # noqa: F401  (names the passes)
from qir.evaluate import evaluate
from qir.ir.dtype import INT8
from qir.ir.graph import Graph, Stage
from qir.ir.types import Affine, TensorType
from qir.onnxio.lift import lift
from qir.passmanager.base import Context
from qir.passmanager.registry import parse_pipeline
from qir.target import Target
from qir.verify import verify

_CONTEXT = Context(Target("nowhere", "onnx", {}))
"""The passes under test look at their graph alone."""


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def net(text: str, **constants: Any) -> Graph:
    """A graph from `(float[2] x) => (float[2] y) { y = Relu(x) }`; other names that are read are given as arrays."""
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> net {text}')
    for name, value in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return lift(proto)


def feeds(graph: Graph, *, unknown: int = 3, seed: int = 1) -> dict[str, np.ndarray]:
    """Standard normal inputs (0 .. 2 for integers); sizes that are not numbers become `unknown`."""
    random, found = np.random.default_rng(seed), {}
    for name in graph.inputs:
        kind = graph.tensor(name)
        shape = [d if isinstance(d, int) else unknown for d in kind.shape or ()]
        drawn = random.standard_normal(shape) if kind.dtype.is_float else random.integers(0, 3, shape)
        found[name] = drawn.astype(kind.dtype.numpy)
    return found


def assert_same(before: Graph, after: Graph, tolerance: float = 2e-6, unknown: int = 3) -> None:
    """Equal interfaces, and outputs equal within `tolerance` of their largest magnitude."""
    assert (before.inputs, before.outputs) == (after.inputs, after.outputs)
    given = feeds(before, unknown=unknown)
    expected, found = evaluate(before, given), evaluate(after, given)
    for name in before.outputs:
        a, b = np.asarray(expected[name]), np.asarray(found[name])
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a.dtype.kind == "f":
            np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * max(float(np.abs(a).max(initial=0)), 1e-6))
        else:
            np.testing.assert_array_equal(b, a)


def apply(passes: str, graph: Graph, *, tolerance: float = 2e-6) -> Graph:
    """Runs passes; each must leave a valid graph with equal outputs and find nothing more to do on it."""
    for one in parse_pipeline(passes):
        after = one.run(graph, _CONTEXT)
        if after is not graph:
            verify(after, after=str(one))
            assert_same(graph, after, tolerance)
            assert one.run(after, _CONTEXT) is after, f"{one} is not at rest after one application"
        graph = after
    return graph


def unchanged(passes: str, graph: Graph) -> bool:
    """Whether passes return the very same object."""
    return all(one.run(graph, _CONTEXT) is graph for one in parse_pipeline(passes))


def ops(graph: Graph) -> list[str]:
    """Operators in execution order."""
    return [node.op for node in graph.nodes]


def count(graph: Graph) -> Counter[str]:
    """How often each operator occurs, bodies included."""
    return Counter(node.op for _, node in graph.walk())


def quantized(graph: Graph, *names: str, scale: float = 0.05) -> Graph:
    """The graph in stage QUANT with some values rounded to int8 codes."""
    quant = Affine(INT8, np.array(scale), np.array(0))
    types = dict(graph.types)
    for name in names:
        kind = graph.tensor(name)
        types[name] = TensorType(kind.dtype, kind.shape, quant)
    return graph.with_(types=types, stage=Stage.QUANT)
