"""A few graphs written by hand, in every stage."""

from __future__ import annotations

import numpy as np

from qir.ir.dtype import FLOAT32, INT8, UINT8
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.types import Affine, TensorType

X = TensorType(FLOAT32, ("N", 4))
Y = TensorType(FLOAT32, ("N", 2))
WEIGHT = np.array([[1, -2], [0.5, 0.25], [3, 1], [0, -1]], np.float32)


def layer() -> Graph:
    """x [N, 4] -> MatMul -> Relu -> y [N, 2]."""
    return Graph(
        name="layer",
        inputs=("x",),
        outputs=("y",),
        nodes=(
            Node("MatMul", ("x", "w"), ("h",), name="product", origin=("product",)),
            Node("Relu", ("h",), ("y",), name="clamp", origin=("clamp", "user/relu")),
        ),
        types={"x": X, "w": TensorType(FLOAT32, (4, 2)), "h": Y, "y": Y},
        constants={"w": Constant(WEIGHT)},
        opsets={"": 21},
    )


def quantized() -> Graph:
    """The same with codes."""
    graph = layer()
    weight = Affine(INT8, np.array([0.25, 0.125]), np.array([0, 0]), axis=1, qmin=-127)
    codes = np.rint(WEIGHT / weight.scale).astype(np.int8)
    types = {
        **graph.types,
        "x": TensorType(FLOAT32, ("N", 4), Affine(UINT8, 0.5, 128)),
        "w": TensorType(FLOAT32, (4, 2), weight),
        "y": TensorType(FLOAT32, ("N", 2), Affine(UINT8, 0.1, 0)),
    }
    constants, ranges = {"w": Constant(WEIGHT, codes)}, {"y": (0.0, 25.5), "h": (-3.0, 3.0)}
    return graph.with_(stage=Stage.QUANT, types=types, constants=constants, ranges=ranges)


def branching() -> Graph:
    """An If whose bodies use a value of the outer graph."""
    scalar = TensorType(FLOAT32, ())

    def body(name: str, op: str) -> Graph:
        inner = (Node(op, ("h",), (f"{name}_y",), name=f"{name}_{op}"),)
        return Graph(name, (), (f"{name}_y",), inner, {f"{name}_y": Y})

    choice = Node("If", ("flag",), ("y",), {"then_branch": body("yes", "Relu"), "else_branch": body("no", "Neg")},
                  name="choice")  # fmt: skip
    double = Node("Add", ("x", "x"), ("h",), name="double")
    return Graph("branching", ("x", "flag"), ("y",), (double, choice), {"x": Y, "flag": scalar, "h": Y, "y": Y})
