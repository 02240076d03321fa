"""What a model holds, and what each target can do with it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qir.backends.c.kernels import operators
from qir.backends.c.planning.layout import ALIASES
from qir.debug.report import bytes_text
from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph
from qir.ir.symbols import symbols
from qir.ir.types import TensorType
from qir.onnxio.source import open_source
from qir.ops.weighted import macs, with_ones
from qir.passes.quantize.clamp import CLAMPS, bounds
from qir.passes.quantize.placement import place
from qir.passmanager.base import Context
from qir.passmanager.manager import run
from qir.pipeline import default_pipeline
from qir.recipe import Recipe, recipe
from qir.target import Target


@dataclass(frozen=True)
class Placed:
    """What one target, or several that agree, would do with the model after qir's exact simplifications.

    Attributes:
        targets: their names.
        nodes: how many nodes are left to run.
        integer: operator to how many of its nodes can run on 8-bit codes.
        floats: (node, operator, why) of those that cannot.
        lacking: operators that the C backend has no kernel for, with how often they occur; none for ONNX.
    """

    targets: tuple[str, ...]
    nodes: int
    integer: Mapping[str, int]
    floats: tuple[tuple[str, str, str], ...]
    lacking: Mapping[str, int]


@dataclass(frozen=True)
class Inspection:
    """A model at a glance.

    Attributes:
        name: of the graph.
        opsets: domain to version, as the file says.
        file_bytes: of the file, data files beside it not counted; None without a file.
        inputs, outputs: name to type.
        symbols: dimensions that are known by name only.
        operators: how often each occurs, bodies included.
        macs: multiply-accumulates of one run, every symbol taken as 1.
        uncounted: weighted nodes whose sizes are not known.
        parameters, parameter_bytes: of float constants.
        placed: what the targets would do.
    """

    name: str
    opsets: Mapping[str, int]
    file_bytes: int | None
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    symbols: tuple[str, ...]
    operators: Mapping[str, int]
    macs: int
    uncounted: int
    parameters: int
    parameter_bytes: int
    placed: tuple[Placed, ...]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dicts, lists, numbers and text."""
        plain = {key: dict(value) if isinstance(value, Mapping) else value for key, value in vars(self).items()}
        plain["symbols"] = list(self.symbols)
        plain["placed"] = [
            {
                "targets": list(one.targets),
                "nodes": one.nodes,
                "integer": dict(one.integer),
                "float": [{"node": node, "op": op, "why": why} for node, op, why in one.floats],
                "lacking": dict(one.lacking),
            }
            for one in self.placed
        ]
        return plain

    def __str__(self) -> str:
        opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in self.opsets.items())
        lines = [f"{self.name}: opset {opsets}, {bytes_text(self.file_bytes)}", ""]
        lines += [f"input   {name}: {kind}" for name, kind in self.inputs.items()]
        lines += [f"output  {name}: {kind}" for name, kind in self.outputs.items()]
        if self.symbols:
            lines.append(f"symbols {', '.join(self.symbols)} (--shape gives them a size; C needs one for each)")
        unknown = f" with {', '.join(f'{symbol} = 1' for symbol in self.symbols)}" if self.symbols else ""
        unknown += f", {self.uncounted} layers of unknown size not counted" if self.uncounted else ""
        lines += ["", f"work        {self.macs / 1e6:,.3f} M multiply-accumulates{unknown}"]
        lines += [f"parameters  {self.parameters:,} in {bytes_text(self.parameter_bytes)}"]
        lines += [f"operators   {_counts(self.operators)}"]
        for one in self.placed:
            lines += ["", *_placed_text(one)]
        return "\n".join(lines)


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {op}" for op, count in sorted(found.items(), key=lambda row: (-row[1], row[0])))


def _placed_text(one: Placed) -> list[str]:
    total = sum(one.integer.values())
    lines = [f"{', '.join(one.targets)}: {total} of {one.nodes} nodes can run on 8-bit codes"
             + (f" ({_counts(one.integer)})" if total else "")]  # fmt: skip
    reasons: dict[tuple[str, str], list[str]] = {}
    for node, op, why in one.floats:
        reasons.setdefault((op, why), []).append(node)
    for (op, why), nodes in reasons.items():
        shown = ", ".join(nodes[:3]) + (f" and {len(nodes) - 3} more" if len(nodes) > 3 else "")
        lines.append(f"  float: {op} ({shown}): {why}")
    if one.lacking:
        lines.append(f"  no kernel: {_counts(one.lacking)}")
    return lines


def inspect(graph: Graph, targets: Iterable[Target], *, source: str | os.PathLike[str] | None = None) -> Inspection:
    """Looks at a graph.

    Args:
        graph: as lifted; sizes that are bound let more work be counted.
        targets: to answer for; those that agree are answered for together.
        source: the file it came from.

    Raises:
        ModelError: if `source` cannot be read.
    """
    opsets: Mapping[str, int] = graph.opsets
    if source is not None:
        with open_source(source) as opened:
            opsets = {item.domain: item.version for item in opened.proto.opset_import}
    nodes = [(node, macs(node, with_ones(body))) for body, node in graph.walk()]
    weighted = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    floats = [c.value for c in graph.constants.values() if c.value.dtype.kind == "f"]
    answers: dict[tuple[object, ...], Placed] = {}
    for target in targets:
        key = (target.backend, id(target.integer))
        if key in answers:
            answers[key] = replace(answers[key], targets=(*answers[key].targets, target.name))
        else:
            answers[key] = _place(graph, target)
    return Inspection(
        name=graph.name,
        opsets=opsets,
        file_bytes=None if source is None else Path(source).stat().st_size,
        inputs={name: str(graph.types[name]) for name in graph.inputs},
        outputs={name: str(graph.types[name]) for name in graph.outputs},
        symbols=symbols(graph),
        operators=dict(Counter(node.op for node, _ in nodes).most_common()),
        macs=sum(count or 0 for _, count in nodes),
        uncounted=sum(node.op in weighted and count is None for node, count in nodes),
        parameters=sum(value.size for value in floats),
        parameter_bytes=sum(value.nbytes for value in floats),
        placed=tuple(answers.values()),
    )


def _place(graph: Graph, target: Target) -> Placed:
    """The decision that `quantize` would take once every value is calibrated; the ranges here are made up."""
    exact = default_pipeline(recipe("float"), target, has_data=False, stage=graph.stage)
    simple = run(graph, exact, Context(target, Recipe()))
    ranges = {
        name: (-1.0, 1.0)
        for name, kind in simple.types.items()
        if isinstance(kind, TensorType) and kind.dtype == FLOAT32 and name not in simple.constants
    }
    placed = place(simple.with_(ranges=ranges), Context(target, Recipe()))
    integer, floats, lacking = Counter[str](), [], Counter[str]()
    known = {*operators(), *ALIASES} if target.backend == "c" else set()
    for node in simple.nodes:
        producer = simple.index.producer(node.inputs[0]) if node.inputs else None
        absorbed = node.op in CLAMPS and producer in placed and bounds(node, simple) is not None
        if node.name in placed.rules or absorbed:
            integer[node.op] += 1
            continue
        floats.append((node.name, node.op, placed.reasons.get(node.name, "unknown")))
        if target.backend == "c" and node.op not in known:
            lacking[node.op] += 1
    return Placed((target.name,), len(simple.nodes), dict(integer), tuple(floats), dict(lacking))
