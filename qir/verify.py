"""The rules of the IR, checked after every pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from qir.errors import VerifyError
from qir.ir.dtype import of_array
from qir.ir.graph import Constant, Graph, Node, Stage
from qir.ir.text import graph_text
from qir.ir.types import TensorType
from qir.ops import OPS

Report: TypeAlias = Callable[[str, str], None]


def problems(graph: Graph, outer: frozenset[str] = frozenset()) -> dict[str, str]:
    """Every broken rule, by node name ("" for the graph itself).

    Args:
        outer: names that an enclosing graph defines; they need no type here.
    """
    found: dict[str, str] = {}
    known: set[str] = {*graph.inputs, *graph.constants, *outer}
    made: set[str] = {*graph.inputs, *graph.constants}
    names: set[str] = set()

    def report(where: str, what: str) -> None:
        found[where] = f"{found[where]}\n{what}" if where in found else what

    for node in graph.nodes:
        if not node.name or node.name in names:
            report(node.name, f"node name '{node.name}' is empty or used twice")
        names.add(node.name)
        for name in node.reads:
            if name not in known:
                report(node.name, f"reads %{name}, which nothing before it defines")
        for name in node.outputs:
            if name in made:
                report(node.name, f"defines %{name} a second time")
            elif name and name not in graph.types:
                report(node.name, f"%{name} has no type")
        made.update(name for name in node.outputs if name)
        known.update(name for name in node.outputs if name)
        for body in node.subgraphs.values():
            for where, what in problems(body, frozenset(known)).items():
                report(node.name, f"in body {body.name}, {where or 'graph'}: {what}")
        _check_stage(graph, node, report)
    for name in graph.outputs:
        if name and name not in known:
            report("", f"output %{name} is not defined")
    for name in (*graph.inputs, *graph.constants):
        kind = graph.types.get(name)
        if kind is None:
            report("", f"%{name} has no type")
        elif isinstance(kind, TensorType):
            _check_quant(name, kind, "", report)
    for name, constant in graph.constants.items():
        _check_constant(graph, name, constant, report)
    return found


def _check_constant(graph: Graph, name: str, constant: Constant, report: Report) -> None:
    expected, value, codes = graph.types.get(name), constant.value, constant.codes
    if not isinstance(expected, TensorType):
        return
    if of_array(value) != expected.dtype or (expected.is_static and value.shape != expected.sizes):
        report("", f"constant %{name} is {of_array(value)}{list(value.shape)}, its type says {expected}")
    if codes is not None:
        quant = expected.quant
        if quant is None:
            report("", f"constant %{name} has codes but no quantization")
        elif codes.shape != value.shape or (codes.size and not quant.qmin <= codes.min() <= codes.max() <= quant.qmax):
            report("", f"codes of constant %{name} leave {quant}")


def _check_quant(name: str, kind: TensorType, where: str, report: Report) -> None:
    quant = kind.quant
    if quant is None:
        return
    scale, axis = quant.scale, quant.axis
    if not (np.all(np.isfinite(scale)) and np.all(scale >= np.finfo(np.float32).tiny)):
        report(where, f"%{name} has a scale that is not positive and normal")
    if axis is None or quant.block_size or kind.shape is None:
        return
    if not -len(kind.shape) <= axis < len(kind.shape):
        report(where, f"%{name} has scales along axis {axis}, it is {kind}")
    elif kind.shape[axis] != scale.size:
        report(where, f"%{name} has {scale.size} scales along axis {axis} of {kind.shape[axis]}")


def _check_stage(graph: Graph, node: Node, report: Report) -> None:
    if node.domain == "qir" and node.op not in OPS:
        report(node.name, f"{node.op} is not an operator of qir")
    integer = node.op.startswith("qir.Int") or node.op in ("qir.Lookup", "qir.Quantize", "qir.Dequantize")
    if integer and graph.stage is not Stage.INT:
        report(node.name, f"{node.op} belongs to stage int, the graph is in stage {graph.stage.value}")
    for name in node.outputs:
        kind = graph.types.get(name)
        if not isinstance(kind, TensorType) or kind.quant is None:
            continue
        if graph.stage is not Stage.QUANT:
            report(node.name, f"%{name} is quantized in stage {graph.stage.value}")
        _check_quant(name, kind, node.name, report)
    if node.op == "qir.Requantize":
        name = node.input(0)
        if len(graph.index.consumers(name)) < 2 and not graph.index.is_output(name):
            report(node.name, f"requantizes %{name}, which nothing else uses: its producer can have the codes")


def verify(graph: Graph, *, after: str = "") -> None:
    """Checks every rule.

    Raises:
        VerifyError: drawn inside the printed graph; `after` names the pass to blame.
    """
    found = problems(graph)
    if not found:
        return
    head = found.pop("", "")
    blame = f"after {after}, " if after else ""
    where = next(iter(found), None)
    raise VerifyError(
        f"{blame}the graph is not valid: {head or found[where or '']}\n{graph_text(graph, notes=found)}",
        node=where,
        fix="This is a mistake in a pass, not in the model: please report it",
    )
