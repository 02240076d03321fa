"""If, Loop and Scan: which bodies run, on which inputs, and what becomes of their results.

Source: the ONNX operator definitions of If-21, Loop-21 and Scan-21.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType

Execution: TypeAlias = tuple[str, dict[str, Any]]
"""Attribute that holds the body, and the body's inputs by name."""
Executions: TypeAlias = Generator[Execution, Sequence[Any], list[Any]]

CONTROL = ("If", "Loop", "Scan")
_ENDLESS = 2**63 - 1


def executions(node: Node, values: Mapping[str, Any]) -> Executions:
    """Every execution of an If's, Loop's or Scan's bodies, in order; whoever iterates sends back each one's results.

    Args:
        node: with op in `CONTROL`.
        values: of the node's inputs, by name.

    Returns:
        The node's results, once the bodies are done.
    """
    if node.op == "If":
        results = yield ("then_branch" if _truth(values[node.inputs[0]]) else "else_branch"), {}
        return list(results)
    if node.op == "Loop":
        return (yield from _loop(node, node.subgraphs["body"], values))
    return (yield from _scan(node, node.subgraphs["body"], values))


def _truth(value: Any) -> bool:
    return bool(np.reshape(value, -1)[0])


def _shaped(value: Any, dtype: Any, name: str, body: Graph) -> np.ndarray:
    """A number as the body declares it: a scalar, or with one axis of one element."""
    kind = body.types.get(name)
    return np.full((1,) if isinstance(kind, TensorType) and len(kind.shape or ()) == 1 else (), value, dtype)


def _loop(node: Node, body: Graph, values: Mapping[str, Any]) -> Executions:
    trips = int(np.reshape(values[node.inputs[0]], -1)[0]) if node.input(0) else _ENDLESS
    going = _truth(values[node.inputs[1]]) if node.input(1) else True
    state: list[Any] = [values[name] for name in node.inputs[2:]]
    kept: list[list[Any]] = [[] for _ in node.outputs[len(state) :]]
    iteration = 0
    while going and iteration < trips:
        number = _shaped(iteration, np.int64, body.inputs[0], body)
        given = [number, _shaped(True, np.bool_, body.inputs[1], body), *state]
        results = yield "body", dict(zip(body.inputs, given, strict=True))
        going, state = _truth(results[0]), list(results[1 : 1 + len(state)])
        for rows, row in zip(kept, results[1 + len(state) :], strict=False):
            rows.append(row)
        iteration += 1
    names = body.outputs[1 + len(state) :]
    return [*state, *(_stacked(rows, 0, name, body) for rows, name in zip(kept, names, strict=False))]


def _stacked(rows: Sequence[Any], axis: int, name: str, body: Graph) -> np.ndarray:
    if rows:
        return np.stack(rows, axis)
    kind = body.types.get(name)
    if not isinstance(kind, TensorType):
        return np.zeros(0, np.float32)
    return np.zeros((0, *(dim if isinstance(dim, int) else 0 for dim in kind.shape or ())), kind.dtype.numpy)


def _scan(node: Node, body: Graph, values: Mapping[str, Any]) -> Executions:
    n_scan = node.attr("num_scan_inputs")
    n_state = len(node.inputs) - n_scan
    n_out = len(body.outputs) - n_state
    state: list[Any] = [values[name] for name in node.inputs[:n_state]]
    scanned = [np.asarray(values[name]) for name in node.inputs[n_state:]]
    axes = node.attr("scan_input_axes") or (0,) * n_scan
    backward = node.attr("scan_input_directions") or (0,) * n_scan
    out_axes = node.attr("scan_output_axes") or (0,) * n_out
    out_backward = node.attr("scan_output_directions") or (0,) * n_out
    kept: list[list[Any]] = [[] for _ in range(n_out)]
    length = scanned[0].shape[axes[0]]
    for step in range(length):
        slices = [np.take(array, length - 1 - step if back else step, axis=axis)
                  for array, axis, back in zip(scanned, axes, backward, strict=True)]  # fmt: skip
        results = yield "body", dict(zip(body.inputs, [*state, *slices], strict=True))
        state = list(results[:n_state])
        for rows, row in zip(kept, results[n_state:], strict=True):
            rows.append(row)
    stacks = zip(kept, out_axes, out_backward, body.outputs[n_state:], strict=True)
    return [*state, *(_stacked(rows[::-1] if back else rows, axis, name, body) for rows, axis, back, name in stacks)]
