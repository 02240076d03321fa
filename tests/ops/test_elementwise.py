"""What the table says of functions of single elements is true, and C knows each of them."""

from __future__ import annotations

import numpy as np
import pytest

from qir.backends.c.kernels import families
from qir.evaluate import evaluate
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Node, Stage
from qir.ir.types import TensorType
from qir.ops.elementwise import FUNCTIONS

_VECTOR = TensorType(FLOAT32, (41,))
_X = np.linspace(-10, 10, 41, dtype=np.float32)  # zero is among them


def results(op: str, x: np.ndarray) -> np.ndarray:
    """Of a function without further operands; its last opset is Swish's."""
    graph = Graph(op, ("x",), ("y",), (Node(op, ("x",), ("y",), name="f"),), {"x": _VECTOR, "y": _VECTOR}, {},
                  Stage.FLOAT, {"": 24 if op == "Swish" else 22})  # fmt: skip
    return evaluate(graph, {"x": x})["y"].astype(np.float64)


@pytest.mark.parametrize("op", FUNCTIONS)
def test_what_is_said_of_functions(op: str) -> None:
    said, found = FUNCTIONS[op], results(op, _X)
    numbers = found[np.isfinite(found)]
    assert numbers.size
    assert numbers.min() >= said.low - 1e-6
    assert numbers.max() <= said.high + 1e-6
    assert said.finite_at_zero == np.isfinite(found[20])
    scaled = results(op, 0.125 * _X)
    assert said.homogeneous == np.allclose(0.125 * found, scaled, atol=1e-6) or op == "Clip", "Clip without bounds"


def test_c_computes_all_of_them() -> None:
    assert FUNCTIONS.keys() <= {op for family in families() for op in family.ops}
