"""Models with bodies: an If, a Loop and a Scan that hold layers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64


def value(name: str, kind: int, shape: list[int | str] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, *shape: int, seed: int = 0, scale: float = 0.3) -> onnx.TensorProto:
    random = np.random.default_rng(seed)
    return numpy_helper.from_array((random.standard_normal(shape) * scale).astype(np.float32), name)


def model(graph: onnx.GraphProto) -> onnx.ModelProto:
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made)
    return made


def node(op: str, inputs: str, outputs: str, **attrs: object) -> onnx.NodeProto:
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), name=f"{op}_{outputs.split()[0]}", **attrs)


def branch(prefix: str, function: str, seed: int) -> onnx.GraphProto:
    """f(h), or h without a function, through two matrices; h and the second matrix, shared, are captured."""
    p = prefix
    nodes = [
        *([node(function, "h", f"{p}_s")] if function else []),
        node("MatMul", f"{p}_s {p}_w" if function else f"h {p}_w", f"{p}_m"),
        node("Relu", f"{p}_m", f"{p}_r"),
        node("MatMul", f"{p}_r shared", f"{p}_n"),
        node("Add", f"{p}_n h", f"{p}_y"),
    ]
    return helper.make_graph(nodes, p, [], [value(f"{p}_y", FLOAT, ["N", 8])], [weight(f"{p}_w", 8, 8, seed=seed)])


def branches(first: str = "Sigmoid") -> onnx.ModelProto:
    """x [N, 8], flag -> MatMul -> h; If(flag) on h -> MatMul -> y [N, 8]; h is used behind the If, too.

    Args:
        first: operator that opens the first branch; none if empty.
    """
    nodes = [
        node("MatMul", "x w1", "h"),
        node("If", "flag", "z", then_branch=branch("a", first, 1), else_branch=branch("b", "Tanh", 2)),
        node("Add", "z h", "s"),
        node("MatMul", "s w2", "y"),
    ]
    inputs = [value("x", FLOAT, ["N", 8]), value("flag", BOOL, [])]
    weights = [weight("w1", 8, 8, seed=3), weight("w2", 8, 8, seed=4), weight("shared", 8, 8, seed=5)]
    return model(helper.make_graph(nodes, "branches", inputs, [value("y", FLOAT, ["N", 8])], weights))


def loop(trips: int = 3, scalar: bool = True, stop: float | None = None) -> onnx.ModelProto:
    """x [2, 8]: `trips` times h = tanh(h w) + x; y = h, and every h stacked.

    Args:
        scalar: the body declares its iteration number as a scalar, else with one element.
        stop: ends the loop once sum(h) exceeds it; None passes the condition through.
    """
    nodes = [node("MatMul", "h w", "m"), node("Tanh", "m", "t"), node("Add", "t x", "n"), node("Identity", "n", "row")]
    weights = [weight("w", 8, 8, seed=1)]
    if stop is None:
        condition = "go"
    else:
        condition = "more"
        nodes += [node("ReduceSum", "n", "total", keepdims=0), node("Less", "total stop", "more")]
        weights.append(numpy_helper.from_array(np.float32(stop).reshape(()), "stop"))
    shape: list[int | str] = [] if scalar else [1]
    body = helper.make_graph(
        nodes, "body",
        [value("i", INT64, shape), value("go", BOOL, shape), value("h", FLOAT, [2, 8])],
        [value(condition, BOOL, shape if stop is None else []), value("n", FLOAT, [2, 8]), value("row", FLOAT, [2, 8])],
        weights,
    )  # fmt: skip
    outer = [node("Loop", "trips _ x", "y rows", body=body)]
    constants = [numpy_helper.from_array(np.array(trips, np.int64), "trips")]
    outputs = [value("y", FLOAT, [2, 8]), value("rows", FLOAT, ["T", 2, 8])]
    return model(helper.make_graph(outer, "looping", [value("x", FLOAT, [2, 8])], outputs, constants))


def scan(backward: int = 0, axis: int = 0, out_axis: int = 0) -> onnx.ModelProto:
    """h = relu(h u + x_t w) over the rows of x; the last h, and every h stacked."""
    nodes = [
        node("MatMul", "h u", "p"), node("MatMul", "xt w", "q"), node("Add", "p q", "s"), node("Relu", "s", "n"),
        node("Identity", "n", "row"),
    ]  # fmt: skip
    body = helper.make_graph(
        nodes, "body", [value("h", FLOAT, [2, 4]), value("xt", FLOAT, [2, 8])],
        [value("n", FLOAT, [2, 4]), value("row", FLOAT, [2, 4])],
        [weight("u", 4, 4, seed=1), weight("w", 8, 4, seed=2)],
    )  # fmt: skip
    attrs = {"num_scan_inputs": 1, "scan_input_directions": [backward], "scan_output_directions": [backward],
             "scan_input_axes": [axis], "scan_output_axes": [out_axis]}  # fmt: skip
    outer = [node("Scan", "start x", "y rows", body=body, **attrs)]
    shape: list[int | str] = [2, 8]
    shape.insert(axis, 5)
    rows: list[int | str] = [2, 4]
    rows.insert(out_axis, 5)
    inputs = [value("start", FLOAT, [2, 4]), value("x", FLOAT, shape)]
    return model(helper.make_graph(outer, "scanning", inputs, [value("y", FLOAT, [2, 4]), value("rows", FLOAT, rows)]))
