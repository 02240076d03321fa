"""Which nodes run on codes, and which values must therefore be codes.

Weighted operators that the target runs as integers are the seeds. Other operators join where their operands are codes
anyway, so that no operator is wrapped in conversions for nothing; what follows a layer that can give real results
directly, and feeds nothing integer, stays float.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from qir.ir.dtype import FLOAT32
from qir.ir.graph import Graph, Node
from qir.ir.types import TensorType
from qir.passes.quantize.clamp import CLAMPS
from qir.passes.quantize.reach import within_reach
from qir.passes.quantize.sums import fine_sums
from qir.passmanager.base import Context
from qir.statistics import Histogram
from qir.target import IntegerRule


@dataclass
class Placement:
    """The outcome.

    Attributes:
        rules: of the nodes that run on codes, by node name.
        reasons: why the others do not.
        fine: those of them that are sums to be rounded to 16 bits.
    """

    rules: dict[str, IntegerRule] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    fine: frozenset[str] = frozenset()

    def __contains__(self, node: Node | None) -> bool:
        return node is not None and node.name in self.rules


def place(graph: Graph, context: Context) -> Placement:
    """Chooses the nodes of one graph (its bodies are placed on their own)."""
    result = Placement()
    candidates: dict[str, IntegerRule] = {}
    for node in graph.nodes:
        rule = _candidate(node, graph, context)
        if isinstance(rule, str):
            result.reasons[node.name] = rule
        else:
            candidates[node.name] = rule
    _join(graph, candidates, result)
    fine = fine_sums(graph, result.rules, context)
    if 16 in context.target.activation_bits:
        result.fine = fine
    elif fine:
        result.rules.clear()
        for name in fine:
            del candidates[name]
            result.reasons[name] = "who reads it runs in float, and codes would only make the sum coarser"
        _join(graph, candidates, result)
    _prune_tail(graph, result)
    return result


def _join(graph: Graph, candidates: Mapping[str, IntegerRule], result: Placement) -> None:
    """Places the seeds, and the candidates whose operands are codes."""
    seeds = {name for name, rule in candidates.items() if rule.kind == "weighted"}
    wanted = {x for node in graph.nodes if node.name in seeds for x in candidates[node.name].data_inputs(node)}
    for node in graph.nodes:
        joining = candidates.get(node.name)
        if joining is None:
            continue
        if joining.kind == "weighted" or all(_is_code(x, graph, result, wanted) for x in joining.data_inputs(node)):
            result.rules[node.name] = joining
        else:
            result.reasons[node.name] = "its operands are not codes: converting them would cost more than it saves"


def _candidate(node: Node, graph: Graph, context: Context) -> IntegerRule | str:
    if context.recipe.layer((node.name, *node.origin), node.op).activation_bits is None:
        return "the recipe keeps it in float"
    rule = context.target.rule(node, graph)
    if isinstance(rule, str):
        return rule
    for name in (*rule.data_inputs(node), node.outputs[0]):
        kind = graph.types.get(name)
        if not isinstance(kind, TensorType) or kind.dtype != FLOAT32:
            return f"%{name} is {kind}, not a float32 tensor"
        if name in graph.constants:
            if not np.isfinite(within_reach(node, name, graph, graph.ranges)).all():
                return f"%{name} holds infinite numbers, which no codes stand for"
        elif name not in graph.ranges and rule.range is None:
            return _without_range(name, context)
    return rule


def _without_range(name: str, context: Context) -> str:
    seen = context.statistics
    if seen is not None and (Histogram.kind, name) in seen.entries and seen.histogram(name).infinite:
        return f"%{name} holds infinite numbers, which no codes stand for"
    return f"%{name} has no calibrated range"


def _is_code(name: str, graph: Graph, placed: Placement, wanted: set[str]) -> bool:
    if name in graph.constants or name in wanted:
        return True
    producer = graph.index.producer(name)
    if producer is not None and producer.op in CLAMPS and producer not in placed:
        before = graph.index.producer(producer.inputs[0])
        return before in placed and graph.index.sole_consumer(producer.inputs[0]) is producer
    return producer in placed


def _prune_tail(graph: Graph, placed: Placement) -> None:
    """Takes out what follows a layer that can give real results, where nothing integer follows."""
    for node in reversed(graph.nodes):
        rule = placed.rules.get(node.name)
        if rule is None or rule.kind == "weighted":
            continue
        producers = [_layer_of(x, graph, placed) for x in rule.data_inputs(node) if x not in graph.constants]
        direct = [placed.rules[p.name].float_output for p in producers if p is not None and p in placed]
        if (
            producers
            and len(direct) == len(producers)
            and all(direct)
            and not _feeds_codes(node.outputs, graph, placed)
        ):
            del placed.rules[node.name]
            placed.reasons[node.name] = "nothing integer follows: it takes the layer's real results"


def _layer_of(name: str, graph: Graph, placed: Placement) -> Node | None:
    """The node that makes a value, or that makes it but for a clamp that would be part of it."""
    producer = graph.index.producer(name)
    if producer is None or producer in placed or producer.op not in CLAMPS:
        return producer
    before = graph.index.producer(producer.inputs[0])
    return before if graph.index.sole_consumer(producer.inputs[0]) is producer else producer


def _feeds_codes(outputs: Iterable[str], graph: Graph, placed: Placement) -> bool:
    for name in outputs:
        for user in graph.index.consumers(name):
            rule = placed.rules.get(user.name)
            if rule is not None and name in rule.data_inputs(user):
                return True
            if user.op in CLAMPS and rule is None and _feeds_codes(user.outputs, graph, placed):
                return True
    return False


def needs_code_output(node: Node, graph: Graph, placed: Placement) -> bool:
    """Whether a placed node's result must be codes: always, unless it may stay real and nothing integer follows."""
    return not placed.rules[node.name].float_output or _feeds_codes(node.outputs, graph, placed)
