"""Brings together what a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qir.backends.c.program import Program
from qir.debug.errors import Comparison
from qir.debug.findings import Finding
from qir.debug.report.data import KernelFacts, NodeFacts, ReportData, ValueFacts
from qir.debug.report.hardware import c_kernels, memory, onnx_kernels
from qir.debug.report.histograms import activation_distribution, weight_distribution
from qir.debug.report.timeline import constant_bytes, timeline
from qir.ir.graph import Graph, Node
from qir.ir.symbols import symbols
from qir.ir.text import attr_text
from qir.ir.types import TensorType
from qir.ops.weighted import macs, with_ones
from qir.passmanager.manager import Step
from qir.recipe import Recipe
from qir.statistics import Statistics
from qir.target import Target


def report_data(
    graph: Graph,
    steps: Sequence[Step] = (),
    *,
    samples: Mapping[str, Any] | None = None,
    comparison: Comparison | None = None,
    findings: Sequence[Finding] = (),
    statistics: Statistics | None = None,
    target: Target | None = None,
    recipe: Recipe | None = None,
    program: Program | None = None,
    notes: Sequence[str] = (),
    sizes: Mapping[str, int | None] | None = None,
    seconds: float | None = None,
) -> ReportData:
    """The data of a report.

    Args:
        graph: the one to show, whose nodes `comparison` and `findings` name: the last in stage QUANT, or FLOAT where
            nothing was rounded.
        steps: of the trace; none leaves out the timeline and the differences.
        samples: inputs by name as the compiled model takes them, to measure the error after each pass on the first few;
            where the compiled graph fixes its batch, any multiple will do. None measures none.
        comparison: errors of the layers and outputs.
        findings: causes of lost accuracy, the most harmful first.
        statistics: of calibration; those of the last step that has some by default.
        target, recipe: what was compiled for, and how.
        program: the plan of the C, for its arena and kernels.
        notes: of the passes.
        sizes: bytes by what they are for.
        seconds: of the whole compilation.

    Raises:
        DataError: where `samples` do not fit a graph.
    """
    steps = tuple(steps)
    if statistics is None:
        statistics = next((step.statistics for step in reversed(steps) if step.statistics is not None), None)
    kernels: tuple[KernelFacts, ...] = ()
    if program is not None:
        kernels = c_kernels(program)
    elif target is not None and target.backend == "onnx":
        kernels = onnx_kernels(graph)
    facts, texts, step_samples = timeline(steps, samples)
    nodes = _nodes(graph, statistics, {row.node: row for row in kernels})
    return ReportData(
        model=graph.name,
        target="" if target is None else target.name,
        backend="" if target is None else target.backend,
        recipe="" if recipe is None else recipe.to_toml(),
        numbers="" if recipe is None else _numbers(recipe),
        seconds=seconds,
        samples=0 if comparison is None else comparison.samples,
        symbols=symbols(graph),
        nodes=nodes,
        edges=_edges(nodes),
        layers=() if comparison is None else comparison.layers,
        outputs=None if comparison is None else comparison.outputs,
        findings=tuple(findings),
        steps=facts,
        texts=texts,
        step_samples=step_samples,
        kernels=kernels,
        memory=None if program is None else memory(program),
        sizes=sizes,
        notes=tuple(notes),
    )


def _numbers(recipe: Recipe) -> str:
    layer, count = recipe.default, len(recipe.overrides)
    return str(layer) + (f" with {count} override{'s' if count > 1 else ''}" if count else "")


def _nodes(graph: Graph, statistics: Statistics | None, kernels: Mapping[str, KernelFacts]) -> tuple[NodeFacts, ...]:
    single = with_ones(graph)
    taken = {node.name for node in graph.nodes}
    entries = [NodeFacts(_unique(name, taken), "Input", outputs=(_value(name, graph),)) for name in graph.inputs]
    leaves = [NodeFacts(_unique(name, taken), "Output", inputs=(_value(name, graph),)) for name in graph.outputs]
    inner = [_node(node, graph, single, statistics, kernels.get(node.name)) for node in graph.nodes]
    return (*entries, *inner, *leaves)


def _unique(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    taken.add(found)
    return found


def _node(
    node: Node, graph: Graph, single: Graph, statistics: Statistics | None, kernel: KernelFacts | None
) -> NodeFacts:
    constants = [name for name in dict.fromkeys(node.reads) if name in graph.constants]
    return NodeFacts(
        name=node.name,
        op=node.op,
        origin=node.origin,
        inputs=tuple(_value(name, graph) for name in node.reads),
        outputs=tuple(_value(name, graph) for name in node.outputs if name),
        attributes={key: attr_text(value) for key, value in sorted(node.attrs.items())},
        macs=macs(node, single),
        parameters=sum(graph.constants[name].value.size for name in constants),
        parameter_bytes=sum(constant_bytes(graph.constants[name], graph.types.get(name)) for name in constants),
        runs_as="" if kernel is None else kernel.runs_as,
        integer=None if kernel is None else kernel.integer,
        why=() if kernel is None else kernel.refused,
        weight=weight_distribution(node, graph),
        activation=activation_distribution(node, graph, statistics),
    )


def _value(name: str, graph: Graph) -> ValueFacts:
    kind = graph.types.get(name)
    constant = name in graph.constants
    if not isinstance(kind, TensorType):
        return ValueFacts(name, "?" if kind is None else str(kind), constant=constant)
    codes = "" if kind.quant is None else str(kind.quant)[1:-1]
    return ValueFacts(name, str(TensorType(kind.dtype, kind.shape)), codes, constant)


def _edges(nodes: Sequence[NodeFacts]) -> tuple[tuple[int, int, str], ...]:
    maker = {value.name: i for i, node in enumerate(nodes) for value in node.outputs}
    found = {(maker[value.name], i, value.name): None for i, node in enumerate(nodes) for value in node.inputs
             if value.name in maker}  # fmt: skip
    return tuple(found)
